"""A default is declared once, in the docstring of its field: `arguments.cleaned` fills it, and no code repeats it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from types import ModuleType

import pulumi
import pytest

from components import arguments
from tests.structure.library import modules, typed_dicts

# The state of a dynamic provider, which an earlier release may have written, and the rows of a table.
_NOT_ARGUMENTS = {"_props", "row"}
# `pulumi.Input` names its Output in quotes.
_LOCAL = {"Output": pulumi.Output, "T": typing.Any}


def _used(module: ModuleType) -> set[type]:
    """The TypedDicts that a module's code reads: those among its names and in its dataclasses."""
    found: set[type] = set()
    for value in list(vars(module).values()):
        if typing.is_typeddict(value) or inspect.isclass(value):
            hints = (
                typing.get_type_hints(value, localns=_LOCAL).values() if dataclasses.is_dataclass(value) else [value]
            )
            found.update(*(typed_dicts(hint) for hint in hints))
    return found


def _repeated(tree: ast.AST, declared: set[str]) -> list[str]:
    """Each `x.get("field", …)` whose field has a declared default, so that `x["field"]` is enough."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr="get"), args=[ast.Constant(value=str(field)), *_]):
                if field in declared and ast.unparse(of) not in _NOT_ARGUMENTS:
                    found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_no_code_repeats_a_declared_default(module: ModuleType) -> None:
    fields = [field for each in _used(module) for field in arguments.shape(each).fields.values()]
    filled = {field.name for field in fields if field.default is not None}
    # A field of that name in another TypedDict of the module may have no default.
    unsure = {field.name for field in fields if field.default is None and not field.required}
    assert not _repeated(ast.parse(inspect.getsource(module)), filled - unsure)


def test_a_repeated_default_is_found() -> None:
    assert _repeated(ast.parse('made.spec.get("minutes", 10)'), {"minutes"}) == [
        "line 1: made.spec.get('minutes', 10)",
    ]
