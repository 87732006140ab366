"""The nodes of a recorded stack on GKE by Google's documentation, and the same stack in the simulated cloud.

A node is computed here only from the inputs of its node pool, by Google's pages and the sources of its autoscaler
(GoogleCloudPlatform/cluster-autoscaler, 2026-08: labels/system_labels.go, reserved.go) and NVIDIA's guide to MIG. The
code under test (sandbox/gcp/nodes.py) is not used.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

from components import hardware
from recording.recording import Recording
from recording.stacks import GKE, record, recorded, settings
from sandbox.cluster.cloud import Group, NodeShape, Taint
from sandbox.gcp import planes
from sandbox.gcp.fleet import Fleet
from sandbox.gcp.provider import GcpProvider
from sandbox.gcp.store import Store
from sandbox.tests.unit.gcp.stage import POOL, Cloud, FakePlanes
from sandbox.tests.unit.gcp.test_stack import bring_up

STACKS = [*GKE, "variety"]
GPU = "nvidia.com/gpu"
PROVISIONED = {"reserved": "standard", "flex": "flex-start", "spot": "spot", "on_demand": "standard"}
"""Kind of capacity → the value of `cloud.google.com/gke-provisioning`."""

_OWN = "cloud.google.com/gke"
_SPELT = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
_PODS = 110
_MANY_PODS = 128
_SSD_GB = 375
_MEMORY_GB = {
    "nvidia-tesla-a100": 40,
    "nvidia-a100-80gb": 80,
    "nvidia-h100-80gb": 80,
    "nvidia-h100-mega-80gb": 80,
    "nvidia-h200-141gb": 141,
    "nvidia-b200": 180,
    "nvidia-rtx-pro-6000": 96,
}
"""Of GPUs that can be partitioned, as NVIDIA names their profiles."""


_ONE_ZONE = ["us-central1-a"]
_OWN_TAINT = {"key": "team", "value": "vision", "effect": "NoExecute"}
_TRAIN = {"min": 0, "max": 2, "machineTypes": ["g2-standard-12"], "labels": {"workload": "gpu-training"}}
VARIETY: dict[str, dict[str, Any]] = {
    "cpu-workers": {"machineTypes": ["e2-standard-8"], "min": 1, "max": 2},
    "ladder": {
        **_TRAIN,
        "zones": _ONE_ZONE,
        "capacity": ["reserved", "flex", "spot", "on_demand"],
        "reservation": {"name": "l4s"},
        "taints": [_OWN_TAINT],
    },
    "leftovers": {**_TRAIN, "capacity": ["reserved", "on_demand"]},
    "flex": {**_TRAIN, "capacity": ["flex"], "maxRunSeconds": 3600},
    "queued": {**_TRAIN, "capacity": ["flex"], "queued": True},
    "turns": {**_TRAIN, "sharing": {"strategy": "time_sharing", "clients": 4}},
    "mps": {**_TRAIN, "machineTypes": ["g2-standard-24"], "sharing": {"strategy": "mps", "clients": 8}},
    "slices": {**_TRAIN, "zones": _ONE_ZONE, "machineTypes": ["a2-highgpu-1g"], "partition": "1g.5gb"},
    "shared-slices": {
        **_TRAIN,
        "zones": _ONE_ZONE,
        "machineTypes": ["a3-highgpu-8g"],
        "partition": "1g.20gb",
        "sharing": {"strategy": "time_sharing", "clients": 2},
    },
    "attached": {
        **_TRAIN,
        "machineTypes": ["n1-standard-16"],
        "accelerator": {"type": "nvidia-tesla-t4", "count": 2},
        "localSsds": 2,
        "capacity": ["spot", "on_demand"],
    },
    "ssd": {**_TRAIN, "zones": _ONE_ZONE, "machineTypes": ["a2-highgpu-1g"], "localSsds": 1},
    "raw-ssd": {
        **_TRAIN,
        "zones": _ONE_ZONE,
        "machineTypes": ["a2-ultragpu-1g"],
        "scratch": False,
        "diskGib": 150,
        "diskType": "pd-ssd",
    },
    "multi-node": {
        **_TRAIN,
        "zones": ["us-central1-b"],
        "machineTypes": ["a3-ultragpu-8g"],
        "interconnect": True,
        "capacity": ["reserved", "spot"],
    },
    "newest": {**_TRAIN, "machineTypes": ["g4-standard-48"], "partition": "2g.48gb"},
    "own-driver": {**_TRAIN, "driver": "disabled", "imageStreaming": False},
    "each-zone": {**_TRAIN, "zones": ["us-central1-a", "us-central1-b"], "perZone": True},
    "arm": {"machineTypes": ["c4a-standard-8"], "min": 0, "max": 1, "taints": [_OWN_TAINT]},
    "large": {"machineTypes": ["n2-standard-64"], "min": 0, "max": 1, "capacity": ["spot"], "diskGib": 500},
}
"""Pools that no example has, as a stack's file would have them."""


