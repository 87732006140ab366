"""The rules that hold the source together: who imports whom, how long a module may be, what a component looks like."""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from sandbox.paths import ROOT
from stack import on
from tests.structure.library import component_classes

PACKAGES = ["components", "stack", "recording", "pages", "sandbox", "tools", "tests", "bench"]
LONGEST = 460
LONGEST_TABLE = 600
"""Lines of a module; tables of the simulated clouds and tests may have a few more."""

# Package → packages of this repository that it may import.
MAY_IMPORT = {
    "__main__": {"stack"},
    "components": {"components"},
    "stack": {"stack", "components"},
    "recording": {"recording", "sandbox", "stack", "components"},
    "pages": {"pages", "recording", "sandbox", "stack", "components"},
    "tools": {"tools", "sandbox", "components"},
    "sandbox": {"sandbox", "tools", "components"},
}


def sources() -> list[Path]:
    """Every Python file of the repository."""
    return [ROOT / "__main__.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(package of this repository, what is imported from it) for every import in a file."""
    inside = path.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text())):
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
                yield module, name


COMPONENTS = {f"{found.__module__}.{found.__name__}": found for found in component_classes()}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_says_what_it_is_for_and_imports_one_way(path: Path) -> None:
    tree, text = ast.parse(path.read_text()), path.read_text()
    table = "rows" in path.parts or "tests" in path.parts
    assert len(text.splitlines()) <= (LONGEST_TABLE if table else LONGEST), "split it: one noun per module"
    if tree.body:
        assert ast.get_docstring(tree), "a module says what it is for"
    home = path.relative_to(ROOT).parts[0].removesuffix(".py")
    folder = path.relative_to(ROOT).parent.as_posix()
    allowed = MAY_IMPORT.get(folder, MAY_IMPORT.get(home, PACKAGES))
    for module, name in imports(path):
        assert module.split(".")[0] in allowed, f"{home} must not know {module}"
        if module.split(".")[0] == "components" and home != "components" and home != "tests":
            assert not name.startswith("_") and "._" not in module, f"{module}.{name} is private to the library"


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_the_librarys_shape(name: str) -> None:
    """(name, args, opts) with args a TypedDict, the token of its own name, documented outputs."""
    found = COMPONENTS[name]
    parameters = inspect.signature(found.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["opts"].default is None
    hints = typing.get_type_hints(found.__init__)
    assert typing.is_typeddict(hints["args"]) and hints["args"].__name__ == f"{found.__name__}Args"
    assert inspect.getdoc(hints["args"]), "its arguments are documented"
    source = inspect.getsource(found)
    assert f'"gpuyard:index:{found.__name__}"' in source
    assert inspect.getdoc(found), "a component says what it makes"
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    for index, node in enumerate(body.body):
        if isinstance(node, ast.AnnAssign):
            after = body.body[index + 1]
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert described, f"output {ast.unparse(node.target)} is documented"
    assert source.rstrip().count("self.register_outputs(") == 1


def test_other_languages_can_use_every_component() -> None:
    """Pulumi's own analyzer reads the library as it will for a plugin: no type that it cannot translate."""
    analyzed = Analyzer("gpuyard").analyze(components=list(COMPONENTS.values()))
    assert set(analyzed["component_definitions"]) == {found.__name__ for found in COMPONENTS.values()}


def test_no_component_module_postpones_its_annotations() -> None:
    """The analyzer does not take `from __future__ import annotations`."""
    for module in {found.__module__ for found in COMPONENTS.values()}:
        assert "from __future__ import annotations" not in inspect.getsource(importlib.import_module(module)), module


def test_the_clouds_mirror_each_other() -> None:
    """Same modules, same functions with the same parameters: the program asks nowhere which cloud it is on."""

    def functions(module: ModuleType) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }

    for module in (on.cloud, on.checks, on.changes):
        mine, theirs = module("aws"), module("gcp")
        assert functions(mine) == functions(theirs) != {}
    for noun in ("network", "cluster", "node_pool", "storage"):
        for cloud in ("aws", "gcp"):
            assert (ROOT / "components" / cloud / f"{noun}.py").exists()


def test_the_stack_exports_the_same_names_on_both_clouds() -> None:
    from recording.stacks import recorded

    assert set(recorded("dev").exports) == set(recorded("dev-gke").exports)
