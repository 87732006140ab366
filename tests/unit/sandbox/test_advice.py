"""The last line of an error keeps its promise (reliability case R10)."""

from __future__ import annotations

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
        ("ServiceUnavailable: please try again", "nothing is wrong"),
        ("waiting for EKS Cluster (x) create: timeout while waiting for state", "nothing is wrong"),
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
