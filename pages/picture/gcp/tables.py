"""How the example stacks on Google Cloud differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import tables
from ..recorded import joined
from .facts import DISKS, FILES, OBJECTS, Stack


def examples(stacks: Sequence[Stack]) -> str:
    """The differences between the stacks, one fact in each row."""
    return tables.examples(stacks, _FACTS)


def _control_plane(stack: Stack) -> str:
    cluster = stack.cluster.inputs
    place = "regional" if stack.regional else f"zonal, {cluster['location']}"
    return f"{place}; Kubernetes {cluster['minMasterVersion']}, channel {cluster['releaseChannel']['channel']}"


def _upgrades(stack: Stack) -> str:
    window = stack.cluster.inputs["maintenancePolicy"]["recurringWindow"]
    days = window["recurrence"].rpartition("=")[2].replace(",", ", ")
    exclusions = f"; exclusions: {', '.join(stack.exclusions)}" if stack.exclusions else ""
    return f"held: {stack.hold}; windows {days} from {window['startTime'][11:16]} UTC{exclusions}"


def _addresses(stack: Stack) -> str:
    return joined((f"{name} {cidr}" for name, cidr in stack.ranges.items()), "those of an existing VPC")


def _flow_log(stack: Stack) -> str:
    shares = [
        each.inputs["logConfig"]["flowSampling"]
        for each in stack.all("gcp:compute/subnetwork:Subnetwork")
        if "logConfig" in each.inputs
    ]
    return joined(f"{share:.0%}" for share in shares)


def _api(stack: Stack) -> str:
    return f"{'public and private' if stack.public else 'private'}; {joined(stack.access_paths)}"


def _secrets(stack: Stack) -> str:
    return "Cloud KMS" if stack.secrets_key else "Google's key"


def _volumes(stack: Stack) -> str:
    instances = [
        f"{found.inputs['fileShares']['capacityGb']} GiB" for found in stack.all("gcp:filestore/instance:Instance")
    ]
    lines = [f"{kind}: {', '.join(names)}" for kind, names in (
        ("disks", stack.classes(DISKS)),
        ("Filestore by claim", stack.classes(FILES)),
        ("Filestore instance", instances),
        ("Cloud Storage", stack.volumes(OBJECTS)),
    ) if names]  # fmt: skip
    return "<br>".join(lines)


def _disks(stack: Stack) -> str:
    kinds = {
        found.inputs["parameters"]["type"]
        for found in stack.all("StorageClass")
        if found.inputs["provisioner"] == DISKS
    }
    return joined(sorted(kinds))


_FACTS: dict[str, Callable[[Stack], str]] = {
    "region and zones": tables.zones,
    "control plane": _control_plane,
    "upgrades": _upgrades,
    "addresses": _addresses,
    "Cloud NAT": lambda stack: "one" if stack.all("RouterNat") else "none",
    "flow log": _flow_log,
    "API endpoint": _api,
    "secrets": _secrets,
    "logs": lambda stack: joined(stack.cluster.inputs["loggingConfig"]["enableComponents"]),
    "pools": tables.pools,
    "GPUs at most": tables.gpus,
    "volumes": _volumes,
    "disks of volumes": _disks,
    "deletion protection": lambda stack: "yes" if stack.cluster.inputs["deletionProtection"] else "no",
}
