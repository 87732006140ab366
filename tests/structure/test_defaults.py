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

EXCEPTIONS = {
    "accelerator.get('count', 1)": "1 is for attached GPUs only: without `count`, other machine types have theirs",
    "gke.spec.get('node_repair', True)": "on the rung flex, `true` is refused, so it must not be filled",
}
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


DECLARED = {name for module in modules() for each in _used(module) for name in arguments.shape(each).fields}
"""Every field of the library's TypedDicts."""


def _repeated(tree: ast.AST, filled: set[str], declared: set[str]) -> list[str]:
    """Each `x.get("field", …)` whose field is `filled` with its default, so that `x["field"]` is enough, and each with
    a value for a `declared` field, which the docstring should have. An empty value stands for an omitted field."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr="get"), args=[ast.Constant(value=str(field)), *other]):
                value = other and isinstance(other[0], ast.Constant) and other[0].value not in (None, "")
                if (field in filled or (value and field in declared)) and ast.unparse(of) not in _NOT_ARGUMENTS:
                    found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def _unexpected(found: list[str]) -> list[str]:
    return [each for each in found if each.partition(": ")[2] not in EXCEPTIONS]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_no_code_repeats_a_declared_default(module: ModuleType) -> None:
    fields = [field for each in _used(module) for field in arguments.shape(each).fields.values()]
    filled = {field.name for field in fields if field.default is not None}
    # A field of that name in another TypedDict of the module may have no default.
    unsure = {field.name for field in fields if field.default is None and not field.required}
    assert not _unexpected(_repeated(ast.parse(inspect.getsource(module)), filled - unsure, DECLARED))


@pytest.mark.parametrize("read", ["get('minutes')", "get('minutes', {})", "get('hours', 0)", "get('hours', True)"])
def test_a_repeated_default_is_found(read: str) -> None:
    assert _repeated(ast.parse(f"made.spec.{read}"), {"minutes"}, {"minutes", "hours"}) == [f"line 1: made.spec.{read}"]


@pytest.mark.parametrize("read", ["get('hours')", "get('hours', '')", "get('hours', [])", "get('other', 1)"])
def test_what_repeats_no_default_is_not_found(read: str) -> None:
    assert not _repeated(ast.parse(f"made.spec.{read}"), {"minutes"}, {"minutes", "hours"})


def test_every_exception_is_in_use() -> None:
    found = {each for module in modules() for each in _repeated(ast.parse(inspect.getsource(module)), set(), DECLARED)}
    assert {each.partition(": ")[2] for each in found} == {*EXCEPTIONS}
