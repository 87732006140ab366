"""Fixtures of every test of the library."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components import checks


@pytest.fixture(autouse=True)
def spelling_of_python() -> Iterator[None]:
    """Errors name fields as Python does. A stack's config and the plugin set another spelling for the whole process."""
    yield
    checks.spell({}, str)
