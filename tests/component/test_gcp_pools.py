"""Valid pools on GKE that are similar to refused ones."""

from __future__ import annotations

from typing import Any

import pytest

from components.gcp import pool_checks as pools
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, pool

ZONE = GCP_ZONES[:1]
KEEP = {"key": "team", "value": "a"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("default", {}),
        ("autopilot", {"capacity": ["spot"]}),
        ("training-default", {"capacity": ["spot", "on_demand"]}),
        ("p", {"labels": {"mygke.io/team": "a", "k8s.io.example.com/x": "b", "team": "c"}}),
        # field case G5: Google's own guides tell users to set these
        *(
            ("p", {"labels": {f"cloud.google.com/{key}": "true"}})
            for key in (
                "gke-nvidia-gpu-dra-driver",
                "gke-networking-dra-driver",
                "gke-dpv2-unified-cni",
                "gke-nodepool-group-name",
                "gke-workload-type",
                "gke-smt-disabled",
            )
        ),
        ("p", {"labels": {"gke-no-default-nvidia-gpu-device-plugin": "true"}, "driver": "disabled"}),
        ("p", {"taints": [{"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NoSchedule"}]}),
        ("p", {"taints": [{**KEEP, "effect": "NoSchedule"}, {**KEEP, "effect": "NoExecute"}]}),
        ("p", {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]}),
        ("p", {"labels": {"nvidia.com/gpu.present": "true"}}),
        ("p", {"capacity": ["flex", "on_demand"], "upgrade": {"max_unavailable": 2}}),
        ("p", {"capacity": ["flex", "on_demand"], "min": 1}),
        ("p", {"upgrade": {"max_surge": 19, "max_unavailable": 1}}),
        ("p", {"upgrade": {"strategy": "blue_green", "batch_soak_seconds": 0, "soak_seconds": 0}}),
        ("p", {"upgrade": {"strategy": "blue_green", "batch_percentage": 100, "soak_seconds": 604800}}),
        ("p", {"placement": True, "zones": ZONE, "max": 150, "capacity": ["reserved", "on_demand"]}),
        ("p", {"reservation": {"name": "l4s"}, "capacity": ["reserved", "spot"], "zones": GCP_ZONES}),
        ("p", {"queued": True, "capacity": ["flex"]}),
        ("p", {"machine_types": ["a3-highgpu-8g"], "interconnect": True, "zones": ZONE, "capacity": ["flex"]}),
    ],
)
def test_valid_pools_similar_to_mistakes_are_accepted(name: str, changes: dict[str, Any]) -> None:
    spec: Any = pool(GKE_GPU, **changes)
    assert list(pools.problems(name, spec, GCP_ZONES, "1.35")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"taints": [{**KEEP, "effect": "PreferNoSchedule"}]},
        {"capacity": ["spot"]},
        {"capacity": ["reserved"]},
    ],
)
def test_a_cpu_pool_for_gke_system_pods_is_accepted(changes: dict[str, Any]) -> None:
    specs: Any = {"gpu": GKE_GPU, "cpu": pool(GKE_CPU, **changes)}
    assert list(pools.home_problems(specs)) == []
