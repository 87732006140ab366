"""The repository's own GKE stack, created and deleted resource by resource as the engine does."""

from __future__ import annotations

from typing import Any

import pytest

from recording.recording import Recording
from recording.stacks import record, recorded
from sandbox.gcp.fleet import Fleet
from sandbox.gcp.store import leftovers
from sandbox.tests.unit.gcp.stage import Cloud, urn
from tests.config.test_errors import changed
from tests.contract.test_gcp_platform import CHOICES


def bring_up(cloud: Cloud, recording: Recording) -> list[str]:
    """Creates the recorded resources in their order, and checks that none of them drifts; returns the ids."""
    (settings,) = recording.all("pulumi:providers:gcp")
    config, failures = cloud.provider.schema.provider_config(settings.inputs)
    assert not failures
    cloud.provider.configure(config)

    real: dict[str, str] = {}  # the recording's invented value -> the provider's value
    order = []
    for resource in recording.resources.values():
        if resource.package != "gcp":
            continue
        id, outputs = cloud.create(resource.type, _replace(resource.inputs, real), resource.name)
        order.append(id)
        for key, value in resource.outputs.items():
            if isinstance(value, str) and isinstance(outputs.get(key), str):
                real[value] = outputs[key]
        # A recorded id is also a name.
        real[resource.id] = id

    for id in order:
        token, name, inputs, outputs = cloud.made[id]
        assert cloud.read(id) == (id, inputs, outputs), id
        again, failures = cloud.check(token, inputs, name, inputs)
        assert not failures
        assert cloud.provider.diff(token, urn(token, name), id, inputs, outputs, again).changes == [], id
    return order


@pytest.mark.parametrize(
    "choice", ["dns", "exclusions", "own key", "filestore", "buckets", "zonal", "few pods", "no logs"]
)
def test_every_option_is_created_without_drift_and_fully_deleted(cloud, choice):
    """Seed rows S01, S10 and S11 on GKE."""
    config = changed("dev-gke", {f"gpuyard:{path}": value for path, value in CHOICES[choice].items()})
    for id in reversed(bring_up(cloud, record(config, "dev-gke"))):
        cloud.delete(id)
    assert leftovers() == []


def test_the_gke_stack_is_created_without_drift_and_fully_deleted(cloud):
    """Seed rows S01, S02, S03 and S07 on GKE."""
    order = bring_up(cloud, recorded("dev-gke"))
    (cluster,) = (id for id in order if "/clusters/" in id and "/nodePools/" not in id)
    steps = cluster.split("/")
    pools = {group.pool: group for group in Fleet(steps[1], steps[3], steps[5], cloud.store).groups()}
    gpu = pools["gpu-workers"]
    assert (gpu.min, gpu.max, gpu.desired) == (0, 10, 0) and gpu.autoscaled
    assert gpu.template.resources["nvidia.com/gpu"] == "1" and gpu.template.labels["workload"] == "gpu-training"
    assert [(t.key, t.effect) for t in gpu.template.taints] == [("nvidia.com/gpu", "NoSchedule")]
    assert pools["cpu-workers"].max == 20 and not pools["cpu-workers"].template.taints

    for id in reversed(order):
        cloud.delete(id)
    assert leftovers() == []


def _replace(value: Any, real: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, real) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, real) for item in value]
    return real.get(value, value) if isinstance(value, str) else value
