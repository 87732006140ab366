"""The provider for tests, fake control planes, and typical inputs of a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sandbox.gcp import groups
from sandbox.gcp.fleet import Fleet
from sandbox.gcp.provider import GcpProvider
from sandbox.gcp.store import Store
from sandbox.plugins.provider import CheckFailure, Diff, Props

BUCKET, FILESTORE = "gcp:storage/bucket:Bucket", "gcp:filestore/instance:Instance"
RING, KEY = "gcp:kms/keyRing:KeyRing", "gcp:kms/cryptoKey:CryptoKey"
SERVICE, ADDRESS = "gcp:projects/service:Service", "gcp:compute/address:Address"
PROJECT_MEMBER, ACCOUNT_MEMBER = "gcp:projects/iAMMember:IAMMember", "gcp:serviceaccount/iAMMember:IAMMember"
PROJECT = "ml-sandbox"
NETWORK = "gcp:compute/network:Network"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
ROUTER = "gcp:compute/router:Router"
NAT = "gcp:compute/routerNat:RouterNat"
FIREWALL = "gcp:compute/firewall:Firewall"
CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
ACCOUNT = "gcp:serviceaccount/account:Account"


class FakePlanes:
    """Replaces sandbox.cluster.control_plane."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.started: dict[str, str] = {}
        self.stopped: list[str] = []
        self.ready = True
        self.broken = False
        self.objects: list[Props] = []

    def start(self, key: str, version: str) -> Any:
        if self.broken:
            raise RuntimeError("no port")
        self.started[key] = version
        return self.get(key)

    def stop(self, key: str) -> None:
        self.stopped.append(key)
        self.started.pop(key, None)

    def get(self, key: str) -> Any:
        if key not in self.started:
            return None
        return SimpleNamespace(
            endpoint="https://127.0.0.1:6443",
            ca_data="Q0E=",
            api=lambda: SimpleNamespace(
                list=self._nodes, get=lambda path: None, create=lambda path, body: self.objects.append(body)
            ),
        )

    def _nodes(self, path: str, **selectors: str) -> list[Props]:
        status = "True" if self.ready else "False"
        return [
            {"metadata": {"name": body["name"]}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
            for _, _, body in self.store.select(groups.INSTANCES)
        ]


class Cloud:
    """The provider as the engine uses it, with one method per step."""

    def __init__(self, provider: GcpProvider, planes: FakePlanes) -> None:
        self.provider = provider
        self.planes = planes
        self.store = provider.store
        self.made: dict[str, tuple[str, str, Props, Props]] = {}

    def check(self, token: str, props: Props, name: str = "thing", olds: Props | None = None):
        return self.provider.check(token, urn(token, name), olds or {}, props, b"seed")

    def failures(self, token: str, props: Props) -> list[CheckFailure]:
        return self.check(token, props)[1]

    def create(self, token: str, props: Props, name: str = "thing") -> tuple[str, Props]:
        inputs, failures = self.check(token, props, name)
        assert not failures, failures
        id, outputs = self.provider.create(token, urn(token, name), inputs, False, 1)
        self.made[id] = (token, name, inputs, outputs)
        return id, outputs

    def diff(self, id: str, **news: Any) -> Diff:
        token, name, inputs, outputs = self.made[id]
        checked, failures = self.check(token, {**inputs, **news}, name, inputs)
        assert not failures, failures
        return self.provider.diff(token, urn(token, name), id, inputs, outputs, checked)

    def update(self, id: str, timeout: float = 0, **news: Any) -> Props:
        token, name, inputs, outputs = self.made[id]
        checked, failures = self.check(token, {**inputs, **news}, name, inputs)
        assert not failures, failures
        new = self.provider.update(token, urn(token, name), id, inputs, outputs, checked, False, timeout)
        self.made[id] = (token, name, checked, new)
        return new

    def read(self, id: str) -> tuple[str, Props, Props] | None:
        token, name, inputs, outputs = self.made[id]
        return self.provider.read(token, urn(token, name), id, inputs, outputs)

    def take(self, token: str, id: str) -> tuple[str, Props, Props] | None:
        """Imports."""
        return self.provider.read(token, urn(token, "taken"), id, {}, {})

    def delete(self, id: str) -> None:
        token, name, inputs, outputs = self.made[id]
        self.provider.delete(token, urn(token, name), id, inputs, outputs, 1)
        del self.made[id]


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:dev::gpuyard::{token}::{name}"


def cluster_props(network: str, subnetwork: str, **more: Any) -> Props:
    return {
        "name": "yard",
        "location": "us-central1",
        "network": network,
        "subnetwork": subnetwork,
        "removeDefaultNodePool": True,
        "initialNodeCount": 1,
        "deletionProtection": False,
        "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
        "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
        "releaseChannel": {"channel": "REGULAR"},
        "monitoringConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "DCGM"], "managedPrometheus": {"enabled": True}},
        "resourceLabels": {"team": "ml"},
        **more,
    }


def cpu_pool(cluster: str, **more: Any) -> Props:
    return {
        "cluster": cluster,
        "name": "cpu",
        "autoscaling": {"totalMinNodeCount": 2, "totalMaxNodeCount": 20},
        "nodeConfig": {"machineType": "n2-standard-8", "labels": {"gpuyard.dev/pool": "cpu-workers"}},
        **more,
    }


def gpu_pool(cluster: str, config: Props | None = None, **more: Any) -> Props:
    return {
        "cluster": cluster,
        "name": "gpu",
        "nodeLocations": ["us-central1-a"],
        "autoscaling": {"minNodeCount": 0, "maxNodeCount": 10},
        "nodeConfig": {
            "machineType": "g2-standard-8",
            "guestAccelerators": [{"type": "nvidia-l4", "count": 1}],
            "labels": {"gpuyard.dev/pool": "gpu-workers", "workload": "gpu-training"},
            **(config or {}),
        },
        **more,
    }


def fleet(cloud: Any) -> Fleet:
    """The machines of the cluster `yard`, as its autoscaler sees them."""
    return Fleet(PROJECT, "us-central1", "yard", cloud.store)
