"""Ready-made IAM roles: each is used in its place, no other role is created, and unsuitable roles are reported at
preview."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pydantic.alias_generators import to_camel

from components.aws import roles
from components.aws.addons import needs
from recording.recording import Recording
from recording.stacks import record, settings
from sandbox.paths import ROOT
from tests.config.test_errors import PROBLEM, Reported, changed, reported_problems
from tests.deployed import changed as run_changed
from tests.failing_lookup import LookupFailed

ACCOUNT = "123456789012"
GIVEN = {
    to_camel(who): f"arn:aws:iam::{ACCOUNT}:role/ml/{who.replace('_', '-')}" for who in roles.Roles.__annotations__
}
ROLE, ATTACHED, INLINE = (
    f"aws:iam/{name}:{name}" for name in ("getRole", "getRolePolicyAttachments", "getRolePolicies")
)
READ = "aws:iam/role:Role"


def trust(service: str, actions: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def iam(**differing: dict[str, Any]) -> dict[str, Any]:
    """IAM with a valid role for each use. `differing`: by use, the parts that differ from a valid role."""

    def of(name: str) -> dict[str, Any]:
        who = name.replace("-", "_")
        need = needs()[who]
        found = {
            "arn": f"arn:aws:iam::{ACCOUNT}:role/ml/{name}",
            "trust": trust(need.service, list(need.actions)),
            "attached": list(need.policy_arns),
            "inline": [] if need.policies else ["rights"],
        }
        return found | differing.get(who, {})

    def role(args: dict[str, Any]) -> dict[str, Any]:
        found = of(args["name"])
        if not found["arn"]:
            raise LookupFailed(f"NoSuchEntity: The role with name {args['name']} cannot be found.")
        return {"arn": found["arn"], "assumeRolePolicy": found["trust"], "name": args["name"]}

    def attached(args: dict[str, Any]) -> dict[str, Any]:
        held = of(args["roleName"])["attached"]
        return {"attachedPolicies": [{"policyArn": arn, "policyName": arn.rpartition("/")[2]} for arn in held]}

    return {
        ROLE: role,
        ATTACHED: attached,
        INLINE: lambda args: {"policyNames": of(args["roleName"])["inline"]},
        READ: {"arn": GIVEN["cluster"], "name": "cluster"},
    }


def prod(given: dict[str, str]) -> dict[str, Any]:
    """The production stack, which uses a role in every place, without the roles of teams: they have no other ones."""
    config = changed("prod", {"gpuyard:cluster/iam": {"roles": given}})
    del config["gpuyard:teams"]
    return config


@pytest.fixture(scope="module")
def made() -> Recording:
    return record(prod(GIVEN), "prod", outputs=iam())


def test_with_all_ready_made_roles_no_iam_resource_is_created(made: Recording) -> None:
    """security case M6: an organization forbids iam:CreateRole."""
    kinds = ("Role", "RolePolicy", "RolePolicyAttachment", "Policy", "InstanceProfile")
    left = [str(found) for kind in kinds for found in made.all(f"aws:iam/{kind[0].lower()}{kind[1:]}:{kind}")]
    assert left == []


@pytest.mark.parametrize(
    "who, arn",
    [
        ("cluster", lambda made: made.one("aws:eks/cluster:Cluster").inputs["roleArn"]),
        ("nodes", lambda made: {group.inputs["nodeRoleArn"] for group in made.all("NodeGroup")}),
        ("flowLog", lambda made: made.one("FlowLog").inputs["iamRoleArn"]),
        ("clusterAutoscaler", lambda made: made.one("PodIdentityAssociation").inputs["roleArn"]),
        ("vpcCni", lambda made: addon(made, "vpc-cni")),
        ("ebsCsi", lambda made: addon(made, "aws-ebs-csi-driver")),
        ("efsCsi", lambda made: addon(made, "aws-efs-csi-driver")),
        ("fsxCsi", lambda made: addon(made, "aws-fsx-csi-driver")),
        ("s3Csi", lambda made: addon(made, "aws-mountpoint-s3-csi-driver")),
    ],
)
def test_each_ready_made_role_is_used_in_its_place(made: Recording, who: str, arn: Callable[[Recording], Any]) -> None:
    """security case M6."""
    assert arn(made) in (GIVEN[who], {GIVEN[who]})


def addon(made: Recording, name: str) -> str:
    (found,) = [each for each in made.all("aws:eks/addon:Addon") if each.inputs["addonName"] == name]
    (association,) = found.inputs["podIdentityAssociations"]
    return association["roleArn"]


def test_every_use_of_a_role_has_a_field_and_requirements() -> None:
    fields = set(roles.Roles.__annotations__)
    assert not (missing := set(needs()) - fields), f"write {missing} into Roles, in components/aws/roles.py"
    assert not (unused := fields - set(needs())), f"nothing uses {unused}: remove it from Roles, or write its needs"


def test_empty_text_stands_for_a_new_role_in_the_file_only() -> None:
    """In the library, a new role is an omitted field."""
    empty = dict.fromkeys(GIVEN, "")
    assert len(record(prod(empty), "prod").all("aws:iam/role:Role")) == len(GIVEN)
    (found,) = roles.problems({"nodes": ""})
    assert found.path == "nodes" and "remove it" in found.fix


def refusal(config: dict[str, Any], outputs: dict[str, Any]) -> list[Reported]:
    with pytest.raises(pulumi.RunError) as caught:
        record(config, "prod", outputs=outputs)
    return [Reported(**found.groupdict()) for found in PROBLEM.finditer(str(caught.value))]


FOREIGN = "arn:aws:iam::999999999999:role/cluster"
WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("vpcCni", {"arn": ""}, ["IAM does not show it", "NoSuchEntity", "iam:GetRole"]),
    ("vpcCni", {"arn": f"arn:aws:iam::{ACCOUNT}:role/vpc-cni"}, [f"write arn:aws:iam::{ACCOUNT}:role/vpc-cni"]),
    ("nodes", {"trust": trust("eks.amazonaws.com", "sts:AssumeRole")}, ["ec2.amazonaws.com", "trust policy"]),
    ("ebsCsi", {"trust": trust("pods.eks.amazonaws.com", "sts:AssumeRole")}, ["(sts:TagSession)"]),
    ("ebsCsi", {"attached": []}, ["lacks a policy", "AmazonEBSCSIDriverPolicyV2", "attach-role-policy"]),
    ("nodes", {"attached": roles.policy_arns("nodes")[:1]}, ["AmazonEC2ContainerRegistryPullOnly"]),
    ("s3Csi", {"inline": []}, ["no policy", "docs/aws.md"]),
]


@pytest.mark.parametrize("who, differing, words", WRONG, ids=[f"{who}-{n}" for n, (who, _, _) in enumerate(WRONG)])
def test_an_unsuitable_role_is_refused_at_preview(who: str, differing: dict[str, Any], words: list[str]) -> None:
    """security case M6: from the data of IAM, and not after twenty minutes of an `up`."""
    field = next(name for name in roles.Roles.__annotations__ if who == to_camel(name))
    (found,) = refusal(prod(GIVEN), iam(**{field: differing}))
    assert found.path == f"gpuyard:cluster.iam.roles.{who}"
    for word in words:
        assert word in " ".join(vars(found).values()), (word, found)


def test_all_unsuitable_roles_are_in_one_error() -> None:
    wrong = {"nodes": {"attached": []}, "vpc_cni": {"arn": ""}}
    found = refusal(prod({**GIVEN, "cluster": FOREIGN}), iam(**wrong))
    assert [each.path.rpartition(".")[2] for each in found] == ["cluster", "nodes", "vpcCni"]
    assert "role of another account" in found[0].wrong


@pytest.mark.parametrize(
    "differing",
    [
        {"attached": ["arn:aws:iam::123456789012:policy/ours"]},
        {"attached": [], "inline": ["ours"]},
        {"attached": ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", "arn:aws:iam::aws:policy/ReadOnlyAccess"]},
        {"trust": trust(["ec2.amazonaws.com", "eks.amazonaws.com"], ["sts:*"])},  # type: ignore[arg-type]
    ],
)
def test_permissions_of_ready_made_roles_are_evaluated_by_iam(differing: dict[str, Any]) -> None:
    """security case M6: only IAM can evaluate the policies of an organization."""
    assert record(prod({"nodes": GIVEN["nodes"]}), "prod", outputs=iam(nodes=differing)).all("NodeGroup")


def test_iam_is_not_called_without_ready_made_roles() -> None:
    assert not [each for each in record(settings("dev"), "dev").invokes if each.token in (ROLE, ATTACHED, INLINE)]


def test_the_role_of_an_existing_control_plane_cannot_change(made: Recording) -> None:
    """security case M6, reliability case R1: EKS changes it by a replacement."""
    own = record(settings("prod"), "prod")
    for before, given in ((own, GIVEN["cluster"]), (made, "")):
        with pytest.raises(pulumi.RunError) as caught:
            after = {**GIVEN, "cluster": given} if before is made else {"cluster": given}
            changed_run(before, prod({who: arn for who, arn in after.items() if arn}))
        assert "gpuyard:cluster.iam.roles.cluster" in str(caught.value)
        assert "a control plane cannot change its role" in str(caught.value)


def test_a_changed_role_of_the_nodes_is_reported_as_a_replacement(
    made: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """security case M6, reliability case R1."""
    messages: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: messages.append(text))
    changed_run(made, prod({who: arn for who, arn in GIVEN.items() if who != "nodes"}))
    (first, *_) = [text for text in messages if text.startswith("nodePools.cpu-workers: ")]
    assert "cluster.iam.roles.nodes" in first and "new nodes are added" in first


def changed_run(before: Recording, config: dict[str, Any]) -> Recording:
    return run_changed(before, config, "prod", outputs=iam())


@pytest.mark.parametrize(
    "stack, given, words",
    [
        ("prod", {"nodes": "eks-nodes"}, ["not the ARN of a role", "aws iam get-role --role-name eks-nodes"]),
        ("prod", {"nodes": "arn:aws-cn:iam::123456789012:role/nodes"}, ["not the ARN of a role"]),
        ("prod", {"nodes": "arn:aws:iam::123456789012:user/nodes"}, ["not the ARN of a role"]),
        ("prod", {"nodes": "arn:aws:iam::123456789012:role/aws-service-role/x/y"}, ["not the ARN of a role"]),
        ("prod", {"node": GIVEN["nodes"]}, ["unknown key", "write `nodes`"]),
        ("dev", {"flowLog": GIVEN["flowLog"]}, ["nothing uses this role", "flowLogDays"]),
        ("dev", {"fsxCsi": GIVEN["fsxCsi"]}, ["nothing uses this role", "storage.lustre"]),
        ("dev", {"s3Csi": GIVEN["s3Csi"]}, ["nothing uses this role", "storage.buckets"]),
    ],
)
def test_an_invalid_or_unused_role_is_refused(stack: str, given: dict[str, str], words: list[str]) -> None:
    """security case M6."""
    (found,) = reported_problems(stack, {"gpuyard:cluster/iam": {"roles": given}})
    assert found.path == f"gpuyard:cluster.iam.roles.{next(iter(given))}"
    for word in words:
        assert word in " ".join(vars(found).values())


def test_policies_of_nodes_and_their_ready_made_role_exclude_each_other() -> None:
    """security case M6: nothing is attached to a role that another team manages."""
    more = ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]
    given = {"gpuyard:cluster/iam": {"roles": {"nodes": GIVEN["nodes"]}}, "gpuyard:cluster/nodePolicyArns": more}
    (found,) = reported_problems("dev", given)
    assert found.path == "gpuyard:cluster.iam.roles.nodes" and "remove nodePolicyArns" in found.fix


def test_the_page_lists_trust_and_permissions_of_each_role() -> None:
    """security case M6: docs/aws.md, existing roles."""
    page = (ROOT / "docs" / "aws.md").read_text().partition("\n### Existing roles\n")[2]
    for who, need in needs().items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{to_camel(who)}` | ")]
        assert f"`{need.service}`" in row
        for arn in need.policy_arns:
            assert f"`{arn.rpartition('/')[2]}`" in row
        assert bool(need.policy_arns) is not row.endswith("| what the table above shows |")
