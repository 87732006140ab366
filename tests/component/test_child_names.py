"""Components whose names and keys run together, so that resources of both would have the same URN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.aws.buckets import S3Buckets
from components.aws.cluster import EksCluster
from components.aws.identity import PodIdentity
from components.aws.node_pool import EksNodePool
from components.gcp.buckets import GcsBuckets
from components.gcp.identity import WorkloadIdentity
from components.gcp.services import GcpServices
from recording.recorder import run
from tests.component.stage import AWS_ZONES, GUIDE_CPU, aws_options, gcp_options

Make = Callable[[str, str, pulumi.ResourceOptions], Any]
"""Creates a component from its name and a key."""
POD: Any = {"cluster": "train", "namespace": "ml", "service_account": "trainer"}
POLICY = "arn:aws:iam::aws:policy"


def s3(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    common: Any = {"cluster": "train", "kubernetes_version": "1.35", "region": "us-east-1"}
    return S3Buckets(name, {**common, "buckets": {key: {"bucket": "acme"}}}, opts)


def gcs(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    common: Any = {"cluster": "train", "project": "my-project"}
    return GcsBuckets(name, {**common, "buckets": {key: {"bucket": "acme", "namespace": "ml"}}}, opts)


def pod_identity(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    return PodIdentity(name, {**POD, "policy_arns": [f"{POLICY}/{key}"]}, opts)


def workload_identity(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    given: Any = {"cluster": "train", "project": "my-project", "namespace": "ml", "service_account": "trainer"}
    return WorkloadIdentity(name, {**given, "bucket_roles": {f"{key}-data": ["roles/storage.objectUser"]}}, opts)


def services(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    return GcpServices(name, {"services": [f"{key}.googleapis.com"]}, opts)


def eks(name: str, key: str, opts: pulumi.ResourceOptions) -> Any:
    args: Any = {
        "cluster_name": name,
        "version": "1.35",
        "network_id": "vpc-1",
        "private_subnet_ids": {"us-east-1a": "subnet-1", "us-east-1b": "subnet-2"},
        "access": {key: {"principal_arn": "arn:aws:iam::123456789012:role/ops", "level": "admin"}},
    }
    return EksCluster(name, args, opts)


CASES: dict[str, tuple[Make, tuple[str, str], tuple[str, str], str]] = {
    "S3Buckets": (s3, ("data", "x-y"), ("data-x", "y"), "buckets.y = 'data-x-y'"),
    "GcsBuckets": (gcs, ("data", "x-y"), ("data-x", "y"), "buckets.y = 'data-x-y'"),
    "PodIdentity": (pod_identity, ("a", "x-y"), ("a-x", "y"), "policy_arns[0] = 'a-x-y'"),
    "WorkloadIdentity": (workload_identity, ("a", "x-y"), ("a-x", "y"), "bucket_roles.y-data = 'a-x-y-data-"),
    "GcpServices": (services, ("a", "b-c"), ("a-b", "c"), "services[0] = 'a-b-c'"),
    "EksCluster": (eks, ("a", "x-access-y"), ("a-access-x", "y"), "access.y = 'a-access-x-access-y'"),
}


def both(case: str, *, reverse: bool = False, apart: bool = False) -> None:
    """Both components of a case. `apart`: the second one is inside a component of another type."""
    make, first, second, _ = CASES[case]

    def program() -> None:
        options = gcp_options() if make in (gcs, workload_identity, services) else aws_options()
        one, other = (second, first) if reverse else (first, second)
        make(*one, options)
        if apart:
            team = pulumi.ComponentResource("acme:index:Team", "team", None, options)
            options = pulumi.ResourceOptions(parent=team)
        make(*other, options)

    run(program)


@pytest.mark.parametrize("case", CASES)
class TestNamesThatRunTogether:
    def test_the_second_component_is_refused_with_the_name_of_the_first(self, case: str) -> None:
        _, (first, _), (second, _), words = CASES[case]
        with pytest.raises(pulumi.RunError) as caught:
            both(case)
        assert str(caught.value).startswith(f"{case} {second}: one value cannot work")
        assert words in str(caught.value) and f"{case} {first} would both create a resource named" in str(caught.value)

    def test_the_order_does_not_matter(self, case: str) -> None:
        with pytest.raises(pulumi.RunError, match="both create a resource named"):
            both(case, reverse=True)

    def test_components_with_different_parents_are_accepted(self, case: str) -> None:
        """A URN has the types of the parents."""
        both(case, apart=True)


def test_a_component_that_is_refused_reserves_no_names() -> None:
    """Whether its arguments are refused or one of its names."""

    def program() -> None:
        options = aws_options()
        with pytest.raises(pulumi.RunError, match="not the ARN of a policy"):
            PodIdentity("a-x", {**POD, "policy_arns": [f"{POLICY}/y", "z"]}, options)
        PodIdentity("a", {**POD, "policy_arns": [f"{POLICY}/x-y"]}, options)
        with pytest.raises(pulumi.RunError, match="named a-x-y"):
            PodIdentity("a-x", {**POD, "policy_arns": [f"{POLICY}/y", f"{POLICY}/z-z"]}, options)
        PodIdentity("a-x-z", {**POD, "policy_arns": [f"{POLICY}/z"]}, options)

    run(program)


def test_a_program_does_not_know_the_names_of_another() -> None:
    run(lambda: s3("data", "x-y", aws_options()))
    run(lambda: s3("data-x", "y", aws_options()))


@pytest.mark.parametrize("names", [("gpu", f"gpu-{AWS_ZONES[0]}"), (f"gpu-{AWS_ZONES[0]}", "gpu")])
def test_a_pool_with_the_name_of_another_pools_group_is_refused(names: tuple[str, str]) -> None:
    def program() -> None:
        options = aws_options()
        for name in names:
            args: Any = {
                "pool": GUIDE_CPU,
                "cluster": "train",
                "subnet_ids": {zone: f"subnet-{zone}" for zone in AWS_ZONES},
                "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
            }
            EksNodePool(name, args, options)

    with pytest.raises(pulumi.RunError) as caught:
        run(program)
    assert str(caught.value).startswith(f"EksNodePool {names[1]}: one value cannot work")
    both_create = f"this component and EksNodePool {names[0]} would both create a resource named gpu-{AWS_ZONES[0]}"
    assert f"pool = 'gpu-{AWS_ZONES[0]}': {both_create}" in str(caught.value)
