"""docs/pools.md: its tables match the code. They are generated from the docstrings of the specs."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
import yaml
from pydantic.alias_generators import to_camel

from components import pools, taints
from components.aws import pool_checks as eks_pools
from components.aws import pool_spec as eks_spec
from components.clouds import AWS, CLOUDS, GCP
from components.gcp import capacity, gpu_sharing, pool_spec, upgrades
from components.gcp import pool_checks as gke_pools
from pages.config.declared import Key, keys, section
from tests.docs import page

pytestmark = pytest.mark.docs

PAGE = page.text("pools.md")
KEYS: dict[str, dict[str, Key]] = {
    cloud: {key.path: key for key in keys(section(cloud, "node_pools"))} for cloud in CLOUDS
}
STACKS = {AWS: "dev", GCP: "dev-gke"}

EKS_ZONES, GKE_ZONES = ["us-east-1a", "us-east-1b"], ["us-central1-a", "us-central1-b"]
CPU_EKS = {"machine_types": ["m5.2xlarge"], "min": 0, "max": 2}
CPU_GKE = {"machine_types": ["n2-standard-8"], "min": 0, "max": 2}
GPU_GKE = {"machine_types": ["g2-standard-8"], "min": 0, "max": 2}
REPAIRED: dict[str, Any] = {**CPU_EKS, "repair": {}}
BLUE_GREEN = {**CPU_GKE, "upgrade": {"strategy": "blue_green"}}


def test_every_key_has_one_row() -> None:
    rows = re.findall(r"^\| `([\w.\[\]]+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted({*KEYS[AWS], *KEYS[GCP]})


@pytest.mark.parametrize(
    ("cloud", "name"),
    [(cloud, name) for cloud in CLOUDS for name in sorted({*KEYS[AWS], *KEYS[GCP]} - KEYS[cloud].keys())],
)
def test_a_key_of_the_other_cloud_is_refused(cloud: str, name: str) -> None:
    pool: dict[str, Any] = {"machineTypes": ["m5.2xlarge" if cloud == AWS else "n2-standard-8"], "min": 1, "max": 2}
    first, _, inner = name.partition(".")
    pool[first] = {inner: 1} if inner else 1
    # If a cloud does not have a key, the keys inside it are not checked.
    path = re.escape(name if first in KEYS[cloud] else first)
    other = GCP if cloud == AWS else AWS
    with pytest.raises(pulumi.RunError, match=rf"nodePools\.made\.{path} = .*: a key of environments on {other} only"):
        page.parse(STACKS[cloud], {"gpuyard:nodePools": {"made": pool}})


def test_conditional_defaults_are_those_of_the_pools() -> None:
    cpu, gpu = pool_spec.resolve("cpu", typing.cast(Any, CPU_GKE)), pool_spec.resolve("gpu", typing.cast(Any, GPU_GKE))
    g4 = pool_spec.resolve("g4", typing.cast(Any, {**GPU_GKE, "machine_types": ["g4-standard-48"]}))
    green = pool_spec.resolve("green", typing.cast(Any, BLUE_GREEN))
    reserved = pool_spec.resolve("reserved", typing.cast(Any, {**CPU_GKE, "capacity": ["reserved", "on_demand"]}))
    of_gke = KEYS[GCP]
    assert of_gke["diskGib"].default == f"{cpu.pool.disk_gib}, with GPUs {gpu.pool.disk_gib}"
    for field in ("max_surge", "max_unavailable"):
        assert gpu.upgrade[field] == reserved.upgrade[field]  # type: ignore[literal-required]
        both = f"{cpu.upgrade[field]}; with GPUs or a rung reserved {gpu.upgrade[field]}"  # type: ignore[literal-required]
        assert of_gke[f"upgrade.{to_camel(field)}"].default.startswith(both)
    for field in ("batch_percentage", "batch_soak_seconds", "soak_seconds"):
        assert of_gke[f"upgrade.{to_camel(field)}"].default == str(green.upgrade[field])  # type: ignore[literal-required]
    assert of_gke["driver"].default == f"{gpu.driver}, on G4 {g4.driver}"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("taints[].effect", taints.EFFECTS),
        ("capacity", CLOUDS[GCP].capacity_types),
        ("image", eks_pools.IMAGES),
        ("driver", gpu_sharing.DRIVERS),
        ("sharing.strategy", gpu_sharing.STRATEGIES),
        ("upgrade.strategy", upgrades.STRATEGIES),
        ("spotGraceSeconds", map(str, capacity.GRACES)),
    ],
)
def test_the_allowed_values_are_those_of_the_code(name: str, known: Any) -> None:
    meaning = next(each[name] for each in KEYS.values() if name in each).meaning
    assert set(known) <= set(re.findall(r"\w+", meaning))


def test_only_gke_has_the_capacity_type_flex() -> None:
    assert "flex (GKE only)" in KEYS[AWS]["capacity"].meaning
    assert set(CLOUDS[GCP].capacity_types) - set(CLOUDS[AWS].capacity_types) == {"flex"}


def eks(spec: Mapping[str, Any]) -> set[str]:
    """Paths of the problems of a pool on EKS."""
    return {found.path for found in eks_pools.problems("made", typing.cast(Any, spec), EKS_ZONES, "1.35")}


def gke(spec: Mapping[str, Any]) -> set[str]:
    """Paths of the problems of a pool on GKE."""
    return {found.path for found in gke_pools.problems("made", typing.cast(Any, spec), GKE_ZONES, "1.35")}


SHARED = {**GPU_GKE, "sharing": {"strategy": "mps"}}
RESERVED_EKS = {**CPU_EKS, "capacity": ["reserved"], "reservation": {"id": "cr-0123456789abcdef0"}}
RESERVED_GKE = {**CPU_GKE, "capacity": ["reserved"], "reservation": {"name": "mine"}}
RANGES: list[tuple[str, int, Callable[[Mapping[str, Any]], set[str]], Mapping[str, Any], str]] = [
    ("max", 0, eks, CPU_EKS, "max"),
    ("max", 0, gke, CPU_GKE, "max"),
    ("diskGib", 0, eks, CPU_EKS, "disk_gib"),
    ("diskGib", 0, gke, CPU_GKE, "disk_gib"),
    ("sharing.clients", 0, gke, SHARED, "sharing.clients"),
    ("maxRunSeconds", 1, gke, GPU_GKE, "max_run_seconds"),
    ("maxRunSeconds", 0, gke, {**GPU_GKE, "capacity": ["flex"]}, "max_run_seconds"),
    ("podsPerNode", 0, gke, CPU_GKE, "pods_per_node"),
    ("repair.maxUnhealthyPercentage", 0, eks, REPAIRED, "repair.max_unhealthy_percentage"),
    ("repair.maxParallelPercentage", 0, eks, REPAIRED, "repair.max_parallel_percentage"),
    ("repair.xidWaitMinutes", 0, eks, REPAIRED, "repair.xid_wait_minutes"),
    ("reservation.nodes", 0, eks, RESERVED_EKS, "reservation.nodes"),
    ("reservation.nodes", 0, gke, RESERVED_GKE, "reservation.nodes"),
    ("updatePercentage", 0, eks, CPU_EKS, "update_percentage"),
    ("upgrade.batchPercentage", 0, gke, BLUE_GREEN, "upgrade.batch_percentage"),
    ("upgrade.batchSoakSeconds", 0, gke, BLUE_GREEN, "upgrade.batch_soak_seconds"),
    ("upgrade.soakSeconds", 0, gke, BLUE_GREEN, "upgrade.soak_seconds"),
]


@pytest.mark.parametrize(("name", "which", "wrong", "spec", "path"), RANGES)
def test_the_ranges_are_those_of_the_code(
    name: str, which: int, wrong: Callable[[Mapping[str, Any]], set[str]], spec: Mapping[str, Any], path: str
) -> None:
    low, high = ranges(name)[which]
    outer, _, inner = path.partition(".")

    def with_value(value: int) -> dict[str, Any]:
        return {**spec, outer: {**spec[outer], inner: value} if inner else value}

    assert path not in wrong(with_value(low)) | wrong(with_value(high))
    assert path in wrong(with_value(low - 1)) and path in wrong(with_value(high + 1))


def ranges(name: str) -> list[tuple[int, int]]:
    """The range in a row: "30 to 16384", or "up to 604800" for a range from 0."""
    meaning = next(each[name] for each in KEYS.values() if name in each).meaning
    found = re.findall(r"(?:\b(\d+)|up) to (\d+)", meaning)
    return [(int(low or 0), int(high)) for low, high in found]


def test_every_range_of_numbers_has_a_test() -> None:
    elsewhere = {"min", "securityGroupIds", "taints[].key"}
    written = {(name, which) for each in KEYS.values() for name in each for which, _ in enumerate(ranges(name))}
    assert {(name, which) for name, which, *_ in RANGES} == {each for each in written if each[0] not in elsewhere}


def test_fixed_settings_on_the_page_are_those_of_the_pools() -> None:
    big_eks = {"machine_types": ["p5.48xlarge"], "min": 0, "max": 1, "zones": EKS_ZONES[:1], "interconnect": True}
    big_gke = {
        "machine_types": ["a3-megagpu-8g"], "min": 0, "max": 1, "zones": GKE_ZONES[:1], "interconnect": True,
        "capacity": ["spot", "on_demand"],
    }  # fmt: skip
    on_eks = eks_spec.resolve("big", typing.cast(Any, big_eks)).pool
    on_gke = pool_spec.resolve("big", typing.cast(Any, big_gke)).pool
    _, *head = PAGE.partition("## What gpuyard always sets")
    shown = page.rows("".join(head), "on every node")
    same = {"the same": 1}
    for pool, column in ((on_eks, 1), (on_gke, 2)):
        found = [cells[1] if cells[column] in same else cells[column] for cells in shown]
        labels, present, taint, interconnect, rungs = [re.findall(r"`([^`]+)`", cell) for cell in found]
        assert set(labels) <= pool.rungs[0].labels.keys()
        assert (
            "{}={}".format(*next(pair for pair in pool.labels.items() if pair[0] == pools.GPU_PRESENT_LABEL)) in present
        )
        assert taint == ["{key}={value}:{effect}".format(**taints.gpu_taint(AWS if column == 1 else GCP))]
        assert interconnect == [f"{pools.INTERCONNECT_LABEL}={pool.labels[pools.INTERCONNECT_LABEL]}"]
        classes = [f"{each['key']}=POOL" for each in pool.taints if each["key"] == taints.COMPUTE_CLASS]
        assert rungs[:1] == classes


def test_the_example_runs_on_both_clouds() -> None:
    (shown,) = [found["config"]["gpuyard:nodePools"] for found in page.manifests(PAGE)]
    other = yaml.safe_load(yaml.safe_dump(shown).replace("g6.2xlarge", "g2-standard-8"))
    assert "`g2-standard-8`" in PAGE
    for stack, mine, home in (("dev", shown, "m5.2xlarge"), ("dev-gke", other, "n2-standard-8")):
        page.parse(stack, {"gpuyard:nodePools": {**mine, "cpu": {"machineTypes": [home], "min": 1, "max": 2}}})
