"""Node pools that Google's API refuses beyond shapes and enums: settings that exclude each other, or that the machine
does not support.

Independent of the library's own checks, so that tests can compare the two. Sources:
GKE's pages on flex-start, queued provisioning, reservations, compact placement, GPU sharing, multi-instance GPUs and
local SSDs; the machine types' facts are the table's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from components import hardware
from components.gcp.node_settings import SYSCTLS, WORDS
from sandbox.gcp import nodes
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props

_FLEX_COMPACT = ("a3-ultragpu-", "a4-", "h4d-")
_KUBERNETES = re.compile(r"([^/]*\.)?(kubernetes|k8s)\.io/.*")
_NUMBERS = re.compile(r"-?[0-9]+(\s+[0-9]+)*")
_MANAGED = re.compile(
    r"cloud\.google\.com/(gke-(accelerator(-count)?|boot-disk|flex-start|gpu(-[a-z-]*)?|max-[a-z-]*|nodepool|"
    r"os-distribution|preemptible|provisioning|spot)|machine-family|reservation-[a-z-]*)|"
    r"(topology|disk-type|iam)\.gke\.io/.*"
)
"""Labels that GKE sets on nodes (nodes.py)."""


def check(inputs: Props, config: Props) -> Iterator[CheckFailure]:
    """All rules, for a pool whose machine type exists."""
    machine = hardware.find(hardware.GCP, str(config.get("machineType", nodes.DEFAULT_MACHINE)))
    yield from _reservation(config)
    yield from _life(inputs, config)
    yield from _upgrade(inputs, config)
    yield from _kubelet(config)
    yield from _kernel(config)
    yield from _keys(config)
    yield from _sharing(config)
    if machine is not None:
        yield from _unavailable(config, machine)
        yield from _disks(config, machine)
        yield from _system(config, machine)
        yield from _together(inputs, config, machine)


def _reservation(config: Props) -> Iterator[CheckFailure]:
    affinity = config.get("reservationAffinity") or {}
    if affinity is UNKNOWN or not affinity:
        return
    specific = affinity.get("consumeReservationType") == "SPECIFIC_RESERVATION"
    values = affinity.get("values") or []
    if specific and (affinity.get("key") != "compute.googleapis.com/reservation-name" or len(values) != 1):
        yield CheckFailure("nodeConfig.reservationAffinity", "SPECIFIC_RESERVATION needs one reservation by its name")
    if not specific and (values or affinity.get("key")):
        yield CheckFailure("nodeConfig.reservationAffinity", "key and values are for SPECIFIC_RESERVATION only")


def _life(inputs: Props, config: Props) -> Iterator[CheckFailure]:
    duration, flex = config.get("maxRunDuration"), config.get("flexStart") is True
    queued = (inputs.get("queuedProvisioning") or {}).get("enabled") is True
    low, high = (600, 604800) if flex else (30, 10368000)
    if isinstance(duration, str):
        seconds = re.fullmatch(r"(\d+)s", duration)
        if not seconds or not low <= int(seconds[1]) <= high:
            yield CheckFailure("nodeConfig.maxRunDuration", f"must be between {low}s and {high}s, got '{duration}'")
    reserved = (config.get("reservationAffinity") or {}).get("consumeReservationType")
    if (flex or queued) and reserved not in ("NO_RESERVATION", UNKNOWN):
        yield CheckFailure(
            "nodeConfig.reservationAffinity", "must be NO_RESERVATION for flex-start and queued provisioning"
        )


def _upgrade(inputs: Props, config: Props) -> Iterator[CheckFailure]:
    settings = inputs.get("upgradeSettings") or {}
    if settings is UNKNOWN or not settings:
        return
    strategy, where = settings.get("strategy", "SURGE"), "upgradeSettings"
    if config.get("flexStart") is True and strategy != "SHORT_LIVED":
        yield CheckFailure(f"{where}.strategy", "flex-start node pools are upgraded SHORT_LIVED only")
    if strategy == "SURGE" and not settings.get("maxSurge") and not settings.get("maxUnavailable"):
        yield CheckFailure(where, "one of max_surge and max_unavailable must be greater than 0")
    at_once = [settings.get(field) or 0 for field in ("maxSurge", "maxUnavailable")]
    if strategy == "SURGE" and UNKNOWN not in at_once and sum(at_once) > 20:
        yield CheckFailure(where, "max_surge and max_unavailable must not be more than 20 together")
    for field in ("maxSurge", "maxUnavailable"):
        if isinstance(settings.get(field), (int, float)) and settings[field] < 0:
            yield CheckFailure(f"{where}.{field}", "must not be negative")
    policy = (settings.get("blueGreenSettings") or {}).get("standardRolloutPolicy") or {}
    share = policy.get("batchPercentage")
    if isinstance(share, (int, float)) and not 0 < share <= 1:
        yield CheckFailure(f"{where}.blueGreenSettings.standardRolloutPolicy.batchPercentage", "must be in (0.0, 1.0]")
    if share is not None and policy.get("batchNodeCount") is not None:
        yield CheckFailure(f"{where}.blueGreenSettings.standardRolloutPolicy", "percentage or count, not both")


def _kubelet(config: Props) -> Iterator[CheckFailure]:
    grace = (config.get("kubeletConfig") or {}).get("shutdownGracePeriodSeconds")
    if grace is None or grace is UNKNOWN:
        return
    where = "nodeConfig.kubeletConfig.shutdownGracePeriodSeconds"
    if config.get("spot") is not True:
        yield CheckFailure(where, "is only valid for Spot VMs")
    if grace not in (0, 30, 120):
        yield CheckFailure(where, f"must be one of 0, 30, 120, got {grace}")


def _kernel(config: Props) -> Iterator[CheckFailure]:
    """Kernel parameters ("Customizing node system configuration"): the names are those in the library's table; of the
    values, only whether they are numbers is checked."""
    sysctls = (config.get("linuxNodeConfig") or {}).get("sysctls") or {}
    for key, value in sysctls.items() if isinstance(sysctls, dict) else ():
        if key not in SYSCTLS:
            yield CheckFailure("nodeConfig.linuxNodeConfig.sysctls", f"kernel parameter {key} is not supported")
        elif isinstance(value, str) and key not in WORDS and not _NUMBERS.fullmatch(value):
            yield CheckFailure("nodeConfig.linuxNodeConfig.sysctls", f"{key} must be a number, got '{value}'")


def _system(config: Props, machine: hardware.MachineType) -> Iterator[CheckFailure]:
    """Secondary boot disks, and huge pages ("Customizing node system configuration")."""
    disks = _known(config.get("secondaryBootDisks"))
    streaming = (config.get("gcfsConfig") or {}).get("enabled")
    if any(disk.get("mode") == "CONTAINER_IMAGE_CACHE" for disk in disks) and streaming is False:
        yield CheckFailure("nodeConfig.secondaryBootDisks", "container image cache needs image streaming (gcfsConfig)")
    pages = (config.get("linuxNodeConfig") or {}).get("hugepagesConfig") or {}
    small, large = pages.get("hugepageSize2m") or 0, pages.get("hugepageSize1g") or 0
    if UNKNOWN in (small, large):
        return
    share = 0.6 if machine.memory_mib < 30 * 1024 else 0.8
    if 2 * small + 1024 * large > share * machine.memory_mib:
        yield CheckFailure("nodeConfig.linuxNodeConfig.hugepagesConfig", f"more than {share:.0%} of the memory")


def _keys(config: Props) -> Iterator[CheckFailure]:
    labels = config.get("labels") or {}
    known = labels is not UNKNOWN and UNKNOWN not in labels.values()
    if known and sum(len(key) + len(value) for key, value in labels.items()) > 1024:
        yield CheckFailure("nodeConfig.labels", "must not have more than 1024 characters")
    for key in labels if labels is not UNKNOWN else ():
        if _KUBERNETES.fullmatch(key):  # terraform-provider-google#6003
            yield CheckFailure("nodeConfig.labels", f"Applying kubernetes label is not allowed: {key}.")
        elif _MANAGED.fullmatch(key):  # terraform-provider-google#19677
            message = (
                f'Node labels with key "{key}" are managed by GKE or Kubernetes and must not be manually specified.'
            )
            yield CheckFailure("nodeConfig.labels", message)
    for taint in _known(config.get("taints")):
        if isinstance(key := taint.get("key"), str) and _KUBERNETES.fullmatch(key):
            yield CheckFailure("nodeConfig.taints", f"Applying kubernetes taint is not allowed: {key}.")
    taints = [(taint.get("key"), taint.get("effect")) for taint in _known(config.get("taints"))]
    if len(set(taints)) < len(taints):
        yield CheckFailure("nodeConfig.taints", "must be unique by key and effect")


def _sharing(config: Props) -> Iterator[CheckFailure]:
    for index, accelerator in enumerate(_known(config.get("guestAccelerators"))):
        where = f"nodeConfig.guestAccelerators[{index}]"
        sharing, partition = accelerator.get("gpuSharingConfig") or {}, accelerator.get("gpuPartitionSize")
        sizes = hardware.GCP_PARTITIONS.get(str(accelerator.get("type")), {})
        if isinstance(partition, str) and partition not in sizes:
            there = f" There are: {', '.join(sizes)}." if sizes else ""
            yield CheckFailure(f"{where}.gpuPartitionSize", f"'{partition}' is not supported.{there}")
        clients = sharing.get("maxSharedClientsPerGpu")
        if clients is not None and clients is not UNKNOWN and not 2 <= int(clients) <= 48:
            yield CheckFailure(f"{where}.gpuSharingConfig.maxSharedClientsPerGpu", "must be between 2 and 48")
        if sharing.get("gpuSharingStrategy") == "MPS" and partition:
            yield CheckFailure(f"{where}.gpuSharingConfig", "MPS is not supported on partitioned GPUs")


def _unavailable(config: Props, machine: hardware.MachineType) -> Iterator[CheckFailure]:
    spot, flex = config.get("spot") is True or config.get("preemptible") is True, config.get("flexStart") is True
    affinity = (config.get("reservationAffinity") or {}).get("consumeReservationType")
    reserved = affinity in ("SPECIFIC_RESERVATION", "ANY_RESERVATION_THEN_FAIL", UNKNOWN)
    if spot and not machine.spot:
        yield CheckFailure("nodeConfig.spot", f"{machine.name} is not available as Spot VM")
    if flex and (not machine.flex or (not machine.gpu and not config.get("guestAccelerators") and _is_n1(machine))):
        yield CheckFailure("nodeConfig.flexStart", f"{machine.name} is not available as flex-start VM")
    if spot and config.get("hostMaintenancePolicy"):
        # xpk#434: the node pool is created, and ends in ERROR.
        message = "Scheduling must have preemptible be false when AutomaticRestart is true."
        yield CheckFailure("nodeConfig.hostMaintenancePolicy", message)
    if not spot and not flex and not reserved and not machine.on_demand:
        yield CheckFailure("nodeConfig.machineType", f"{machine.name} is not available on demand")


def _is_n1(machine: hardware.MachineType) -> bool:
    return machine.name.startswith("n1-")


def _disks(config: Props, machine: hardware.MachineType) -> Iterator[CheckFailure]:
    disk = config.get("diskType")
    if isinstance(disk, str) and disk not in machine.boot_disks:
        yield CheckFailure("nodeConfig.diskType", f"{disk} cannot be the boot disk of {machine.name}")
    bundled = machine.nvme_gb // hardware.GCP_LOCAL_SSD_GB
    blocks = [key for key in ("ephemeralStorageLocalSsdConfig", "localNvmeSsdBlockConfig") if config.get(key)]
    if len(blocks) > 1:
        yield CheckFailure(f"nodeConfig.{blocks[1]}", f"conflicts with {blocks[0]}")
    for key in blocks:
        count = config[key].get("localSsdCount") if config[key] is not UNKNOWN else UNKNOWN
        # 0 is the default number, for machines that come with some, and none for the others.
        allowed = (0, bundled) if bundled else (0, *machine.local_ssds)
        if count is not UNKNOWN and count not in allowed:
            there = ", ".join(map(str, allowed[1:])) or "no local SSD"
            yield CheckFailure(f"nodeConfig.{key}.localSsdCount", f"{machine.name} takes {there}, not {count}")


def _together(inputs: Props, config: Props, machine: hardware.MachineType) -> Iterator[CheckFailure]:
    network = inputs.get("networkConfig") or {}
    if network is not UNKNOWN and network.get("acceleratorNetworkProfile"):
        where = "networkConfig.acceleratorNetworkProfile"
        if not machine.gpudirect:
            yield CheckFailure(where, f"{machine.name} has no interfaces for it")
        if network.get("additionalNodeNetworkConfigs"):
            yield CheckFailure(where, "conflicts with additionalNodeNetworkConfigs")
    placement = inputs.get("placementPolicy") or {}
    if placement is UNKNOWN or placement.get("type") != "COMPACT":
        return
    if not machine.compact:
        yield CheckFailure("placementPolicy", f"{machine.name} does not support compact placement")
    if (inputs.get("queuedProvisioning") or {}).get("enabled") is True:
        yield CheckFailure("placementPolicy", "queued provisioning does not support compact placement")
    if config.get("flexStart") is True and not machine.name.startswith(_FLEX_COMPACT):
        yield CheckFailure("placementPolicy", f"{machine.name} does not support compact placement as flex-start VM")
    scaling, settings = inputs.get("autoscaling") or {}, inputs.get("upgradeSettings") or {}
    most = scaling.get("totalMaxNodeCount") or scaling.get("maxNodeCount") or 0
    surge = settings.get("maxSurge") or 0
    if UNKNOWN not in (most, surge) and machine.compact and most + surge > machine.compact:
        yield CheckFailure("placementPolicy", f"at most {machine.compact} nodes, surge nodes included")


def _known(items: object) -> list[Props]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
