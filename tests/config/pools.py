"""Mistakes in `gpuyard:nodePools` that are the same on both clouds: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

from tests.config.network import DELETE
from tests.config.places import CPU, GPU

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {f"{CPU}/min": 21}, "gpuyard:nodePools.cpu-workers.min", ["greater than max = 20", "raise `max` to 21"]),
    ("dev", {f"{GPU}/max": 0}, "gpuyard:nodePools.gpu-workers.max", ["1 to 1000"]),
    ("dev", {f"{GPU}/min": -1}, "gpuyard:nodePools.gpu-workers.min", ["scale to zero"]),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "g6e.3xlarge"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["g6e.2xlarge", "g6e.48xlarge"],
    ),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "g6.2xlrage"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["unknown machine type", "such as g6.2xlarge, "],
    ),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "p3.2xlarge"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["withdrawn", "g6.2xlarge", "acceptWithdrawn"],
    ),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "g2-standard-8"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["unknown machine type", "a type of Google Cloud"],
    ),
    (
        "dev-gke",
        {f"{GPU}/machineTypes/0": "g2-standard-9"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["g2-standard-"],
    ),
    (
        "dev",
        {
            f"{GPU}/machineTypes/0": "m5.2xlarge",
            f"{GPU}/taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}],
        },
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["without a GPU type"],
    ),
    (
        "dev",
        {f"{GPU}/accelerator": {"type": "A100"}},
        "gpuyard:nodePools.gpu-workers.accelerator.type",
        ["another GPU", "write L4"],
    ),
    (
        "dev",
        {f"{GPU}/taints": [{"key": "team", "value": "a", "effect": "NO_SCHEDULE"}]},
        "gpuyard:nodePools.gpu-workers.taints[0].effect",
        ["NoSchedule, PreferNoSchedule, NoExecute", "write NoSchedule"],
    ),
    ("dev", {f"{GPU}/zones": ["us-east-1c"]}, "gpuyard:nodePools.gpu-workers.zones[0]", ["add it to the network"]),
    ("dev", {f"{GPU}/capacity": ["spott"]}, "gpuyard:nodePools.gpu-workers.capacity[0]", ["spot, on_demand"]),
    ("dev", {f"{GPU}/capacity": ["spot", "spot"]}, "gpuyard:nodePools.gpu-workers.capacity", ["each rung only once"]),
    ("dev", {f"{GPU}/max": "10"}, "gpuyard:nodePools.gpu-workers.max", ["a whole number", "write 10, without quotes"]),
    ("dev", {f"{GPU}/max": "ten"}, "gpuyard:nodePools.gpu-workers.max", ["a whole number", "correct the value"]),
    (
        "dev",
        {f"{GPU}/interconnect": "true"},
        "gpuyard:nodePools.gpu-workers.interconnect",
        ["write true, without quotes"],
    ),
    ("dev", {f"{GPU}/diskGib": 8}, "gpuyard:nodePools.gpu-workers.diskGib", ["30 to 16384 GiB"]),
    ("dev", {f"{GPU}/labels": {"work load": "x"}}, "gpuyard:nodePools.gpu-workers.labels.work load", ["label key"]),
    ("dev", {f"{GPU}/labels": {"a..b/x": "y"}}, "gpuyard:nodePools.gpu-workers.labels.a..b/x", ["label key"]),
    ("dev", {f"{GPU}/labels": {"a-.b/x": "y"}}, "gpuyard:nodePools.gpu-workers.labels.a-.b/x", ["label key"]),
    (
        "dev",
        {"gpuyard:nodePools/GPU_pool": {"machineTypes": ["g6.xlarge"], "min": 0, "max": 1}},
        "gpuyard:nodePools.GPU_pool",
        ["lower-case"],
    ),
    ("dev", {CPU: DELETE}, "gpuyard:nodePools", ["no pool without GPUs", "cpu-workers"]),
    (
        "dev-gke",
        {f"{GPU}/machineTypes": ["g2-standard-8", "g2-standard-16"]},
        "gpuyard:nodePools.gpu-workers.machineTypes",
        ["one machine type"],
    ),
]
