"""Who imports whom: packages import in one direction, and no modules import each other in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from sandbox.paths import ROOT
from tests.structure import source

MAY_IMPORT = {
    "__main__": {"stack"},
    "components": {"components"},
    "stack": {"stack", "components"},
    "recording": {"recording", "sandbox", "stack", "components"},
    "pages": {"pages", "recording", "sandbox", "stack", "components", "tools"},
    "plugin": {"plugin", "components"},
    "tools": {"tools"},
    "sandbox": {"sandbox", "tools", "components"},
    "bench": {"bench", "sandbox", "tools"},
}
"""Package → packages of this repository that it may import. Tests may import all of them."""

MAY_NOT_IMPORT = {
    "sandbox.cluster": ("sandbox.aws", "sandbox.gcp", "sandbox.plugins"),
    "sandbox.aws": ("sandbox.gcp",),
    "sandbox.gcp": ("sandbox.aws",),
}
"""Room of the sandbox → rooms that it must not know. A cluster finds its cloud by name: sandbox/cluster/registry.py."""

WITHOUT_CIRCLES = [package for package in source.PACKAGES if package != "tests"]


def targets(path: Path, known: Mapping[str, Path]) -> dict[str, int]:
    """The modules that a file imports, each with the line.

    `from a import b` imports `a` and, if it is a module, `a.b`. A package without code is omitted: every import of its
    modules passes through it, but nothing runs there.
    """
    found: dict[str, int] = {}
    for module, name, line in source.imports(path):
        for each in (module, f"{module}.{name}"):
            if each in known and known[each] != path and not _only_a_docstring(known[each]):
                found.setdefault(each, line)
    return found


def _only_a_docstring(path: Path) -> bool:
    return path.name == "__init__.py" and not source.imports(path) and "import " not in path.read_text()


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The sets of more than one node in which each reaches each, sorted (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        open_nodes.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in open_nodes:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            start = open_nodes.index(node)
            if len(members := open_nodes[start:]) > 1:
                found.append(sorted(members))
            del open_nodes[start:]

    for node in graph:
        if node not in index:
            visit(node)
    return sorted(found)


@pytest.mark.parametrize("home", MAY_IMPORT)
def test_a_package_imports_in_one_direction(home: str) -> None:
    paths = [ROOT / "__main__.py"] if home == "__main__" else source.files([home])
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in paths
        if not source.is_test(path)
        for module, _, line in source.imports(path)
        if module.split(".")[0] not in MAY_IMPORT[home]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", MAY_NOT_IMPORT)
def test_a_package_of_the_sandbox_does_not_import_those_above_it(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in source.files([room.replace(".", "/")])
        for module, name, line in source.imports(path)
        if f"{module}.{name}.".startswith(tuple(f"{other}." for other in MAY_NOT_IMPORT[room]))
    ]
    assert wrong == []


def test_nothing_outside_the_library_uses_its_private_names() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}.{name}"
        for path in source.files()
        if path.relative_to(ROOT).parts[0] != "components" and not source.is_test(path)
        for module, name, line in source.imports(path)
        if module.split(".")[0] == "components" and (name.startswith("_") or "._" in module)
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside functions count: they only hide a circle."""
    known = {source.name_of(path): path for path in source.files(WITHOUT_CIRCLES)}
    graph = {name: targets(path, known) for name, path in known.items()}
    shown = [
        [
            f"{name} -> {other} (line {line})"
            for name in circle
            for other, line in graph[name].items()
            if other in circle
        ]
        for circle in circles(graph)
    ]
    assert shown == [], "remove it: move the shared code into a separate module, or load by name (sandbox/named.py)"


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a", "e"], "e": ["f"], "f": ["e"], "g": []}) == [
        ["a", "b", "c"],
        ["e", "f"],
    ]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []
