"""Filestore: one file system that all pods of a cluster can share.

Not included: an instance for each claim, which the storage class `shared` creates; backups; NFS 4.1 with Kerberos;
Managed Lustre. Sources: Filestore's "Service tiers" and "Networking"; gcp-filestore-csi-driver,
docs/kubernetes/pre-provisioned-pv.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks, component_names, volumes
from ..checks import Problem
from . import identity, labels, places

VOLUME = "filestore"
"""Name of the volume, and the class in claims for it. There is no StorageClass object of that name, so nothing is
provisioned."""

# Filestore allows letters, digits and '_', up to 16.
_SHARE = "data"
_BAND_GIB = 10240


@dataclass(frozen=True)
class Tier:
    """A service tier."""

    api: str
    """The API's name of it."""
    smallest: int
    """Smallest size in GiB."""
    largest: int
    """Largest size in GiB; where `large` is set, of the band up to 10 TiB."""
    step: int
    """GiB between two sizes."""
    large: int = 0
    """Largest size in GiB of the band from 10 TiB, in steps of 2560 GiB; 0 where the tier has no such band."""
    regional: bool = False
    """Whether an instance is in all zones of its region."""

    def holds(self, gib: int) -> bool:
        """Whether there are instances of that size, in GiB."""
        if self.large and gib >= _BAND_GIB:
            return gib <= self.large and (gib - _BAND_GIB) % 2560 == 0
        return self.smallest <= gib <= self.largest and gib % self.step == 0

    def next(self, gib: int) -> int:
        """The smallest size of at least that many GiB, or else the largest."""
        sizes = [*range(self.smallest, self.largest + 1, self.step), *range(_BAND_GIB, self.large + 1, 2560)]
        return next((size for size in sorted(sizes) if size >= gib), max(sizes))


TIERS = {
    "standard": Tier("BASIC_HDD", 1024, 65433, 1),
    "premium": Tier("BASIC_SSD", 2560, 65433, 1),
    "zonal": Tier("ZONAL", 1024, 9984, 256, large=102400),
    "regional": Tier("REGIONAL", 1024, 9984, 256, large=102400, regional=True),
    "enterprise": Tier("ENTERPRISE", 1024, 10240, 256, regional=True),
}
"""The tiers by the CSI driver's names of them."""


class FilestoreArgs(TypedDict):
    """A Filestore instance and the claim that gets its volume."""

    project: str
    """Id of the cluster's project."""
    region: str
    """Region of the network, such as us-central1."""
    zones: list[str]
    """Zones of the network."""
    network_id: pulumi.Input[str]
    """Id of the VPC, such as projects/PROJECT/global/networks/NAME."""
    namespace: str
    """Kubernetes namespace of the claim."""
    claim: NotRequired[str]
    """Name of the PersistentVolumeClaim that gets the volume. Default: `filestore`."""
    shared_vpc: NotRequired[bool]
    """Whether the VPC belongs to another project. That VPC needs private services access. Default: `false`."""
    tier: NotRequired[str]
    """Service tier: standard (HDD), premium, zonal, regional or enterprise. Default: `zonal`."""
    size_gib: NotRequired[int]
    """Size in GiB, 1024 or more in the steps of the tier. It can grow in place, and shrink except for standard and
    premium. Default: `1024`."""
    zone: NotRequired[str]
    """Zone of the instance, for the tiers standard, premium and zonal. It cannot change. Default: the zone of the
    network, if it has only one."""
    client_cidrs: NotRequired[list[str]]
    """Networks in CIDR notation that may mount it. Default: the whole VPC."""
    deletion_protection: NotRequired[bool]
    """Whether Google and Pulumi refuse to delete the instance. Default: `true`."""
    tags: NotRequired[dict[str, str]]
    """Labels of the instance. Default: none."""