@functools.cache
def stack(name: str) -> tuple[Recording, dict[str, Any]]:
    """A recorded stack on GKE and its pools as written in its file; `variety` is dev-gke with other pools and more pods
    per node."""
    if name != "variety":
        return recorded(name), settings(name)["gpuyard:nodePools"]
    config = settings("dev-gke")
    config["gpuyard:cluster"] = {**config["gpuyard:cluster"], "podsPerNode": _MANY_PODS}
    return record({**config, "gpuyard:nodePools": VARIETY}, "dev-gke"), VARIETY


@dataclass(frozen=True)
class Rung:
    """One node pool of a pool. `name`: of the resource; `id`: the node pool's full name in the cloud; `inputs`: the
    program's inputs; `pods`: the maximum on a node."""

    name: str
    id: str
    inputs: dict[str, Any]
    pods: int = _PODS

    @property
    def node_pool(self) -> str:
        """Name of the node pool in the cloud."""
        return self.id.rpartition("/")[2]

    @property
    def config(self) -> dict[str, Any]:
        return self.inputs["nodeConfig"]

    @property
    def pool(self) -> str:
        return self.config["labels"]["gpuyard.dev/pool"]

    @property
    def capacity(self) -> str:
        return self.config["labels"]["gpuyard.dev/capacity"]

    @property
    def machine(self) -> hardware.MachineType:
        found = hardware.find(hardware.GCP, self.config["machineType"])
        assert found is not None
        return found

    @property
    def accelerator(self) -> dict[str, Any]:
        """The GPUs in the node pool's inputs; empty without any."""
        return next(iter(self.config.get("guestAccelerators") or ()), {})

    @property
    def gpus(self) -> int:
        """The count of `nvidia.com/gpu` on a node: GPUs times partitions times clients."""
        count = int(self.accelerator.get("count", 0))
        return count * _partitions(self.accelerator) * self._clients()

    @property
    def local_ssds(self) -> int:
        """Local SSDs that back the pods' storage."""
        block = self.config.get("ephemeralStorageLocalSsdConfig")
        return int(block["localSsdCount"]) if block else 0

    def expected(self, zone: str) -> NodeShape:
        """The node in a zone, GPUs included."""
        resources = {
            "cpu": f"{self._millicores()}m",
            "memory": f"{self._memory_mib()}Mi",
            "ephemeral-storage": f"{self._disk_mib()}Mi",
            "pods": str(self.pods),
        }
        if self.gpus:
            resources[GPU] = str(self.gpus)
        return NodeShape(self._labels(zone), self._taints(), resources, self.machine.name, zone)

    def _clients(self) -> int:
        return int((self.accelerator.get("gpuSharingConfig") or {}).get("maxSharedClientsPerGpu", 1))

    def _labels(self, zone: str) -> dict[str, str]:
        config = self.config
        labels = {
            "beta.kubernetes.io/instance-type": self.machine.name,
            "node.kubernetes.io/instance-type": self.machine.name,
            "kubernetes.io/arch": {"x86_64": "amd64", "arm64": "arm64"}[self.machine.arch],
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/region": zone[:-2],
            "topology.kubernetes.io/zone": zone,
            "topology.gke.io/zone": zone,
            "iam.gke.io/gke-metadata-server-enabled": "true",
            "cloud.google.com/machine-family": self.machine.name.split("-")[0],
            f"{_OWN}-nodepool": self.node_pool,
            f"{_OWN}-os-distribution": "cos",
            f"{_OWN}-container-runtime": "containerd",
            f"{_OWN}-boot-disk": config["diskType"],
            f"{_OWN}-max-pods-per-node": str(self.pods),
            f"{_OWN}-provisioning": PROVISIONED[self.capacity],
            **{f"disk-type.gke.io/{disk}": "true" for disk in self.machine.disks},
            **config["labels"],
        }
        if self.capacity in ("spot", "flex"):
            labels[f"{_OWN}-{PROVISIONED[self.capacity]}"] = "true"
        if config.get("maxRunDuration"):
            labels[f"{_OWN}-max-run-duration-seconds"] = config["maxRunDuration"].rstrip("s")
        if self.local_ssds:
            labels[f"{_OWN}-ephemeral-storage-local-ssd"] = "true"
        if profile := (self.inputs.get("networkConfig") or {}).get("acceleratorNetworkProfile"):
            labels["gke.networks.io/accelerator-network-profile"] = profile
        if reserved := (config.get("reservationAffinity") or {}).get("values"):
            labels["cloud.google.com/reservation-name"] = reserved[0]
            labels["cloud.google.com/reservation-affinity"] = "specific"
        return labels | self._gpu_labels()

    def _gpu_labels(self) -> dict[str, str]:
        gpu = self.accelerator
        if not gpu:
            return {}
        driver = gpu["gpuDriverInstallationConfig"]["gpuDriverVersion"]
        labels = {
            f"{_OWN}-gpu": "true",
            f"{_OWN}-accelerator": gpu["type"],
            f"{_OWN}-accelerator-count": str(gpu["count"]),
            f"{_OWN}-gpu-driver-version": {
                "DEFAULT": "default",
                "LATEST": "latest",
                "INSTALLATION_DISABLED": "autoinstall-disabled",
            }[driver],
        }
        if gpu.get("gpuPartitionSize"):
            labels[f"{_OWN}-gpu-partition-size"] = gpu["gpuPartitionSize"]
        if sharing := gpu.get("gpuSharingConfig"):
            spelt = {"TIME_SHARING": "time-sharing", "MPS": "mps"}
            labels[f"{_OWN}-gpu-sharing-strategy"] = spelt[sharing["gpuSharingStrategy"]]
            labels["cloud.google.com/gke-max-shared-clients-per-gpu"] = str(self._clients())
        return labels

    def _taints(self) -> tuple[Taint, ...]:
        """The pool's taints. GKE adds one only to queued nodes: the inputs contain the GPU taint and disable the Arm
        one."""
        found = [Taint(t["key"], t["value"], _SPELT[t["effect"]]) for t in self.config.get("taints") or ()]
        if self.inputs.get("queuedProvisioning"):
            found.append(Taint("cloud.google.com/gke-queued", "true", "NoSchedule"))
        return tuple(found)

    def _millicores(self) -> int:
        """The kubelet reserves 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of the
        others, and 400 millicores for more than 110 pods."""
        assert self.machine.vcpu >= 4
        many = 400 if self.pods > _PODS else 0
        return self.machine.vcpu * 1000 - (80 + int(2.5 * (self.machine.vcpu - 4))) - many

    def _memory_mib(self) -> int:
        """The kubelet's share of each thousand MiB (25 % up to 4, 20 % to 8, 10 % to 16, 6 % to 128, then 2 %), 4 % of
        that once more with image streaming, and the 100 MiB below which pods are evicted."""
        shares = [0.25] * 4 + [0.2] * 4 + [0.1] * 8 + [0.06] * 112
        thousands = Fraction(self.machine.memory_mib, 1000)
        kept = sum(share * float(min(1, max(0, thousands - n))) * 1000 for n, share in enumerate(shares))
        kept += max(0.0, float(thousands) - 128) * 20
        streaming = int(kept * 0.04) if (self.config.get("gcfsConfig") or {}).get("enabled") else 0
        return self.machine.memory_mib - int(kept) - streaming - 100

    def _disk_mib(self) -> int:
        """A tenth is the eviction threshold. Of a boot disk, GKE reserves 6 GiB and 35 %, but at most half of it and at
        most 100 GiB; of local SSDs 50, 75 or 100 GiB for one, two and more of them."""
        if self.local_ssds:
            size = self.local_ssds * _SSD_GB * 10**9 / 2**30
            kept = {1: 50.0, 2: 75.0}.get(self.local_ssds, 100.0)
        else:
            size = float(self.config["diskSizeGb"])
            kept = min(size / 2, 6 + size * 0.35, 100)
        return int((size * 0.9 - kept) * 1024)


