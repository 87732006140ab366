"""CPUs and memory of the runtimes' pods: a share of the node for each GPU, next to what DaemonSets request."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import hardware
from components.platforms import training_runtimes
from components.sharing import queue_pool
from components.sharing.queue_pool import QueuePool
from recording.stacks import record, settings
from tests.component.test_platforms import made

# What DaemonSets of a node request, in millicores and MiB: EKS add-ons and this library's, those of GKE.
DAEMONS = {"aws": (450, 1024), "gcp": (500, 750)}
MIB_PER_GPU = 128


def queue_pool_of(cloud: str, **spec: Any) -> QueuePool:
    return queue_pool.of_cloud(cloud, {"gpu": {"min": 0, "max": 1, **spec}})["gpu"]


def gpu_specs() -> list[tuple[str, dict[str, Any]]]:
    types = [(cloud, each) for cloud in DAEMONS for each in hardware.names(cloud)]
    found = [(cloud, {"machine_types": [each]}) for cloud, each in types if _gpus(cloud, each)]
    t4 = {"type": "nvidia-tesla-t4", "count": 1}
    return [*found, ("gcp", {"machine_types": ["n1-standard-1"], "accelerator": t4})]


def _gpus(cloud: str, machine_type: str) -> int:
    machine = hardware.find(cloud, machine_type)
    return machine.gpus if machine and machine.gpu else 0


def resources(pool: dict[str, Any]) -> dict[str, Any]:
    (runtime,) = training_runtimes.runtimes({"gpu": {"gpus": 0, **pool}}, "pytorch/pytorch:1", {})  # type: ignore[typeddict-item]
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    return container["resources"]


@pytest.mark.parametrize("clients", [0, 3])
def test_the_pods_of_a_node_fit_next_to_its_daemons_on_every_machine_type(clients: int) -> None:
    sharing = {"sharing": {"strategy": "time_sharing", "clients": clients}} if clients else {}
    checked = 0
    for cloud, spec in gpu_specs():
        pool = queue_pool_of(cloud, **spec, **sharing)
        seen = pool.of_cluster
        pods = pool.gpus // seen["gpus"]
        assert pods == (clients * pool.pool.gpus if clients else 1)
        cpus, mib = DAEMONS[cloud]
        cpus = min(cpus, pool.millicores // 4)
        mib += MIB_PER_GPU * pool.pool.gpus if cloud == "aws" else int(0.03 * pool.pool.machines[0].memory_mib)
        assert pods * seen["cpu_millicores"] + cpus <= pool.millicores, spec
        assert pods * seen["memory_mib"] + mib <= pool.memory_mib, spec
        assert pods * seen["cpu_millicores"] >= 0.7 * pool.millicores, (spec, "most of the node is for training")
        assert pods * seen["memory_mib"] >= 0.5 * pool.memory_mib, (spec, "most of the node is for training")
        checked += 1
    assert checked > 50


def test_a_pod_requests_its_share_and_its_memory_is_limited() -> None:
    """Without them, the 2 GiB of a team's LimitRange would be its limit."""
    given = resources({"gpus": 8, "cpu_millicores": 90_500, "memory_mib": 1_048_576})
    assert given["requests"] == {"nvidia.com/gpu": 8, "cpu": "90500m", "memory": "1Ti"}
    assert given["limits"] == {"nvidia.com/gpu": 8, "memory": "1Ti"}, "a limit of CPU would slow data loaders down"


def test_a_pool_without_facts_requests_gpus_only() -> None:
    assert resources({"gpus": 8}) == {"requests": {"nvidia.com/gpu": 8}, "limits": {"nvidia.com/gpu": 8}}
    assert set(resources({"gpus": 1, "memory_mib": 512})["requests"]) == {"nvidia.com/gpu", "memory"}


@pytest.mark.parametrize("field", ["cpu_millicores", "memory_mib"])
def test_facts_are_positive(field: str) -> None:
    with pytest.raises(pulumi.RunError, match=rf"pools\.gpu\.{field} = 0: must be positive"):
        made("KubeflowTrainer", pools={"cpu": {}, "gpu": {"gpus": 1, field: 0}})


@pytest.mark.parametrize(
    ("stack", "requests"),
    [
        ("dev", {"nvidia.com/gpu": 1, "cpu": "6910m", "memory": "26284Mi"}),
        ("dev-gke", {"nvidia.com/gpu": 1, "cpu": "6910m", "memory": "26547Mi"}),
    ],
)
def test_the_runtimes_of_a_stack_know_their_machines(stack: str, requests: dict[str, Any]) -> None:
    found = record({**settings(stack), "gpuyard:platforms": {"kubeflowTrainer": True}}, stack)
    (job,) = found.one(training_runtimes.TOKEN).inputs["spec"]["template"]["spec"]["replicatedJobs"]
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == requests
