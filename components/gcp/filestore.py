"""Filestore: a file system of the environment's own, which all its pods can share.

Not here: one instance per claim, which the storage class `shared` makes (`storage.py`); backups, NFS 4.1 with Kerberos,
and Managed Lustre.
Sources: Filestore's "Service tiers" and "Networking"; gcp-filestore-csi-driver, docs/kubernetes/pre-provisioned-pv.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import checks, volumes
from ..checks import Problem
from . import identity, places

VOLUME = "filestore"
"""Name of the volume, and what claims name as their class. No StorageClass object bears it: nothing is provisioned."""

# Filestore: letters, digits and '_', up to 16.
_SHARE = "data"
_BAND_GIB = 10240


@dataclass(frozen=True)
class Tier:
    """A service tier: the API's name of it, its sizes in GiB up to 10 TiB and from there on (`large`) with the steps
    between them, and whether it is in a whole region."""

    api: str
    smallest: int
    largest: int
    step: int
    large: int = 0
    regional: bool = False

    def holds(self, gib: int) -> bool:
        """Whether there are instances of that size."""
        if self.large and gib >= _BAND_GIB:
            return gib <= self.large and (gib - _BAND_GIB) % 2560 == 0
        return self.smallest <= gib <= self.largest and gib % self.step == 0

    def next(self, gib: int) -> int:
        """The smallest size that is no smaller; the largest there is, when none is."""
        sizes = [*range(self.smallest, self.largest + 1, self.step), *range(_BAND_GIB, self.large + 1, 2560)]
        return next((size for size in sorted(sizes) if size >= gib), max(sizes))


TIERS = {
    "standard": Tier("BASIC_HDD", 1024, 65433, 1),
    "premium": Tier("BASIC_SSD", 2560, 65433, 1),
    "zonal": Tier("ZONAL", 1024, 9984, 256, large=102400),
    "regional": Tier("REGIONAL", 1024, 9984, 256, large=102400, regional=True),
    "enterprise": Tier("ENTERPRISE", 1024, 10240, 256, regional=True),
}
"""By the names that the CSI driver has for them."""


class FilestoreArgs(TypedDict):
    """`project`, `region`, `zones`: the network's. `network_id`: the VPC; `shared_vpc`: it belongs to another project,
    which has private services access (default false). `tier`: `standard` (HDD), `premium`, `zonal` (default),
    `regional` or `enterprise`. `size_gib`: 1024 (default) and more, in the tier's steps; it grows in place, and shrinks
    except for standard and premium. `zone`: where it is, for tiers that are in one; it cannot move, so where there
    are several, one is named. `client_cidrs`: who may mount it (default: the whole VPC). `namespace`, `claim`: the one
    claim that gets the volume (default name: filestore). `deletion_protection`: Google and Pulumi refuse to delete it
    (default true)."""

    project: str
    region: str
    zones: list[str]
    network_id: pulumi.Input[str]
    namespace: str
    claim: NotRequired[str]
    shared_vpc: NotRequired[bool]
    tier: NotRequired[str]
    size_gib: NotRequired[int]
    zone: NotRequired[str]
    client_cidrs: NotRequired[list[str]]
    deletion_protection: NotRequired[bool]
    tags: NotRequired[dict[str, str]]


def problems(args: FilestoreArgs) -> Iterator[Problem]:
    """Everything that is wrong with the file system's arguments, seen without asking Google."""
    name, size = args.get("tier", "zonal"), int(args.get("size_gib", 1024))
    yield from checks.one_of("tier", name, TIERS)
    tier, zone, zones = TIERS.get(name), args.get("zone"), places.standard(args["zones"])
    if tier and not tier.holds(size):
        more = f", or {_BAND_GIB} to {tier.large} in steps of 2560" if tier.large else ""
        yield Problem(
            "size_gib", size, f"no size that the tier {name} has",
            f"{tier.smallest} to {tier.largest} GiB{f' in steps of {tier.step}' if tier.step > 1 else ''}{more}",
            f"write {tier.next(size)}",
        )  # fmt: skip
    if zone is None and tier and not tier.regional and len(zones) > 1:
        yield Problem(
            "zone", None, f"missing: the tier {name} lies in one zone and cannot move",
            ", ".join(zones), "choose the zone of the GPU nodes, or tier: regional",
        )  # fmt: skip
    elif zone is not None and zone not in zones:
        yield Problem(
            "zone", zone, "not a standard zone of the network", ", ".join(zones),
            "choose the zone of the GPU nodes, or add it to the network's zones",
        )  # fmt: skip
    elif zone is not None and tier and tier.regional:
        yield Problem("zone", zone, f"the tier {name} is in all zones of the region", "nothing", "remove it")
    yield from identity.namespace_problems("namespace", args["namespace"])
    yield from volumes.claim_problems("claim", args.get("claim", VOLUME))
    for index, cidr in enumerate(args.get("client_cidrs", [])):
        yield from checks.cidr(f"client_cidrs[{index}]", cidr)


