"""The last line of an error keeps its promise (reliability case R10)."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import advice

AGAIN = "run the same command again"
KNOWN = "the stack does not know"
HELPLESS = "repeating it alone does not help"


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("ThrottlingException: Rate exceeded", "nothing is wrong"),
        ("googleapi: Error 429: RATE_LIMIT_EXCEEDED", "nothing is wrong"),
        ("RequestError: send request failed caused by: read: connection reset by peer", "nothing is wrong"),
        ("aws eks Cluster cluster-eks-eksCluster: error reading from server: EOF", "nothing is wrong"),
        ("ServiceUnavailable: please try again", "nothing is wrong"),
        ("waiting for EKS Cluster (x) create: timeout while waiting for state", "nothing is wrong"),
        (
            'Kubernetes cluster is unreachable: Get "https://x": dial tcp 10.0.0.5:443: i/o timeout',
            "does not help: not",
        ),
        ('Kubernetes cluster is unreachable: Get "https://x": connect: connection refused', "nothing is wrong"),
        ("InsufficientInstanceCapacity: We currently do not have sufficient p5.48xlarge capacity", "later"),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "another zone"),
        ("VcpuLimitExceeded: You have requested more vCPU capacity than your current limit", HELPLESS),
        ("googleapi: Error 403: Quota 'GPUS_ALL_REGIONS' exceeded. quotaExceeded", "raise the account's quota"),
        ("AccessDenied: User is not authorized to perform: iam:CreateRole", HELPLESS),
        ("DependencyViolation: The vpc has dependencies and cannot be deleted", "stands in the way"),
        ("ResourceInUseException: Cluster already exists with name: x", HELPLESS),
        ("cannot re-use a name that is still in use", KNOWN),
        ("InvalidParameterValue: The value is not valid for instanceType", advice.AGAIN),
        ("gpuyard:x = 1: wrong\n    allowed: y\n    fix: write y", ""),
    ],
)
def test_which_errors_a_repetition_mends(said: str, advised: str) -> None:
    found = advice.fix(said)
    assert advised in found
    assert (AGAIN in found) == bool(found)
    assert (HELPLESS in found) == (advised in (HELPLESS, "raise the account's quota", "stands in the way", KNOWN))


def test_throttling_needs_no_correction() -> None:
    assert "correct" not in advice.fix("aws eks NodeGroup gpu: ThrottlingException: Rate exceeded")


@pytest.mark.parametrize(
    ("token", "inputs", "command"),
    [
        (
            "aws:cloudwatch/logGroup:LogGroup",
            {"name": "/aws/eks/mine/cluster"},
            "aws logs delete-log-group --log-group-name /aws/eks/mine/cluster",
        ),
        ("aws:eks/cluster:Cluster", {"name": "mine"}, "aws eks delete-cluster --name mine"),
        (
            "aws:eks/addon:Addon",
            {"clusterName": "mine", "addonName": "coredns"},
            "aws eks delete-addon --cluster-name mine --addon-name coredns",
        ),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "watch"}}, "kubectl delete namespace watch"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, ""),
        ("aws:kms/alias:Alias", {"targetKeyId": "its name is the provider's choice"}, ""),
    ],
)
def test_what_a_lost_answer_left_has_its_command(token: str, inputs: dict[str, Any], command: str) -> None:
    """reliability cases R7, R10: what a run made and never heard of is in the way until somebody deletes it."""
    found = advice.fix("it already exists", [(token, inputs, "it already exists"), (token, {"name": "x"}, "throttled")])
    assert found.startswith(HELPLESS) and AGAIN in found
    assert f"`make shell` ({command})" in found if command else "`make shell`," in found


def test_a_lost_answer_is_not_promised_to_mend_itself() -> None:
    """reliability cases R7, R10: created, but the answer never came; the same command meets what exists."""
    found = advice.fix("aws eks Cluster cluster-eks-eksCluster: error reading from server: EOF")
    assert AGAIN in found and "the command that deletes it" in found
