"""A part of the config as the program reads it: declared fields as attributes, with their defaults filled in."""

from collections.abc import Mapping
from typing import Any, TypeVar

from components import arguments
from components.arguments import Field, Shape

A = TypeVar("A")


class Section:
    """A map of the config that is checked against its shape. Frozen.

    A field that the file omits has its default; without a default it is None, or an empty list or map.
    """

    shape: Shape
    """The fields that it may have."""
    written: Mapping[str, Any]
    """The values in the file, by the names of the library's arguments."""

    def __init__(self, shape: Shape, written: Mapping[str, Any]) -> None:
        values = {name: _value(each, written.get(name)) for name, each in shape.fields.items()}
        self.__dict__.update(values, shape=shape, written=written)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.shape.name} has no {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{self.shape.name} is frozen")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Section) and vars(self) == vars(other)

    def arguments(self, *without: str) -> dict[str, Any]:
        """The values in the file as arguments of the library. `without`: fields to omit."""
        return {name: value for name, value in self.written.items() if name not in without}


def complete(declared: type[A], values: Mapping[str, Any]) -> A:
    """The values as arguments of the library: with the declared defaults, and without None. Required arguments that
    only other components know may be missing.

    Raises:
        KeyError: there is no such argument.
    """
    arguments.shape(declared).only(*values)
    return arguments.cleaned(declared, values)


def _value(field: Field, written: Any) -> Any:
    value = field.default if written is None else written
    inside, held = arguments.part(field.hint)
    if inside and held == "map":
        return {key: Section(inside, each) for key, each in (value or {}).items()}
    if inside and not held:
        return None if value is None else Section(inside, value)
    if value is None and held:
        return {} if held == "map" else []
    return value
