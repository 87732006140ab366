"""What a pool on EKS adds to the common spec (image, reservation, updates), and what follows from it."""

from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import NotRequired

from .. import arguments, hardware, pools, versions
from ..pool_spec import NodePoolSpec
from ..pools import Pool
from ..reservations import ReservationTerms
from . import addresses, gpu_sharing, image_pull
from .node_repair import EksNodeRepair
from .node_settings import merged

# Label of nodes with another image than al2023. Bottlerocket includes a device plugin, and a second one misbehaves
# (bottlerocket#3992).
IMAGE_LABEL = "gpuyard.dev/image"
# (image, architecture, GPUs) → AMI type: always explicit, EKS's own guess is AL2 or a CPU image.
_AMI_TYPES = {
    ("al2023", "x86_64", False): "AL2023_x86_64_STANDARD",
    ("al2023", "x86_64", True): "AL2023_x86_64_NVIDIA",
    ("al2023", "arm64", False): "AL2023_ARM_64_STANDARD",
    ("al2023", "arm64", True): "AL2023_ARM_64_NVIDIA",
    ("bottlerocket", "x86_64", False): "BOTTLEROCKET_x86_64",
    ("bottlerocket", "x86_64", True): "BOTTLEROCKET_x86_64_NVIDIA",
    ("bottlerocket", "arm64", False): "BOTTLEROCKET_ARM_64",
    ("bottlerocket", "arm64", True): "BOTTLEROCKET_ARM_64_NVIDIA",
}
_HUGE_PAGES, _HUGE_PAGES_PER_VCPU = 5128, 110


class EksReservation(ReservationTerms):
    """Capacity that is reserved for a pool: one reservation, or a resource group of them."""

    id: NotRequired[str]
    """Id of an On-Demand Capacity Reservation or, with `capacity_block`, of a capacity block. Default: none; then
    `group_arn` is needed."""
    group_arn: NotRequired[str]
    """ARN of a resource group of reservations, in place of `id`. Default: none."""
    capacity_block: NotRequired[bool]
    """Whether `id` is a capacity block. Default: `false`."""


class EksNodePoolSpec(NodePoolSpec):
    """A pool on EKS."""

    image: NotRequired[str]
    """Operating system of the nodes: al2023 or bottlerocket. Default: `al2023`."""
    release: NotRequired[str]
    """Exact release of EKS's image, such as 1.35.6-20260714. Nodes change their image only if this changes. Default:
    the release that this version of gpuyard pins for the cluster's Kubernetes version, otherwise the newest at
    creation."""
    driver_branch: NotRequired[int]
    """NVIDIA driver branch in `release`, such as 580, for a release that gpuyard does not know. Default: the branch of
    the known release."""
    reservation: NotRequired[EksReservation]
    """The capacity that the rung reserved uses. Default: none."""
    update_percentage: NotRequired[int]
    """Percentage of the nodes that an update replaces at a time, 1 to 100. Default: `33`."""
    node_repair: NotRequired[bool]
    """Whether EKS replaces nodes whose hardware or kubelet fails. Default: `true`."""
    repair: NotRequired[EksNodeRepair]
    """When EKS repairs nodes, and what it does about GPU errors. Default: EKS's rules."""
    ami: NotRequired[str]
    """Id of your own image, built like `image`. It excludes `release`, its nodes keep it when the cluster's version
    changes, and for GPUs it includes driver and container toolkit. Default: EKS's image."""
    node_settings: NotRequired[dict[str, Any]]
    """On al2023 the `spec` of a NodeConfig (kubelet, containerd, instance, featureGates), on bottlerocket its settings.
    Keys are those of the node's software and never respelled. Default: none."""
    fast_image_pull: NotRequired[bool]
    """Whether nodes fetch and unpack the layers of an image in parallel (nodeadm's gate FastImagePull). It needs
    al2023, 4 vCPUs and a fast disk for images. Default: true on pools with GPUs whose images are on local NVMe, or
    whose machine type reaches 629 MB/s (600 MiB/s) on EBS."""
    security_group_ids: NotRequired[list[str]]
    """Security groups of the nodes in addition to the cluster's own, up to 4; with `interconnect` up to 3. Default:
    none."""
    machine: NotRequired[hardware.MachineFacts]
    """Facts of those `machine_types` that gpuyard does not know yet. Default: none."""


