"""Components on Google Cloud: labels are checked, outputs are accepted, and wrapped resources are attributes."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
import pytest

from components import arguments
from components.gcp import (
    buckets,
    cluster,
    compute_class,
    existing_network,
    filestore,
    identity,
    network,
    node_pool,
    services,
    storage,
)
from recording.recorder import run
from tests.component.existing_gcp_network import OWNED, network_lookups
from tests.component.gke_cluster import DEFAULTS
from tests.component.stage import GCP_ZONES, GKE_CPU, gcp_options

PLACE = {"project": "my-project", "region": "us-central1", "zones": GCP_ZONES}
POOL = {
    "pool": GKE_CPU,
    "zones": GCP_ZONES,
    "location": "us-central1",
    "cluster": "train",
    "node_service_account": "nodes@my-project.iam.gserviceaccount.com",
}
WORKLOAD = {"project": "my-project", "cluster": "train"}
GIVEN: dict[type[pulumi.ComponentResource], tuple[Any, dict[str, Any]]] = {
    buckets.GcsBuckets: (
        buckets.GcsBucketsArgs, {**WORKLOAD, "buckets": {"data": {"bucket": "acme", "namespace": "ml"}}}
    ),
    cluster.GkeCluster: (cluster.GkeClusterArgs, DEFAULTS),
    compute_class.GkeComputeClass: (compute_class.GkeComputeClassArgs, {"node_pool_names": ["a"]}),
    existing_network.GcpExistingNetwork: (existing_network.GcpExistingNetworkArgs, OWNED),
    filestore.Filestore: (
        filestore.FilestoreArgs, {**PLACE, "zone": GCP_ZONES[0], "network_id": "n", "namespace": "ml"}
    ),
    identity.WorkloadIdentity: (
        identity.WorkloadIdentityArgs,
        {**WORKLOAD, "namespace": "ml", "service_account": "train", "roles": ["roles/pubsub.subscriber"]},
    ),
    network.GcpNetwork: (
        network.GcpNetworkArgs, {"region": "us-central1", "cidr": "10.0.0.0/20", "zones": GCP_ZONES}
    ),
    node_pool.GkeNodePool: (node_pool.GkeNodePoolArgs, POOL),
    services.GcpServices: (services.GcpServicesArgs, {"services": ["container.googleapis.com"]}),
    storage.GcpStorage: (storage.GcpStorageArgs, {"network_id": "n"}),
}  # fmt: skip
"""Component → the type of its arguments, and the arguments that it requires."""

WITH_TAGS = [found for found, (declared, _) in GIVEN.items() if "tags" in arguments.shape(declared).fields]


def make(component: type[pulumi.ComponentResource], **changes: Any) -> pulumi.ComponentResource:
    """The component under the recorder, with some arguments changed."""
    made: list[pulumi.ComponentResource] = []
    run(
        lambda: made.append(component("x", {**GIVEN[component][1], **changes}, gcp_options())),
        outputs=network_lookups(),
    )
    return made[0]


@pytest.mark.parametrize("component", WITH_TAGS)
def test_invalid_labels_are_refused(component: Any) -> None:
    with pytest.raises(pulumi.RunError, match=r"one value(.|\n)*tags\.Team = .*not a valid label key of Google Cloud"):
        make(component, tags={"Team": "vision"})


def test_every_component_with_labels_accepts_tags() -> None:
    assert {found.__name__ for found in WITH_TAGS} == {"Filestore", "GcpStorage", "GkeCluster", "GkeNodePool"}


@pytest.mark.parametrize(
    ("component", "attribute", "kind"),
    [
        (buckets.GcsBuckets, "volumes", kubernetes.core.v1.PersistentVolume),
        (cluster.GkeCluster, "resource", gcp.container.Cluster),
        (compute_class.GkeComputeClass, "resource", kubernetes.apiextensions.CustomResource),
        (filestore.Filestore, "resource", gcp.filestore.Instance),
        (filestore.Filestore, "volume", kubernetes.core.v1.PersistentVolume),
        (identity.WorkloadIdentity, "project_members", gcp.projects.IAMMember),
        (network.GcpNetwork, "resource", gcp.compute.Network),
        (network.GcpNetwork, "subnetwork", gcp.compute.Subnetwork),
        (node_pool.GkeNodePool, "node_pools", gcp.container.NodePool),
        (services.GcpServices, "resources", gcp.projects.Service),
        (storage.GcpStorage, "storage_classes", kubernetes.storage.v1.StorageClass),
    ],
)
def test_wrapped_resources_are_attributes(component: Any, attribute: str, kind: type) -> None:
    found = getattr(make(component), attribute)
    several = list(found.values()) if isinstance(found, dict) else found
    for each in several if isinstance(several, list) else [several]:
        assert isinstance(each, kind)


def test_a_location_can_be_an_output() -> None:
    made = run(
        lambda: node_pool.GkeNodePool("x", {**POOL, "location": pulumi.Output.from_input("us-east1")}, gcp_options())  # type: ignore[typeddict-item]
    )
    assert made.one("gcp:container/nodePool:NodePool").inputs["location"] == "us-east1"
    cluster_made = make(cluster.GkeCluster)
    assert isinstance(cluster_made, cluster.GkeCluster) and isinstance(cluster_made.location, pulumi.Output)


def test_a_pool_without_a_standard_zone_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match=r"zones = \[\]: has no standard zone"):
        make(node_pool.GkeNodePool, zones=[])


def test_problems_of_a_pool_name_the_argument_that_holds_it() -> None:
    with pytest.raises(pulumi.RunError, match=r"  pool\.min = 2: "):
        make(node_pool.GkeNodePool, pool={**GKE_CPU, "max": 1, "min": 2})
