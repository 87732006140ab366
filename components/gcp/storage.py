"""Volumes on Google Cloud: disks for one pod, Filestore shared by many, and the classes that hand them out.

Not here: a file system of the environment's own (`filestore.py`), buckets as volumes (`buckets.py`), and keys, which
are given (Google encrypts everything with its own otherwise; Filestore always).
"""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import checks, hardware, versions
from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, snapshot_class, storage_class

_DISKS = "pd.csi.storage.gke.io"
FILESTORE_DRIVER = "filestore.csi.storage.gke.io"

FILESTORE_TIER = "zonal"
FILESTORE_TIERS = ("standard", "premium", "zonal", "regional", "enterprise")
# Of one share of an instance that several claims share (gcp-filestore-csi-driver, multishare).
_MULTISHARE_TIER = "enterprise"

# Hyperdisk Balanced at the rate that EKS's block-fast has: the most MiB/s that go with the IOPS of every disk. A disk
# takes 500 IOPS for each GiB, so a volume of the class has 6 GiB at least.
_FAST = {"provisioned-iops-on-create": "3000", "provisioned-throughput-on-create": "750Mi"}
# From 1.35.3-gke.1290000 on (google/skills, gke-compute-classes, 2026-08).
_DYNAMIC_FROM = (1, 35)


class GcpStorageArgs(TypedDict):
    """`network_id`: the VPC in which Filestore instances are reached; `shared_vpc`: it belongs to another project
    (default false). `machine_types`: of all pools; the disks are of a kind that each of them takes. `version`: of
    Kubernetes. `filestore_tier`: of the class `shared`: `standard` (HDD), `premium`, `zonal` (default), `regional` or
    `enterprise`, in the Filestore CSI driver's spelling. `filestore_multishare`: claims of the class share instances
    instead of having one each (default false; enterprise only, up to 1 TiB each). `client_cidrs`: who may mount a file
    system of the class `shared` (default: the whole VPC and what is connected to it; with multishare always so).
    `disks_key`: encrypts the disks of claims (default: Google's own). `tags`: labels of disks and instances of claims,
    which the provider's default labels do not reach."""

    network_id: pulumi.Input[str]
    shared_vpc: NotRequired[bool]
    machine_types: NotRequired[list[str]]
    version: NotRequired[str]
    filestore_tier: NotRequired[str]
    filestore_multishare: NotRequired[bool]
    client_cidrs: NotRequired[list[str]]
    disks_key: NotRequired[pulumi.Input[str]]
    tags: NotRequired[dict[str, str]]


def problems(args: GcpStorageArgs) -> Iterator[Problem]:
    """Everything that is wrong with the storage's arguments, seen without asking Google."""
    tier = args.get("filestore_tier", FILESTORE_TIER)
    yield from checks.one_of("filestore_tier", tier, FILESTORE_TIERS)
    if args.get("filestore_multishare", False) and tier != _MULTISHARE_TIER:
        yield Problem(
            "filestore_multishare", True, f"instances of the tier {tier} hold one volume each",
            f"false, or the tier {_MULTISHARE_TIER}", f"write filestoreTier: {_MULTISHARE_TIER}, or remove it",
        )  # fmt: skip
    kind, version = disk_kind(args.get("machine_types", [])), args.get("version", "")
    if kind == "dynamic" and (minor := versions.minor(version)) and minor < _DYNAMIC_FROM:
        yield Problem(
            "", version, "some pools take persistent disks only and others hyperdisks only, and a storage class for "
            "both takes a later Kubernetes", "1.35 and later, or pools of one kind",
            "write cluster.version: 1.35, or choose machine types of one kind",
        )  # fmt: skip


def disk_kind(machine_types: list[str]) -> str:
    """What volumes are, so that every pool takes them: `hyperdisk` where all take Hyperdisk Balanced, else `pd` where
    all take persistent disks, else `dynamic`: the driver chooses by the node."""
    machines = [machine for name in machine_types if (machine := hardware.find(hardware.GCP, name))]
    if machines and all("hyperdisk-balanced" in machine.disks for machine in machines):
        return "hyperdisk"
    return "pd" if all("pd-balanced" in machine.disks for machine in machines) else "dynamic"


