"""The node that the autoscaler expects in a pool's group is the node that joins: the examples and many others.

If they differ, the autoscaler orders nodes on which the pod never runs, or none at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from components import hardware
from components.aws import gpu_sharing
from components.aws import pool_checks as pools
from components.aws.node_pool import EksNodePool
from recording.recorder import run
from recording.stacks import recorded
from sandbox.tests.eks_nodes import EFA, GPU, Rung, rungs, stacks
from tests.component.stage import AWS_ZONES, aws_options

# Labels that EKS and the kubelet add to those of the group.
OWN = {"kubernetes.io/hostname", *(f"eks.amazonaws.com/{x}" for x in ("nodegroup", "capacityType", "nodegroup-image"))}
TYPES = ["m5.2xlarge", "m7g.2xlarge", "i4i.2xlarge", "c6in.32xlarge", "g6.2xlarge", "g5g.4xlarge", "g6.12xlarge"]
TYPES += ["g5.48xlarge", "p4d.24xlarge", "p5.48xlarge", "p6-b300.48xlarge"]
RESERVATION = {"id": "cr-0123456789abcdef0"}

words = st.from_regex(r"[a-z][a-z0-9.-]{0,20}[a-z0-9]", fullmatch=True)
taints = st.builds(
    lambda key, value, effect: {"key": f"example.com/{key}", "value": value, "effect": effect},
    words,
    words | st.just(""),
    st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A pool as a user may write it; the library itself filters out those with problems."""
    spec: dict[str, Any] = {
        "machine_types": [draw(st.sampled_from(TYPES))],
        "min": 0,
        "max": 4,
        "zones": AWS_ZONES[:1],
        "labels": draw(st.dictionaries(words.map("example.com/{}".format), words | st.just(""), max_size=3)),
        "taints": draw(st.lists(taints, max_size=3, unique_by=lambda taint: taint["key"])),
        "capacity": draw(st.permutations(["reserved", "spot", "on_demand"]).map(lambda all_: all_[: len(all_) - 1])),
        "image": draw(st.sampled_from(pools.IMAGES)),
        "interconnect": draw(st.booleans()),
        "disk_gib": draw(st.integers(30, 2000)),
    }
    if "reserved" in spec["capacity"]:
        spec["reservation"] = RESERVATION
    if draw(st.booleans()):
        spec["scratch"] = draw(st.booleans())
    assume(not list(pools.problems("pool", spec, AWS_ZONES)))  # type: ignore[arg-type]
    return spec


def check(rung: Rung, configs: Mapping[str, str] = MappingProxyType({})) -> None:
    """Checks the rule for every machine type that the group may launch. `configs`: of the device plugin."""
    expected = rung.expected()
    for machine_type in rung.machine_types:
        real = rung.joined(machine_type)
        labels = {**expected.labels, "node.kubernetes.io/instance-type": machine_type}
        assert labels == {key: value for key, value in real.labels.items() if key not in OWN}
        assert set(expected.taints) == set(real.taints)
        assert int(expected.resources.get(GPU, "0")) == rung.shown_gpus(machine_type, configs)
        assert int(expected.resources.get(EFA, "0")) == rung.efa
        promised = int(expected.resources["ephemeral-storage"].removesuffix("Gi")) * 2**30
        there = int(real.resources["ephemeral-storage"])
        # In whole GiB.
        assert there * 0.9 - 2**30 < promised <= there, "never more than there is, and not much less"


@pytest.mark.parametrize("stack", stacks())
def test_the_examples_groups_become_the_nodes_that_the_autoscaler_expects(stack: str) -> None:
    """seed row S04: labels, taints, GPUs, EFA and disk of every rung of every pool."""
    found = rungs(recorded(stack))
    assert found
    for rung in found:
        check(rung)


SLICED, MPS = {"strategy": "time_sharing", "clients": 4}, {"strategy": "mps", "clients": 2}


@pytest.mark.parametrize(
    "fields",
    [
        {"machine_types": ["g6.12xlarge"], "sharing": SLICED},
        {"machine_types": ["g6.12xlarge"], "sharing": MPS},
        {"machine_types": ["g6.12xlarge"], "sharing": SLICED, "image": "bottlerocket"},
        {"machine_types": ["g6.12xlarge"], "sharing": MPS, "image": "bottlerocket"},
        {"machine_types": ["p4d.24xlarge"], "partition": "2g.10gb", "image": "bottlerocket"},
        {"machine_types": ["p5.48xlarge"], "partition": "1g.10gb", "sharing": SLICED, "image": "bottlerocket"},
    ],
)
def test_shared_gpus_of_an_empty_group_are_those_of_its_nodes(fields: dict[str, Any]) -> None:
    """From zero, too: the autoscaler's tag, the device plugin's configuration and the node's settings agree."""
    spec: Any = {"min": 0, "max": 4, "zones": AWS_ZONES[:1], **fields}
    assert not list(pools.problems("pool", spec, AWS_ZONES))
    (rung,) = rungs(run(lambda: EksNodePool("pool", args_of(spec), aws_options())))
    check(rung, gpu_sharing.plugin_configs([spec["sharing"]] if "sharing" in spec else []))
    assert int(rung.expected().resources[GPU]) > hardware.find("aws", spec["machine_types"][0]).gpus  # type: ignore[union-attr]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(specs())
def test_any_pools_groups_become_the_nodes_that_the_autoscaler_expects(spec: dict[str, Any]) -> None:
    """seed row S04: any pool that a user may write."""
    found = rungs(run(lambda: EksNodePool("pool", args_of(spec), aws_options())))
    assert {rung.capacity for rung in found} == {*spec["capacity"]}
    for rung in found:
        check(rung)


def args_of(spec: dict[str, Any]) -> Any:
    """Arguments of a pool."""
    return {
        "pool": spec,
        "cluster": "train",
        "subnet_ids": dict(zip(AWS_ZONES, ["subnet-a", "subnet-b"])),
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
        "network_id": "vpc-1",
        "security_group_id": "sg-1",
    }