class Filestore(pulumi.ComponentResource):
    """A Filestore instance and the PersistentVolume `filestore` over all of it.

    The claim of that namespace and name names the volume and the class `filestore`, asks for ReadWriteMany and up to
    the whole size; no other claim gets it. For a second one, make a PersistentVolume of another name with the outputs
    below. Its data is encrypted at rest with Google's key, not on its way (NFS 3).

    Takes the providers `gcp` and `kubernetes`.
    """

    volume_name: pulumi.Output[str]
    """Name of the PersistentVolume."""
    file_system_id: pulumi.Output[str]
    """A volume's `volumeHandle`: modeInstance/LOCATION/INSTANCE/SHARE."""
    address: pulumi.Output[str]
    """A volume's attribute `ip`."""

    def __init__(self, name: str, args: FilestoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:Filestore", name, None, opts)
        checks.refuse(problems(args), f"Filestore {name}")
        tier, size = TIERS[args.get("tier", "zonal")], int(args.get("size_gib", 1024))
        location = args["region"] if tier.regional else args.get("zone") or places.standard(args["zones"])[0]
        shared, protected = args.get("shared_vpc", False), args.get("deletion_protection", True)
        network = pulumi.Output.from_input(args["network_id"])
        instance = gcp.filestore.Instance(
            f"{name}-files",
            project=args["project"],
            location=location,
            tier=tier.api,
            file_shares=gcp.filestore.InstanceFileSharesArgs(
                name=_SHARE,
                capacity_gb=size,
                nfs_export_options=[
                    gcp.filestore.InstanceFileSharesNfsExportOptionArgs(
                        ip_ranges=args["client_cidrs"],
                        access_mode="READ_WRITE",
                        # Pods of many users write; Kubernetes gives volumes their owners as root.
                        squash_mode="NO_ROOT_SQUASH",
                    )
                ]
                if args.get("client_cidrs")
                else None,
            ),
            networks=[
                gcp.filestore.InstanceNetworkArgs(
                    network=network if shared else network.apply(lambda id: id.rsplit("/", 1)[-1]),
                    modes=["MODE_IPV4"],
                    connect_mode="PRIVATE_SERVICE_ACCESS" if shared else "DIRECT_PEERING",
                )
            ],
            deletion_protection_enabled=protected,
            labels=args.get("tags", {}),
            # It holds data sets and checkpoints.
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        # Filestore gives an instance one address.
        address = instance.networks.apply(lambda networks: (networks[0].ip_addresses or [""])[0])
        handle = pulumi.Output.concat("modeInstance/", location, "/", instance.name, "/", _SHARE)
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=VOLUME),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": f"{size}Gi"},
                access_modes=["ReadWriteMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=VOLUME,
                # Else the first claim of any namespace would take it.
                claim_ref=volumes.reserved(args.get("claim", VOLUME), args["namespace"]),
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="filestore.csi.storage.gke.io",
                    volume_handle=handle,
                    volume_attributes={"ip": address, "volume": _SHARE},
                ),
            ),
            # The name is fixed, and what is mounted cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.volume_name = volume.metadata.name
        self.file_system_id = handle
        self.address = address
        self.register_outputs(
            {"volumeName": self.volume_name, "fileSystemId": self.file_system_id, "address": self.address}
        )
