"""A Service's load balancer and a claim's disk in Google Cloud, and their deletion."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from sandbox.cluster.load_balancers import CannotBalance
from sandbox.gcp import discovery, firewalls, store
from sandbox.gcp.disks import DISKS, Disks
from sandbox.gcp.endpoint_groups import GROUPS, EndpointGroups
from sandbox.gcp.load_balancers import COLLECTIONS, LoadBalancers
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import POOL, PROJECT, cpu_pool

SCHEMAS = {
    "compute.forwardingRules": "ForwardingRule",
    "compute.targetPools": "TargetPool",
    "compute.regionBackendServices": "BackendService",
    "compute.networkEndpointGroups": "NetworkEndpointGroup",
    "compute.firewalls": "Firewall",
    "compute.healthChecks": "HealthCheck",
    "compute.httpHealthChecks": "HttpHealthCheck",
    "compute.disks": "Disk",
}
INTERNAL = {"networking.gke.io/load-balancer-type": "Internal"}
BACKEND = {"cloud.google.com/l4-rbs": "enabled"}


def service(name: str = "web", annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 443}, {"port": 80}]
    meta = {"namespace": "default", "name": name, "annotations": annotations or {}}
    return {"metadata": meta, "spec": {"type": "LoadBalancer", "ports": ports, **spec}}


def volume(name: str = "pvc-1", policy: str = "Delete", size: str = "20Gi") -> dict[str, Any]:
    claim = {"namespace": "default", "name": f"claim-of-{name}"}
    spec = {"capacity": {"storage": size}, "persistentVolumeReclaimPolicy": policy, "claimRef": claim}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture
def balancers(cloud, cluster) -> LoadBalancers:
    return LoadBalancers(PROJECT, "us-central1", "yard", cloud.store)


@pytest.fixture
def groups(cloud, cluster) -> EndpointGroups:
    return EndpointGroups(PROJECT, "us-central1", "yard", cloud.store)


@pytest.fixture
def disks(cloud, cluster) -> Disks:
    return Disks(PROJECT, "us-central1", "yard", cloud.store)


def made(cloud) -> dict[str, list[str]]:
    """Collection → short names, without the cluster's own firewall rules."""
    found: dict[str, list[str]] = {}
    for collection, name, _ in cloud.store.select():
        short = name.rsplit("/", 1)[-1]
        if collection in (*COLLECTIONS, GROUPS) and not short.startswith("gke-yard-"):
            found.setdefault(collection.removeprefix("compute."), []).append(short)
    return found


def test_an_external_service_gets_a_target_pool_and_firewall_rules(cloud, cluster, balancers) -> None:
    address = balancers.ensure("a1", service())
    (rule,) = [body for _, _, body in cloud.store.select("compute.forwardingRules")]
    assert (rule["IPAddress"], rule["portRange"], rule["name"]) == (address, "80-443", "a1")
    found = made(cloud)
    assert found["targetPools"] == ["a1"] and "networkEndpointGroups" not in found
    clients, probes = sorted(found["firewalls"], reverse=True)
    assert clients == "k8s-fw-a1" and probes.startswith("k8s-") and probes.endswith("-node-http-hc")
    rules = {name.rsplit("/", 1)[-1]: body for _, name, body in cloud.store.select(firewalls.FIREWALLS)}
    assert rules["k8s-fw-a1"]["sourceRanges"] == ["0.0.0.0/0"]
    assert len({tuple(rule["targetTags"]) for rule in rules.values()}) == 1, "the nodes of this cluster"
    assert balancers.ensure("a1", service()) == address, "an attempt that was cut off is gone on with"


