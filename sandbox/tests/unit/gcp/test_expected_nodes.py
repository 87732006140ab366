"""The simulated GKE creates the nodes that Google documents (sandbox/tests/gke_nodes.py): examples and many others.

If they differ, pods run in the sandbox on nodes on which they would not run at Google, or vice versa.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components import hardware
from sandbox.gcp import nodes
from sandbox.tests.gke_nodes import GPU, STACKS, Rung, environment, stack

HOST = "kubernetes.io/hostname"


@pytest.mark.parametrize("name", STACKS)
def test_every_rung_has_the_node_that_google_documents(name: str, tmp_path: Path) -> None:
    """seed rows S03, S04, S07, S10 and S12: labels, taints and resources, with and without a machine."""
    made, pools = stack(name)
    found = environment(made, tmp_path)
    assert {rung.pool for rung in found.rungs} == {*pools}
    for rung in found.rungs:
        group = found.group(rung)
        assert group.template == rung.expected(group.template.zone), rung.name
        found.fleet.set_desired(rung.id, max(group.min, 1))
    for machine in found.fleet.machines():
        rung = next(rung for rung in found.rungs if rung.id == machine.group)
        expected = rung.expected(machine.node.zone)
        gpus = expected.resources.pop(GPU, "0")
        labels = {**expected.labels, HOST: machine.node_name}
        assert machine.node == replace(expected, labels=labels), rung.name
        assert (machine.gpus, machine.spot) == (int(gpus), rung.capacity == "spot"), rung.name
        assert machine.gpu_ready_by == ("device-plugin" if rung.pool == "own-driver" else "cloud")


def test_the_partitions_of_every_size_match_nvidias_slices() -> None:
    """seed row S03: pools with two GPUs per node, so that the test covers their number."""
    sizes = [(gpu, size) for gpu, found in hardware.GCP_PARTITIONS.items() for size in found]
    assert len(sizes) > 20
    for gpu, size in sizes:
        accelerator = {"type": gpu, "count": 2, "gpuPartitionSize": size}
        body = {"acceleratorType": gpu, "acceleratorCount": "2", "gpuPartitionSize": size}
        described = Rung("", "", {"nodeConfig": {"guestAccelerators": [accelerator]}})
        assert nodes.gpus({"accelerators": [body]}) == described.gpus, (gpu, size)


def test_a_shared_core_has_less_than_two_vcpus_allocatable() -> None:
    """Google's figures for E2: 940 millicores are allocatable on e2-medium."""
    pool = {"name": "p", "config": {"machineType": "e2-medium"}, "_sandbox": {}}
    assert nodes.shape(pool, "us-central1-a").resources["cpu"] == "940m"