def disk_parameters(kind: str, fast: bool) -> dict[str, str]:
    """Parameters of the disk driver (gcp-compute-persistent-disk-csi-driver, pkg/parameters) for a `disk_kind`."""
    disk, rate = "pd-ssd" if fast else "pd-balanced", _FAST if fast else {}
    if kind == "pd":
        return {"type": disk}
    if kind == "hyperdisk":
        return {"type": "hyperdisk-balanced", **rate}
    return {
        "type": "dynamic",
        "pd-type": disk,
        "hyperdisk-type": "hyperdisk-balanced",
        # Pods with such a volume are put on nodes that take its kind, and the autoscaler adds no others.
        "use-allowed-disk-topology": "true",
        # The driver leaves out what a persistent disk does not have.
        **rate,
    }


class GcpStorage(pulumi.ComponentResource):
    """The storage classes `block` (default), `block-fast` and `shared`, and the snapshot class `block`; GKE runs their
    drivers and the snapshot controller.

    GKE's own class standard-rwo stays a default, too; of two defaults Kubernetes uses the newer one, which is `block`.
    A Filestore instance is made with the first claim and not before: it is billed by the hour, from one TiB on (premium
    2.5 TiB) whatever the claim asks for.

    Takes the provider `kubernetes`.
    """

    storage_class_names: pulumi.Output[list[str]]
    """Names of the storage classes, the default one first."""

    def __init__(self, name: str, args: GcpStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpStorage", name, None, opts)
        checks.refuse(problems(args), f"GcpStorage {name}")
        kind = disk_kind(args.get("machine_types", []))
        key: dict[str, pulumi.Input[str]] = (
            {"disk-encryption-kms-key": args["disks_key"]} if "disks_key" in args else {}
        )
        labels = _labels(args)
        slow, fast = ({**disk_parameters(kind, fast=fast), **key, **labels} for fast in (False, True))
        classes = [
            storage_class(f"{name}-block", BLOCK, _DISKS, slow, self, []),
            storage_class(f"{name}-block-fast", BLOCK_FAST, _DISKS, fast, self, []),
            storage_class(f"{name}-shared", SHARED, FILESTORE_DRIVER, _files(args), self, []),
        ]
        snapshot_class(f"{name}-block-snapshots", _DISKS, self, [])
        self.storage_class_names = pulumi.Output.all(*[made.metadata.name for made in classes])
        self.register_outputs({"storageClassNames": self.storage_class_names})


def _labels(args: GcpStorageArgs) -> dict[str, pulumi.Input[str]]:
    """As both drivers spell them (ParameterKeyLabels in gcp-compute-persistent-disk-csi-driver and Filestore's)."""
    text = ",".join(f"{key}={value}" for key, value in args.get("tags", {}).items())
    return {"labels": text} if text else {}


def _files(args: GcpStorageArgs) -> dict[str, pulumi.Input[str]]:
    network = pulumi.Output.from_input(args["network_id"])
    parameters: dict[str, pulumi.Input[str]] = {"tier": args.get("filestore_tier", FILESTORE_TIER), **_labels(args)}
    clients = args.get("client_cidrs", [])
    if args.get("filestore_multishare", False):
        parameters["multishare"] = "true"
    elif clients:
        # Pods of many users write; Kubernetes gives volumes their owners as root.
        export = {"accessMode": "READ_WRITE", "ipRanges": clients, "squashMode": "NO_ROOT_SQUASH"}
        parameters["nfs-export-options-on-create"] = json.dumps([export], separators=(",", ":"))
    if args.get("shared_vpc", False):
        # Of another project's network Filestore is a service producer.
        return {**parameters, "network": network, "connect-mode": "PRIVATE_SERVICE_ACCESS"}
    return {**parameters, "network": network.apply(lambda id: id.rsplit("/", 1)[-1])}
