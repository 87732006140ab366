"""The first check of every component: its arguments against their declaration.

An argument is declared once, as a field of a TypedDict with a docstring under it. The type hints are enough to find an
unknown key (and the nearest name), a missing one, a wrong type, and an Output where a plain value is needed. The
docstrings are read too (`shapes.py`): they have the defaults, and the stack's config, Pulumi.yaml and the tables of the
documentation are generated from them.
"""

import difflib
import enum
import functools
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pulumi
import typing_extensions

from . import checks
from .checks import Keys, Problem
from .plain_values import KINDS, as_list, fix_of, is_a, is_blank
from .shapes import Field as Field
from .shapes import Shape as Shape
from .shapes import default as default
from .shapes import shape as shape

A = TypeVar("A")
UNKNOWN = "unknown key"
"""The text of a problem with a key that is not declared."""
# Unknown keys of one map for which the nearest declared key is looked up: for thousands it would take seconds.
_HINTS = 20
_LONGEST_NAME = 100
# Levels of maps and lists: no value of a cloud has as many, and Python's recursion ends at about 1,000 calls.
_DEEPEST = 100
# Every language represents whole numbers up to here exactly.
_LARGEST = 2**53 - 1


def checked(subject: str, declared: type[A], given: A, *problems_of: Callable[[A], Iterable[Problem]]) -> A:
    """The valid arguments of a component: with the declared defaults of omitted fields, and with whole numbers as
    integers (other languages send 3 as 3.0). None is the same as an omitted field, and so is an empty text where
    there is a default.

    Args:
        subject: what an error names first, such as `EksNodePool gpu`.
        declared: the TypedDict.
        given: the arguments.
        problems_of: checks of the values; they run only if the shape has no problems.

    Raises:
        pulumi.RunError: one error that lists every problem.
    """
    checks.refuse(problems(declared, given), subject)
    args = cleaned(declared, given)
    checks.refuse([problem for each in problems_of for problem in each(args)], subject)
    return args


def _as_declared(name: str) -> str:
    return name


def problems(
    declared: Any, given: Any, path: str = "", spelling: Callable[[str], str] = _as_declared
) -> Iterator[Problem]:
    """Every difference between a map and its declaration.

    Args:
        declared: a TypedDict or a `Shape`.
        given: the map.
        path: path of the map; the paths of the problems start with it.
        spelling: from the name of a field to its key in the map, such as `to_camel` for a stack's file.
    """
    expected = shape(declared)
    fields = _keys(expected, spelling)
    if not isinstance(given, Mapping):
        yield Problem(path or expected.name, given, "not a map", _map_of(fields), "write it as a map")
        return
    meant = set()
    for index, name in enumerate(name for name in given if name not in fields):
        problem, near = _unknown(fields, path, name, index < _HINTS)
        meant.add(near)
        yield problem
    for name, each in fields.items():
        here = f"{path}.{name}" if path else name
        if given.get(name) is None:
            if each.required and name not in meant:  # else it is there, but misspelled
                yield Problem(here, None, "missing", kind(each.hint), "add it")
        elif is_blank(given[name]) and (each.required or given[name]):  # '' is none in an optional field
            yield Problem(here, given[name], "empty", kind(each.hint), "write a value")
        else:
            yield from _value_problems(here, each.hint, given[name], False, spelling)


def _unknown(fields: Iterable[str], path: str, key: Any, hint: bool) -> tuple[Problem, str]:
    """(the problem, the field that is meant; empty if none is similar)."""
    name = key if isinstance(key, str) else checks.shown(key)
    near = nearest(_snake(name), {_snake(each): each for each in fields}) if hint else ""
    problem = Problem(
        f"{path}.{name}" if path else name, "…", UNKNOWN, _named(fields),
        f"write {_named([near])}" if near else "remove it, or correct its name", name,
    )  # fmt: skip
    return problem, near