@pytest.mark.parametrize(
    ("annotations", "spec", "internal"),
    [
        (INTERNAL, {}, True),
        ({}, {"loadBalancerClass": "networking.gke.io/l4-regional-internal"}, True),
        (BACKEND, {}, False),
        ({}, {"loadBalancerClass": "networking.gke.io/l4-regional-external"}, False),
    ],
)
def test_a_backend_service_has_an_endpoint_group_in_each_zone(
    cloud, cluster, subnetwork, balancers, annotations, spec, internal
) -> None:
    address = balancers.ensure("a1", service("web", annotations, **spec))
    zones = cloud.store.get("container.clusters", cluster)["locations"]
    groups = [body for _, _, body in cloud.store.select(GROUPS)]
    assert sorted(body["zone"] for body in groups) == sorted(zones)
    assert {body["networkEndpointType"] for body in groups} == {"GCE_VM_IP"}
    assert (ipaddress.ip_address(address) in ipaddress.ip_network("10.0.0.0/20")) == internal
    found = made(cloud)
    assert found["regionBackendServices"] == [groups[0]["name"]] and "targetPools" not in found
    assert any(name.endswith("-l4-shared-hc-fw") for name in found["firewalls"])
    assert all(len(name) <= 63 for names in found.values() for name in names)


def test_from_1_37_on_every_external_service_has_a_backend_service(cloud, cluster, balancers) -> None:
    version = {"currentMasterVersion": "1.37.1-gke.1000000"}
    cloud.store.update("container.clusters", cluster, lambda body: {**body, **version})
    balancers.ensure("a1", service())
    assert "targetPools" not in made(cloud) and "networkEndpointGroups" in made(cloud)


def test_services_of_other_controllers_are_ignored(balancers) -> None:
    assert balancers.serves(service()) and not balancers.serves(service(loadBalancerClass="example.org/own"))


@pytest.mark.parametrize("annotations", [{}, INTERNAL, BACKEND])
def test_removing_a_load_balancer_deletes_its_parts_and_the_last_one_the_shared_parts(
    cloud, balancers, groups, annotations
) -> None:
    """All but the endpoint groups, which another controller collects later."""
    services = {name: service(name, annotations) for name in ("a1", "a2")}
    assert len({balancers.ensure(name, each) for name, each in services.items()}) == 2
    balancers.remove("a1")
    left = made(cloud)
    assert len(left["firewalls"]) == 2 and len(left["forwardingRules"]) == 1
    balancers.remove("a2")
    assert set(made(cloud)) == ({"networkEndpointGroups"} if annotations else set())
    for name in (name for each in services.values() for name in groups.names(each)):
        assert groups.remove(name)
    assert made(cloud) == {}
    balancers.remove("a2")  # a second removal is not an error


def test_an_endpoint_group_in_use_is_not_collected(cloud, balancers, groups) -> None:
    wanted = service("web", INTERNAL)
    balancers.ensure("a1", wanted)
    (name,) = groups.names(wanted)
    assert groups.remove(name) is False and len(cloud.store.select(GROUPS)) == 3
    balancers.remove("a1")
    assert groups.remove(name) is True and cloud.store.select(GROUPS) == []


def test_an_uncollected_endpoint_group_blocks_the_network(cloud, cluster, subnetwork, groups) -> None:
    """seed row S01: the leftovers of a cluster that is deleted too early."""
    groups.ensure("k8s2-web")
    cloud.delete(cluster)
    with pytest.raises(ProviderError, match=r"already being used by '.*/networkEndpointGroups/k8s2-web'"):
        cloud.delete(subnetwork)


