"""Queues in a deployed environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.conftest import Project
from tests.engine.test_story import steps


@pytest.fixture(scope="module")
def deployed(project: Project) -> Iterator[Project]:
    """The development environment with two teams, up."""
    config = project.config("dev")
    config["gpuyard:teams"] = {"vision": {"guaranteed": {"gpu-workers": 2}}, "nlp": {"guaranteed": {"gpu-workers": 0}}}
    config["gpuyard:nodePools"]["gpu-workers"]["max"] = 2
    project.write("dev", config)
    project.run("up")
    yield project


def test_a_second_up_changes_nothing(deployed: Project) -> None:
    assert {operation for operation, _ in steps(deployed.json("preview", "--json"))} <= {"same"}
