"""An environment with ready-made IAM roles, one registry for all images, and a network without internet access. It
comes up, changes a role, and a destroy keeps the roles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import versions
from components.aws.addons import needs
from sandbox.down import LEFTOVERS
from tests.config.sources import CLOSED, ECR
from tests.engine.conftest import Project

# The roles that the development stack uses, and a second one for nodes.
WHO = ("cluster", "nodes", "vpc_cni", "ebs_csi", "efs_csi", "cluster_autoscaler")
FIELDS = {"vpc_cni": "vpcCni", "ebs_csi": "ebsCsi", "efs_csi": "efsCsi", "cluster_autoscaler": "clusterAutoscaler"}
MAKE = """
import boto3, json, sys
iam = boto3.client("iam")
for name, trust, policies in json.load(sys.stdin):
    print(iam.create_role(RoleName=name, Path="/ml/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"])
    for arn in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    if not policies:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}))
"""
LIST = "import boto3; print(*[role['RoleName'] for role in boto3.client('iam').list_roles(PathPrefix='/ml/')['Roles']])"


def wanted(who: str, name: str) -> tuple[str, dict[str, Any], list[str]]:
    need = needs()[who]
    statement = {"Effect": "Allow", "Principal": {"Service": need.service}, "Action": list(need.actions)}
    return name, {"Version": "2012-10-17", "Statement": [statement]}, list(need.policy_arns)


@pytest.fixture(scope="module")
def error_text(project: Project) -> str:
    """The error without a registry."""
    write(project, {}, "")
    return project.run("preview", code=1).stderr


@pytest.fixture(scope="module")
def given(project: Project, error_text: str) -> dict[str, str]:
    """Use → ARN of a role in the simulated account; `other` is a second one for nodes."""
    names = {who: f"yard-{who.replace('_', '-')}" for who in WHO}
    documents = [wanted(who, name) for who, name in names.items()] + [wanted("nodes", "yard-other")]
    (project.root / "roles.json").write_text(json.dumps(documents))
    (project.root / "make_roles.py").write_text(MAKE)
    made = project.run("shell", "--stack", "dev", "--", "sh", "-c", "python make_roles.py < roles.json").stdout
    arns = [line for line in made.splitlines() if line.startswith("arn:")]
    return dict(zip([*names, "other"], arns, strict=True))


def write(project: Project, given: dict[str, str], registry: str = ECR, **changes: str) -> None:
    config = {**project.config("dev"), **CLOSED, "gpuyard:images": {"registry": registry} if registry else {}}
    if given:
        named = {FIELDS.get(who, who): arn for who, arn in {**given, **changes}.items() if who != "other"}
        config["gpuyard:cluster"] = {**config["gpuyard:cluster"], "iam": {"roles": named}}
    project.write("dev", config)


def made(project: Project, kind: str) -> list[dict[str, Any]]:
    """Resources of a type that the engine created; those that it has only read are external."""
    return [each for each in project.state("dev") if each["type"].endswith(f":{kind}") and not each.get("external")]


def test_a_closed_network_without_a_registry_is_refused(error_text: str) -> None:
    """field case A10"""
    assert "gpuyard:images.registry" in error_text


def test_up_works_with_ready_made_roles_and_one_registry(project: Project, given: dict[str, str]) -> None:
    """Security case M6: with the real engine, pulumi-eks' component included. Field case A10: the sandbox's nodes pull
    nothing from the internet, so a pod with another image would stay in ImagePullBackOff."""
    write(project, given)
    project.run("up")
    assert [made(project, kind) for kind in ("Role", "RolePolicy", "RolePolicyAttachment")] == [[], [], []]
    (cluster,) = [each for each in made(project, "Cluster") if each["type"] == "aws:eks/cluster:Cluster"]
    assert cluster["outputs"]["roleArn"] == given["cluster"]
    assert {each["outputs"]["nodeRoleArn"] for each in made(project, "NodeGroup")} == {given["nodes"]}

    kubectl = ("kubectl", "--stack", "dev", "--")
    pods = project.json(*kubectl, "get", "pods", "-A", "-o", "json")["items"]
    pulled = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    tag = versions.CLUSTER_AUTOSCALER_IMAGE[versions.EKS_VERSION]
    assert f"{ECR}/registry.k8s.io/autoscaling/cluster-autoscaler:{tag}" in pulled
    assert [image for image in pulled if not image.startswith(f"{ECR}/")] == []
    project.run(*kubectl, "run", "outside", "--image=quay.io/prometheus/busybox:latest")
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff"
    project.run(*kubectl, "wait", "pod/outside", f"--for={reason}", "--timeout=60s")


def test_a_changed_node_role_replaces_groups_and_a_changed_cluster_role_is_refused(
    project: Project, given: dict[str, str]
) -> None:
    """Security case M6, reliability case R1."""
    write(project, given, cluster=given["other"])
    assert "a control plane cannot change its role" in project.run("up", code=1).stderr
    before = {each["outputs"]["nodeGroupName"] for each in made(project, "NodeGroup")}
    write(project, given, nodes=given["other"])
    project.run("up")
    after = {each["outputs"]["nodeGroupName"] for each in made(project, "NodeGroup")}
    assert len(after) == len(before) and not after & before
    listed = project.run("shell", "--stack", "dev", "--", "python", "-c", LIST).stdout
    assert {"yard-cluster", "yard-nodes", "yard-other"} <= set(listed.split())
    assert project.json("up", "--json")["changed"] == 0
    done = project.run("down", dirty=True)
    (left,) = (line for line in done.stderr.splitlines() if LEFTOVERS in line)
    assert f"{len(given)} objects" in left and left.count("iam role yard-") == len(given), left
    assert project.processes() == []
