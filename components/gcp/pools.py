"""What Google refuses of a pool on GKE, seen without asking it; the pool itself is in `pool_spec.py`."""

import re
from collections.abc import Iterator, Mapping

from .. import hardware, naming, pools
from ..checks import Problem
from ..pools import Pool
from ..taints import GPU_KEY, Taint, gpu_taint
from . import capacity, gpu_sharing, upgrades
from .pool_spec import GkeNodePoolSpec, GkePool, resolve, resolve_all

# Pulumi's auto-name adds a hyphen and seven digits, so that a pool's replacement exists before the pool goes.
_NAME_LIMIT = naming.GKE_NAME_LIMIT - 8
# GKE's built-in ComputeClasses (autopilot, autopilot-spot, …), and the one that is every pod's when it exists.
_CLASSES_OF_GKE = re.compile(r"default|autopilot.*")
# What the API takes: keys and values of a node config's labels together (container.v1, NodeConfig.labels).
_LABELS_LENGTH = 1024
# GKE's own; it refuses or overwrites keys of these domains (system_labels.go of GKE's autoscaler; GKE Warden).
_SYSTEM_DOMAINS = ("cloud.google.com", "gke.io", "kubernetes.io", "k8s.io")


def problems(name: str, spec: GkeNodePoolSpec, zones: list[str], version: str = "") -> Iterator[Problem]:
    """Everything that is wrong with a pool on GKE, seen without asking Google. Paths are relative to the pool;
    `version` is the cluster's Kubernetes minor, if it is known."""
    common = list(pools.problems(hardware.GCP, name, spec, zones))
    yield from common
    yield from _keys(spec)
    if common:
        return  # the rest would only repeat it
    yield from _name(name, spec)
    yield from _size(spec)
    made = resolve(name, spec)
    yield from _labels(made)
    yield from _disks(made)
    yield from gpu_sharing.problems(made)
    yield from capacity.problems(made, zones, version)
    yield from upgrades.problems(made)


def _name(name: str, spec: GkeNodePoolSpec) -> Iterator[Problem]:
    longest = max((rung.name for rung in resolve(name, spec).pool.rungs), key=len)
    if len(longest) > _NAME_LIMIT:
        most = _NAME_LIMIT - (len(longest) - len(name))
        yield Problem(
            "", name,
            f"too long for the node pool {longest}: GKE takes {naming.GKE_NAME_LIMIT} characters, and 8 of them make a "
            "new pool's name differ from the old one's", f"up to {most} characters with this `capacity`",
            "shorten the pool's name",
        )  # fmt: skip
    if len(spec.get("capacity", [])) > 1 and _CLASSES_OF_GKE.fullmatch(name):
        yield Problem(
            "", name, "GKE has a ComputeClass of this name, and the order of the pool's rungs needs one",
            "other names, or a pool of one rung", "rename the pool",
        )  # fmt: skip


def _size(spec: GkeNodePoolSpec) -> Iterator[Problem]:
    if spec.get("per_zone") and not spec.get("zones"):
        yield Problem(
            "per_zone", True, "of which zones is not said", "per_zone together with zones",
            "name the pool's zones, or remove perZone",
        )  # fmt: skip


def _keys(spec: GkeNodePoolSpec) -> Iterator[Problem]:
    found = {f"labels.{key}": key for key in spec.get("labels", {})}
    found |= {f"taints[{index}].key": taint["key"] for index, taint in enumerate(spec.get("taints", []))}
    for path, key in found.items():
        domain = key.rpartition("/")[0]
        if any(domain == system or domain.endswith(f".{system}") for system in _SYSTEM_DOMAINS):
            yield Problem(path, key, "a key of GKE's own", "keys without a domain, or of your own", "rename the key")
    taints, gpu = spec.get("taints", []), gpu_taint(hardware.GCP)
    for index, taint in enumerate(taints):
        same = [other for other in taints[:index] if _identity(other) == _identity(taint)]
        if same:
            yield Problem(
                f"taints[{index}]", taint["key"], f"the same key and effect as taints[{taints.index(same[0])}]",
                "each pair once", "remove one of them",
            )  # fmt: skip
        for field, meant in (("value", gpu.get("value", "")), ("effect", gpu["effect"])):
            if taint["key"] == GPU_KEY and (other := taint.get(field, "")) != meant:
                yield Problem(
                    f"taints[{index}].{field}", other,
                    f"collides with {GPU_KEY}={gpu.get('value')}:{gpu['effect']}, which GKE sets by itself", meant,
                    "remove the taint: it is set anyway",
                )  # fmt: skip


def _identity(taint: Taint) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _labels(made: GkePool) -> Iterator[Problem]:
    length = max(sum(len(key) + len(value) for key, value in rung.labels.items()) for rung in made.pool.rungs)
    if length > _LABELS_LENGTH:
        yield Problem(
            "labels", length, "characters in the labels of a node, with gpuyard's own", f"up to {_LABELS_LENGTH}",
            "remove or shorten some",
        )  # fmt: skip


def _disks(made: GkePool) -> Iterator[Problem]:
    spec, machine = made.spec, made.machine
    wanted = spec.get("disk_type")
    if wanted is not None and wanted not in machine.boot_disks:
        yield Problem(
            "disk_type", wanted, f"{machine.name} does not boot from it", ", ".join(machine.boot_disks),
            f"write {machine.boot_disks[0]}, or remove it",
        )  # fmt: skip
    count = spec.get("local_ssds")
    if count is None:
        return
    if machine.nvme_gb or not machine.local_ssds:
        comes = machine.nvme_gb // hardware.GCP_LOCAL_SSD_GB
        yield Problem(
            "local_ssds", count, f"{machine.name} {f'comes with {comes}' if comes else 'takes none'}", "nothing",
            "remove it",
        )  # fmt: skip
    elif count not in machine.local_ssds:
        allowed = ", ".join(map(str, machine.local_ssds))
        yield Problem("local_ssds", count, f"not offered for {machine.name}", allowed, "choose one of them")
    elif spec.get("scratch") is False:
        yield Problem("local_ssds", count, "disks for `scratch`, which is off", "with scratch: true", "remove one")


def home_problems(specs: Mapping[str, GkeNodePoolSpec]) -> Iterator[Problem]:
    """GKE's system pods tolerate no taint of ours and outlive no flex-start node, which lasts seven days at most: one
    pool without GPUs must hold them. That there is one without GPUs is not asked here."""
    without = [made.pool for made in resolve_all(specs).values() if not made.pool.gpus]
    if without and not any(_may_hold_system_pods(pool) for pool in without):
        yield Problem(
            "", [pool.name for pool in without], "GKE's system pods find no node to run on",
            "a pool without GPUs and without taints, which has one rung and not flex",
            "take the taints off one of them, or give it capacity: [on_demand]",
        )  # fmt: skip


def warnings(specs: Mapping[str, GkeNodePoolSpec]) -> Iterator[str]:
    """What works but is seldom meant."""
    homes = [
        pool for made in resolve_all(specs).values() if not (pool := made.pool).gpus and _may_hold_system_pods(pool)
    ]
    if homes and all(pool.capacity == ("spot",) for pool in homes):
        yield (
            f"{homes[0].name}.capacity: GKE's system pods, the cluster's DNS among them, have spot nodes only and go "
            "whenever Google takes those back; write on_demand, or add a small pool on demand"
        )


def _may_hold_system_pods(pool: Pool) -> bool:
    return pool.capacity != ("flex",) and all(taint["effect"] == "PreferNoSchedule" for taint in pool.taints)
