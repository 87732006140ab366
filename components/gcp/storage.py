"""Storage classes on Google Cloud: disks for one pod, and Filestore instances that many pods share.

Not included: one file system for all pods (`Filestore`), buckets as volumes (`GcsBuckets`), and the creation of keys.
Without a key, Google encrypts the disks with its own key; Filestore always uses Google's key.
"""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, checks, hardware, versions
from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, snapshot_class, storage_class
from . import labels

_DISKS = "pd.csi.storage.gke.io"
FILESTORE_DRIVER = "filestore.csi.storage.gke.io"

FILESTORE_TIERS = ("standard", "premium", "zonal", "regional", "enterprise")
# The only tier whose instances several claims can share (gcp-filestore-csi-driver, multishare).
_MULTISHARE_TIER = "enterprise"

# Hyperdisk Balanced at the rate of EKS's block-fast: the most MiB/s that go with the IOPS of every disk. A disk allows
# 500 IOPS for each GiB, so a volume of the class has at least 6 GiB.
_FAST = {"provisioned-iops-on-create": "3000", "provisioned-throughput-on-create": "750Mi"}
# From 1.35.3-gke.1290000 on (google/skills, gke-compute-classes, 2026-08).
_DYNAMIC_FROM = (1, 35)


class GcpStorageArgs(TypedDict):
    """The storage classes of a GKE cluster."""

    network_id: pulumi.Input[str]
    """Id of the VPC from which Filestore instances are mounted."""
    shared_vpc: NotRequired[bool]
    """Whether the VPC belongs to another project. Default: `false`."""
    machine_types: NotRequired[list[str]]
    """Machine types of all pools. The volumes are of a kind of disk that each of them takes. Default:
    not known; volumes are persistent disks."""
    kubernetes_version: NotRequired[str]
    """Kubernetes minor of the cluster, such as 1.35, for checks. Default: not checked."""
    filestore_tier: NotRequired[str]
    """Filestore tier of the class `shared`, in the spelling of the CSI driver: standard (HDD), premium, zonal, regional
    or enterprise. Default: `zonal`."""
    filestore_multishare: NotRequired[bool]
    """Whether claims of the class `shared` share instances instead of having one each; with the tier enterprise only,
    up to 1 TiB each. Default: `false`."""
    client_cidrs: NotRequired[list[str]]
    """Networks in CIDR notation that may mount file systems of the class `shared`. It has no effect together with
    `filestore_multishare`. Default: the whole VPC and the networks that are connected to it."""
    disks_key: NotRequired[pulumi.Input[str]]
    """Full name of the Cloud KMS key that encrypts the disks of claims. Default: Google's own key."""
    tags: NotRequired[dict[str, str]]
    """Labels of the disks and instances that claims create, which the provider's default labels do not reach. Default:
    none."""


def problems(args: GcpStorageArgs) -> Iterator[Problem]:
    """Everything that is wrong with the storage's arguments, found without asking Google."""
    tier = args["filestore_tier"]
    yield from checks.one_of("filestore_tier", tier, FILESTORE_TIERS)
    if args["filestore_multishare"] and tier != _MULTISHARE_TIER:
        yield Problem(
            "filestore_multishare", True, f"instances of the tier {tier} hold one volume each",
            f"false, or the tier {_MULTISHARE_TIER}", f"write `filestore_tier: {_MULTISHARE_TIER}`, or remove it",
        )  # fmt: skip
    for index, cidr in enumerate(args.get("client_cidrs", [])):
        yield from checks.cidr(f"client_cidrs[{index}]", cidr)
    kind, version = disk_kind(args.get("machine_types", [])), args.get("kubernetes_version", "")
    if kind == "dynamic" and (minor := versions.minor(version)) and minor < _DYNAMIC_FROM:
        yield Problem(
            "kubernetes_version", version,
            "some pools take persistent disks only and others hyperdisks only, which one storage class serves "
            "from Kubernetes 1.35 on", "1.35 and later, or pools of one kind",
            "write 1.35, or choose machine types of one kind",
        )  # fmt: skip


def disk_kind(machine_types: list[str]) -> str:
    """The kind of disk that every pool takes: `hyperdisk` where all take Hyperdisk Balanced, else `pd` where all take
    persistent disks, else `dynamic`: the driver chooses by the node."""
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
        # Pods with such a volume are scheduled on nodes that take its kind, and the autoscaler adds only such nodes.
        "use-allowed-disk-topology": "true",
        # The driver omits what a persistent disk does not have.
        **rate,
    }


class GcpStorage(pulumi.ComponentResource):
    """The storage classes `block` (default), `block-fast` and `shared`, and the snapshot class `block`. GKE runs their
    drivers and the snapshot controller.

    GKE's own class standard-rwo remains a default class as well. If there are two default classes, Kubernetes uses the
    newer one, which is `block`. A Filestore instance is created with the first claim. It is billed by the hour for at
    least 1 TiB (premium: 2.5 TiB), whatever size the claim asks for.

    Takes the provider `kubernetes`.
    """

    storage_class_names: pulumi.Output[list[str]]
    """Names of the storage classes, the default one first."""

    def __init__(self, name: str, args: GcpStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GcpStorage {name}", GcpStorageArgs, args, problems, labels.with_tags)
        super().__init__("gpuyard:index:GcpStorage", name, None, opts)
        kind = disk_kind(args.get("machine_types", []))
        key: dict[str, pulumi.Input[str]] = (
            {"disk-encryption-kms-key": args["disks_key"]} if "disks_key" in args else {}
        )
        tags = _tags(args)
        slow, fast = ({**disk_parameters(kind, fast=fast), **key, **tags} for fast in (False, True))
        self.storage_classes = [
            storage_class(f"{name}-block", BLOCK, _DISKS, slow, self, []),
            storage_class(f"{name}-block-fast", BLOCK_FAST, _DISKS, fast, self, []),
            storage_class(f"{name}-shared", SHARED, FILESTORE_DRIVER, _files(args), self, []),
        ]
        """The StorageClasses, the default one first."""
        snapshot_class(f"{name}-block-snapshots", _DISKS, self, [])
        self.storage_class_names = pulumi.Output.all(*[each.metadata.name for each in self.storage_classes])
        self.register_outputs({"storageClassNames": self.storage_class_names})


def _tags(args: GcpStorageArgs) -> dict[str, pulumi.Input[str]]:
    """The labels in the spelling of both drivers (ParameterKeyLabels in gcp-compute-persistent-disk-csi-driver and in
    Filestore's)."""
    text = ",".join(f"{key}={value}" for key, value in args.get("tags", {}).items())
    return {"labels": text} if text else {}


def _files(args: GcpStorageArgs) -> dict[str, pulumi.Input[str]]:
    network = pulumi.Output.from_input(args["network_id"])
    parameters: dict[str, pulumi.Input[str]] = {"tier": args["filestore_tier"], **_tags(args)}
    clients = args.get("client_cidrs", [])
    if args["filestore_multishare"]:
        parameters["multishare"] = "true"
    elif clients:
        # Pods of many users write; Kubernetes gives volumes their owners as root.
        export = {"accessMode": "READ_WRITE", "ipRanges": clients, "squashMode": "NO_ROOT_SQUASH"}
        parameters["nfs-export-options-on-create"] = json.dumps([export], separators=(",", ":"))
    if args["shared_vpc"]:
        # In another project's network Filestore is a service producer.
        return {**parameters, "network": network, "connect-mode": "PRIVATE_SERVICE_ACCESS"}
    return {**parameters, "network": network.apply(lambda id: id.rsplit("/", 1)[-1])}
