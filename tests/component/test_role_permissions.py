"""Permissions of pods: what is refused before a role is created."""

from __future__ import annotations

import pytest

from components.aws.identity import problems

GIVEN = {"cluster": "train", "namespace": "ml", "service_account": "trainer"}
AWS_POLICY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.mark.parametrize(
    ("arns", "path", "wrong"),
    [
        (["AmazonS3ReadOnlyAccess"], "policy_arns[0]", "not the ARN of a policy"),
        ([AWS_POLICY, AWS_POLICY], "policy_arns[1]", "has the same name"),
        ([AWS_POLICY, "arn:aws:iam::123456789012:policy/AmazonS3ReadOnlyAccess"], "policy_arns[1]", "the same name"),
    ],
)
def test_policies_are_arns_with_distinct_names(arns: list[str], path: str, wrong: str) -> None:
    (found,) = problems({**GIVEN, "policy_arns": arns})  # type: ignore[typeddict-item]
    assert found.path == path and wrong in found.wrong
    assert not list(problems({**GIVEN, "policy_arns": [AWS_POLICY]}))  # type: ignore[typeddict-item]