@dataclass(frozen=True)
class EksPool:
    """A pool with what follows from its spec on AWS."""

    pool: Pool
    """What follows from the common spec."""
    image: str
    """al2023 or bottlerocket."""
    ami_type: str
    """EKS's AMI type; CUSTOM with an image of the user's."""
    release: str | None
    """Release of EKS's image; None leaves it to EKS."""
    driver_branch: int | None
    """NVIDIA driver branch; None if it is not known, or without GPUs."""
    reservation: EksReservation
    """What the rung reserved uses; empty without."""
    update_percentage: int
    """Percentage of the nodes that an update replaces at a time."""
    node_repair: bool
    """Whether EKS replaces unhealthy nodes."""
    repair: EksNodeRepair | None
    """When it does; None for EKS's rules."""
    ami: str | None
    """Id of the user's image; None for EKS's."""
    fast_image_pull: bool
    """Whether the layers of an image are fetched and unpacked in parallel."""
    node_settings: dict[str, Any]
    """Settings of the node's software: those that follow from the spec, and the pool's own."""
    security_group_ids: tuple[str, ...]
    """Further security groups."""
    origin: str
    """Name of the pool at its creation, which machines and disks keep."""

    @property
    def huge_pages_mib(self) -> int:
        """MiB in pages of 2 MiB that the image reserves if EFA is attached, and that pods request as
        `hugepages-2Mi`. AL2023's accelerated images: 5,128 pages (EKS user guide, "Run machine learning training on
        Amazon EKS with Elastic Fabric Adapter"); Bottlerocket: 110 for each vCPU (bottlerocket-core-kit, corndog)."""
        if not self.pool.interconnects:
            return 0
        if self.image == "bottlerocket":
            return 2 * _HUGE_PAGES_PER_VCPU * min(machine.vcpu for machine in self.pool.machines)
        return 2 * _HUGE_PAGES if self.pool.gpus and not self.ami else 0

    @property
    def pods_per_node(self) -> int:
        """Pods that a node takes. EKS configures its own images in this way, and with several machine types it uses the
        lowest number for all."""
        return min(map(addresses.pods_per_node, self.pool.machines))

    @property
    def capacity_block(self) -> bool:
        """Whether the reserved rung is a capacity block."""
        return bool(self.reservation) and self.reservation["capacity_block"]


def resolve(name: str, spec: EksNodePoolSpec, version: str = "") -> EksPool:
    """The pool that follows from a spec that has no problems. `version`: the cluster's Kubernetes minor, if known.

    Raises:
        KeyError: EC2 has no such machine type.
    """
    spec = arguments.cleaned(EksNodePoolSpec, spec)
    pool = pools.resolve(hardware.AWS, name, spec)
    image, release = spec["image"], spec.get("release")
    pool = replace(pool, labels={**gpu_sharing.labels(image, spec.get("sharing")), **pool.labels})
    if image != "al2023":
        pool = replace(pool, labels={IMAGE_LABEL: image, **pool.labels})
    ami = spec.get("ami")
    known = versions.EKS_IMAGES.get(version) if image == "al2023" and ami is None else None
    if release is None and known:
        release = known.release
    branch = spec.get("driver_branch")
    if branch is None and known and release == known.release:
        branch = known.driver_branch
    fast = spec.get("fast_image_pull", bool(pool.gpus) and ami is None and not image_pull.problem(image, pool))
    return EksPool(
        pool=pool,
        image=image,
        ami_type="CUSTOM" if ami else _AMI_TYPES[image, pool.arch, bool(pool.gpus)],
        release=release,
        driver_branch=branch if branch and pool.gpus else None,
        reservation=spec.get("reservation", {}),
        update_percentage=spec["update_percentage"],
        node_repair=spec["node_repair"],
        repair=spec.get("repair"),
        ami=ami,
        fast_image_pull=fast,
        node_settings=merged(_derived_settings(image, spec, pool, fast), spec.get("node_settings", {})),
        security_group_ids=tuple(spec.get("security_group_ids", [])),
        origin=spec.get("was") or name,
    )


def _derived_settings(image: str, spec: EksNodePoolSpec, pool: Pool, fast_image_pull: bool) -> dict[str, Any]:
    """Settings of the node's software that follow from the spec."""
    if image == "bottlerocket":
        return gpu_sharing.bottlerocket(spec, pool.machines)
    return image_pull.GATE if fast_image_pull else {}
