"""What a pool on GKE adds to the common spec, and what follows from it. What Google refuses is in `pool_checks.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from typing_extensions import NotRequired

from .. import arguments, hardware, pools
from ..pool_spec import NodePoolSpec
from ..pools import Pool, Rung
from ..reservations import ReservationTerms

# GKE adds it to the config of a pool with such a profile; pods select it. If we omitted it, each update would remove it
# again: the provider spares only GKE Sandbox's labels (containerNodePoolLabelsSuppress).
NETWORK_PROFILE_LABEL = "gke.networks.io/accelerator-network-profile"
NETWORK_PROFILE = "auto"
# GKE's driver that hands a machine's RDMA interfaces to pods by DRA (managed DRANET).
DRANET_LABEL = "cloud.google.com/gke-networking-dra-driver"
# Series that it knows (GKE, "Allocate network resources by using GKE managed DRANET", 2026-04). The interfaces of A3
# High, Edge and Mega are reached by multi-networking, which excludes DRANET in the same pool.
_DRANET_SERIES = ("a3-ultragpu-", "a4-", "a4x-")
# GKE taints the nodes of a pool with queued provisioning automatically, but does not set a label that pods can select.
QUEUED_LABEL = "cloud.google.com/gke-queued"
# Google's blueprints install the newest driver on G4 (cluster-toolkit, examples/gke-g4).
_LATEST_DRIVER = ("nvidia-rtx-pro-6000",)


class GkeReservation(ReservationTerms):
    """Capacity that is reserved for a pool, by the reservation's name."""

    name: str
    """Name of the reservation."""
    project: NotRequired[str]
    """Project that owns it, if another project shares it. Default: the cluster's project."""
    block: NotRequired[str]
    """One block of the reservation. Default: any."""
    sub_block: NotRequired[str]
    """One sub-block of `block`. Default: any."""


class HugePages(TypedDict):
    """Pages that a node reserves when it boots; pods request them as `hugepages-2Mi` and `hugepages-1Gi`. Together
    they take up to 80 % of the memory, on small machines 60 %."""

    two_mib: NotRequired[int]
    """Pages of 2 MiB. Default: `0`."""
    one_gib: NotRequired[int]
    """Pages of 1 GiB. Default: `0`."""


class SecondaryBootDisk(TypedDict):
    """A second disk of every node, made from an image."""

    image: str
    """Image of the disk, projects/PROJECT/global/images/IMAGE."""
    mode: NotRequired[str]
    """container_images: images that containers start from without a pull. data: read-only files for pods. Default:
    `container_images`."""


class GkeUpgrade(TypedDict):
    """How GKE replaces nodes when their version or configuration changes.

    surge adds and removes nodes a few at a time; together `max_surge` and `max_unavailable` are 1 to 20. blue_green
    needs twice the capacity, and keeps the old nodes until the new ones have proven themselves.
    """

    strategy: NotRequired[str]
    """surge or blue_green. Default: `surge`."""
    max_surge: NotRequired[int]
    """surge: nodes added at a time. Default: 1; with GPUs or a rung reserved 0, since spare GPUs are rare and a
    reservation has none."""
    max_unavailable: NotRequired[int]
    """surge: nodes removed at a time. Default: 0; with GPUs or a rung reserved 1."""
    batch_percentage: NotRequired[int]
    """blue_green: percentage of the old nodes that are drained at a time, 1 to 100. Default: 10."""
    batch_soak_seconds: NotRequired[int]
    """blue_green: seconds between two batches, up to 604800. Default: 0."""
    soak_seconds: NotRequired[int]
    """blue_green: seconds that the old nodes stay after all are drained, for a rollback, up to 604800. Default:
    3600."""