def problems(args: FilestoreArgs) -> Iterator[Problem]:
    """Everything that is wrong with the file system's arguments, found without asking Google."""
    yield from identity.project_problems("project", args["project"])
    name, size = args["tier"], args["size_gib"]
    yield from checks.one_of("tier", name, TIERS)
    tier, zone, zones = TIERS.get(name), args.get("zone"), places.standard(args["zones"])
    if tier and not tier.holds(size):
        more = f", or {_BAND_GIB} to {tier.large} in steps of 2560" if tier.large else ""
        yield Problem(
            "size_gib", size, f"not a size of the tier {name}",
            f"{tier.smallest} to {tier.largest} GiB{f' in steps of {tier.step}' if tier.step > 1 else ''}{more}",
            f"write {tier.next(size)}",
        )  # fmt: skip
    if not zones:
        yield Problem("zones", args["zones"], "has no standard zone", "one or more standard zones", "add a zone")
    elif zone is None and tier and not tier.regional and len(zones) > 1:
        yield Problem(
            "zone", None, f"missing: the tier {name} is in one zone and cannot move",
            ", ".join(zones), "choose the zone of the GPU nodes, or `tier: regional`",
        )  # fmt: skip
    elif zone is not None and zone not in zones:
        yield Problem(
            "zone", zone, "not a standard zone of the network", ", ".join(zones),
            "choose the zone of the GPU nodes, or add it to the network's zones",
        )  # fmt: skip
    elif zone is not None and tier and tier.regional:
        yield Problem("zone", zone, f"the tier {name} is in all zones of the region", "nothing", "remove it")
    yield from identity.namespace_problems("namespace", args["namespace"])
    yield from volumes.claim_problems("claim", args["claim"])
    for index, cidr in enumerate(args.get("client_cidrs", [])):
        yield from checks.cidr(f"client_cidrs[{index}]", cidr)


def _places(args: FilestoreArgs) -> Iterator[Problem]:
    """What a stack checks once for all components: region and zones."""
    wrong = list(places.region_problems("region", args["region"]))
    yield from wrong or places.zone_problems(args["zones"], args["region"])


class Filestore(pulumi.ComponentResource):
    """A Filestore instance, and the PersistentVolume `filestore` for all of it.

    Only the claim of `namespace` and `claim` gets the volume. It names the volume and the class `filestore`, and asks
    for ReadWriteMany and up to the whole size. For a second claim, create a PersistentVolume of another name from the
    outputs below. The data is encrypted at rest with Google's key, but not in transit (NFS 3).

    Takes the providers `gcp` and `kubernetes`.
    """

    volume_name: pulumi.Output[str]
    """Name of the PersistentVolume."""
    file_system_id: pulumi.Output[str]
    """A volume's `volumeHandle`: modeInstance/LOCATION/INSTANCE/SHARE."""
    address: pulumi.Output[str]
    """A volume's attribute `ip`."""

    def __init__(self, name: str, args: FilestoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"Filestore {name}", FilestoreArgs, args, problems, _places, labels.with_tags,
            lambda _: component_names.google_problems(name, "-files"),
        )  # fmt: skip
        super().__init__("gpuyard:index:Filestore", name, None, opts)
        tier, size = TIERS[args["tier"]], args["size_gib"]
        location = args["region"] if tier.regional else args.get("zone") or places.standard(args["zones"])[0]
        shared, protected = args["shared_vpc"], args["deletion_protection"]
        network = pulumi.Output.from_input(args["network_id"])
        self.resource = gcp.filestore.Instance(
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
        """The Filestore instance."""
        # Filestore gives an instance one address.
        address = self.resource.networks.apply(lambda networks: (networks[0].ip_addresses or [""])[0])
        handle = pulumi.Output.concat("modeInstance/", location, "/", self.resource.name, "/", _SHARE)
        self.volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=VOLUME),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": f"{size}Gi"},
                access_modes=["ReadWriteMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=VOLUME,
                # Otherwise the first claim of any namespace would get it.
                claim_ref=volumes.reserved(args["claim"], args["namespace"]),
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="filestore.csi.storage.gke.io",
                    volume_handle=handle,
                    volume_attributes={"ip": address, "volume": _SHARE},
                ),
            ),
            # The name is fixed, and what is mounted cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        """The PersistentVolume."""
        self.volume_name = self.volume.metadata.name
        self.file_system_id = handle
        self.address = address
        self.register_outputs(
            {"volumeName": self.volume_name, "fileSystemId": self.file_system_id, "address": self.address}
        )
