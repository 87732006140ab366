"""How pods share the GPUs of an EKS pool: by the device plugin on Amazon Linux, by the node's settings on Bottlerocket.

Sources: NVIDIA's k8s-device-plugin 0.20.0 (README, "Shared Access to GPUs", and its chart), Bottlerocket's page on
settings.kubelet-device-plugins (MPS since 1.54, MIG since 1.34), amazon-eks-ami (nothing sets a GPU's MIG mode).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from .. import gpu_sharing
from ..checks import Problem
from ..hardware import MachineType
from ..pool_spec import GpuSharing, NodePoolSpec

CONFIG_LABEL = "nvidia.com/device-plugin.config"
"""Label of a node with the name of the device plugin's configuration that it uses."""

MPS_LABEL = "nvidia.com/mps.capable"
"""Label of the nodes on which the chart runs the MPS control daemon."""

_OURS = ("al2023",)
_SINCE = {"partition": (1, 34), "mps": (1, 54)}


def labels(image: str, sharing: GpuSharing | None) -> dict[str, str]:
    """Labels of the nodes for the device plugin."""
    if sharing is None or image not in _OURS:
        return {}
    return {CONFIG_LABEL: config_name(sharing), **({MPS_LABEL: "true"} if sharing["strategy"] == "mps" else {})}


def config_name(sharing: GpuSharing) -> str:
    """Name of the device plugin's configuration for that way of sharing."""
    return f"{sharing['strategy'].replace('_', '-')}-{sharing['clients']}"


def plugin_configs(shared: Iterable[GpuSharing]) -> dict[str, str]:
    """Name → configuration of the device plugin, with the one for whole GPUs; empty if no pool shares."""
    found = {config_name(each): _document(each) for each in shared}
    return {"default": _yaml({"version": "v1"}), **found} if found else {}


def _document(sharing: GpuSharing) -> str:
    resource = {"name": "nvidia.com/gpu", "replicas": sharing["clients"]}
    # A second unit of a shared GPU gives a pod neither a second GPU nor more of it: the plugin refuses such requests.
    slices = {"failRequestsGreaterThanOne": True} if sharing["strategy"] == "time_sharing" else {}
    kind = "timeSlicing" if sharing["strategy"] == "time_sharing" else "mps"
    return _yaml({"version": "v1", "sharing": {kind: {**slices, "resources": [resource]}}})


def _yaml(value: Mapping[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def bottlerocket(spec: NodePoolSpec, machines: Iterable[MachineType]) -> dict[str, Any]:
    """Settings of a Bottlerocket node. Without renaming, a shared GPU is `nvidia.com/gpu` as on every other node."""
    found: dict[str, Any] = {}
    if sharing := spec.get("sharing"):
        clients = {"replicas": sharing["clients"], "rename-by-default": False}
        if sharing["strategy"] == "mps":
            found |= {"device-sharing-strategy": "mps", "mps": clients}
        else:
            once = {**clients, "fail-requests-greater-than-one": True}
            found |= {"device-sharing-strategy": "time-slicing", "time-slicing": once}
    if partition := spec.get("partition"):
        profile = {_bottlerocket_name(machine): partition for machine in machines}
        found |= {"device-partitioning-strategy": "mig", "mig": {"profile": profile}}
    return {"kubelet-device-plugins": {"nvidia": found}} if found else {}


def _bottlerocket_name(machine: MachineType) -> str:
    """Bottlerocket's name of a GPU: a100.40gb. The memory is that in NVIDIA's name of the largest partition."""
    whole = next(size for size, count in machine.partitions.items() if count == 1)
    return f"{machine.gpu.lower()}.{whole.partition('.')[2]}"


def problems(spec: NodePoolSpec, image: str, release: str | None, machines: list[MachineType]) -> Iterator[Problem]:
    """What is wrong with `partition` and `sharing`."""
    first = machines[0]
    if wrong := list(gpu_sharing.problems(spec, first, first.gpus, first.gpu)):
        yield from wrong
        return  # the rest would only repeat it
    partition, sharing = spec.get("partition"), spec.get("sharing")
    if partition is not None and image in _OURS:
        yield Problem(
            "partition", partition, "EKS's Amazon Linux image leaves MIG off, and no setting of it turns MIG on",
            "together with `image: bottlerocket`", "write `image: bottlerocket`, or use `sharing`",
        )  # fmt: skip
    elif partition is not None and len({machine.partitions.get(partition) for machine in machines}) > 1:
        yield Problem(
            "machine_types", spec["machine_types"], f"not all of them have as many partitions of {partition}",
            "machine types with the same GPU", f"keep {first.name}",
        )  # fmt: skip
    for field, used in (("partition", partition is not None), ("mps", bool(sharing) and sharing["strategy"] == "mps")):
        version = re.match(r"(\d+)\.(\d+)\.", release or "") if image == "bottlerocket" and used else None
        if version and (int(version[1]), int(version[2])) < _SINCE[field]:
            since = ".".join(map(str, _SINCE[field]))
            what = "partition GPUs" if field == "partition" else "run MPS"
            yield Problem(
                "release", release, f"this release cannot {what}", f"{since} and later", "use a newer release"
            )
