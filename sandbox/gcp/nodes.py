"""The node of a GKE machine: labels, taints and its cpu, memory and disk for pods.

Sources: GKE's pages "Plan node sizes" and "Image streaming" (reservations), "Node labels", "About GPUs" and "Spot VMs";
GKE's own autoscaler (GoogleCloudPlatform/cluster-autoscaler, 2026-08): names of labels as in system_labels.go,
reservations of cpu and memory as in reserved.go. What the kernel and the image use of memory and disk is not simulated.
"""

from __future__ import annotations

from typing import Any

from components import hardware
from sandbox.cluster.cloud import NodeShape, Taint
from sandbox.gcp import machines
from sandbox.gcp.store import Body

_DRIVERS = {"INSTALLATION_DISABLED": "autoinstall-disabled"}
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "PREFER_NO_SCHEDULE": "PreferNoSchedule", "NO_EXECUTE": "NoExecute"}
DEFAULT_MACHINE = "e2-medium"
DEFAULT_DISK_GB = 100
_DEFAULT_PODS = 110
_PAGE_MIB = {"2Mi": 2, "1Gi": 1024}
_LOCAL_SSD_GB = 375
GPU = "nvidia.com/gpu"
_NO_PLUGIN = "gke-no-default-nvidia-gpu-device-plugin"
NETWORK_PROFILE = "gke.networks.io/accelerator-network-profile"


def shape(pool: Body, zone: str, hostname: str = "", *, with_gpus: bool = False) -> NodeShape:
    """A pool's node in a zone. `with_gpus`: with the GPUs as a resource, as GKE's own autoscaler expects them."""
    config = pool.get("config", {})
    machine = machines.find(config.get("machineType", DEFAULT_MACHINE))
    assert machine is not None  # checked when the pool was created
    streaming = bool(config.get("gcfsConfig", {}).get("enabled"))
    resources = {
        "cpu": f"{_allocatable_millicores(machine, max_pods(pool))}m",
        "memory": f"{_allocatable_mib(machine.memory_mib, streaming) - _set_aside_mib(config)}Mi",
        "ephemeral-storage": f"{_allocatable_disk_mib(config, machine)}Mi",
        "pods": str(max_pods(pool)),
    }
    for size, count in _huge_pages(config).items():
        resources[f"hugepages-{size}"] = f"{count * _PAGE_MIB[size]}Mi"
    if with_gpus and gpus(config):
        resources[GPU] = str(gpus(config))
    return NodeShape(
        labels=labels(pool, machine, zone, hostname),
        taints=tuple(taints(pool)),
        resources=resources,
        machine_type=machine.name,
        zone=zone,
    )


def _huge_pages(config: Body) -> dict[str, int]:
    pages = config.get("linuxNodeConfig", {}).get("hugepages", {})
    found = {"2Mi": int(pages.get("hugepageSize2m") or 0), "1Gi": int(pages.get("hugepageSize1g") or 0)}
    return {size: count for size, count in found.items() if count}


def _set_aside_mib(config: Body) -> int:
    """Memory of huge pages, which is not available to ordinary pods."""
    return sum(count * _PAGE_MIB[size] for size, count in _huge_pages(config).items())


def labels(pool: Body, machine: machines.MachineType, zone: str, hostname: str) -> dict[str, str]:
    """GKE's own labels, then the pool's."""
    config = pool.get("config", {})
    own = {
        "beta.kubernetes.io/instance-type": machine.name,
        "node.kubernetes.io/instance-type": machine.name,
        "kubernetes.io/arch": machine.arch,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": machines.region_of(zone),
        "topology.kubernetes.io/zone": zone,
        "topology.gke.io/zone": zone,
        "cloud.google.com/gke-nodepool": pool["name"],
        "cloud.google.com/gke-os-distribution": "cos",
        "cloud.google.com/gke-container-runtime": "containerd",
        "cloud.google.com/gke-boot-disk": config.get("diskType", "pd-balanced"),
        "cloud.google.com/gke-max-pods-per-node": str(max_pods(pool)),
        "cloud.google.com/gke-provisioning": "standard",
        "cloud.google.com/machine-family": machine.series,
    }
    if config.get("workloadMetadataConfig", {}).get("mode") == "GKE_METADATA":
        own["iam.gke.io/gke-metadata-server-enabled"] = "true"
    if hostname:
        own["kubernetes.io/hostname"] = hostname
    if config.get("spot"):
        own |= {"cloud.google.com/gke-spot": "true", "cloud.google.com/gke-provisioning": "spot"}
    elif config.get("preemptible"):
        own |= {"cloud.google.com/gke-preemptible": "true", "cloud.google.com/gke-provisioning": "preemptible"}
    if config.get("flexStart"):
        own |= {"cloud.google.com/gke-flex-start": "true", "cloud.google.com/gke-provisioning": "flex-start"}
    if config.get("maxRunDuration"):
        own["cloud.google.com/gke-max-run-duration-seconds"] = str(config["maxRunDuration"]).removesuffix("s")
    if _local_ssds(config, machine):
        own["cloud.google.com/gke-ephemeral-storage-local-ssd"] = "true"
    own |= _reservation(config.get("reservationAffinity", {}))
    own |= {f"disk-type.gke.io/{disk}": "true" for disk in _volumes(machine)}
    for accelerator in config.get("accelerators", []):
        own["cloud.google.com/gke-accelerator"] = accelerator["acceleratorType"]
        own["cloud.google.com/gke-accelerator-count"] = str(accelerator["acceleratorCount"])
        own["cloud.google.com/gke-gpu"] = "true"
        driver = accelerator.get("gpuDriverInstallationConfig", {}).get("gpuDriverVersion", "DEFAULT")
        own["cloud.google.com/gke-gpu-driver-version"] = _DRIVERS.get(driver, driver.lower())
        if partition := accelerator.get("gpuPartitionSize"):
            own["cloud.google.com/gke-gpu-partition-size"] = partition
        sharing = accelerator.get("gpuSharingConfig", {})
        if sharing:
            own["cloud.google.com/gke-gpu-sharing-strategy"] = sharing["gpuSharingStrategy"].lower().replace("_", "-")
            own["cloud.google.com/gke-max-shared-clients-per-gpu"] = str(sharing["maxSharedClientsPerGpu"])
    return {**own, **config.get("labels", {})}


