"""Reading the state while the engine is writing it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from stack import deployed

URN = "urn:pulumi:dev::gpuyard::aws:ec2/vpc:Vpc::network"
ANSWERS: dict[str, Any] = {
    "pulumi:pulumi:readStackOutputs": {"outputs": {"cloud": "aws"}},
    "pulumi:pulumi:readStackResourceOutputs": {"outputs": {URN: {"type": "aws:ec2/vpc:Vpc", "outputs": {"id": "v"}}}},
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """`engine(n)` fails n times before it answers; gives the list of warnings."""
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    monkeypatch.setattr(deployed, "_PAUSE_SECONDS", 0)
    for name in ("organization", "project", "stack"):
        monkeypatch.setattr(pulumi, f"get_{name}", lambda name=name: name)

    def failing(times: int) -> list[str]:
        left = [times]

        def invoke(token: str, args: dict[str, Any]) -> Any:
            if left[0]:
                left[0] -= 1
                raise RuntimeError("failed to load checkpoint: EOF")
            return SimpleNamespace(value=ANSWERS[token])

        monkeypatch.setattr(pulumi.runtime, "invoke", invoke)
        return warned

    return failing


def test_a_state_that_is_being_written_is_read_again(engine: Callable[[int], list[str]]) -> None:
    """Reliability case R1: otherwise the file is not compared with the environment, and an impossible change is not
    refused."""
    warned = engine(3)
    assert deployed.read([]).one("aws:ec2/vpc:Vpc") == {"id": "v"} and warned == []


def test_an_unreadable_state_gives_a_warning(engine: Callable[[int], list[str]]) -> None:
    warned = engine(99)
    assert deployed.read([]) == deployed.DeployedState()
    assert len(warned) == 1 and "cannot be read: failed to load checkpoint" in warned[0]
