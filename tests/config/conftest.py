"""Fixtures for tests of changes to an existing environment."""

from __future__ import annotations

import pulumi
import pytest

from stack import environment


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings of a preview about changes; warnings about the file alone are omitted."""
    reported: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: reported.append(text))
    monkeypatch.setattr(environment.Environment, "warnings", lambda *_: iter(()))
    return reported