def nearest(name: str, known: Mapping[str, str]) -> str:
    """The value of the known key that is most similar to a misspelled name; empty if none is. A very long name is no
    misspelled one, and its comparison would take long."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6) if len(name) <= _LONGEST_NAME else []
    return known[near[0]] if near else ""


def _map_of(fields: Iterable[str]) -> str:
    return f"a map of {_named(fields)}"


def _named(fields: Iterable[str]) -> str:
    """The names in backticks, so that an error shows them in the caller's spelling."""
    return ", ".join(f"`{name}`" for name in fields)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _value_problems(
    path: str, hint: Any, value: Any, outputs: bool, spelling: Callable[[str], str]
) -> Iterator[Problem]:
    """`outputs`: whether an Output is accepted here, because one is accepted further up."""
    inner, own = _plain(hint)
    outputs = outputs or own
    if path.count(".") + path.count("[") > _DEEPEST:
        start = f"{path[:40]}…"
        yield Problem(start, "…", "nested too deeply, or contains itself", f"up to {_DEEPEST} levels", "flatten it")
        return
    if isinstance(value, (pulumi.Output, Awaitable)):
        if not outputs:
            yield Problem(
                path, "an Output", "its value is not known when the arguments are checked", f"{kind(inner)}, plain",
                "pass a plain value, such as one from the config",
            )  # fmt: skip
        return
    # A value for which an Output is accepted may be a secret.
    shown = f"a value of type {type(value).__name__}" if outputs else value
    origin, parts = typing.get_origin(inner), typing.get_args(inner)
    if _declared(inner):
        yield from problems(inner, value, path, spelling)
    elif origin in (dict, Mapping) or (inner is Any and isinstance(value, Mapping)):
        if not isinstance(value, Mapping):
            yield Problem(path, shown, "not a map", kind(inner), "write it as a map")
            return
        for key, each in value.items():
            if isinstance(key, str):
                yield from _value_problems(f"{path}.{key}", parts[1] if parts else Any, each, outputs, spelling)
            else:
                named = f"{path}.{checks.shown(key)}"
                yield Problem(named, key, "the key is not text", "keys that are text", "write it as text")
    elif origin in (list, Sequence) or (inner is Any and isinstance(value, (list, tuple))):
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
            fix = f"write {as_list(value)}" if isinstance(value, str) else "write it as a list"
            yield Problem(path, shown, "not a list", kind(inner), fix)
            return
        for index, each in enumerate(value):
            if is_blank(each) and parts:
                yield Problem(f"{path}[{index}]", each, "empty", kind(parts[0]), "write a value, or remove it")
            else:
                yield from _value_problems(f"{path}[{index}]", parts[0] if parts else Any, each, outputs, spelling)
    elif inner in KINDS and not is_a(inner, value):
        yield Problem(path, shown, f"not {KINDS[inner]}", KINDS[inner], fix_of(inner, value))
    elif inner is int and abs(value) > _LARGEST:
        yield Problem(path, "…", "too large", f"whole numbers up to {_LARGEST}", "correct the value")
    elif inner is Any and not (value is None or isinstance(value, str) or is_a(float, value) or is_a(bool, value)):
        yield Problem(
            path, shown, "not a plain value", "text, numbers, true or false, lists, maps", "correct the value"
        )


@functools.cache
def _declared(hint: Any) -> Shape | None:
    """The shape of a map with declared fields; None for every other type."""
    return shape(hint) if isinstance(hint, Shape) or typing_extensions.is_typeddict(hint) else None


@functools.cache
def _keys(expected: Shape, spelling: Callable[[str], str]) -> dict[str, Field]:
    """The fields of a shape by their keys in a map."""
    return {spelling(name): each for name, each in expected.fields.items()}


@functools.cache
def _plain(hint: Any) -> tuple[Any, bool]:
    """(the type without Input and `| None`, whether an Output is accepted)."""
    parts = [part for part in typing.get_args(hint) if part is not type(None)] if _is_union(hint) else [hint]
    plain = [part for part in parts if typing.get_origin(part) not in (pulumi.Output, Awaitable)]
    if len(plain) == 1 and _is_union(plain[0]):
        inner, outputs = _plain(plain[0])
        return inner, outputs or len(plain) < len(parts)
    return plain[0], len(plain) < len(parts)


