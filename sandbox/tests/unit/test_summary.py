"""The summary of a change before it is applied."""

from __future__ import annotations

from sandbox import summary

GROUP, TAG = "aws:eks/nodeGroup:NodeGroup", "aws:autoscaling/tag:Tag"


def step(operation: str, type: str, name: str, *properties: str) -> dict:
    return {
        "operation": operation,
        "urn": f"urn:pulumi:dev::gpuyard::{type}::{name}",
        "type": type,
        "properties": list(properties),
    }


def replaced(type: str, name: str, *properties: str) -> list[dict]:
    """A replacement as the engine reports it."""
    return [step(each, type, name, *properties) for each in ("create-replacement", "replace", "delete-replaced")]


def test_a_replaced_group_is_one_line_and_its_tags_are_counted() -> None:
    """Reliability case R6a: a machine type's change was 42 lines, 36 of them about tags."""
    found = replaced(GROUP, "cpu-us-east-1a", "instanceTypes")
    for role in ("discovery", "label-team"):
        found += replaced(TAG, f"cpu-us-east-1a-{role}", "autoscalingGroupName")
    found += [step("create", TAG, "gpu-us-east-1a-discovery"), step("update", GROUP, "gpu-us-east-1a")]
    assert [line.split() for line in summary.steps(found)] == [
        ["replace", GROUP, "cpu-us-east-1a", "instanceTypes"],
        ["update", GROUP, "gpu-us-east-1a"],
        ["replace", TAG, "2", "of", "node", "groups"],
        ["create", TAG, "1", "of", "node", "groups"],
    ]


def test_names_are_aligned_after_long_types() -> None:
    long = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    lines = summary.steps([step("create", GROUP, "gpu"), step("create", long, "rule"), step("create", TAG, "tag")])
    assert [line.index(name) for line, name in zip(lines, ("gpu", "rule", "1 of"), strict=True)] == [69] * 3


def test_a_pending_deletion_of_an_earlier_run_has_a_line() -> None:
    assert summary.steps([step("delete-replaced", GROUP, "old")]) == [f"delete-replaced {GROUP:45} old"]


def test_up_reports_changes_to_existing_objects() -> None:
    assert summary.done(106, {"create": 138, "read": 2}) == "106 resources"
    assert summary.done(131, {"create": 26, "update": 2, "same": 136}) == "131 resources (26 created, 2 updated)"
    assert summary.done(131, {"replace": 2, "same": 160}) == "131 resources (2 replaced)"
    assert summary.done(131, {"same": 164}) == "nothing to change"


def test_the_cluster_of_a_failed_up_is_reported() -> None:
    facts = {"stack": {"outputs": {}, "cloud": "aws"}, "control_plane": "eks-us-east-1-train"}
    assert "EKS cluster eks-us-east-1-train: it exists, but the last `up` failed" in str(summary.cluster(facts))
    assert str(summary.cluster({**facts, "control_plane": None})) == "no cluster yet"
