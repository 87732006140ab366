"""The repository's Python files and what they import, for the structure tests."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from sandbox.paths import ROOT

PACKAGES = ["components", "stack", "recording", "pages", "plugin", "sandbox", "tools", "tests", "bench"]


def files(packages: Iterable[str] = PACKAGES) -> list[Path]:
    """Every Python file of these packages, sorted."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def is_test(path: Path) -> bool:
    """Whether the file belongs to the tests, the library's or the sandbox's."""
    return "tests" in path.relative_to(ROOT).parts


def name_of(path: Path) -> str:
    """The module's dotted name; a package's is that of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> tuple[tuple[str, str, int], ...]:
    """(package of this repository, what is imported from it or '', line) for every import in a file.

    Imports inside functions count as well, and those under `if TYPE_CHECKING`, except in an `__init__.py`: there they
    declare what a package exports by name (components/exports.py), and load nothing.
    """
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, str, int]]:
    inside = path.relative_to(ROOT).parts
    tree = ast.parse(path.read_text())
    if path.name == "__init__.py":
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found = [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from ..pools import x` in components/aws/: two levels above the module, below its package.
            base = ".".join((*inside[: len(inside) - node.level], *([node.module] if node.module else [])))
            found = [(base, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.split(".")[0] in {*PACKAGES, "__main__"}:
                yield module, name, node.lineno
