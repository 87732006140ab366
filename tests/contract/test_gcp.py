"""The Google Cloud resources of the stacks against Google's discovery documents, without a project."""

from __future__ import annotations

import functools
from typing import Any

import pulumi
import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from components.gcp import pool_checks as gcp_pools
from components.gcp.node_pool import GkeNodePool
from recording.recorder import run
from recording.recording import Resource
from recording.stacks import GKE, record, recorded, settings
from sandbox.gcp.provider import GcpProvider
from tests.component.stage import gcp_options


@pytest.fixture(scope="module")
def provider() -> GcpProvider:
    made = GcpProvider()
    made.configure({"project": "my-project", "region": "us-central1"})
    return made


def gcp_resources(stack: str) -> list[Resource]:
    return sorted((found for found in recorded(stack).resources.values() if found.package == "gcp"), key=str)


def refusals(provider: GcpProvider, resource: Resource, inputs: dict[str, Any] | None = None) -> list[str]:
    """The reasons for which the sandbox's provider refuses these inputs."""
    _, failures = provider.check(resource.type, resource.urn, {}, inputs or resource.inputs, b"seed")
    return [f"{resource} {failure.property}: {failure.reason}" for failure in failures]


@pytest.mark.parametrize("stack", GKE)
def test_every_request_is_valid_for_googles_api(provider: GcpProvider, stack: str) -> None:
    """seed row S01"""
    resources = gcp_resources(stack)
    assert resources
    provider.configure({"project": settings(stack)["gcp:project"], "region": "us-central1"})
    try:
        assert [reason for found in resources for reason in refusals(provider, found)] == []
    finally:
        provider.configure({"project": "my-project", "region": "us-central1"})


@pytest.mark.parametrize(
    ("type", "path", "value", "words"),
    [
        ("NodePool", "nodeConfig/taints", [{"key": "a", "value": "b", "effect": "NoSchedule"}], "NoSchedule"),
        ("NodePool", "nodeConfig/machineType", "g2-standard-9", "g2-standard-9"),
        ("NodePool", "autoscaling/locationPolicy", "SOMEWHERE", "SOMEWHERE"),
        ("NodePool", "autoscaling/totalMinNodes", 1, "totalMinNodes"),
        ("gcp:container/cluster:Cluster", "releaseChannel/channel", "FAST", "FAST"),
        ("gcp:container/cluster:Cluster", "datapathProvider", "SLOW_DATAPATH", "SLOW_DATAPATH"),
        ("Subnetwork", "purpose", "LEISURE", "LEISURE"),
    ],
)
def test_a_wrong_input_is_refused_before_any_call(
    provider: GcpProvider, type: str, path: str, value: Any, words: str
) -> None:
    """Proves that each of the checks can refuse something."""
    resource = recorded("dev-gke").all(type)[0]
    first, _, second = path.partition("/")
    inputs = {**resource.inputs, first: {**resource.inputs.get(first, {}), second: value} if second else value}
    reasons = refusals(provider, resource, inputs)
    assert reasons and words in " ".join(reasons), reasons


@pytest.mark.parametrize("stack", GKE)
def test_only_service_accounts_of_the_project_get_roles_and_members_of_teams_the_cluster(stack: str) -> None:
    """security case M1: a team's members get the one role that allows nothing in a cluster."""
    for found in recorded(stack).all("gcp:projects/iAMMember:IAMMember"):
        member = found.inputs["member"].startswith(("group:", "user:"))
        assert member == (found.inputs["role"] == "roles/container.clusterViewer"), found
        assert found.inputs["role"] not in ("roles/owner", "roles/editor"), found


ZONE = {"zones": ["us-central1-b"]}
FLEX = {"capacity": ["flex"]}
# Pools as in a stack's file, in camelCase: each way of buying, placing, sharing and upgrading nodes.
POOLS: dict[str, dict[str, Any]] = {
    "v100": {"machineTypes": ["n1-standard-8"], "accelerator": {"type": "nvidia-tesla-v100"}},
    "t4": {"machineTypes": ["n1-highmem-32"], "accelerator": {"type": "nvidia-tesla-t4", "count": 2}},
    "l4": {"machineTypes": ["g2-standard-24"], "scratch": True},
    "a100": {"machineTypes": ["a2-highgpu-4g"], "localSsds": 4, "partition": "1g.5gb"},
    "h100": {"machineTypes": ["a3-highgpu-8g"], "interconnect": True, **ZONE},
    "h100-mega": {"machineTypes": ["a3-megagpu-8g"], "interconnect": True, "capacity": ["spot"], **ZONE},
    "h200": {
        "machineTypes": ["a3-ultragpu-8g"],
        "interconnect": True,
        "capacity": ["reserved", "flex", "spot"],
        "reservation": {"name": "h200s", "project": "owner-1", "block": "block-1"},
        "placementPolicy": "close",
        **ZONE,
    },
    "b200": {"machineTypes": ["a4-highgpu-8g"], "interconnect": True, "capacity": ["reserved"], **ZONE},
    "rtx": {"machineTypes": ["g4-standard-48"], "partition": "1g.24gb", "capacity": ["on_demand"], **ZONE},
    "flex": {"machineTypes": ["g2-standard-8"], "maxRunSeconds": 3600, **FLEX},
    "queued": {"machineTypes": ["a2-ultragpu-8g"], "queued": True, "zones": ["us-central1-a"], **FLEX},
    "ladder": {"machineTypes": ["g2-standard-8"], "capacity": ["reserved", "flex", "spot", "on_demand"]},
    "shared": {"machineTypes": ["g2-standard-8"], "sharing": {"strategy": "mps", "clients": 4}},
    "block": {"machineTypes": ["a3-highgpu-8g"], "scratch": False, "zones": ["us-central1-a"]},
    "compact": {"machineTypes": ["c3-standard-22"], "placement": True, **ZONE},
    "blue-green": {"machineTypes": ["n4-standard-8"], "upgrade": {"strategy": "blue_green", "soakSeconds": 600}},
    "arm": {"machineTypes": ["c4a-standard-8"], "nodeRepair": False},
    "per-zone": {"machineTypes": ["e2-standard-8"], "perZone": True, "zones": ["us-central1-a", "us-central1-b"]},
    "spot": {"machineTypes": ["n2d-standard-8"], "capacity": ["spot"], "spotGraceSeconds": 120},
}


