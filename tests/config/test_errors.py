"""Every wrong value of a stack's file gives one error: its path, the value, what is allowed, and the fix."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recording.recorder import run
from recording.stacks import ALL, record, recorded, settings
from stack import cloud_keys, environment
from stack.cloud_keys import CloudKeys
from tests.config import (
    eks_cluster,
    eks_nodes,
    eks_pools,
    gke,
    gke_pools,
    network,
    pools,
    queues,
    sources,
    storage,
    teams,
)
from tests.config.network import DELETE, NET
from tests.config.places import CPU, GPU

PROBLEM = re.compile(
    r"^  (?P<path>\S.*?) = (?P<value>.*?): (?P<wrong>.*)\n    allowed: (?P<allowed>.*)\n    fix: (?P<fix>.*)$", re.M
)


@dataclass(frozen=True)
class Reported:
    """One problem as it is printed."""

    path: str
    value: str
    wrong: str
    allowed: str
    fix: str


def changed(stack: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The stack's config with values set (or deleted) at dotted paths; lists by index."""
    config = copy.deepcopy(settings(stack))
    for path, value in changes.items():
        *parents, last = path.split("/")
        place: Any = config
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        if value is DELETE:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return config


def parse(stack: str, config: dict[str, Any]) -> environment.Environment:
    """Does what `environment.load` does with this config, without the engine."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    own = {key.split(":")[1]: environment._typed(text) for key, text in texts.items() if key.startswith("gpuyard:")}
    cloud = own.get("cloud", "aws")
    return environment.parse(
        {key: value for key, value in own.items() if key in environment._DECLARED},
        present=set(own),
        stack=stack,
        keys=CloudKeys(
            {
                key: environment._typed(text, cloud_keys.is_text(cloud, key))
                for key, text in texts.items()
                if not key.startswith("gpuyard:")
            }
        ),
    )


def error_text(stack: str, changes: dict[str, Any]) -> str:
    """The text of the error."""
    with pytest.raises(pulumi.RunError) as caught:
        parse(stack, changed(stack, changes))
    return str(caught.value)


def test_a_misspelled_required_key_is_reported_although_the_engine_adds_an_empty_one() -> None:
    """Pulumi.yaml has a default for it, because the engine's error about a missing value does not name similar keys."""
    config = {key: json.dumps(value) for key, value in changed("dev", {}).items()}
    config |= {"gpuyard:nodepools": config["gpuyard:nodePools"], "gpuyard:nodePools": "{}", "gpuyard:network": "{}"}
    with pytest.raises(pulumi.RunError) as caught:
        run(environment.load, config=config, stack="dev")
    found = {each["path"]: each for each in PROBLEM.finditer(str(caught.value))}
    assert set(found) == {"gpuyard:nodepools", "gpuyard:nodePools", "gpuyard:network.zones"}
    assert found["gpuyard:nodepools"]["fix"] == "write `nodePools`"
    assert "at least 1" in found["gpuyard:nodePools"]["allowed"]
    assert found["gpuyard:network.zones"]["wrong"] == "missing"


def reported_problems(stack: str, changes: dict[str, Any]) -> list[Reported]:
    """Every problem in the error that these changes cause."""
    return [Reported(**found.groupdict()) for found in PROBLEM.finditer(error_text(stack, changes))]


# (stack, change, path in the error, text that the error must contain)
MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # keys
    ("dev", {"gpuyard:nodePool": {}}, "gpuyard:nodePool", ["unknown key", "write `nodePools`"]),
    ("dev", {"gpuyard:flavour": "x"}, "gpuyard:flavour", ["unknown key", "remove it"]),
    (
        "dev",
        {f"{GPU}/machineType": "g6.2xlarge"},
        "gpuyard:nodePools.gpu-workers.machineType",
        ["write `machineTypes`"],
    ),
    ("dev", {f"{NET}/zone": []}, "gpuyard:network.zone", ["unknown key", "write `zones`"]),
    ("dev", {"gpuyard:addons": {"dcgmexporter": True}}, "gpuyard:addons.dcgmexporter", ["write `dcgmExporter`"]),
    ("dev", {f"{GPU}/min": DELETE}, "gpuyard:nodePools.gpu-workers.min", ["missing", "a whole number"]),
    ("dev", {"gpuyard:nodePools": DELETE}, "gpuyard:nodePools", ["missing"]),
    ("dev", {"aws:region": DELETE}, "aws:region", ["missing", "pulumi config set aws:region"]),
    ("dev-gke", {"gcp:project": DELETE}, "gcp:project", ["missing", "pulumi config set gcp:project"]),
    # types
    ("dev", {f"{GPU}/max": "ten"}, "gpuyard:nodePools.gpu-workers.max", ["a whole number"]),
    ("dev", {f"{GPU}/min": 0.5}, "gpuyard:nodePools.gpu-workers.min", ["a whole number"]),
    ("dev", {f"{GPU}/machineTypes": "g6.2xlarge"}, "gpuyard:nodePools.gpu-workers.machineTypes", ["a list"]),
    ("dev", {"gpuyard:deletionProtection": "maybe"}, "gpuyard:deletionProtection", ["true or false"]),
    ("dev", {f"{GPU}/labels/workload": True}, "gpuyard:nodePools.gpu-workers.labels.workload", ["not text"]),
    ("dev", {"gpuyard:cloud": "azure"}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": ["aws"]}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": {"aws": True}}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": None}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:nodePools": {}}, "gpuyard:nodePools", ["at least 1"]),
    *network.MISTAKES,
    *eks_cluster.MISTAKES,
    *pools.MISTAKES,
    *eks_nodes.MISTAKES,
    *eks_pools.MISTAKES,
    *gke_pools.MISTAKES,
    *sources.MISTAKES,
    *gke.MISTAKES,
    *storage.MISTAKES,
    *teams.MISTAKES,
    *queues.MISTAKES,
]


