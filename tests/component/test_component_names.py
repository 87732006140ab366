"""Names of components that a cloud or Kubernetes would refuse, late, as a part of names that are made of them."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws.addon import EksAddon
from components.aws.buckets import S3Buckets
from components.aws.cluster import EksCluster
from components.aws.cluster_autoscaler import ClusterAutoscaler
from components.aws.identity import PodIdentity
from components.aws.lustre import FsxLustre
from components.aws.storage import AwsStorage
from components.gcp.cluster import GkeCluster
from components.gcp.compute_class import GkeComputeClass
from components.gcp.filestore import Filestore
from components.gcp.network import GcpNetwork
from components.monitoring.alerts import Alerts
from components.monitoring.pod_scrape import PodScrape
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options, gcp_options
from tests.component.test_arguments_of_every_component import VALID, shape_of
from tests.component.test_child_names import eks
from tests.component.test_gcp_arguments import GIVEN

POD: Any = {"cluster": "train", "namespace": "ml", "service_account": "trainer", "policy": {"Statement": []}}
SCRAPE: Any = {"system": "managed_prometheus", "namespace": "ml", "match_labels": {"app": "x"}, "port": "metrics"}
RULES: Any = {"system": "prometheus_operator"}
ROLE = "arn:aws:iam::123456789012:role/eks"


def gke(name: str, **more: Any) -> Recording:
    args: Any = {**GIVEN[GkeCluster][1], **more}
    return run(lambda: GkeCluster(name, args, gcp_options()))


def made(component: Any, name: str) -> Recording:
    if component is EksCluster:
        return run(lambda: eks(name, "ops", aws_options()))
    if component is GkeCluster:
        return gke(name, secrets_key="new")
    if component is PodIdentity:
        return run(lambda: PodIdentity(name, POD, aws_options()))
    if component in AWS:
        args = {field: VALID[field] for field, each in shape_of(component).fields.items() if each.required}
        return run(lambda: component(name, {**args, **AWS[component]}, aws_options()))
    args = {PodScrape: SCRAPE, Alerts: RULES}.get(component) or GIVEN[component][1]
    return run(lambda: component(name, args, gcp_options()))


AWS: dict[Any, dict[str, Any]] = {
    S3Buckets: {},
    FsxLustre: {},
    AwsStorage: {},
    ClusterAutoscaler: {},
    EksAddon: {"service_account": "trainer", "policy": {"Statement": []}},
}
"""Components that create the roles of their pods inside, with what these need of the arguments."""

LIMITS = {
    S3Buckets: 106,
    FsxLustre: 105,
    ClusterAutoscaler: 113,
    EksAddon: 113,
    EksCluster: 39,
    PodIdentity: 113,
    GcpNetwork: 48,
    Filestore: 49,
    GkeCluster: 47,
    GkeComputeClass: 63,
    PodScrape: 253,
    Alerts: 253,
}


@pytest.mark.parametrize("component", LIMITS, ids=lambda each: each.__name__)
class TestNamesOfComponents:
    def test_a_name_may_be_as_long_as_the_names_made_of_it_allow(self, component: Any) -> None:
        limit = LIMITS[component]
        made(component, "a" * limit)
        with pytest.raises(pulumi.RunError, match=rf"one value(.|\n)*  name = 'aaa(.|\n)*up to {limit} "):
            made(component, "a" * (limit + 1))

    def test_characters_that_are_refused_in_names(self, component: Any) -> None:
        with pytest.raises(pulumi.RunError, match="fix: rename the component"):
            made(component, "my team/a")


@pytest.mark.parametrize("component", AWS, ids=lambda each: each.__name__)
def test_the_outer_component_refuses_its_name(component: Any) -> None:
    """Otherwise it is registered, and add-ons before the first role."""
    with pytest.raises(pulumi.RunError, match=f"{component.__name__} my team/a: one value"):
        made(component, "my team/a")


def test_names_that_nothing_is_named_after_are_not_limited() -> None:
    """An existing role, or no key for secrets."""
    gke("a" * 60)
    longer = "a" * 60
    args: Any = {
        "cluster_name": "train",
        "version": "1.35",
        "network_id": "vpc-1",
        "private_subnet_ids": {"us-east-1a": "subnet-1", "us-east-1b": "subnet-2"},
        "roles": {"cluster": ROLE},
    }
    run(lambda: EksCluster(longer, args, aws_options()))


@pytest.mark.parametrize(
    ("name", "permissions"),
    [
        ("a" * 200, {"role_arn": ROLE}),
        ("my team/a", {"role_arn": ROLE}),
        ("a" * 200, {}),
        ("a" * 200, {"policy_arns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]}),
    ],
)
def test_a_pod_identity_without_a_policy_of_its_name_may_have_a_long_name(
    name: str, permissions: dict[str, Any]
) -> None:
    """The name of a new role is cut, and an existing role has its own."""
    args: Any = {key: value for key, value in POD.items() if key != "policy"}
    run(lambda: PodIdentity(name, {**args, **permissions}, aws_options()))


def test_a_new_role_has_no_characters_in_its_name_that_iam_refuses() -> None:
    args: Any = {key: value for key, value in POD.items() if key != "policy"}
    with pytest.raises(pulumi.RunError, match="IAM does not accept these characters"):
        run(lambda: PodIdentity("my team/a", args, aws_options()))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"port": "metrics_port"}, "port"),
        ({"port": "prometheus-metrics"}, "port"),
        ({"port": "a--b"}, "port"),
        ({"namespace": "My Team"}, "namespace"),
        ({"match_labels": {"my app": "x"}}, "match_labels.my app"),
        ({"match_labels": {"app": "my app"}}, "match_labels.app"),
    ],
)
def test_a_scrape_that_kubernetes_would_refuse(changes: dict[str, Any], path: str) -> None:
    args: Any = {**SCRAPE, **changes}
    with pytest.raises(pulumi.RunError, match=rf"one value(.|\n)*  {path} = "):
        run(lambda: PodScrape("train", args, gcp_options()))


@pytest.mark.parametrize("account", ["a..b", "a.-b", "-a", "a" * 254, "A", ".a"])
def test_a_name_of_a_service_account_is_a_dns_subdomain(account: str) -> None:
    args: Any = {**POD, "service_account": account}
    with pytest.raises(pulumi.RunError, match="not a valid name of a service account"):
        run(lambda: PodIdentity("train", args, aws_options()))
