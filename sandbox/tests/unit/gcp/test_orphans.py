"""Objects on Google Cloud that are in no state; the types are all those of the repository's own stack."""

from __future__ import annotations

import json

import pytest

from recording.stacks import record, recorded
from sandbox import orphans, paths
from sandbox.gcp.store import Store, leftovers
from sandbox.stacks import Stack
from sandbox.tests.unit.gcp.test_stack import bring_up
from tests.config.test_errors import changed
from tests.contract.test_gcp_platform import CHOICES


@pytest.fixture(autouse=True)
def noted(store: Store) -> None:
    paths.folder("run")


@pytest.mark.parametrize("choice", ["", "own key", "filestore", "buckets"])
def test_objects_of_lost_answers_are_deleted(cloud, choice) -> None:
    """reliability case R7: the answer to the creation of every type was lost, and `down` leaves nothing."""
    recording = recorded("dev-gke")
    if choice:
        config = changed("dev-gke", {f"gpuyard:{path}": value for path, value in CHOICES[choice].items()})
        recording = record(config, "dev-gke")
    made = bring_up(cloud, recording)
    assert {each.id for each in orphans.of(Stack("dev"))} == set(made)
    assert orphans.of(Stack("prod")) == []
    orphans.remove(Stack("dev"), lambda line: None)
    assert leftovers() == []


def test_an_object_in_a_state_is_not_an_orphan(cloud) -> None:
    """reliability case R7: with two stacks in one project, `down` of one does not touch the objects of the other."""
    made = bring_up(cloud, recorded("dev-gke"))
    known = [{"urn": "u", "type": cloud.made[id][0], "id": id, "custom": True} for id in made[:-1]]
    state = Stack("prod").state
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": known}}}))
    assert [each.id for each in orphans.of(Stack("dev"))] == made[-1:]
    orphans.forget(Stack("dev"))
    state.unlink()
    assert [each.id for each in orphans.of(Stack("dev"))] == made[-1:]
