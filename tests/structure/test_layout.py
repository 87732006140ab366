"""Rules for the source: the length of a module, the shape of a component, the names that the clouds share."""

from __future__ import annotations

import ast
import importlib
import inspect
import typing
from pathlib import Path
from types import ModuleType

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from sandbox.paths import ROOT
from stack import on
from tests.structure import source
from tests.structure.library import component_classes

LONGEST = 400
"""Lines that a module may have, tests included."""


def sources() -> list[Path]:
    """Every Python file of the repository."""
    return [ROOT / "__main__.py", *source.files()]


COMPONENTS = {f"{found.__module__}.{found.__name__}": found for found in component_classes()}


def test_every_module_has_at_most_400_lines_and_a_docstring() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sources()}
    assert not [name for name, text in texts.items() if len(text.splitlines()) > LONGEST], "one subject per module"
    trees = {name: ast.parse(text) for name, text in texts.items()}
    missing = [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]
    assert not missing, "a module needs a docstring that describes its purpose"


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_the_librarys_shape(name: str) -> None:
    """(name, args, opts) with args a TypedDict, a token with the class's name, documented outputs. It checks its
    arguments before its registration, so that a refused component registers nothing."""
    found = COMPONENTS[name]
    parameters = inspect.signature(found.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["opts"].default is None
    hints = typing.get_type_hints(found.__init__)
    assert typing.is_typeddict(hints["args"]) and hints["args"].__name__ == f"{found.__name__}Args"
    assert inspect.getdoc(hints["args"]), "its arguments are documented"
    source = inspect.getsource(found)
    assert f'"gpuyard:index:{found.__name__}"' in source
    assert inspect.getdoc(found), "a component needs a docstring"
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    for index, node in enumerate(body.body):
        if isinstance(node, ast.AnnAssign):
            after = body.body[index + 1]
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert described, f"output {ast.unparse(node.target)} is documented"
    assert source.rstrip().count("self.register_outputs(") == 1
    (made,) = (node for node in body.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    written = ast.unparse(made)
    assert 0 < written.find("arguments.checked(") < written.find("super().__init__("), "the check comes first"


def test_other_languages_can_use_every_component() -> None:
    """Pulumi's analyzer can translate every type of the library, as it does for a plugin."""
    analyzed = Analyzer("gpuyard").analyze(components=list(COMPONENTS.values()))
    assert set(analyzed["component_definitions"]) == {found.__name__ for found in COMPONENTS.values()}


def test_no_component_module_postpones_its_annotations() -> None:
    """The analyzer does not support `from __future__ import annotations`."""
    for module in {found.__module__ for found in COMPONENTS.values()}:
        assert "from __future__ import annotations" not in inspect.getsource(importlib.import_module(module)), module


def test_both_clouds_have_the_same_modules_and_functions() -> None:
    """Same modules and functions with the same parameters, so the program does not branch on the cloud."""

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
