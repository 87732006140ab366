"""The first check of every component: its arguments against their declaration.

An argument is declared once, as a field of a TypedDict with a docstring under it. The type hints are enough to find an
unknown key (and the nearest name), a missing one, a wrong type, and an Output where a plain value is needed. The
docstrings are read too: the stack's config, Pulumi.yaml and the tables of the documentation are generated from them. A
docstring ends with the default. A default that is a value is in backticks: Default: `33`.
"""

import difflib
import enum
import functools
import json
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pulumi
import typing_extensions

from . import checks, docstrings
from .checks import Problem
from .plain_values import KINDS, as_list, fix_of, is_a, is_blank

A = TypeVar("A")
UNKNOWN = "unknown key"
"""The text of a problem with a key that is not declared."""
_DEFAULT = re.compile(r"Default: `([^`]*)`")


@dataclass(frozen=True)
class Field:
    """One argument.

    `hint`: its type without `NotRequired`; a `Shape` if a shape describes the map. `doc`: its docstring on one line.
    `default`: the value that the docstring has in backticks, or None.
    """

    name: str
    hint: Any
    required: bool
    doc: str = ""
    default: Any = None


@dataclass(frozen=True)
class Shape:
    """The fields that a map may have: those of a TypedDict, or of several combined."""

    name: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    doc: str = ""

    def without(self, *names: str) -> "Shape":
        """The shape without these fields.

        Raises:
            KeyError: it has no such field.
        """
        for name in names:
            self.fields[name]
        return replace(self, fields={name: each for name, each in self.fields.items() if name not in names})

    def only(self, *names: str) -> "Shape":
        """The shape with only these fields, in this order.

        Raises:
            KeyError: it has no such field.
        """
        return replace(self, fields={name: self.fields[name] for name in names})

    def defaulting(self, **defaults: Any) -> "Shape":
        """The shape with these fields optional, and with these defaults.

        Raises:
            KeyError: it has no such field.
        """
        changed = {
            name: replace(
                self.fields[name],
                required=False,
                default=default,
                doc=f"{self.fields[name].doc.split(' Default:')[0]} Default: `{_text(default)}`.",
            )
            for name, default in defaults.items()
        }
        return replace(self, fields={**self.fields, **changed})

    def documented(self, **docs: str) -> "Shape":
        """The shape with other docstrings of some fields.

        Raises:
            KeyError: it has no such field.
        """
        changed = {name: replace(self.fields[name], doc=doc, default=_default(doc)) for name, doc in docs.items()}
        return replace(self, fields={**self.fields, **changed})

    def renamed(self, **names: str) -> "Shape":
        """The shape with fields renamed: old=new.

        Raises:
            KeyError: it has no such field.
        """
        for name in names:
            self.fields[name]
        return replace(
            self,
            fields={
                names.get(name, name): replace(each, name=names.get(name, name)) for name, each in self.fields.items()
            },
        )

    def plus(self, *others: "Shape | Field") -> "Shape":
        """The shape with further fields or those of shapes. A later field replaces an earlier one of the same name."""
        fields = dict(self.fields)
        for other in others:
            fields |= other.fields if isinstance(other, Shape) else {other.name: other}
        return replace(self, fields=fields)


@functools.cache
def shape(declared: Any) -> Shape:
    """The shape of a TypedDict, with inherited fields first.

    Raises:
        TypeError: it is not a TypedDict.
    """
    if not typing_extensions.is_typeddict(declared):
        raise TypeError(f"{declared!r} is not a TypedDict")
    fields: dict[str, Field] = {}
    # `pulumi.Input` names its Output in quotes.
    names_there = {"Output": pulumi.Output, "T": Any}
    for name, hint in typing_extensions.get_type_hints(declared, localns=names_there, include_extras=True).items():
        optional = typing.get_origin(hint) is typing_extensions.NotRequired
        doc = " ".join((docstrings.of_field(declared, name) or "").split())
        fields[name] = Field(name, typing.get_args(hint)[0] if optional else hint, not optional, doc, _default(doc))
    return Shape(declared.__name__, fields, " ".join((docstrings.of_class(declared) or "").split()))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _default(doc: str) -> Any:
    found = _DEFAULT.search(doc)
    if found is None:
        return None
    try:
        return json.loads(found[1])
    except json.JSONDecodeError:
        listed = re.fullmatch(r"\[(.+)\]", found[1])
        return [each.strip() for each in listed[1].split(",")] if listed else found[1]