def taints(pool: Body) -> list[Taint]:
    """The pool's taints and those that GKE added (see gke.py)."""
    items: list[dict[str, Any]] = [*pool.get("config", {}).get("taints", []), *pool["_sandbox"].get("gke_taints", [])]
    return [Taint(item["key"], item.get("value", ""), _EFFECTS[item["effect"]]) for item in items]


def gpus(config: Body) -> int:
    """The count of `nvidia.com/gpu` on a node: each partition once, and a shared GPU once per client."""
    total = 0
    for accelerator in config.get("accelerators", []):
        clients = int(accelerator.get("gpuSharingConfig", {}).get("maxSharedClientsPerGpu", 1))
        sizes = hardware.GCP_PARTITIONS.get(accelerator["acceleratorType"], {})
        partitions = sizes.get(accelerator.get("gpuPartitionSize", ""), 1)
        total += int(accelerator["acceleratorCount"]) * partitions * clients
    return total


def _reservation(affinity: Body) -> dict[str, str]:
    """Labels that identify the reservation that a node may use."""
    values = affinity.get("values") or []
    if affinity.get("consumeReservationType") != "SPECIFIC_RESERVATION" or not values:
        return {}
    path = str(values[0]).split("/")
    name = path[path.index("reservations") + 1] if "reservations" in path else path[0]
    return {"cloud.google.com/reservation-name": name, "cloud.google.com/reservation-affinity": "specific"}


def _volumes(machine: machines.MachineType) -> tuple[str, ...]:
    """Types of volumes that the machine supports."""
    known = hardware.find(hardware.GCP, machine.name)
    return known.disks if known else ()


def _local_ssds(config: Body, machine: machines.MachineType) -> int:
    """Local SSDs that back the pods' storage. 0 in the block means the machine's built-in SSDs, which are also used
    without any block."""
    block = config.get("ephemeralStorageLocalSsdConfig")
    if block is not None:
        return int(block.get("localSsdCount") or machine.ssds)
    if config.get("localSsdCount"):
        return int(config["localSsdCount"])
    return 0 if "localNvmeSsdBlockConfig" in config else machine.ssds


def gpus_ready_by(config: Body) -> str:
    """GKE's own plugin and driver, unless the pool leaves the driver to another installer, or disables the plugin's pod
    by its label: that pod also installs the driver (NVIDIA/aicr#2047)."""
    if _NO_PLUGIN in config.get("labels", {}):
        return "device-plugin"
    disabled = any(
        accelerator.get("gpuDriverInstallationConfig", {}).get("gpuDriverVersion") == "INSTALLATION_DISABLED"
        for accelerator in config.get("accelerators", [])
    )
    return "device-plugin" if disabled else "cloud"


def max_pods(pool: Body) -> int:
    return int(pool.get("maxPodsConstraint", {}).get("maxPodsPerNode", _DEFAULT_PODS))


def _allocatable_millicores(machine: machines.MachineType, pods: int) -> int:
    """GKE reserves 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest, and 400
    millicores if more than 110 pods may run. E2's shared cores count as one."""
    cores = 1 if machine.shared_core else machine.cpus
    reserved = sum(60 if core == 0 else 10 if core == 1 else 5 if core < 4 else 2.5 for core in range(cores))
    return cores * 1000 - int(reserved) - (400 if pods > _DEFAULT_PODS else 0)


def _allocatable_mib(memory: int, streaming: bool) -> int:
    """25 % of the first 4 GB (of 1000 MiB), 20 % of the next 4, 10 % of the next 8, 6 % of the next 112 and 2 % above;
    with image streaming 4 % more of it; and 100 MiB."""
    reserved, rest = 0.0, float(memory)
    for width, share in ((4000, 0.25), (4000, 0.2), (8000, 0.1), (112000, 0.06), (rest, 0.02)):
        reserved += min(rest, width) * share
        rest -= min(rest, width)
    return memory - int(reserved) - (int(reserved * 0.04) if streaming else 0) - 100


def _allocatable_disk_mib(config: Body, machine: machines.MachineType) -> int:
    """Boot disk: 10 % are the eviction threshold, and the smallest of 50 %, 6 GiB + 35 % and 100 GiB are the system's.
    Local SSDs as ephemeral storage: 50, 75 or 100 GiB for one, two or more of them."""
    if ssds := _local_ssds(config, machine):
        gib = ssds * _LOCAL_SSD_GB * 1000**3 / 1024**3
        return int((gib * 0.9 - {1: 50, 2: 75}.get(ssds, 100)) * 1024)
    gib = float(config.get("diskSizeGb") or DEFAULT_DISK_GB)
    return int((gib * 0.9 - min(gib * 0.5, 6 + gib * 0.35, 100)) * 1024)
