"""What a pool on GKE has beside the common spec, and what follows from it. What Google refuses is in `pools.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypedDict

from typing_extensions import NotRequired

from .. import hardware, pools
from ..pools import NodePoolSpec, Pool, Rung

# GKE puts it into the config of a pool with such a profile; pods select it. Left out, each update would take it away
# again: the provider takes it for somebody's own (containerNodePoolLabelsSuppress spares GKE Sandbox's labels alone).
NETWORK_PROFILE_LABEL = "gke.networks.io/accelerator-network-profile"
NETWORK_PROFILE = "auto"
# GKE's driver that hands a machine's RDMA interfaces to pods by DRA (managed DRANET).
DRANET_LABEL = "cloud.google.com/gke-networking-dra-driver"
# Series that it knows (GKE, "Allocate network resources by using GKE managed DRANET", 2026-04). The interfaces of A3
# High, Edge and Mega are reached by multi-networking, which excludes DRANET in the same pool.
_DRANET_SERIES = ("a3-ultragpu-", "a4-", "a4x-")
# GKE taints the nodes of a pool with queued provisioning by itself; the label that pods select is ours to set.
QUEUED_LABEL = "cloud.google.com/gke-queued"
# Google's blueprints install the newest driver on G4 (cluster-toolkit, examples/gke-g4).
_LATEST_DRIVER = ("nvidia-rtx-pro-6000",)


class GkeReservation(TypedDict):
    """Capacity reserved beforehand, by name. `project`: its owner's, if another project shares it; `block`: one block
    of it; `sub_block`: one sub-block of that block."""

    name: str
    project: NotRequired[str]
    block: NotRequired[str]
    sub_block: NotRequired[str]


class HugePages(TypedDict):
    """Pages that a node sets aside when it boots; pods ask for `hugepages-2Mi` and `hugepages-1Gi`. `two_mib`,
    `one_gib`: how many of each size (default 0); together up to 80 % of the memory, of small machines 60 %."""

    two_mib: NotRequired[int]
    one_gib: NotRequired[int]


class SecondaryBootDisk(TypedDict):
    """A second disk of every node, made from an image. `image`: projects/PROJECT/global/images/IMAGE. `mode`:
    container_images (default): images that containers start from without a pull; data: read-only files for pods."""

    image: str
    mode: NotRequired[str]


class GpuSharing(TypedDict):
    """Several pods on one GPU, or on one partition. `strategy`: time_sharing or mps; `clients`: how many (2 to 48). A
    pod asks for one `nvidia.com/gpu`."""

    strategy: str
    clients: int


class GkeUpgrade(TypedDict):
    """How nodes are renewed. `strategy`: surge (default) or blue_green.

    surge: `max_surge` nodes more (default 1; with GPUs or a rung `reserved` 0) and `max_unavailable` nodes less at a
    time (0; there 1, since a spare GPU is seldom to be had, and a reservation has none), 20 together. blue_green, which
    needs twice the capacity: `batch_percentage` of the old nodes are drained at a time (1 to 100, default 10), then
    `batch_soak_seconds` (default 0) pass; when all are drained `soak_seconds` (default 3600, up to seven days) remain
    for the way back.
    """

    strategy: NotRequired[str]
    max_surge: NotRequired[int]
    max_unavailable: NotRequired[int]
    batch_percentage: NotRequired[int]
    batch_soak_seconds: NotRequired[int]
    soak_seconds: NotRequired[int]


class GkeNodePoolSpec(NodePoolSpec):
    """A pool on GKE. With more than one rung in `capacity` its nodes are tainted, and a ComputeClass of the pool's name
    puts them in order (see `compute_class.py`). A pool without `zones` follows the network's, in place.

    `disk_type`: of the boot disk (default: pd-balanced, or hyperdisk-balanced where the series has no other).
    `local_ssds`: disks of 375 GB for `scratch`, on machines that can be given some (default: the fewest). `driver`:
    NVIDIA driver that GKE installs, default or latest, or disabled where something else does it (default: default;
    latest on G4). `partition`: MIG partition size, such as 1g.10gb. `sharing`: of GPUs between pods.

    `reservation`: what the rung `reserved` draws on (default: any reservation that fits and may be used by all, and
    nothing when there is none). `queued`: nodes of the rung `flex` come all at once for a ProvisioningRequest, and for
    nothing else. `max_run_seconds`: how long a node lives (flex: 600 to 604800, which is its default; else 30 to
    10368000). `placement_policy`: name of a resource policy under which compactly placed nodes are made.
    `spot_grace_seconds`: what pods on spot nodes get to end in: 0, 30 or 120 (from 1.35).

    `pods_per_node`: 8 to 256 (default: the cluster's); each node takes twice as many addresses. `pods_range`: the name
    of a further range of the network for the addresses of its pods (default: the cluster's). Both are fixed with the
    pool. `sysctls`: kernel parameters by name, as text. `huge_pages`: set aside on every node. `cpu_manager`: static
    gives pods with whole CPUs these alone (default none). `secondary_boot_disk`: images or data that are on a node when
    it boots.

    `upgrade`: of the nodes. `node_repair`: GKE renews nodes that are not healthy (default true, never on `flex`).
    `image_streaming`: containers start before all of their image is there (default true; for images in Artifact
    Registry).
    """

    disk_type: NotRequired[str]
    local_ssds: NotRequired[int]
    driver: NotRequired[str]
    partition: NotRequired[str]
    sharing: NotRequired[GpuSharing]
    reservation: NotRequired[GkeReservation]
    queued: NotRequired[bool]
    max_run_seconds: NotRequired[int]
    placement_policy: NotRequired[str]
    spot_grace_seconds: NotRequired[int]
    upgrade: NotRequired[GkeUpgrade]
    node_repair: NotRequired[bool]
    image_streaming: NotRequired[bool]
    pods_per_node: NotRequired[int]
    pods_range: NotRequired[str]
    sysctls: NotRequired[dict[str, str]]
    huge_pages: NotRequired[HugePages]
    cpu_manager: NotRequired[str]
    secondary_boot_disk: NotRequired[SecondaryBootDisk]


@dataclass(frozen=True)
class GkePool:
    """A pool with what follows from its spec on Google Cloud. `local_ssds`: all that a node has, whether they come with
    the machine or are added; pods' storage is on them when `pool.scratch_gb` is not 0."""

    pool: Pool
    spec: GkeNodePoolSpec
    machine: hardware.MachineType

    @property
    def boot_disk(self) -> str:
        """Type of the boot disk."""
        return self.spec.get("disk_type") or self.machine.boot_disks[0]

    @property
    def local_ssds(self) -> int:
        """Local SSDs of a node."""
        return (self.machine.nvme_gb or self.pool.scratch_gb) // hardware.GCP_LOCAL_SSD_GB

    @property
    def driver(self) -> str:
        """default, latest or disabled."""
        return self.spec.get("driver", "latest" if self.pool.gpu in _LATEST_DRIVER else "default")

    @property
    def gpu_resources(self) -> int:
        """How many `nvidia.com/gpu` a node shows: GPUs times partitions times clients."""
        partitions = hardware.GCP_PARTITIONS.get(self.pool.gpu, {}).get(self.spec.get("partition", ""), 1)
        sharing = self.spec.get("sharing")
        return self.pool.gpus * partitions * (int(sharing["clients"]) if sharing else 1)

    @property
    def upgrade(self) -> GkeUpgrade:
        """How nodes are renewed, every field that its strategy has."""
        wanted = self.spec.get("upgrade", {})
        blue_green: GkeUpgrade = {
            "strategy": "blue_green", "batch_percentage": 10, "batch_soak_seconds": 0, "soak_seconds": 3600
        }  # fmt: skip
        scarce = self.pool.gpus > 0 or "reserved" in self.pool.capacity
        surge: GkeUpgrade = {
            "strategy": "surge",
            "max_surge": 0 if scarce else 1,
            "max_unavailable": 1 if scarce else 0,
        }
        return {**(blue_green if wanted.get("strategy") == "blue_green" else surge), **wanted}

    def compact(self, rung: Rung) -> bool:
        """Whether the rung's nodes are placed close together. A reservation has its place already, unless it was made
        under a policy; flex-start takes place only under a workload policy."""
        if rung.capacity in ("reserved", "flex"):
            return self.pool.placement and "placement_policy" in self.spec
        return self.pool.placement


def resolve(name: str, spec: GkeNodePoolSpec) -> GkePool:
    """The pool that follows from a spec that has no `problems`."""
    pool = pools.resolve(hardware.GCP, name, spec)
    machine = hardware.find(hardware.GCP, pool.machine_types[0])
    if machine is None:
        raise KeyError(f"resolve() before problems(): {pool.machine_types[0]}")
    labels = pool.labels
    if pool.interconnects:
        labels = {NETWORK_PROFILE_LABEL: NETWORK_PROFILE, **labels}
        if machine.name.startswith(_DRANET_SERIES):
            labels = {DRANET_LABEL: "true", **labels}
    if spec.get("queued"):
        labels = {QUEUED_LABEL: "true", **labels}
    return GkePool(replace(pool, labels=labels), spec, machine)


def resolve_all(specs: Mapping[str, GkeNodePoolSpec]) -> dict[str, GkePool]:
    """Every pool by name."""
    return {name: resolve(name, spec) for name, spec in specs.items()}
