"""A separate store for every test, and the provider on it; the nodes of its clusters are Ready at once."""

from __future__ import annotations

import pytest

from sandbox.gcp import node_pools, planes
from sandbox.gcp.provider import GcpProvider
from sandbox.gcp.store import Store
from sandbox.tests.unit.gcp.stage import CLUSTER, NETWORK, PROJECT, SUBNETWORK, Cloud, FakePlanes, cluster_props


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))
    return Store()


@pytest.fixture
def cloud(store, monkeypatch) -> Cloud:
    made = FakePlanes(store)
    monkeypatch.setattr(planes, "control_planes", lambda: made)
    monkeypatch.setattr(node_pools, "NODES_SECONDS", 0.5)
    provider = GcpProvider(store)
    provider.configure({"project": PROJECT, "region": "us-central1"})
    return Cloud(provider, made)


@pytest.fixture
def network(cloud) -> str:
    return cloud.create(NETWORK, {"name": "net", "autoCreateSubnetworks": False})[0]


@pytest.fixture
def subnetwork(cloud, network) -> str:
    return cloud.create(
        SUBNETWORK,
        {
            "name": "nodes",
            "network": network,
            "ipCidrRange": "10.0.0.0/20",
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"},
                {"rangeName": "services", "ipCidrRange": "10.8.0.0/20"},
            ],
        },
    )[0]


@pytest.fixture
def cluster(cloud, network, subnetwork) -> str:
    return cloud.create(CLUSTER, cluster_props(network, subnetwork))[0]
