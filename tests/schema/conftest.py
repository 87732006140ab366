"""The provider of the plugin, created once because it imports the SDKs of both clouds."""

from __future__ import annotations

import pytest

from plugin import library
from plugin.provider import LibraryProvider


@pytest.fixture(scope="session")
def provider() -> LibraryProvider:
    return LibraryProvider(library.offered())
