"""The nodes of EC2 instances in EKS node groups: the node that the Cluster Autoscaler expects, and the one that
joins."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from components import hardware
from sandbox.cluster.cloud import DEVICE_LISTS, ENVVAR, MOUNTS, NodeShape, Taint

_TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template/"
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
_GIB = 2**30


def template(
    facts: dict[str, Any], region: str, zone: str, tags: Mapping[str, str], nodegroup: dict[str, Any]
) -> NodeShape:
    """The node that the Cluster Autoscaler expects in a group.

    Args:
        facts: DescribeInstanceTypes of the group's first type.
        tags: of the Auto Scaling group.
        nodegroup: the answer of DescribeNodegroup; empty if the autoscaler does not call it.
    """
    resources = {
        "cpu": str(facts["VCpuInfo"]["DefaultVCpus"]),
        "memory": f"{facts['MemoryInfo']['SizeInMiB']}Mi",
        "pods": "110",
    }
    if gpus := gpu_count(facts):
        resources["nvidia.com/gpu"] = str(gpus)
    labels = _kubelet_labels(facts, region, zone)
    taints: dict[tuple[str, str], Taint] = {}
    labels.update(nodegroup.get("labels", {}))
    taints.update({(each.key, each.effect): each for each in taints_of(nodegroup)})
    for tag, value in tags.items():
        kind, _, key = tag.removeprefix(_TEMPLATE_TAG).partition("/") if tag.startswith(_TEMPLATE_TAG) else ("", "", "")
        if kind == "label" and key:
            labels[key] = value
        elif kind == "taint" and ":" in value:
            content, _, effect = value.rpartition(":")
            taints[key, effect] = Taint(key, content, effect)
        elif kind == "resources":
            resources[key] = value
    return NodeShape(labels, tuple(taints.values()), resources, facts["InstanceType"], zone)


def joined(
    facts: dict[str, Any],
    region: str,
    zone: str,
    name: str,
    nodegroup: dict[str, Any],
    data: dict[str, Any],
    pods: int,
) -> NodeShape:
    """The node that joins, before any device plugin runs on it.

    Args:
        nodegroup: the answer of DescribeNodegroup; empty for a self-managed group.
        data: of the launch template.
        pods: the kubelet's maximum number of pods.
    """
    labels = {**_kubelet_labels(facts, region, zone), "kubernetes.io/hostname": name}
    if nodegroup:
        labels["eks.amazonaws.com/nodegroup"] = nodegroup["nodegroupName"]
        labels["eks.amazonaws.com/capacityType"] = nodegroup.get("capacityType", "ON_DEMAND")
        labels["eks.amazonaws.com/nodegroup-image"] = data.get("ImageId", "")
        labels.update(nodegroup.get("labels", {}))
    bottlerocket = is_bottlerocket(nodegroup, data)
    pages = _huge_pages(facts, nodegroup, data)
    resources = _allocatable(facts, _disk(facts, data, bottlerocket), pods, pages)
    return NodeShape(labels, tuple(taints_of(nodegroup)), resources, facts["InstanceType"], zone)


def device_lists(nodegroup: dict[str, Any], data: dict[str, Any]) -> frozenset[str]:
    """Ways in which the image's container runtime gives GPUs to containers without CAP_SYS_ADMIN.

    Bottlerocket: by mounts (bottlerocket#3718). AL2023: containerd accepts CDI (nodeadm, from Kubernetes 1.32 on). The
    other ways depend on the container toolkit's configuration, which user data may change: the toolkit accepts no
    mounts by default; it accepted the environment variable until the release v20260423 (amazon-eks-ami#2706).
    Nothing is known about other images.
    """
    if is_bottlerocket(nodegroup, data):
        return frozenset({MOUNTS})
    if not nodegroup.get("amiType", "").startswith("AL2023"):
        return DEVICE_LISTS
    accepted = {MOUNTS: False, ENVVAR: nodegroup.get("releaseVersion", "").rpartition("-")[2] < "20260423"}
    for option, value in re.findall(r"accept-nvidia-visible-devices-([a-z-]+?)\s*=\s*(true|false)", _user_data(data)):
        way = {"as-volume-mounts": MOUNTS, "envvar-when-unprivileged": ENVVAR}.get(option, "")
        accepted[way] = value == "true"
    return DEVICE_LISTS - {way for way, yes in accepted.items() if not yes}


def kubelet(nodegroup: dict[str, Any]) -> str:
    """Version of the kubelet in a group's image. An AL2023 release contains it in its name, a Bottlerocket one does
    not."""
    release, minor = nodegroup.get("releaseVersion", ""), nodegroup.get("version", "")
    named = release.partition("-")[0]
    return f"v{named if minor and named.startswith(f'{minor}.') else f'{minor}.0'}-eks-sandbox" if minor else ""


def pins_cpus(data: dict[str, Any]) -> bool:
    """Whether user data enables the kubelet's static CPU manager."""
    return bool(re.search(r"cpuManagerPolicy:\s*static|cpu-manager-policy = \"static\"", _user_data(data)))


def interfaces(data: dict[str, Any]) -> int:
    """Number of EFA interfaces in a launch template."""
    return sum(each.get("InterfaceType") in ("efa", "efa-only") for each in data.get("NetworkInterfaces") or [])


def max_pods(facts: dict[str, Any], prefixes: bool = False) -> int:
    """Pods per node with the VPC CNI, up to the cap that managed node groups set. `prefixes`: prefix delegation, 16
    addresses instead of one, which only Nitro machines support (EKS user guide, "Choosing an optimal Amazon EC2 node
    instance type")."""
    network = facts["NetworkInfo"]
    each = 16 if prefixes and (facts.get("Hypervisor") == "nitro" or facts.get("BareMetal")) else 1
    addresses = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) * each + 2
    return min(addresses, 110 if facts["VCpuInfo"]["DefaultVCpus"] < 30 else 250)


def kubelet_pods(facts: dict[str, Any], nodegroup: dict[str, Any], data: dict[str, Any], prefixes: bool) -> int:
    """The node kubelet's maximum number of pods. EKS computes it for its own images; other images count single
    addresses (nodeadm, internal/kubelet/eni_max_pods.go; amazon-eks-ami#2045), unless user data sets a number."""
    if nodegroup.get("amiType") != "CUSTOM":
        return max_pods(facts, prefixes)
    limit = re.search(r"(?:maxPods:|max-pods =)\s*(\d+)", _user_data(data))
    network = facts["NetworkInfo"]
    alone = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    return int(limit[1]) if limit else alone


def _kept_from_joining(label: str) -> bool:
    """Whether a kubelet fails at its start because of a label of its node (kubelet,
    pkg/apis/well_known_labels.go): EKS reserves `kubernetes.io/` but does not check `node-role.kubernetes.io/`."""
    domain = label.rpartition("/")[0]
    kubernetes = any(domain == each or domain.endswith(f".{each}") for each in ("kubernetes.io", "k8s.io"))
    allowed = any(
        domain == each or domain.endswith(f".{each}") for each in ("kubelet.kubernetes.io", "node.kubernetes.io")
    )
    return kubernetes and not allowed and not domain.startswith("topology.")


def _kubelet_labels(facts: dict[str, Any], region: str, zone: str) -> dict[str, str]:
    arm = "arm64" in facts["ProcessorInfo"]["SupportedArchitectures"]
    return {
        "kubernetes.io/arch": "arm64" if arm else "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": facts["InstanceType"],
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
        # The EBS driver adds this label to the node that joins; the autoscaler expects it (aws_manager.go,
        # buildGenericLabels).
        "topology.ebs.csi.aws.com/zone": zone,
    }


def _user_data(data: dict[str, Any]) -> str:
    return base64.b64decode(data.get("UserData", "") or "").decode(errors="replace")


def joins(nodegroup: dict[str, Any], data: dict[str, Any]) -> bool:
    """Whether the nodes can find their cluster. EKS configures its own images; others get the cluster from user data
    (EKS user guide, "Specifying an AMI")."""
    if any(map(_kept_from_joining, nodegroup.get("labels", {}))):
        return False
    if nodegroup.get("amiType") != "CUSTOM":
        return True
    needed = ("cluster-name", "api-server", "cluster-certificate")
    if not is_bottlerocket(nodegroup, data):
        needed = ("name:", "apiServerEndpoint:", "certificateAuthority:", "cidr:")
    text = _user_data(data)
    return all(each in text for each in needed)


def boots(nodegroup: dict[str, Any], machine_type: str) -> bool:
    """Whether the image can boot on the machine. Amazon Linux 2023 needs at least a Graviton2 (its user guide,
    "System requirements")."""
    return not (machine_type.startswith("a1.") and nodegroup.get("amiType", "").startswith("AL2023"))


def is_bottlerocket(nodegroup: dict[str, Any], data: dict[str, Any]) -> bool:
    """The operating system: from the AMI type, or for a custom image from the form of the user data."""
    kind = nodegroup.get("amiType", "")
    return kind.startswith("BOTTLEROCKET") or (kind == "CUSTOM" and _user_data(data).startswith("[settings"))


def taints_of(nodegroup: dict[str, Any]) -> list[Taint]:
    return [Taint(t["key"], t.get("value", ""), _EFFECTS[t["effect"]]) for t in nodegroup.get("taints", [])]


def gpu_count(facts: dict[str, Any]) -> int:
    gpus = facts.get("GpuInfo", {}).get("Gpus", [])
    return sum(gpu["Count"] for gpu in gpus if gpu["Manufacturer"].upper() == "NVIDIA")


def gpu_resources(facts: dict[str, Any], nodegroup: dict[str, Any], data: dict[str, Any]) -> int:
    """The count of `nvidia.com/gpu` that Bottlerocket's own device plugin shows: GPUs times partitions times clients.
    On other images, their number: a device plugin that is installed there may show more."""
    count, text = gpu_count(facts), _user_data(data)
    if not is_bottlerocket(nodegroup, data) or not count:
        return count
    machine = hardware.find(hardware.AWS, facts["InstanceType"])
    if machine and 'device-partitioning-strategy = "mig"' in text:
        profile = re.search(rf'"?{machine.gpu.lower()}\.\d+gb"? = "([^"]+)"', text)
        count *= machine.partitions.get(profile[1], 1) if profile else 1
    shared = re.search(r'device-sharing-strategy = "(time-slicing|mps)"', text)
    if not shared:
        return count
    table = re.search(rf"\[settings\.kubelet-device-plugins\.nvidia\.{shared[1]}\]\n((?:[^\[]+\n?)*)", text)
    settings = table[1] if table else ""
    if "rename-by-default = false" not in settings:
        return 0  # they are then `nvidia.com/gpu.shared`
    replicas = re.search(r"replicas = (\d+)", settings)
    return count * (int(replicas[1]) if replicas else 1)


def _huge_pages(facts: dict[str, Any], nodegroup: dict[str, Any], data: dict[str, Any]) -> int:
    """Pages of 2 MiB that the image reserves at boot if EFA is attached: Bottlerocket by vCPU
    (bottlerocket-core-kit, corndog), the accelerated AL2023 images as EFA's installer does (EKS user guide,
    "Run machine learning training on Amazon EKS with Elastic Fabric Adapter")."""
    if not interfaces(data):
        return 0
    if is_bottlerocket(nodegroup, data):
        return 110 * facts["VCpuInfo"]["DefaultVCpus"]
    return 5128 if nodegroup.get("amiType", "").endswith("_NVIDIA") else 0


def _allocatable(facts: dict[str, Any], disk: float, pods: int, huge_pages: int) -> dict[str, str]:
    """The resources for pods: the machine minus the image's reservations and the kubelet's eviction thresholds."""
    cores = facts["VCpuInfo"]["DefaultVCpus"]
    # 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest
    reserved = sum(60 if n == 0 else 10 if n == 1 else 5 if n < 4 else 2.5 for n in range(cores))
    # About 4 % of the memory is not visible to the kubelet: firmware, kernel, hypervisor.
    memory = facts["MemoryInfo"]["SizeInMiB"] * 0.96 - (255 + 11 * pods) - 100 - 2 * huge_pages
    return {
        **({"hugepages-2Mi": f"{2 * huge_pages}Mi"} if huge_pages else {}),
        "cpu": f"{cores * 1000 - round(reserved)}m",
        "memory": f"{int(memory)}Mi",
        "pods": str(pods),
        # 1 GiB is reserved, and the kubelet evicts at 10 % free space
        "ephemeral-storage": str(int(disk * 0.9 - _GIB)),
    }


def _disk(facts: dict[str, Any], data: dict[str, Any], bottlerocket: bool) -> float:
    """Bytes of the disk for pods: the local NVMe disks as RAID 0 if user data configures it, or else a volume: the
    root volume, or on Bottlerocket the second one. 20 GiB if the template does not set its size."""
    text = _user_data(data)
    local = facts.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)
    # bootstrap-commands contain ["apiclient", "ephemeral-storage", "init"]
    striped = r'"ephemeral-storage",\s*"init"' if bottlerocket else r"strategy:\s*[\"']?RAID0"
    if local and re.search(striped, text):
        return local * 1e9
    device = "/dev/xvdb" if bottlerocket else "/dev/xvda"
    found = [each["Ebs"] for each in data.get("BlockDeviceMappings", []) if each.get("DeviceName") == device]
    return float(found[0].get("VolumeSize", 20) if found and found[0] else 20) * _GIB
