"""What every component test starts with."""

from __future__ import annotations

import pytest

from components import checks


@pytest.fixture(autouse=True)
def spell_fields_as_python_does() -> None:
    """A test that reads a stack's config before this one leaves its spelling behind."""
    checks.spell([], str)