def test_a_service_gets_the_endpoint_groups_of_its_annotation(cloud, groups) -> None:
    asked = {"cloud.google.com/neg": '{"exposed_ports": {"80": {}, "443": {}}}'}
    names = groups.names({**service("web", asked), "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
    assert len(names) == 2 and all(name.startswith("k8s1-") and len(name) <= 63 for name in names)
    assert groups.names(service()) == [], "a target pool has none"
    for name in names:
        groups.ensure(name)
    assert {body["networkEndpointType"] for _, _, body in cloud.store.select(GROUPS)} == {"GCE_VM_IP_PORT"}
    broken = service("web", {"cloud.google.com/neg": "yes"})
    assert groups.names(broken) == []


@pytest.mark.parametrize("annotations", [{}, INTERNAL])
def test_leftovers_of_a_deleted_cluster_block_the_network_and_are_named(
    cloud, cluster, network, subnetwork, annotations
):
    """seed row S01: as on the real cloud, where a Service's load balancer remains after its cluster is deleted."""
    LoadBalancers(PROJECT, "us-central1", "yard", cloud.store).ensure("a1", service("web", annotations))
    cloud.delete(cluster)
    if not annotations:
        cloud.delete(subnetwork)
    with pytest.raises(ProviderError, match=r"already being used by '.*k8s"):
        cloud.delete(subnetwork if annotations else network)
    assert any("forwardingRules" in entry for entry in store.leftovers())
    assert any("firewalls" in entry and "k8s" in entry for entry in store.leftovers())


def test_a_deleted_cluster_gets_no_load_balancer(cloud, cluster, balancers) -> None:
    cloud.delete(cluster)
    with pytest.raises(CannotBalance, match="404"):
        balancers.ensure("a1", service())


@pytest.mark.parametrize("annotations", [{}, INTERNAL, BACKEND])
def test_the_request_bodies_match_the_api(cloud, balancers, disks, annotations) -> None:
    balancers.ensure("a1", service("web", annotations))
    disks.make(volume(), {"type": "hyperdisk-balanced", "provisioned-iops-on-create": "16000"}, "us-central1-a")
    looked = 0
    for collection, name, body in cloud.store.select():
        if collection in SCHEMAS:
            public = {key: value for key, value in body.items() if key != "_sandbox"}
            wrong = discovery.check("compute.beta", SCHEMAS[collection], public)
            assert [each for each in wrong if "is set by the API" not in each[1]] == [], name
            looked += 1
    assert looked > 8


def test_a_disk_has_its_clusters_labels_and_is_deleted(cloud, disks) -> None:
    given = {"type": "pd-balanced", "labels": "team=ml,stage="}
    handle = disks.make(volume(size="20.5Gi"), given, "us-central1-a")
    assert handle == f"projects/{PROJECT}/zones/us-central1-a/disks/pvc-1"
    body = cloud.store.get(DISKS, handle)
    assert body["labels"]["goog-k8s-cluster-name"] == "yard" and body["sizeGb"] == "21"
    assert (body["labels"]["team"], body["labels"]["stage"]) == ("ml", "")  # field case A8
    assert "claim-of-pvc-1" in body["description"] and body["type"].endswith("/pd-balanced")
    assert disks.make(volume(), {"type": "pd-balanced"}, "us-central1-a") == handle
    assert store.kept() == [] and f"{DISKS} {handle}" in store.leftovers()
    disks.remove(handle)
    disks.remove(handle)
    assert cloud.store.select(DISKS) == []


def test_a_retained_disk_is_kept_and_not_a_leftover(disks) -> None:
    handle = disks.make(volume(policy="Retain"), {"type": "pd-ssd"}, "us-central1-a")
    assert store.kept() == [f"{DISKS} {handle}"]
    assert not [entry for entry in store.leftovers() if handle in entry]


@pytest.mark.parametrize(("machine", "kind"), [("n2-standard-8", "pd-ssd"), ("c4-standard-8", "hyperdisk-balanced")])
def test_a_dynamic_disk_has_a_type_that_the_machines_support(cloud, cluster, disks, machine, kind) -> None:
    cloud.create(POOL, cpu_pool(cluster, nodeConfig={"machineType": machine}))
    rates = {"provisioned-iops-on-create": "16000", "provisioned-throughput-on-create": "1000Mi"}
    wanted = {"type": "dynamic", "pd-type": "pd-ssd", "hyperdisk-type": "hyperdisk-balanced", **rates}
    body = cloud.store.get(DISKS, disks.make(volume(), wanted, "us-central1-a"))
    assert body["type"].endswith(kind)
    assert body.get("provisionedThroughput") == ("1000" if "hyperdisk" in kind else None)