class GkeNodePoolSpec(NodePoolSpec):
    """A pool on GKE. With more than one rung in `capacity` its nodes are tainted, and a ComputeClass of the pool's name
    puts the rungs in order. A pool without `zones` follows the network's, in place."""

    disk_type: NotRequired[str]
    """Type of the boot disk. Default: pd-balanced, or hyperdisk-balanced where the machine series has no other."""
    local_ssds: NotRequired[int]
    """Local SSDs of 375 GB for `scratch`, on machine types to which they are added. Default: the fewest that the
    machine type takes."""
    driver: NotRequired[str]
    """NVIDIA driver that GKE installs: default or latest; disabled if something else installs it. Default: default,
    on G4 latest."""
    reservation: NotRequired[GkeReservation]
    """The capacity that the rung reserved uses. Default: any reservation that fits and is open to all, and nothing
    when there is none."""
    queued: NotRequired[bool]
    """Whether nodes of the rung flex are created all at once for a ProvisioningRequest, and for nothing else. Default:
    `false`."""
    max_run_seconds: NotRequired[int]
    """Maximum run time of a node, in seconds: with the rung flex 600 to 604800, otherwise 30 to 10368000. Default:
    604800 with flex, otherwise no limit."""
    placement_policy: NotRequired[str]
    """Name of a resource policy under which compactly placed nodes are created. Default: none."""
    spot_grace_seconds: NotRequired[int]
    """Seconds that pods on spot nodes have to finish: 0, 30 or 120, from Kubernetes 1.35. Default: GKE's."""
    upgrade: NotRequired[GkeUpgrade]
    """How GKE replaces nodes. Default: strategy surge."""
    node_repair: NotRequired[bool]
    """Whether GKE replaces unhealthy nodes. Default: true, on the rung flex always false."""
    image_streaming: NotRequired[bool]
    """Whether containers start before their whole image is on the node, for images in Artifact Registry. Default:
    `true`."""
    pods_per_node: NotRequired[int]
    """Most pods on a node, 8 to 256; each node takes twice as many addresses. Fixed when the pool is created. Default:
    the cluster's."""
    pods_range: NotRequired[str]
    """Name of a further range of the network for the addresses of the pool's pods. Fixed when the pool is created.
    Default: the cluster's range."""
    sysctls: NotRequired[dict[str, str]]
    """Kernel parameters of the nodes by name, as text. Default: none."""
    huge_pages: NotRequired[HugePages]
    """Huge pages of every node. Default: none."""
    cpu_manager: NotRequired[str]
    """none or static; static gives pods with whole CPUs exclusive use of them. Default: none."""
    secondary_boot_disk: NotRequired[SecondaryBootDisk]
    """Images or data that a node has when it boots. Default: none."""


@dataclass(frozen=True)
class GkePool:
    """A pool with what follows from its spec on Google Cloud."""

    pool: Pool
    """What follows from the common spec."""
    spec: GkeNodePoolSpec
    """The spec itself."""

    @property
    def machine(self) -> hardware.MachineType:
        """The machine type."""
        return self.pool.machines[0]

    @property
    def boot_disk(self) -> str:
        """Type of the boot disk."""
        return self.spec.get("disk_type") or self.machine.boot_disks[0]

    @property
    def local_ssds(self) -> int:
        """All local SSDs of a node, included in the machine type or added. The pods' storage is on them when
        `pool.scratch_gb` is not 0."""
        return (self.machine.nvme_gb or self.pool.scratch_gb) // hardware.GCP_LOCAL_SSD_GB

    @property
    def driver(self) -> str:
        """default, latest or disabled."""
        return self.spec.get("driver", "latest" if self.pool.gpu in _LATEST_DRIVER else "default")

    @property
    def upgrade(self) -> GkeUpgrade:
        """How nodes are replaced: every field that the strategy has, with its default. Only here, since a field of the
        other strategy is refused. A blue-green upgrade adds no nodes by surge."""
        wanted: GkeUpgrade = arguments.cleaned(GkeUpgrade, self.spec.get("upgrade", {}))
        blue_green: GkeUpgrade = {
            "strategy": "blue_green",
            "max_surge": 0,
            "max_unavailable": 0,
            "batch_percentage": 10,
            "batch_soak_seconds": 0,
            "soak_seconds": 3600,
        }
        scarce = self.pool.gpus > 0 or "reserved" in self.pool.capacity
        surge: GkeUpgrade = {
            "strategy": "surge",
            "max_surge": 0 if scarce else 1,
            "max_unavailable": 1 if scarce else 0,
        }
        return {**(blue_green if wanted["strategy"] == "blue_green" else surge), **wanted}

    def compact(self, rung: Rung) -> bool:
        """Whether the rung's nodes are placed close together. The place of a reservation is fixed, unless it was
        created under a policy; flex-start nodes are placed only under a workload policy."""
        if rung.capacity in ("reserved", "flex"):
            return self.pool.placement and "placement_policy" in self.spec
        return self.pool.placement


def resolve(name: str, spec: GkeNodePoolSpec) -> GkePool:
    """The pool that follows from a spec that has no `problems`."""
    spec = arguments.cleaned(GkeNodePoolSpec, spec)
    pool = pools.resolve(hardware.GCP, name, spec)
    labels = pool.labels
    if pool.interconnects:
        labels = {NETWORK_PROFILE_LABEL: NETWORK_PROFILE, **labels}
        if pool.machine_types[0].startswith(_DRANET_SERIES):
            labels = {DRANET_LABEL: "true", **labels}
    if spec["queued"]:
        labels = {QUEUED_LABEL: "true", **labels}
    return GkePool(replace(pool, labels=labels), spec)


def resolve_all(specs: Mapping[str, GkeNodePoolSpec]) -> dict[str, GkePool]:
    """Every pool by name."""
    return {name: resolve(name, spec) for name, spec in specs.items()}
