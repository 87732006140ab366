"""Two clusters in one program: all URNs differ, and no resource refers to the other cluster."""

from __future__ import annotations

from typing import Any, cast

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
import pytest

from components.gcp.buckets import GcsBuckets
from components.gcp.cluster import GkeCluster, GkeClusterArgs
from components.gcp.compute_class import GkeComputeClass
from components.gcp.existing_network import GcpExistingNetwork
from components.gcp.filestore import Filestore
from components.gcp.identity import WorkloadIdentity
from components.gcp.network import GcpNetwork
from components.gcp.node_pool import GkeNodePool
from components.gcp.services import GcpServices
from components.gcp.storage import GcpStorage
from recording.recorder import run
from recording.recording import Recording
from tests.component.existing_gcp_network import OWNED, network_lookups
from tests.component.gke_cluster import CLUSTER, KEY
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU

PROJECT, REGION = "gpuyard-project", "us-central1"
SPOT = {**GKE_GPU, "capacity": ["spot", "on_demand"]}


def gke(name: str, cloud: pulumi.ProviderResource) -> None:
    """Everything that the library creates for one GKE cluster, with names that begin with `name`."""
    account = pulumi.ResourceOptions(providers=[cloud])
    on = GcpServices(f"{name}-services", {"services": ["container.googleapis.com"]}, account).services
    network = GcpNetwork(
        f"{name}-network", {"region": REGION, "cidr": "10.0.0.0/20", "zones": GCP_ZONES, "services": on}, account
    )
    GcpExistingNetwork(
        f"{name}-existing",
        {**OWNED, "host_project": "host-project", "grant": True},
        account,  # type: ignore[typeddict-item]
    )
    given: dict[str, Any] = {
        "cluster_name": name, "version": "1.35", "project": PROJECT, "location": REGION, "zones": GCP_ZONES,
        "network_id": network.network_id, "subnetwork_id": network.subnetwork_id, "services": on,
        "secrets_key": "new", "disks_key": KEY, "tags": {"team": name},
    }  # fmt: skip
    cluster = GkeCluster(f"{name}-cluster", cast(GkeClusterArgs, given), account)
    inside = pulumi.ResourceOptions(
        providers={"gcp": cloud, "kubernetes": kubernetes.Provider(f"{name}-kubernetes", kubeconfig=cluster.kubeconfig)}
    )
    for pool, spec in (("cpu", GKE_CPU), ("gpu", SPOT)):
        made = GkeNodePool(
            f"{name}-{pool}",
            {
                "pool": spec,  # type: ignore[typeddict-item]
                "zones": GCP_ZONES,
                "location": cluster.location,
                "cluster": cluster.cluster_name,
                "node_service_account": cluster.node_service_account,
            },
            account,
        )
        GkeComputeClass(f"{name}-{pool}", {"node_pool_names": made.node_pool_names}, inside)
    GcpStorage(f"{name}-storage", {"network_id": network.network_id}, inside)
    workload: dict[str, Any] = {"project": PROJECT, "cluster": cluster.cluster_name}
    bucket = {"bucket": "acme-data", "namespace": "ml"}
    GcsBuckets(f"{name}-buckets", {**workload, "buckets": {"data": bucket}}, inside)  # type: ignore[typeddict-item]
    WorkloadIdentity(
        f"{name}-identity",
        {
            **workload,
            "namespace": "ml",
            "service_account": "train",
            "roles": ["roles/pubsub.subscriber"],
            "bucket_roles": {"acme-data": ["roles/storage.objectUser"]},
        },  # type: ignore[typeddict-item]
        account,
    )
    files = {"project": PROJECT, "region": REGION, "zones": GCP_ZONES, "zone": GCP_ZONES[0], "namespace": "ml"}
    Filestore(f"{name}-files", {**files, "network_id": network.network_id}, inside)  # type: ignore[typeddict-item]


@pytest.fixture(scope="module")
def both() -> Recording:
    """Two GKE clusters with everything, of one project."""

    def program() -> None:
        cloud = gcp.Provider("gcp", project=PROJECT, region=REGION)
        for name in ("east", "west"):
            gke(name, cloud)

    return run(program, outputs=network_lookups())


def test_two_gke_clusters_have_the_same_resources_under_different_names(both: Recording) -> None:
    """The recording raises an error if two resources have the same URN, as the engine does."""
    east, west = (
        sorted((found.type, found.name.removeprefix(name)) for found in both.resources.values() if name in found.name)
        for name in ("east", "west")
    )
    assert east == west and len(east) > 40


def test_every_name_begins_with_that_of_its_component(both: Recording) -> None:
    for found in both.resources.values():
        if found.name not in ("gcp", "recorded-stack") and not found.type.startswith("pulumi:"):
            assert found.name.startswith(("east-", "west-")), found.urn


def test_physical_names_of_two_clusters_differ(both: Recording) -> None:
    east, west = both.all(CLUSTER)
    assert {east.inputs["name"], west.inputs["name"]} == {"east", "west"}
    accounts = both.all("gcp:serviceaccount/account:Account")
    assert {found.inputs["accountId"] for found in accounts} == {"east-nodes", "west-nodes"}
    for found in both.all("gcp:container/nodePool:NodePool"):
        assert found.inputs["cluster"] == found.name.partition("-")[0]
        assert found.inputs["location"] == REGION
