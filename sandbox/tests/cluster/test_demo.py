"""The guide's story on the control plane with an in-memory cloud: every step happens, or the demo reports why not."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sandbox.cluster.api import Api
from sandbox.cluster.interruption import interrupt
from sandbox.errors import SandboxError
from sandbox.stories.scale_from_zero import NAMESPACE, ScaleFromZero
from sandbox.tests.cluster.conftest import Pods
from sandbox.tests.cluster.fake_fleet import FakeFleet
from sandbox.tests.cluster.test_autoscaler import NOTICE


def played(api: Api, fleet: FakeFleet, bound: float = 90) -> tuple[bool, ScaleFromZero, str]:
    screen = io.StringIO()
    demo = ScaleFromZero(
        "eks-us-east-1-cluster-tests",
        api,
        fleet,
        Console(file=screen, width=200),
        bound=bound,
        reclaim=lambda _, node: interrupt(api, fleet, node, NOTICE),
    )
    return demo.play(), demo, screen.getvalue()


def test_every_step_of_the_demo_happens_in_order(api: Api, fleet: FakeFleet, pods: Pods, release: None) -> None:
    """seed rows S03, S04, S07, S08, S09, S10, S12: every line of the demo, in this order."""
    ok, demo, screen = played(api, fleet)
    assert ok, screen
    names = ["at rest", "pending", "scaled up", "running", "kept apart", "reclaimed", "back", "done", "back to zero"]
    assert [step.name for step in demo.steps] == names
    seconds = [step.seconds for step in demo.steps]
    assert seconds == sorted(seconds)
    assert "✓ running: training-" in screen and "nvidia.com/gpu=true:NoSchedule" in screen
    assert (api.get(f"/api/v1/namespaces/{NAMESPACE}") or {"status": {}})["status"].get("phase") != "Active"


def test_a_demo_that_stops_reports_the_state_it_found(api: Api, fleet: FakeFleet, pods: Pods, release: None) -> None:
    """seed row S04: without autoscaling tags on the pool, the demo fails and shows the autoscaler's message."""
    fleet.change("asg-gpu", autoscaled=False)
    ok, demo, screen = played(api, fleet, bound=20)
    assert not ok
    assert demo.steps[-1].name == "seen instead"
    assert "✗ this did not happen: gpu-workers goes 0 → 1" in screen
    assert "NotTriggerScaleUp" in screen and "not known to the autoscaler" in screen


def test_without_its_pool_the_demo_lists_the_existing_pools(api: Api, fleet: FakeFleet) -> None:
    """A stack without the pool gpu-workers."""
    del fleet._groups["asg-gpu"]
    with pytest.raises(SandboxError, match=r"no node pool 'gpu-workers' \(it has: cpu-workers\)"):
        played(api, fleet)