def _partitions(gpu: dict[str, Any]) -> int:
    """How many instances of a MIG profile fit on one GPU: a profile such as `2g.20gb` takes two of its seven compute
    slices and as many of its eight memory slices as hold 20 GB. RTX PRO 6000 has four of each."""
    profile = gpu.get("gpuPartitionSize")
    if not profile:
        return 1
    compute, memory = (int(part.rstrip("gb")) for part in profile.split("."))
    slices, rooms = (4, 4) if gpu["type"] == "nvidia-rtx-pro-6000" else (7, 8)
    return min(slices // compute, rooms // max(1, round(memory * rooms / _MEMORY_GB[gpu["type"]])))


@dataclass(frozen=True)
class Environment:
    """A recorded stack in the simulated cloud. `classes`: the ComputeClasses that the program makes."""

    fleet: Fleet
    rungs: list[Rung]
    classes: list[dict[str, Any]]

    def group(self, rung: Rung) -> Group:
        """The autoscaler's data about the rung's node pool."""
        return next(group for group in self.fleet.groups() if group.id == rung.id)

    def rung(self, name: str) -> Rung:
        return next(rung for rung in self.rungs if rung.name == name)


def environment(made: Recording, folder: Path) -> Environment:
    """Creates a recorded stack's cluster and pools in a store in `folder`, without a control plane."""
    store = Store(folder / "objects.sqlite")
    pretended = FakePlanes(store)
    cloud = Cloud(GcpProvider(store), pretended)
    with mock.patch.object(planes, "control_planes", lambda: pretended):
        bring_up(cloud, made)
    ids = {name: id for id, (token, name, _, _) in cloud.made.items() if token == POOL}
    pools = made.all(POOL)
    (control_plane,) = made.all("gcp:container/cluster:Cluster")
    pods = int(control_plane.inputs.get("defaultMaxPodsPerNode") or _PODS)
    rungs = [Rung(pool.name, ids[pool.name], pool.inputs, pods) for pool in pools]
    names = {pool.outputs["name"]: ids[pool.name].rpartition("/")[2] for pool in pools}
    cluster = rungs[0].id.split("/")
    classes = [_renamed(found.inputs, names) for found in made.all("kubernetes:cloud.google.com/v1:ComputeClass")]
    return Environment(Fleet(cluster[1], cluster[3], cluster[5], store), rungs, classes)


def _renamed(compute_class: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The class with the cloud's names of the node pools instead of those that the recording made up."""
    spec = compute_class["spec"]
    priorities = [{**each, "nodepools": [names[pool] for pool in each["nodepools"]]} for each in spec["priorities"]]
    return {**compute_class, "spec": {**spec, "priorities": priorities}}
