"""A key that only the other cloud has is refused with its replacement, so every such key has a hint."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from components import arguments
from components.arguments import Shape
from components.clouds import AWS, CLOUDS, GCP
from stack import on


def only_there(here: Shape, there: Shape, path: str = "") -> Iterator[str]:
    """Paths of the fields that are in `there` but not in `here`; of a missing section, only its own path."""
    for name, field in there.fields.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in here.fields:
            yield where
            continue
        inside, mine = arguments.part(field.hint)[0], arguments.part(here.fields[name].hint)[0]
        if inside and mine:
            yield from only_there(mine, inside, where)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_exactly_the_keys_of_the_other_cloud_have_a_hint(cloud: str) -> None:
    other = GCP if cloud == AWS else AWS
    assert set(on.instead(cloud)) == set(only_there(on.shape(cloud), on.shape(other)))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_hint_names_fields_that_the_cloud_has(cloud: str) -> None:
    known = set(arguments.names(on.shape(cloud)))
    for path, hint in on.instead(cloud).items():
        for code in re.findall(r"`([a-z_.]+)[`:]", hint):
            assert set(code.split(".")) <= known, f"{path}: {code}"
