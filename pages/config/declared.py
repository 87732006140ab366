"""Fields of the config for documentation: keys in camelCase, the meaning separate from the default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from components import arguments
from components.arguments import Field, Shape
from components.clouds import CLOUDS
from stack import on


@dataclass(frozen=True)
class Key:
    """One key of a section. `path`: below the section, dotted, in camelCase; `NAME` is a key that the user chooses, and
    `[]` is an item of a list: `access.NAME.level`, `taints[].key`."""

    path: str
    field: Field

    @property
    def meaning(self) -> str:
        """The docstring without the default."""
        return spelled(self.field.doc.partition("Default:")[0].strip())

    @property
    def default(self) -> str:
        """The default in words or in backticks; `required` without one."""
        _, found, default = self.field.doc.partition("Default: ")
        return "required" if self.field.required else spelled(default.rstrip(".")) if found else "–"


_CONTAINERS = {"": "", "map": ".NAME", "list": "[]"}
"""Container of a shape, as in `arguments.part` → how a path shows one of its items."""


def keys(shape: Shape, path: str = "") -> Iterator[Key]:
    """Every key of a shape, with those inside it."""
    for name, field in shape.fields.items():
        here = f"{path}.{to_camel(name)}".lstrip(".")
        yield Key(here, field)
        inside, container = arguments.part(field.hint)
        if inside:
            yield from keys(inside, here + _CONTAINERS[container])


def section(cloud: str, name: str) -> Shape:
    """The shape of a top-level section."""
    found = arguments.part(on.shape(cloud).fields[name].hint)[0]
    return found or Shape(name)


def spelled(text: str) -> str:
    """Names of fields as they are in a stack's file."""
    known = {name for cloud in CLOUDS for name in arguments.names(on.shape(cloud))}

    def code(found: re.Match[str]) -> str:
        return re.sub(r"[a-z0-9_]+", lambda each: to_camel(each[0]) if each[0] in known else each[0], found[0])

    return re.sub(r"`[^`]*`", code, text)
