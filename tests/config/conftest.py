"""What the tests of living environments share."""

from __future__ import annotations

import pulumi
import pytest

from stack import environment


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a preview says of changes; warnings of the file alone are left out."""
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: said.append(text))
    monkeypatch.setattr(environment.Environment, "warnings", lambda *_: iter(()))
    return said
