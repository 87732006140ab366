"""An existing environment for the recorder: the state of an earlier run of the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recording.recording import Recording
from recording.stacks import record

OUTPUTS = "pulumi:pulumi:readStackOutputs"
RESOURCES = "pulumi:pulumi:readStackResourceOutputs"
_STACK = "urn:pulumi:test::gpuyard::pulumi:pulumi:Stack::gpuyard-test"


def state(made: Recording, finished: bool = True) -> dict[str, Any]:
    """The engine's answer to a lookup of the state. `finished`: the run succeeded, so the stack has outputs; False as
    after a failed `up`."""
    exports = dict(made.exports) if finished else {}
    account = {key: each.inputs["project"] for each in made.all("pulumi:providers:gcp") for key in ["project"]}
    found: dict[str, Any] = {
        urn: {"type": each.type, "outputs": {**each.outputs, **(account if "project" in each.outputs else {})}}
        for urn, each in made.resources.items()
    }
    for each in found.values():
        if each["type"] == "gcp:container/cluster:Cluster":
            each["outputs"].setdefault("defaultMaxPodsPerNode", 110)
    for pool in made.all("gcp:container/nodePool:NodePool"):
        found[pool.urn]["outputs"]["managedInstanceGroupUrls"] = [
            f"https://www.googleapis.com/compute/v1/projects/p/zones/{zone}/instanceGroups/{pool.name}-{zone}"
            for zone in pool.outputs["nodeLocations"]
        ]
    found[_STACK] = {"type": "pulumi:pulumi:Stack", "outputs": exports}
    return {OUTPUTS: {"outputs": exports}, RESOURCES: {"outputs": found}}


def changed(
    before: Recording,
    config: dict[str, Any],
    stack: str,
    finished: bool = True,
    sizes: Mapping[str, int] | None = None,
    outputs: Mapping[str, Any] | None = None,
) -> Recording:
    """The program with `config` where `before` exists. `sizes`: current numbers of nodes by group and zone, on both
    clouds such as `gpu-workers-spot-us-east-1a`. `outputs`: additional ones, as in `record`."""
    logical = {each.outputs["nodeGroupName"]: each.name for each in before.all("aws:eks/nodeGroup:NodeGroup")}

    def group(args: dict[str, Any]) -> dict[str, Any]:
        return {"scalingConfigs": [{"desiredSize": (sizes or {}).get(logical[args["nodeGroupName"]], 0)}]}

    def instances(args: dict[str, Any]) -> dict[str, Any]:
        return {"size": (sizes or {}).get(args["selfLink"].rpartition("/")[2], 0)}

    answers = {
        "aws:eks/getNodeGroup:getNodeGroup": group,
        "gcp:compute/getInstanceGroup:getInstanceGroup": instances,
    }
    return record(config, stack, outputs={**state(before, finished), **answers, **(outputs or {})})
