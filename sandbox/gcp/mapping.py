"""Pulumi's property names and the API's fields: the same, except for the differences in a table row.

A row's `renames` maps a property's dotted path (lists without index) to its place in the API's body, as a dotted path
*within the place of its parent*: `monitoringConfig.enableComponents` -> `componentConfig.enableComponents` puts it in
`monitoringConfig.componentConfig`. None means that the property is the provider's own and is not sent. `converters`
convert a value to the API's form and back. A property that is in neither keeps its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.plugins.provider import UNKNOWN, Props
from sandbox.plugins.values import join

Converter = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""(to the API, back); neither sees an UNKNOWN or None."""

WRAPPED: Converter = (lambda value: [value], lambda items: items[0] if items else None)
"""An object in Pulumi that is a list of one in the API."""

UNWRAPPED: Converter = (lambda items: items[0] if items else None, lambda value: [value])
"""A list of one in Pulumi that is an object in the API."""


@dataclass(frozen=True)
class Names:
    """The differences of one resource type."""

    renames: Mapping[str, str | None] = field(default_factory=dict)
    converters: Mapping[str, Converter] = field(default_factory=dict)

    def nested(self, prefix: str) -> Names:
        """The same differences below another property."""
        return Names(
            {f"{prefix}.{path}": target for path, target in self.renames.items()},
            {f"{prefix}.{path}": converter for path, converter in self.converters.items()},
        )

    def __or__(self, other: Names) -> Names:
        return Names({**self.renames, **other.renames}, {**self.converters, **other.converters})

    def to_api(self, props: Props, origins: dict[str, str] | None = None) -> Props:
        """The API's body. `origins` receives, for every path of the body, the path of its property."""
        return self._to_api(props, "", "", "", {} if origins is None else origins)

    def from_api(self, body: Mapping[str, Any]) -> Props:
        """Properties from a body; fields that the API added are included under their own names."""
        return self._from_api(body, "")

    def _to_api(self, props: Mapping[str, Any], path: str, at: str, shown: str, origins: dict[str, str]) -> Props:
        """`path`: of the properties, without indexes; `at`: the place of their parent; `shown`: path with indexes."""
        body: Props = {}
        for key, value in props.items():
            here = f"{path}.{key}" if path else key
            target = self.renames.get(here, key)
            if value is None or target is None:
                continue
            steps = target.split(".") if here in self.renames else [key]
            place = at
            into = body
            for step in steps[:-1]:
                place = join(place, step)
                into = into.setdefault(step, {})
            place = join(place, steps[-1])
            origins[place] = join(shown, key)
            value = self._value_to_api(value, here, place, join(shown, key), origins)
            if value is None:
                continue
            known = into.get(steps[-1])
            into[steps[-1]] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return body

    def _value_to_api(self, value: Any, here: str, place: str, shown: str, origins: dict[str, str]) -> Any:
        if isinstance(value, Mapping):
            value = self._to_api(value, here, place, shown, origins)
        elif isinstance(value, list):
            items = []
            for index, item in enumerate(value):
                origins[join(place, index)] = join(shown, index)
                items.append(
                    self._to_api(item, here, join(place, index), join(shown, index), origins)
                    if isinstance(item, Mapping)
                    else item
                )
            value = items
        if here in self.converters and value is not UNKNOWN:
            value = self.converters[here][0](value)
        return value

    def _from_api(self, body: Mapping[str, Any], path: str) -> Props:
        props: Props = {}
        rest = dict(body)
        for here, target in self.renames.items():
            parent, _, key = here.rpartition(".")
            if parent != path or target is None:
                continue
            found, value = _take(rest, target.split("."))
            if found:
                props[key] = self._value_from_api(value, here)
        for key, value in rest.items():
            here = f"{path}.{key}" if path else key
            props.setdefault(key, self._value_from_api(value, here))
        return props

    def _value_from_api(self, value: Any, here: str) -> Any:
        if here in self.converters and value is not None:
            value = self.converters[here][1](value)
        if isinstance(value, Mapping):
            return self._from_api(value, here)
        if isinstance(value, list):
            return [self._from_api(item, here) if isinstance(item, Mapping) else item for item in value]
        return value


def _take(body: dict[str, Any], steps: list[str]) -> tuple[bool, Any]:
    """Removes a nested value from a body (which is changed; its nested objects are not)."""
    if steps[0] not in body:
        return False, None
    if len(steps) == 1:
        return True, body.pop(steps[0])
    inner = body[steps[0]]
    if not isinstance(inner, Mapping):
        return False, None
    copy = dict(inner)
    found, value = _take(copy, steps[1:])
    if found:
        if copy:
            body[steps[0]] = copy
        else:
            del body[steps[0]]
    return found, value
