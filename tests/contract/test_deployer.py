"""docs/security.md: the policy for deployments to AWS allows every call of the stacks, and little else."""

from __future__ import annotations

import fnmatch
import functools
import json
import re
from typing import Any

import pytest
from parliament import analyze_policy_string

from recording.recording import Resource
from recording.stacks import EKS, recorded
from sandbox.aws import table
from sandbox.aws.api import Recorder
from sandbox.aws.rows import rows
from sandbox.aws.table import Scope
from sandbox.paths import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
PREFIXES = {"efs": "elasticfilesystem"}
# Data sources of the stacks and pulumi-eks. An existing network uses more, all of them Describe actions.
ASKED = {
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTypeOfferings",
    "eks:DescribeAddonVersions",
    "eks:ListClusters",
    "sts:GetCallerIdentity",
}
# What AWS requires for the calls above. Sources: the services' own pages on identity and access ("Actions,
# resources, and condition keys", dependent actions), and the user guides' required permissions.
INDIRECT = {
    "autoscaling:DeleteTags": "node-template tags, when they are removed",
    "ec2:RunInstances": "EKS tries a launch template as the caller",
    "elasticfilesystem:TagResource": "tags at creation",
    "fsx:TagResource": "tags at creation",
    "fsx:UntagResource": "tags, when they are removed",
    "eks:TagResource": "tags at creation",
    "eks:UntagResource": "tags, when they are removed",
    "iam:CreateServiceLinkedRole": "the first cluster, node group, file system and Spot request of an account",
    "iam:PassRole": "roles of the control plane, nodes, pods and the flow log",
    "iam:PutRolePermissionsBoundary": "cluster.iam",
    "kms:CreateGrant": "EKS uses the key on the caller's behalf",
    "kms:PutKeyPolicy": "a key's policy, when it changes",
    "logs:CreateLogDelivery": "flow logs to CloudWatch",
    "logs:TagResource": "tags at creation",
    "logs:UntagResource": "tags, when they are removed",
    **dict.fromkeys(
        ("s3:GetBucketAcl", "s3:GetBucketNotification", "s3:ListBucket", "s3:PutBucketNotification"),
        "FSx reads a linked bucket and is notified of new objects",
    ),
    "fsx:ListTagsForResource": "tags, looked at",
    "logs:ListTagsForResource": "tags, looked at",
}


def policy() -> dict[str, Any]:
    """The document as it is on the page."""
    found = re.search(r"<!-- deployer policy -->\n```json\n(.*?)```\n<!-- deployer policy end -->", PAGE, re.DOTALL)
    assert found
    return json.loads(found[1])


def allowed() -> list[str]:
    """Every action in it, patterns included."""
    lists = [statement["Action"] for statement in policy()["Statement"]]
    return [action for found in lists for action in (found if isinstance(found, list) else [found])]


def calls(resource: Resource) -> set[str]:
    """The provider's calls for a resource: create, read, update, tag, delete."""
    row, recorder = rows()[resource.type], Recorder("us-east-1")
    inputs = dict(resource.inputs)
    if row.name and inputs.get(row.name.property) is None:
        inputs[row.name.property] = inputs.get(row.name.prefix) or "sandbox"
    scope = Scope(recorder, inputs, tags={"new": "1"})
    scope.id = table.create(row, scope) or "sandbox"
    table.read(row, scope)
    table.update(row, scope)
    table.delete(row, scope)
    made = {(service, operation) for service, operation, _ in recorder.calls}
    tagging = (row.tags.write, row.tags.remove) if row.tags else ()
    made |= {(call.service or row.service, call.operation) for call in tagging if call}
    return {f"{PREFIXES.get(service, service)}:{operation}" for service, operation in made}


@functools.cache
def needed() -> dict[str, str]:
    """Action → a resource that needs it, in all stacks on EKS."""
    found = dict.fromkeys(ASKED, "a data source")
    for stack in EKS:
        for resource in recorded(stack).resources.values():
            if resource.package == "aws" and not resource.type.startswith("pulumi:"):
                found.update(dict.fromkeys(calls(resource), str(resource)))
    return found


def test_every_call_of_the_stacks_is_allowed() -> None:
    """security case M6."""
    patterns = allowed()
    missing = {
        action: who
        for action, who in needed().items()
        if not any(fnmatch.fnmatchcase(action, pattern) for pattern in patterns)
    }
    assert missing == {}


def test_every_allowed_action_is_needed() -> None:
    """security case M6: no action is obsolete."""
    spare = {action for action in allowed() if "*" not in action} - set(needed()) - set(INDIRECT)
    assert spare == set()
    assert set(INDIRECT) <= set(allowed())


def test_wildcards_are_limited_to_read_actions() -> None:
    """security case M6: no administrator permissions, and patterns only for read actions and for EKS."""
    for action in allowed():
        if "*" in action:
            service, _, verb = action.partition(":")
            assert re.fullmatch(r"(Describe|Get|List)\*", verb) or service == "eks", action
    assert not {"iam:*", "*", "iam:CreateUser", "iam:CreateAccessKey", "iam:CreatePolicy"} & set(allowed())


def test_the_policy_fits_into_one_managed_policy() -> None:
    """IAM: 6,144 characters without blanks; and the linter finds no action that does not exist."""
    text = json.dumps(policy(), separators=(",", ":")).replace("ACCOUNT", "123456789012")
    assert len(text) <= 6144, len(text)
    # Most actions are for objects that do not exist yet, so their ARNs are not known.
    findings = [finding for finding in analyze_policy_string(text).findings if finding.issue != "RESOURCE_STAR"]
    assert [str(finding) for finding in findings] == []


@pytest.mark.parametrize("service", ["ec2", "eks", "pods.eks", "vpc-flow-logs"])
def test_roles_can_be_passed_only_to_the_services_that_assume_them(service: str) -> None:
    (statement,) = [each for each in policy()["Statement"] if each["Action"] == "iam:PassRole"]
    assert f"{service}.amazonaws.com" in statement["Condition"]["StringEquals"]["iam:PassedToService"]
