"""Machine types and accelerators."""

from __future__ import annotations

import pytest

from sandbox.gcp import machines


@pytest.mark.parametrize(
    ("name", "cpus", "gib", "gpus"),
    [
        ("n1-standard-8", 8, 30, 0),
        ("n2-highmem-16", 16, 128, 0),
        ("e2-medium", 2, 4, 0),
        ("n2d-highcpu-32", 32, 32, 0),
        ("c3-standard-22", 22, 88, 0),
        ("g2-standard-24", 24, 96, 2),
        ("a2-highgpu-8g", 96, 680, 8),
        ("a2-ultragpu-1g", 12, 170, 1),
        ("a3-highgpu-8g", 208, 1872, 8),
        ("a3-ultragpu-8g", 224, 2952, 8),
        ("a4-highgpu-8g", 224, 3968, 8),
        ("g4-standard-48", 48, 180, 1),
        ("n2-custom-6-20480", 6, 20, 0),
    ],
)
def test_machine_types(name, cpus, gib, gpus):
    machine = machines.find(name)
    assert machine and (machine.cpus, machine.memory_mib, machine.gpus) == (cpus, gib * 1024, gpus)


@pytest.mark.parametrize("name", ["n1-standard-3", "n2-ultra-8", "x9-standard-4", "c2-highmem-8", "", "m5.2xlarge"])
def test_an_unknown_machine_type_is_not_found(name):
    assert machines.find(name) is None


def test_every_accelerator_has_zones_that_exist():
    for accelerator, zones in machines.ACCELERATORS.items():
        assert zones and all(map(machines.is_zone, zones)), accelerator
    assert {machine.accelerator for machine in machines.known()} - {""} <= machines.ACCELERATORS.keys()
    assert machines.ATTACHABLE.keys() <= machines.ACCELERATORS.keys()