def checked(subject: str, declared: type[A], given: A, *problems_of: Callable[[A], Iterable[Problem]]) -> A:
    """The valid arguments of a component: with the declared defaults of omitted fields, and with whole numbers as
    integers (other languages send 3 as 3.0). None is the same as an omitted field.

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
    expected = declared if isinstance(declared, Shape) else shape(declared)
    fields = {spelling(name): each for name, each in expected.fields.items()}
    if not isinstance(given, Mapping):
        yield Problem(path or expected.name, given, "not a map", _map_of(fields), "write it as a map")
        return
    for name in given:
        if name not in fields:
            yield _unknown(fields, path, str(name))
    for name, each in fields.items():
        here = f"{path}.{name}" if path else name
        if given.get(name) is None:
            if each.required:
                yield Problem(here, None, "missing", kind(each.hint), "add it")
        elif is_blank(given[name]) and (each.required or given[name]):  # '' is none in an optional field
            yield Problem(here, given[name], "empty", kind(each.hint), "write a value")
        else:
            yield from _value_problems(here, each.hint, given[name], False, spelling)


def _unknown(fields: Iterable[str], path: str, name: str) -> Problem:
    known = {_snake(each): each for each in fields}
    near = difflib.get_close_matches(_snake(name), known, n=1, cutoff=0.6)
    return Problem(
        f"{path}.{name}" if path else name, "…", UNKNOWN, _named(known.values()),
        f"write {_named([known[near[0]]])}" if near else "remove it, or correct its name",
    )  # fmt: skip


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
    if isinstance(value, (pulumi.Output, Awaitable)):
        if not outputs:
            yield Problem(
                path, "an Output", "its value is not known when the arguments are checked", f"{kind(inner)}, plain",
                "pass a plain value, such as one from the config",
            )  # fmt: skip
        return
    # A value for which an Output is accepted may be a secret.
    shown = f"a {type(value).__name__}" if outputs else value
    origin, parts = typing.get_origin(inner), typing.get_args(inner)
    if isinstance(inner, Shape) or typing_extensions.is_typeddict(inner):
        yield from problems(inner, value, path, spelling)
    elif origin in (dict, Mapping) or (inner is Any and isinstance(value, Mapping)):
        if not isinstance(value, Mapping):
            yield Problem(path, shown, "not a map", kind(inner), "write it as a map")
            return
        for key, each in value.items():
            if isinstance(key, str):
                yield from _value_problems(f"{path}.{key}", parts[1] if parts else Any, each, outputs, spelling)
            else:
                yield Problem(f"{path}.{key!r}", key, "the key is not text", "keys that are text", "write it as text")
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
    elif inner is Any and not (value is None or isinstance(value, str) or is_a(float, value) or is_a(bool, value)):
        yield Problem(
            path, shown, "not a plain value", "text, numbers, true or false, lists, maps", "correct the value"
        )


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
    if isinstance(inner, Shape) or typing_extensions.is_typeddict(inner):
        expected = inner if isinstance(inner, Shape) else shape(inner)
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
    if isinstance(inner, Shape):
        return inner, ""
    if typing_extensions.is_typeddict(inner):
        return shape(inner), ""
    if origin in (dict, Mapping):
        return part(parts[1])[0], "map"
    if origin in (list, Sequence):
        return part(parts[0])[0], "list"
    return None, ""


def default(declared: Any, name: str) -> Any:
    """The declared default of a field."""
    return shape(declared).fields[name].default


def cleaned(declared: Any, given: Any, spelling: Callable[[str], str] = _as_declared, defaults: bool = True) -> Any:
    """A copy of a map that has no `problems` other than unknown keys: without these and None, with keys as declared,
    whole numbers as integers, and the declared default of each field that is omitted. A field without a declared
    default, or whose default is described in words, stays omitted.

    Args:
        declared: a TypedDict or a `Shape`.
        given: the map.
        spelling: from the name of a field to its key in the map.
        defaults: whether omitted fields get their defaults.
    """
    expected = declared if isinstance(declared, Shape) else shape(declared)
    fields = {spelling(name): each for name, each in expected.fields.items()}
    found = {
        fields[name].name: _clean(fields[name].hint, value, spelling, defaults)
        for name, value in given.items()
        if value is not None and name in fields
    }
    omitted = [each for each in fields.values() if defaults and each.default is not None and each.name not in found]
    return {**found, **{each.name: _clean(each.hint, each.default, _as_declared, defaults) for each in omitted}}


def _clean(hint: Any, value: Any, spelling: Callable[[str], str], defaults: bool) -> Any:
    inner, _ = _plain(hint)
    if isinstance(value, Awaitable) and not isinstance(value, pulumi.Output):
        return pulumi.Output.from_input(value)  # only once, because a coroutine cannot be awaited again
    if isinstance(value, pulumi.Output):
        return value
    if isinstance(value, enum.Enum):
        return value.value  # formatted into a text, an enum member would appear as its name
    if isinstance(inner, Shape) or typing_extensions.is_typeddict(inner):
        return cleaned(inner, value, spelling, defaults)
    parts = typing.get_args(inner)
    if isinstance(value, Mapping):
        return {key: _clean(parts[1] if parts else Any, each, spelling, defaults) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_clean(parts[0] if parts else Any, each, spelling, defaults) for each in value]
    # Also in fields of type Any: a whole number in settings that are passed on should remain an integer.
    return int(value) if inner is not float and isinstance(value, float) and value.is_integer() else value


def names(*declared: Any) -> frozenset[str]:
    """The names of all fields of these TypedDicts and shapes, including nested ones."""
    found: set[str] = set()
    for each in declared:
        expected = each if isinstance(each, Shape) else shape(each)
        for name, inside in expected.fields.items():
            found.add(name)
            further, _ = part(inside.hint)
            found |= names(further) if further else set()
    return frozenset(found)
