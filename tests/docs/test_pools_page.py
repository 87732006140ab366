"""docs/pools.md: every field of the pool specs has its row, and what the row says is true of the code."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pulumi
import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from components import pools, taints
from components.aws import pools as eks_pools
from components.gcp import capacity, gpu_sharing, pool_spec, upgrades
from components.gcp import pools as gke_pools
from components.hardware import AWS, GCP
from stack.aws.config import EksNodePool
from stack.gcp.config import GkeNodePool
from tests.docs import page

pytestmark = pytest.mark.docs

PAGE = page.text("pools.md")
ROWS = {line[0].strip("`"): line[1:] for line in page.rows(PAGE, "field")}
CLOUDS = {"EKS": (0, "dev", EksNodePool), "GKE": (1, "dev-gke", GkeNodePool)}
DEFAULT, RANGE = 2, 3

EKS_ZONES, GKE_ZONES = ["us-east-1a", "us-east-1b"], ["us-central1-a", "us-central1-b"]
CPU_EKS = {"machine_types": ["m5.2xlarge"], "min": 0, "max": 2}
CPU_GKE = {"machine_types": ["n2-standard-8"], "min": 0, "max": 2}
GPU_GKE = {"machine_types": ["g2-standard-8"], "min": 0, "max": 2}
BLUE_GREEN = {**CPU_GKE, "upgrade": {"strategy": "blue_green"}}


def fields(spec: type, prefix: str = "") -> Iterator[str]:
    """Keys of a TypedDict and of the TypedDicts within it, as a stack file spells them."""
    for key, hint in typing.get_type_hints(spec).items():
        name = f"{prefix}{to_camel(key)}"
        yield name
        for inner in (hint, *typing.get_args(hint)):
            if typing.is_typeddict(inner):
                yield from fields(inner, f"{name}.")


OF_EKS = set(fields(eks_pools.EksNodePoolSpec))
OF_GKE = set(fields(pool_spec.GkeNodePoolSpec))


def test_every_field_of_every_spec_has_one_row() -> None:
    assert {"min", "taints.effect", "reservation.groupArn", "upgrade.soakSeconds"} <= OF_EKS | OF_GKE
    assert set(fields(pools.NodePoolSpec)) <= OF_EKS & OF_GKE
    assert set(ROWS) == OF_EKS | OF_GKE
    assert len(ROWS) == len(page.rows(PAGE, "field"))


def test_a_new_field_without_a_row_is_found() -> None:
    class Wider(pool_spec.GkeNodePoolSpec):
        new_field: typing.NotRequired[pool_spec.GpuSharing]

    assert set(fields(Wider)) - set(ROWS) == {"newField", "newField.strategy", "newField.clients"}


def test_stack_files_have_the_fields_of_the_library() -> None:
    for model, wanted in ((EksNodePool, OF_EKS), (GkeNodePool, OF_GKE)):
        assert set(_keys(model)) == wanted


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        name = f"{prefix}{field.alias}"
        yield name
        for inner in (field.annotation, *typing.get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _keys(inner, f"{name}.")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_refused_stands_where_a_cloud_does_not_have_a_field(cloud: str) -> None:
    column, _, _ = CLOUDS[cloud]
    own = OF_EKS if cloud == "EKS" else OF_GKE
    assert {name for name, cells in ROWS.items() if not cells[column].startswith("refused")} == own
    for name in set(ROWS) - own:
        assert re.fullmatch(r"refused: .+", ROWS[name][column]), name
        # The other cloud's word is one that this cloud has.
        for word in re.findall(r"`([\w.]+)`", ROWS[name][column]):
            assert word in own or word.startswith("cluster.") or word in pools.CAPACITY_TYPES[_key(cloud)], (name, word)


def _key(cloud: str) -> str:
    return AWS if cloud == "EKS" else GCP


@pytest.mark.parametrize(
    ("cloud", "name"),
    [(cloud, name) for cloud, own in (("EKS", OF_EKS), ("GKE", OF_GKE)) for name in sorted({*OF_EKS, *OF_GKE} - own)],
)
def test_what_the_table_calls_refused_is_refused(cloud: str, name: str) -> None:
    _, stack, _ = CLOUDS[cloud]
    pool: dict[str, Any] = {"machineTypes": ["m5.2xlarge" if cloud == "EKS" else "n2-standard-8"], "min": 1, "max": 2}
    first, _, inner = name.partition(".")
    pool[first] = {inner: 1} if inner else 1
    # Of a key that is not there at all the keys within are not looked at.
    path = re.escape(name if first in (OF_EKS if cloud == "EKS" else OF_GKE) else first)
    other = GCP if cloud == "EKS" else AWS
    with pytest.raises(pulumi.RunError, match=rf"nodePools\.made\.{path} = .*: a key of environments on {other} only"):
        page.parse(stack, {"gpuyard:nodePools": {"made": pool}})


def test_the_defaults_are_those_of_the_models() -> None:
    told = 0
    for name, (_, _, _, default, _) in ((name, (name, *cells)) for name, cells in ROWS.items()):
        for model in (EksNodePool, GkeNodePool):
            field = _field(model, name)
            if field is None:
                continue
            if field.is_required():
                # Of `reservation` each cloud has keys of its own; `accelerator.type` and others are the same on both.
                assert default == "required", name
            elif isinstance(field.default, bool | int | str) and field.default != "":
                assert default.split("`")[1] == str(field.default).lower(), name
                told += 1
            elif field.default == ["on_demand"]:
                assert default == "`[on_demand]`"
    assert told >= 8


def _field(model: type[BaseModel], name: str) -> Any:
    first, _, rest = name.partition(".")
    found = next((field for field in model.model_fields.values() if field.alias == first), None)
    if found is None or not rest:
        return found
    inner = [each for each in (found.annotation, *typing.get_args(found.annotation)) if isinstance(each, type)]
    models = [each for each in inner if issubclass(each, BaseModel)]
    return _field(models[0], rest) if models else None


def test_the_defaults_that_depend_are_those_of_the_pools() -> None:
    cpu, gpu = pool_spec.resolve("cpu", typing.cast(Any, CPU_GKE)), pool_spec.resolve("gpu", typing.cast(Any, GPU_GKE))
    g4 = pool_spec.resolve("g4", typing.cast(Any, {**GPU_GKE, "machine_types": ["g4-standard-48"]}))
    green = pool_spec.resolve("green", typing.cast(Any, BLUE_GREEN))
    assert ROWS["diskGib"][DEFAULT] == f"`{cpu.pool.disk_gib}`, with GPUs `{gpu.pool.disk_gib}`"
    reserved = pool_spec.resolve("reserved", typing.cast(Any, {**CPU_GKE, "capacity": ["reserved", "on_demand"]}))
    for field in ("max_surge", "max_unavailable"):
        assert gpu.upgrade[field] == reserved.upgrade[field]  # type: ignore[literal-required]
        both = f"`{cpu.upgrade[field]}`, with GPUs or the rung `reserved` `{gpu.upgrade[field]}`"  # type: ignore[literal-required]
        assert ROWS[f"upgrade.{to_camel(field)}"][DEFAULT] == both
    for field in ("batch_percentage", "batch_soak_seconds", "soak_seconds"):
        assert ROWS[f"upgrade.{to_camel(field)}"][DEFAULT] == f"`{green.upgrade[field]}`"  # type: ignore[literal-required]
    assert ROWS["driver"][DEFAULT] == f"`{gpu.driver}`, on G4 `{g4.driver}`"
    assert ROWS["upgrade.strategy"][DEFAULT] == f"`{cpu.upgrade['strategy']}`"


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("taints.effect", taints.EFFECTS),
        ("capacity", pools.CAPACITY_TYPES[GCP]),
        ("image", eks_pools.IMAGES),
        ("driver", gpu_sharing.DRIVERS),
        ("sharing.strategy", gpu_sharing.STRATEGIES),
        ("upgrade.strategy", upgrades.STRATEGIES),
        ("spotGraceSeconds", map(str, capacity.GRACES)),
    ],
)
def test_the_choices_are_those_of_the_code(name: str, known: Any) -> None:
    assert set(re.findall(r"`(\w+)`", ROWS[name][RANGE])) == set(known)


def test_only_gke_has_the_rung_flex() -> None:
    assert ROWS["capacity"][RANGE].endswith("; GKE also `flex`")
    assert set(pools.CAPACITY_TYPES[GCP]) - set(pools.CAPACITY_TYPES[AWS]) == {"flex"}


def eks(spec: Mapping[str, Any]) -> set[str]:
    """Paths of what is wrong with a pool on EKS."""
    return {found.path for found in eks_pools.problems("made", typing.cast(Any, spec), EKS_ZONES, "1.35")}


def gke(spec: Mapping[str, Any]) -> set[str]:
    """Paths of what is wrong with a pool on GKE."""
    return {found.path for found in gke_pools.problems("made", typing.cast(Any, spec), GKE_ZONES, "1.35")}


SHARED = {**GPU_GKE, "sharing": {"strategy": "mps"}}
RANGES: list[tuple[str, int, Callable[[Mapping[str, Any]], set[str]], Mapping[str, Any], str]] = [
    ("max", 0, eks, CPU_EKS, "max"),
    ("max", 0, gke, CPU_GKE, "max"),
    ("diskGib", 0, eks, CPU_EKS, "disk_gib"),
    ("diskGib", 0, gke, CPU_GKE, "disk_gib"),
    ("sharing.clients", 0, gke, SHARED, "sharing.clients"),
    ("maxRunSeconds", 0, gke, GPU_GKE, "max_run_seconds"),
    ("maxRunSeconds", 1, gke, {**GPU_GKE, "capacity": ["flex"]}, "max_run_seconds"),
    ("podsPerNode", 0, gke, CPU_GKE, "pods_per_node"),
    ("updatePercentage", 0, eks, CPU_EKS, "update_percentage"),
    ("upgrade.batchPercentage", 0, gke, BLUE_GREEN, "upgrade.batch_percentage"),
    ("upgrade.batchSoakSeconds", 0, gke, BLUE_GREEN, "upgrade.batch_soak_seconds"),
    ("upgrade.soakSeconds", 0, gke, BLUE_GREEN, "upgrade.soak_seconds"),
]


@pytest.mark.parametrize(("name", "which", "wrong", "spec", "path"), RANGES)
def test_the_ranges_are_those_of_the_code(
    name: str, which: int, wrong: Callable[[Mapping[str, Any]], set[str]], spec: Mapping[str, Any], path: str
) -> None:
    low, high = map(int, re.findall(r"`(\d+)` to `(\d+)`", ROWS[name][RANGE])[which])
    outer, _, inner = path.partition(".")

    def with_value(value: int) -> dict[str, Any]:
        return {**spec, outer: {**spec[outer], inner: value} if inner else value}

    assert path not in wrong(with_value(low)) | wrong(with_value(high))
    assert path in wrong(with_value(low - 1)) and path in wrong(with_value(high + 1))


def test_every_range_of_numbers_is_tried() -> None:
    written = [name for name, cells in ROWS.items() for _ in re.findall(r"`\d+` to `\d+`", cells[RANGE])]
    assert sorted({(name, which) for name, which, *_ in RANGES}) == sorted(
        (name, written[:index].count(name)) for index, name in enumerate(written)
    )


def test_what_is_set_anyway_is_what_pools_get() -> None:
    big_eks = {"machine_types": ["p5.48xlarge"], "min": 0, "max": 1, "zones": EKS_ZONES[:1], "interconnect": True}
    big_gke = {
        "machine_types": ["a3-megagpu-8g"], "min": 0, "max": 1, "zones": GKE_ZONES[:1], "interconnect": True,
        "capacity": ["spot", "on_demand"],
    }  # fmt: skip
    on_eks = eks_pools.resolve("big", typing.cast(Any, big_eks)).pool
    on_gke = pool_spec.resolve("big", typing.cast(Any, big_gke)).pool
    _, *head = PAGE.partition("## What is set anyway")
    told = page.rows("".join(head), "on every node")
    same = {"the same": 1}
    for pool, column in ((on_eks, 1), (on_gke, 2)):
        found = [cells[1] if cells[column] in same else cells[column] for cells in told]
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