def _is_union(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return origin is typing.Union or getattr(origin, "__name__", "") == "UnionType"


def is_input(hint: Any) -> bool:
    """Whether an Output is accepted."""
    return _plain(hint)[1]


def kind(hint: Any) -> str:
    """The name of a type in errors: text, a whole number, a list, …"""
    inner, _ = _plain(hint)
    origin, parts = typing.get_origin(inner), typing.get_args(inner)
    if expected := _declared(inner):
        return _map_of(expected.fields)
    if origin in (dict, Mapping):
        return "a map of text to text" if parts[1] is str else "a map"
    if origin in (list, Sequence):
        return "a list"
    return KINDS.get(inner, "a value")


def part(hint: Any) -> "tuple[Shape | None, str]":
    """(the shape inside a type, its container: '' for none, 'map' for one with the user's keys, 'list')."""
    inner, _ = _plain(hint)
    origin, parts = typing.get_origin(inner), typing.get_args(inner)
    if expected := _declared(inner):
        return expected, ""
    if origin in (dict, Mapping):
        return part(parts[1])[0], "map"
    if origin in (list, Sequence):
        return part(parts[0])[0], "list"
    return None, ""


def cleaned(declared: Any, given: Any, spelling: Callable[[str], str] = _as_declared, defaults: bool = True) -> Any:
    """A copy of a map that has no `problems` other than unknown keys: without these and None, with keys as declared,
    whole numbers as integers, and the declared default of each field that is omitted or has an empty text. A field
    without a declared default, or whose default is described in words, stays omitted, or empty.

    Args:
        declared: a TypedDict or a `Shape`.
        given: the map.
        spelling: from the name of a field to its key in the map.
        defaults: whether omitted fields get their defaults.
    """
    fields = _keys(shape(declared), spelling)
    found = {
        fields[name].name: _clean(fields[name].hint, value, spelling, defaults)
        for name, value in given.items()
        if name in fields and not _is_omitted(fields[name], value)
    }
    omitted = [each for each in fields.values() if defaults and each.default is not None and each.name not in found]
    return {**found, **{each.name: _clean(each.hint, each.default, _as_declared, defaults) for each in omitted}}


def _is_omitted(field: Field, value: Any) -> bool:
    return value is None or (field.default is not None and is_blank(value))


def _clean(hint: Any, value: Any, spelling: Callable[[str], str], defaults: bool) -> Any:
    if type(value) in (str, int, bool):
        return value  # most values are one of these, and stay as they are
    inner, _ = _plain(hint)
    if isinstance(value, Awaitable) and not isinstance(value, pulumi.Output):
        return pulumi.Output.from_input(value)  # only once, because a coroutine cannot be awaited again
    if isinstance(value, pulumi.Output):
        return value
    if isinstance(value, enum.Enum):
        return value.value  # formatted into a text, an enum member would appear as its name
    if _declared(inner):
        return cleaned(inner, value, spelling, defaults)
    parts = typing.get_args(inner)
    if isinstance(value, Mapping):
        return {key: _clean(parts[1] if parts else Any, each, spelling, defaults) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_clean(parts[0] if parts else Any, each, spelling, defaults) for each in value]
    # Also in fields of type Any: a whole number in settings that are passed on should remain an integer.
    return int(value) if inner is not float and isinstance(value, float) and value.is_integer() else value


def names(*declared: Any) -> dict[str, Keys]:
    """The names of all fields of these TypedDicts and shapes, including nested ones, and whose keys each contains."""
    found: dict[str, Keys] = {}
    for each in declared:
        expected = shape(each)
        for name, one in expected.fields.items():
            inside, held = part(one.hint)
            keys = Keys.DECLARED if held != "map" else Keys.NAMES if inside else Keys.FREE
            for known, these in {name: keys, **(names(inside) if inside else {})}.items():
                # Fields of one name may differ: a list here, a map there.
                found[known] = these if these is not Keys.DECLARED else found.get(known, these)
    return found
