"""Every argument is declared once, with its docstring: editors, SDKs of other languages and docs/api show it."""

from __future__ import annotations

import re
import sys

import pytest

from pages.api import source
from tests.structure.library import declared

TYPES = declared()


def test_the_types_of_the_stack_and_of_functions_are_found() -> None:
    names = {each.__name__ for each in TYPES}
    assert {"EksClusterArgs", "ClusterFacts", "AddonsSpec", "Permissions", "Iam"} <= names


@pytest.mark.parametrize("each", TYPES, ids=lambda each: each.__name__)
def test_every_field_has_a_docstring(each: type) -> None:
    found = source.read(each.__module__, each.__name__)
    missing = [field.name for field in found.fields if not field.doc]
    assert not missing, f"{found.path}: {each.__name__}: no docstring under {', '.join(missing)}"


@pytest.mark.parametrize("each", TYPES, ids=lambda each: each.__name__)
def test_the_docstring_of_a_type_does_not_describe_its_fields(each: type) -> None:
    """A field that is described in both places goes out of date in one of them."""
    found = source.read(each.__module__, each.__name__)
    twice = [field.name for field in found.fields if re.search(rf"`{field.name}`(, `\w+`)*:", found.doc)]
    assert not twice, f"{found.path}: the docstring of {each.__name__} describes {', '.join(twice)}"


def test_the_source_of_every_field_is_found() -> None:
    """A field that is inherited is read where it is declared."""
    for each in TYPES:
        found = source.read(each.__module__, each.__name__)
        own = {field.name for field in found.fields}
        inherited = {
            field.name
            for base in found.bases
            for field in source.read(vars(sys.modules[each.__module__])[base].__module__, base).fields
        }
        assert own | inherited == set(each.__annotations__), each.__name__
        required = {field.name for field in found.fields if field.required}
        assert required == own & each.__required_keys__, each.__name__  # type: ignore[attr-defined]