@pytest.mark.parametrize(
    ("stack", "changes", "path", "words"),
    MISTAKES,
    ids=[f"{stack}-{path}-{index}" for index, (stack, _, path, _) in enumerate(MISTAKES)],
)
def test_a_mistake_is_one_error_with_path_value_allowed_and_fix(
    stack: str, changes: dict[str, Any], path: str, words: list[str]
) -> None:
    text = error_text(stack, changes)
    problems = reported_problems(stack, changes)
    assert [found.path for found in problems] == [path], text
    for word in words:
        assert word in text, f"{word!r} is not in:\n{text}"
    assert problems[0].allowed and problems[0].fix
    assert f"Pulumi.{stack}.yaml" in text
    assert "Traceback" not in text and "pydantic" not in text and "errors.pydantic.dev" not in text


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"aws:region": "us-east1"}, "aws:region"),
        ({f"{CPU}/accelerator": {"type": "L4"}}, "gpuyard:nodePools.cpu-workers.machineTypes[0]"),
    ],
)
def test_the_cause_is_reported_before_its_consequences(changes: dict[str, Any], cause: str) -> None:
    assert reported_problems("dev", changes)[0].path == cause


def test_with_a_wrong_pool_no_chart_is_called_unknown() -> None:
    """It is not known then which charts are installed. What is wrong with `charts` itself is in the same error."""
    charts = {"mirror": "oci://r.example.com/c", "digests": {"dcgm-exporter": f"sha256:{'0' * 64}"}}
    parse("dev", changed("dev", {"gpuyard:charts": charts}))
    wrong = {f"{GPU}/diskGib": 1, "gpuyard:charts": charts}
    assert [each.path for each in reported_problems("dev", wrong)] == ["gpuyard:nodePools.gpu-workers.diskGib"]
    both = {**wrong, "gpuyard:charts": {**charts, "mirror": "http://r.example.com"}}
    assert "gpuyard:charts.mirror" in [each.path for each in reported_problems("dev", both)]


def test_the_program_stops_at_the_error_before_anything_is_created() -> None:
    """With the config as the engine passes it: objects as JSON text, and unknown keys."""
    with pytest.raises(pulumi.RunError) as caught:
        record(changed("dev", {f"{CPU}/min": 30, "gpuyard:flavour": "x"}), "dev")
    assert {found["path"] for found in PROBLEM.finditer(str(caught.value))} == {
        "gpuyard:nodePools.cpu-workers.min",
        "gpuyard:flavour",
    }


def test_all_mistakes_are_reported_in_one_error() -> None:
    paths = {
        found.path for found in reported_problems("dev", {f"{CPU}/min": 30, f"{NET}/nat": "x", f"{GPU}/diskGib": 1})
    }
    assert paths == {
        "gpuyard:nodePools.cpu-workers.min",
        "gpuyard:network.nat",
        "gpuyard:nodePools.gpu-workers.diskGib",
    }


@pytest.mark.parametrize("stack", ALL)
def test_the_stack_files_of_this_repository_are_valid(stack: str) -> None:
    """seed row S24"""
    recorded(stack)


@pytest.mark.parametrize("stack", ALL)
def test_numbers_and_booleans_set_on_the_command_line_are_accepted(stack: str) -> None:
    """`pulumi config set gpuyard:deletionProtection true` writes text."""
    made = record({**settings(stack), "gpuyard:deletionProtection": "true"}, stack)
    assert any(found.options.get("protect") for found in made.resources.values())


_plain = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6) | st.floats(allow_nan=False)
_value = st.recursive(
    _plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
_places = st.sampled_from(
    [
        (), ("network",), ("network", "cidr"), ("network", "zones"), ("cluster",), ("cluster", "access"),
        ("nodePools",), ("nodePools", "gpu-workers"), ("nodePools", "gpu-workers", "taints"),
        ("nodePools", "gpu-workers", "labels"), ("nodePools", "gpu-workers", "machineTypes"),
        ("nodePools", "gpu-workers", "accelerator"), ("addons",), ("charts",), ("tags",), ("storage",),
    ]
)  # fmt: skip


@pytest.mark.slow
@hypothesis_settings(max_examples=300, deadline=None)
@given(place=_places, key=st.sampled_from(["min", "max", "zones", "nodePools", "type", "effect", "x"]), value=_value)
def test_any_file_is_valid_or_one_clear_error(place: Any, key: str, value: Any) -> None:
    """No input of any type causes a traceback."""
    raw = {
        name.split(":")[1]: copy.deepcopy(found)
        for name, found in settings("dev").items()
        if name.startswith("gpuyard:")
    }
    target: Any = raw
    for part in place:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target
    if isinstance(target, dict):
        target[key] = value
    elif isinstance(target, list):
        target.append(value)
    else:
        raw["network"]["cidr"] = value
    try:
        parse("dev", {"aws:region": "us-east-1", **{f"gpuyard:{name}": found for name, found in raw.items()}})
    except pulumi.RunError as error:
        assert PROBLEM.search(str(error)), str(error)