@functools.cache
def added(case: str) -> list[Resource]:
    """The resources that another pool adds to the development stack."""
    config = settings("dev-gke")
    config["gpuyard:nodePools"]["extra"] = {"min": 0, "max": 4, **POOLS[case]}
    found = record(config, "dev-gke").resources.values()
    return sorted((each for each in found if each.package == "gcp" and each.name.startswith("extra")), key=str)


@pytest.mark.parametrize("case", POOLS)
def test_every_kind_of_pool_is_valid_for_googles_api(provider: GcpProvider, case: str) -> None:
    """seed rows S03, S06 and S12: types, enums, and compatible settings."""
    found = added(case)
    assert len(found) == len(POOLS[case].get("capacity", ["on_demand"]))
    assert [reason for each in found for reason in refusals(provider, each)] == []


_machines = st.sampled_from(
    [
        *("n1-standard-8", "n1-standard-16", "n2-standard-8", "e2-standard-4", "n4-standard-8", "c3-standard-22"),
        *("c4a-standard-8", "h4d-standard-192", "h3-standard-88", "g2-standard-8", "g2-standard-48", "g4-standard-48"),
        *("a2-highgpu-1g", "a2-ultragpu-2g", "a3-highgpu-1g", "a3-highgpu-8g", "a3-edgegpu-8g", "a3-megagpu-8g"),
        *("a3-ultragpu-8g", "a4-highgpu-8g", "a4-highgpu-8g-nolssd"),
    ]
)
_ladders = st.lists(st.sampled_from(["reserved", "flex", "spot", "on_demand"]), min_size=1, max_size=4, unique=True)
_upgrades = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(["surge", "blue_green"]),
        "max_surge": st.integers(-1, 3),
        "max_unavailable": st.integers(-1, 3),
        "batch_percentage": st.integers(0, 100),
        "soak_seconds": st.integers(0, 900000),
    },
)
_specs = st.fixed_dictionaries(
    {
        "machine_types": _machines.map(lambda name: [name]),
        "min": st.integers(0, 2),
        "max": st.sampled_from([3, 96, 150]),
    },
    optional={
        "capacity": _ladders,
        "accelerator": st.fixed_dictionaries(
            {"type": st.sampled_from(["nvidia-tesla-v100", "nvidia-tesla-t4"]), "count": st.sampled_from([1, 2, 3])}
        ),
        "zones": st.just(["us-central1-b"]),
        "scratch": st.booleans(),
        "local_ssds": st.sampled_from([1, 2, 4, 8, 16]),
        "disk_type": st.sampled_from(["pd-balanced", "pd-standard", "hyperdisk-balanced"]),
        "interconnect": st.booleans(),
        "placement": st.booleans(),
        "placement_policy": st.just("close"),
        "reservation": st.just({"name": "r", "project": "owner-1"}),
        "queued": st.booleans(),
        "max_run_seconds": st.sampled_from([10, 60, 3600, 700000]),
        "partition": st.sampled_from(["1g.5gb", "1g.10gb", "1g.24gb"]),
        "sharing": st.fixed_dictionaries(
            {"strategy": st.sampled_from(["time_sharing", "mps"]), "clients": st.sampled_from([1, 2, 48])}
        ),
        "driver": st.sampled_from(["default", "latest", "disabled"]),
        "spot_grace_seconds": st.sampled_from([0, 15, 120]),
        "node_repair": st.booleans(),
        "per_zone": st.booleans(),
        "upgrade": _upgrades,
    },
)
_NOT_THERE = "is not available in zone"


@hypothesis_settings(max_examples=150, deadline=None)
@given(spec=_specs)
def test_pools_that_the_library_accepts_are_valid_for_google(provider: GcpProvider, spec: Any) -> None:
    """The checks of the library and of the simulated API were written independently; only Google knows which GPU is in
    which zone."""
    zones = ["us-central1-a", "us-central1-b"]
    assume(not list(gcp_pools.problems("extra", spec, zones, "1.35")))
    args: Any = {
        "pool": spec,
        "zones": zones,
        "location": "us-central1",
        "cluster": "c",
        "node_service_account": "nodes@my-project.iam.gserviceaccount.com",
    }
    made = run(lambda: pulumi.export("names", GkeNodePool("extra", args, gcp_options()).node_pool_names))
    found = made.all("gcp:container/nodePool:NodePool")
    refused = [reason for each in found for reason in refusals(provider, each) if _NOT_THERE not in reason]
    assert refused == [] and len(found) == len(spec.get("capacity", ["on_demand"]))
