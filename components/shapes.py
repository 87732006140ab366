"""What arguments are declared: the fields of a TypedDict, each with its type, its docstring and its default.

A docstring ends with the default. A default that is a value is in backticks, and `arguments.cleaned` fills it: Default:
`33`.
"""

import functools
import json
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pulumi
import typing_extensions

from . import docstrings

_DEFAULT = re.compile(r"Default: `([^`]*)`")


@dataclass(frozen=True)
class Field:
    """One argument.

    `hint`: its type without `NotRequired`; a `Shape` if a shape describes the map. `doc`: its docstring on one line.
    `default`: the value that the docstring has in backticks, unless another one is given, or None.
    """

    name: str
    hint: Any
    required: bool
    doc: str = ""
    default: Any = None

    def __post_init__(self) -> None:
        if self.default is None:
            object.__setattr__(self, "default", _default(self.doc))


@dataclass(frozen=True, eq=False)
class Shape:
    """The fields that a map may have: those of a TypedDict, or of several combined. Two are equal only if they are the
    same object, so that what follows from one can be cached."""

    name: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    doc: str = ""

    def only(self, *names: str) -> "Shape":
        """The shape with only these fields, in this order.

        Raises:
            KeyError: it has no such field.
        """
        return replace(self, fields={name: self.fields[name] for name in names})

    def documented(self, **docs: str) -> "Shape":
        """The shape with other docstrings of some fields.

        Raises:
            KeyError: it has no such field.
        """
        changed = {name: replace(self.fields[name], doc=doc, default=None) for name, doc in docs.items()}
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
    """The shape of a TypedDict, with inherited fields first; a `Shape` is its own.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(declared, Shape):
        return declared
    if not typing_extensions.is_typeddict(declared):
        raise TypeError(f"{declared!r} is not a TypedDict")
    fields: dict[str, Field] = {}
    # `pulumi.Input` names its Output in quotes.
    names_there = {"Output": pulumi.Output, "T": Any}
    for name, hint in typing_extensions.get_type_hints(declared, localns=names_there, include_extras=True).items():
        optional = typing.get_origin(hint) is typing_extensions.NotRequired
        doc = " ".join((docstrings.of_field(declared, name) or "").split())
        fields[name] = Field(name, typing.get_args(hint)[0] if optional else hint, not optional, doc)
    return Shape(declared.__name__, fields, " ".join((docstrings.of_class(declared) or "").split()))


def _default(doc: str) -> Any:
    found = _DEFAULT.search(doc)
    if found is None:
        return None
    try:
        return json.loads(found[1])
    except json.JSONDecodeError:
        listed = re.fullmatch(r"\[(.+)\]", found[1])
        return [each.strip() for each in listed[1].split(",")] if listed else found[1]


def default(declared: Any, name: str) -> Any:
    """The declared default of a field."""
    return shape(declared).fields[name].default
