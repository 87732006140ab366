"""The keys outside `gpuyard:`: they reach the providers, and unread keys are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recording.stacks import EKS, GKE, record, settings
from tests.config.test_errors import changed, parse, reported_problems

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deployer"
GUARDS: dict[str, Any] = {
    "aws:allowedAccountIds": [ACCOUNT],
    "aws:profile": "1.10",
    "aws:assumeRoles": [{"roleArn": ROLE, "sessionName": "pulumi"}],
    "aws:maxRetries": 5,
}


def test_every_aws_key_reaches_the_provider() -> None:
    """security case H3: if the list of allowed accounts were ignored, prod could be created in the wrong account."""
    made = record({**settings("dev"), **GUARDS}, "dev")
    inputs = {
        key: json.loads(value) if isinstance(value, str) and value[:1] in "[{5" else value
        for key, value in made.one("pulumi:providers:aws").inputs.items()
    }
    assert inputs["region"] == "us-east-1"
    for key, value in GUARDS.items():
        assert inputs[key.split(":")[1]] == value, key


def test_the_kubeconfig_uses_the_identity_of_the_provider() -> None:
    """security case H3: otherwise the charts are installed with the identity of the shell."""
    made = record({**settings("dev"), **GUARDS}, "dev")
    config = json.loads(made.one("pulumi:providers:kubernetes", "kubernetes").inputs["kubeconfig"])
    args = config["users"][0]["user"]["exec"]["args"]
    assert args[-4:] == ["--role", ROLE, "--profile", "1.10"]
    inside = made.one("pulumi:providers:kubernetes", "cluster-eks-eks-k8s").inputs["kubeconfig"]
    assert "--profile" in inside and ROLE in inside


def test_every_gcp_key_reaches_the_provider_and_the_login() -> None:
    """security case H3, on Google Cloud."""
    account = "deployer@gpuyard-project.iam.gserviceaccount.com"
    keys = {
        "gcp:impersonateServiceAccount": account,
        "gcp:billingProject": "gpuyard-bill",
        "gcp:userProjectOverride": True,
    }
    made = record({**settings("dev-gke"), **keys}, "dev-gke")
    inputs = made.one("pulumi:providers:gcp").inputs
    assert inputs["impersonateServiceAccount"] == account
    assert inputs["billingProject"] == "gpuyard-bill" and inputs["userProjectOverride"] in (True, "true")
    config = json.loads(made.one("pulumi:providers:kubernetes", "kubernetes").inputs["kubeconfig"])
    env = config["users"][0]["user"]["exec"]["env"]
    assert env == [{"name": "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "value": account}]


@pytest.mark.parametrize("stack", ["prod"])
def test_the_production_example_has_the_account_guard(stack: str) -> None:
    """security case H3: credentials of another account stop at the provider."""
    assert settings(stack)["aws:allowedAccountIds"] == ["111122223333"]


@pytest.mark.parametrize(
    ("stack", "key", "value", "wrong", "fix"),
    [
        ("dev", "aws:assumeRole", {"roleArn": ROLE}, "unknown key", "write aws:assumeRoles"),
        ("dev", "aws:alowedAccountIds", [ACCOUNT], "unknown key", "write aws:allowedAccountIds"),
        ("dev", "aws:xyz", "1", "unknown key", "remove it"),
        ("dev", "gcp:project", "p", "has no effect", "remove it"),
        ("dev", "kubernetes:context", "prod", "has no effect", "remove it"),
        ("dev", "eks:autonaming", "x", "has no effect", "remove it"),
        ("dev", "aws:defaultTags", {"tags": {"a": "b"}}, "gpuyard", "write gpuyard:tags"),
        ("dev", "aws:accessKey", "AKIA", "two identities", "AWS_ACCESS_KEY_ID"),
        ("dev", "aws:secretKey", "x", "two identities", "AWS_SECRET_ACCESS_KEY"),
        ("dev", "aws:sharedConfigFiles", ["~/x"], "two identities", "AWS_CONFIG_FILE"),
        ("dev", "aws:assumeRoleWithWebIdentity", {}, "two identities", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ("dev", "aws:allowedAccountIds", 123456789012, "not a list", '["123456789012"]'),
        ("dev", "aws:allowedAccountIds", [], "not a list", '["111122223333"]'),  # not a list
        ("dev", "aws:forbiddenAccountIds", ["prod"], "not a list", "aws sts get-caller-identity"),
        ("dev", "aws:assumeRoles", [{"roleArn": ROLE}, {"roleArn": ROLE}], "not one role", "aws:profile"),
        ("dev", "aws:assumeRoles", ROLE, "not one role", "aws:profile"),
        ("dev", "aws:assumeRoles", {"roleArn": ROLE}, "not one role", "aws:profile"),
        ("dev", "aws:assumeRoles", [ROLE], "not one role", "aws:profile"),
        ("dev-gke", "gcp:impersonateServiceAccont", "a@b", "unknown key", "write gcp:impersonateServiceAccount"),
        ("dev-gke", "gcp:impersonateServiceAccount", "ann@example.com", "not the address", "service-accounts list"),
        ("dev-gke", "gcp:impersonateServiceAccountDelegates", ["a"], "not a chain", "impersonate"),
        ("dev-gke", "gcp:defaultLabels", {"a": "b"}, "gpuyard", "write gpuyard:tags"),
        ("dev-gke", "gcp:credentials", "{}", "two identities", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("dev-gke", "aws:profile", "work", "has no effect", "remove it"),
    ],
)  # fmt: skip
def test_an_unread_key_or_a_second_identity_is_refused(stack: str, key: str, value: Any, wrong: str, fix: str) -> None:
    """security case H3: no key is silently ignored."""
    (found,) = reported_problems(stack, {key: value})
    assert found.path == key and wrong in found.wrong and fix in found.fix


@pytest.mark.parametrize(
    ("stack", "key", "value", "allowed"),
    [
        ("dev", "aws:profile", ["a"], "text"),
        ("dev", "aws:profile", "", "text"),
        ("dev", "aws:maxRetries", "x", "a whole number"),
        ("dev", "aws:maxRetries", True, "a whole number"),
        ("dev", "aws:ignoreTags", 5, "a map"),
        ("dev", "aws:skipCredentialsValidation", "maybe", "true or false"),
        ("dev", "aws:userAgents", "x", "a list"),
        ("dev-gke", "gcp:userProjectOverride", "yes", "true or false"),
        ("dev-gke", "gcp:batching", "10s", "a map"),
    ],
)  # fmt: skip
def test_a_value_of_a_type_that_the_provider_does_not_accept_is_refused(
    stack: str, key: str, value: Any, allowed: str
) -> None:
    """Reliability case R11: each of these would cause a traceback or a raw error of the engine later."""
    (found,) = reported_problems(stack, {key: value})
    assert found.path == key and found.allowed == allowed


def test_allowed_and_forbidden_accounts_exclude_each_other() -> None:
    """Security case H3: the provider refuses two, in the middle of an `up`."""
    (found,) = reported_problems(
        "dev", {"aws:allowedAccountIds": [ACCOUNT], "aws:forbiddenAccountIds": ["111122223333"]}
    )
    assert found.path == "aws:forbiddenAccountIds" and found.allowed == "one of the two"


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ({"roleArn": "deployer"}, "aws:assumeRoles[0].roleArn"),
        ({"roleArn": "arn:aws-cn:iam::123456789012:role/d"}, "aws:assumeRoles[0].roleArn"),
        ({"roleArn": ROLE, "externalId": "x"}, "aws:assumeRoles[0].externalId"),
        ({"roleArn": ROLE, "sesionName": "x"}, "aws:assumeRoles[0].sesionName"),
    ],
)
def test_a_role_that_the_kubeconfig_cannot_assume_is_refused(role: dict[str, str], path: str) -> None:
    """security case H3."""
    (found,) = reported_problems("dev", {"aws:assumeRoles": [role]})
    assert found.path == path


@pytest.mark.parametrize(
    "region",
    ["mx-central-1", "ap-east-2", "ap-southeast-6", "ap-southeast-7", "ca-west-1"],
)
def test_every_commercial_region_of_the_sdk_is_accepted(region: str) -> None:
    """field case A13."""
    config = {
        "aws:region": region,
        "gpuyard:network/zones/0": f"{region}a",
        "gpuyard:network/zones/1": f"{region}b",
    }
    assert parse("dev", changed("dev", config)).region == region


@pytest.mark.parametrize(
    ("stack", "key"), [("dev", "aws:region"), ("dev-gke", "gcp:region"), ("dev-gke", "gcp:project")]
)
def test_an_empty_key_is_one_problem(stack: str, key: str) -> None:
    (found,) = reported_problems(stack, {key: ""})
    assert (found.path, found.wrong) == (key, "missing")


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "us-iso-east-1", "eusc-de-east-1", "eu-isoe-west-1"])
def test_a_region_of_another_partition_is_refused(region: str) -> None:
    """field case A13: its ARNs would be wrong, and some services do not exist there."""
    (found,) = reported_problems("dev", {"aws:region": region})
    assert found.path == "aws:region" and "partition aws-" in found.wrong


def test_the_stack_files_of_this_repository_have_only_valid_cloud_keys() -> None:
    for stack in (*EKS, *GKE):
        assert parse(stack, changed(stack, {})).region


@pytest.mark.parametrize(
    ("iam", "path"),
    [
        ({"path": "ml"}, "gpuyard:cluster.iam.path"),
        ({"path": "/m l/"}, "gpuyard:cluster.iam.path"),
        ({"path": "/" + "x" * 512 + "/"}, "gpuyard:cluster.iam.path"),
        ({"permissionsBoundary": "limits"}, "gpuyard:cluster.iam.permissionsBoundary"),
        ({"permissionsBoundary": "arn:aws-cn:iam::123456789012:policy/x"}, "gpuyard:cluster.iam.permissionsBoundary"),
    ],
)
def test_a_path_or_boundary_that_iam_would_refuse_is_refused(iam: dict[str, str], path: str) -> None:
    """security case M6."""
    (found,) = reported_problems("dev", {"gpuyard:cluster/iam": iam})
    assert found.path == path
