"""The advice in the last line of an error is correct (reliability case R10)."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import advice

AGAIN = "run the same command again"
KNOWN = "is not in the stack's state"
HELPLESS = "repeating it alone does not help"


@pytest.mark.parametrize(
    ("message", "advised"),
    [
        ("ThrottlingException: Rate exceeded", "nothing is wrong"),
        ("googleapi: Error 429: RATE_LIMIT_EXCEEDED", "nothing is wrong"),
        ("RequestError: send request failed caused by: read: connection reset by peer", "nothing is wrong"),
        ("aws eks Cluster cluster-eks-eksCluster: error reading from server: EOF", "nothing is wrong"),
        ("ServiceUnavailable: please try again", "nothing is wrong"),
        ("waiting for EKS Cluster (x) create: timeout while waiting for state", "nothing is wrong"),
        (
            'Kubernetes cluster is unreachable: Get "https://x": dial tcp 10.0.0.5:443: i/o timeout',
            "cannot be reached from here",
        ),
        ('Kubernetes cluster is unreachable: Get "https://x": connect: connection refused', "nothing is wrong"),
        ("InsufficientInstanceCapacity: We currently do not have sufficient p5.48xlarge capacity", "later"),
        ("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "another zone"),
        ("VcpuLimitExceeded: You have requested more vCPU capacity than your current limit", HELPLESS),
        ("googleapi: Error 403: Quota 'GPUS_ALL_REGIONS' exceeded. quotaExceeded", "raise the account's quota"),
        ("AccessDenied: User is not authorized to perform: iam:CreateRole", HELPLESS),
        ("DependencyViolation: The vpc has dependencies and cannot be deleted", "is in the way"),
        ("ResourceInUseException: Cluster already exists with name: x", HELPLESS),
        ("cannot re-use a name that is still in use", KNOWN),
        ("InvalidParameterValue: The value is not valid for instanceType", advice.AGAIN),
        ("gpuyard:x = 1: wrong\n    allowed: y\n    fix: write y", ""),
    ],
)
def test_errors_that_a_retry_fixes(message: str, advised: str) -> None:
    found = advice.fix(message)
    assert advised in found
    assert (AGAIN in found) == bool(found)
    assert (HELPLESS in found) == (advised in (HELPLESS, "raise the account's quota", "is in the way", KNOWN))


def test_throttling_needs_no_correction() -> None:
    assert "correct" not in advice.fix("aws eks NodeGroup gpu: ThrottlingException: Rate exceeded")


@pytest.mark.parametrize(
    ("token", "inputs", "message", "command"),
    [
        (
            "aws:eks/accessEntry:AccessEntry",
            {"clusterName": "mine", "principalArn": "arn:aws:iam::111122223333:role/ml"},
            "ResourceInUseException: The specified access entry resource is already in use on this cluster.",
            "aws --region us-east-1 eks delete-access-entry --cluster-name mine --principal-arn "
            "arn:aws:iam::111122223333:role/ml",
        ),
        (
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            {"clusterName": "mine", "namespace": "training", "serviceAccount": "trainer"},
            "ResourceInUseException: Association already exists: a-0123456789abcdef0",
            "aws --region us-east-1 eks delete-pod-identity-association --cluster-name mine --association-id $(aws "
            "--region us-east-1 eks list-pod-identity-associations --cluster-name mine --namespace training "
            "--service-account trainer --query 'associations[].associationId' --output text)",
        ),
        (
            "kubernetes:helm.sh/v3:Release",
            {"name": "monitoring", "namespace": "watch"},
            "cannot re-use a name that is still in use",
            "helm uninstall monitoring --namespace watch",
        ),
        (
            "gcp:container/cluster:Cluster",
            {"name": "mine", "location": "us-central1", "project": "ml"},
            "googleapi: Error 409: Already exists: projects/ml/locations/us-central1/clusters/mine., alreadyExists",
            "gcloud container clusters delete mine --location=us-central1 --project=ml --quiet",
        ),
    ],
)
def test_the_object_of_a_lost_answer_has_a_command(
    token: str, inputs: dict[str, Any], message: str, command: str
) -> None:
    """reliability cases R7, R10: an object whose answer was lost blocks the next run until it is deleted, even if
    another request had no answer in the same run."""
    failed = [(token, inputs, message), (token, {**inputs, "name": "another"}, "connection reset by peer")]
    found = advice.fix(f"{message}\nconnection reset by peer", failed, "us-east-1")
    words, shown = found.split(":\n    ")
    assert words.startswith(HELPLESS) and AGAIN in words and shown == command


def test_a_blocking_object_without_a_command_is_still_reported() -> None:
    """reliability case R10: the inputs' names do not identify the object."""
    found = advice.fix("it already exists", [("aws:kms/alias:Alias", {}, "it already exists")])
    assert found.startswith(HELPLESS) and "as below" not in found and "\n" not in found


def test_no_retry_is_advised_after_a_lost_answer() -> None:
    """reliability cases R7, R10: created, but the answer was lost; the same command conflicts with the object."""
    found = advice.fix("aws eks Cluster cluster-eks-eksCluster: error reading from server: EOF")
    assert AGAIN in found and "the command that deletes it" in found
