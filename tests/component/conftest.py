"""Fixtures of every component test."""

from __future__ import annotations

import pytest

from components import checks


@pytest.fixture(autouse=True)
def spell_fields_as_python_does() -> None:
    """An earlier test that reads a stack's config sets camelCase spelling, so this resets it."""
    checks.spell([], str)
