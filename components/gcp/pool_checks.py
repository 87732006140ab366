"""Problems and warnings of a pool on GKE, checked without calling Google. The pool itself is in `pool_spec.py`."""

import re
from collections.abc import Iterator, Mapping

from .. import arguments, hardware, naming, pool_checks, versions
from ..checks import Problem
from ..pools import Pool
from . import capacity, gpu_sharing, node_settings, places, system_keys, upgrades
from .pool_spec import GkeNodePoolSpec, GkePool, resolve, resolve_all

PODS_PER_NODE_RANGE = (8, 256)
# Pulumi's auto-name adds a hyphen and seven digits, so that a replacement can exist before the old pool is deleted.
_NAME_LIMIT = naming.GKE_NAME_LIMIT - 8
# GKE's built-in ComputeClasses (autopilot, autopilot-spot, …), and the name of the class that applies to every pod if
# it exists.
_CLASSES_OF_GKE = re.compile(r"default|autopilot.*")
# GKE's device plugin does not run on a node with this label, with any value. The plugin's pod also installs the driver
# (NVIDIA/aicr#2047).
NO_PLUGIN_LABEL = "gke-no-default-nvidia-gpu-device-plugin"
# A3 High started with COS 121 and older only, which Kubernetes up to 1.34 has (cluster-toolkit#5673, 2026-05).
_OLD_IMAGE_ONLY = ("a3-highgpu-8g",)
_OLD_IMAGE_UNTIL = (1, 34)
# The API's limit: keys and values of a node config's labels together (container.v1, NodeConfig.labels).
_LABELS_LENGTH = 1024


def problems(name: str, spec: GkeNodePoolSpec, zones: list[str], version: str = "") -> Iterator[Problem]:
    """Everything that is wrong with a pool on GKE, checked without calling Google. Paths are relative to the pool;
    `version` is the cluster's Kubernetes minor, if it is known."""
    spec = arguments.cleaned(GkeNodePoolSpec, spec)
    # A pool that names no zones is in the standard ones.
    usual = zones if spec.get("zones") else places.standard(zones)
    common = list(pool_checks.problems(hardware.GCP, name, spec, usual))
    yield from common
    yield from system_keys.problems(spec)
    if common:
        return  # the rest would only repeat it
    yield from _name(name, spec)
    made = resolve(name, spec)
    yield from _labels(made)
    yield from _disks(made)
    yield from _driver(made)
    yield from gpu_sharing.problems(made)
    yield from capacity.problems(made, usual, version)
    yield from _zones(made)
    yield from _pods(spec)
    yield from upgrades.problems(made)
    yield from node_settings.problems(made)


def _name(name: str, spec: GkeNodePoolSpec) -> Iterator[Problem]:
    longest = max((rung.name for rung in resolve(name, spec).pool.rungs), key=len)
    if len(longest) > _NAME_LIMIT:
        most = _NAME_LIMIT - (len(longest) - len(name))
        yield Problem(
            "", name,
            f"too long for the node pool {longest}: GKE accepts "
            f"{naming.GKE_NAME_LIMIT} characters, of which 8 are a "
            "suffix that makes the names of old and new pool differ", f"up to {most} characters with this `capacity`",
            "shorten the pool's name",
        )  # fmt: skip
    if len(spec["capacity"]) > 1 and _CLASSES_OF_GKE.fullmatch(name):
        yield Problem(
            "", name, "GKE has a ComputeClass of this name, and the order of the pool's rungs needs one",
            "other names, or a pool of one rung", "rename the pool",
        )  # fmt: skip


def _zones(made: GkePool) -> Iterator[Problem]:
    for index, zone in enumerate(made.pool.zones):
        if places.is_ai(zone) and not made.pool.gpus:
            yield Problem(
                f"zones[{index}]", zone, "an AI zone, which is for accelerators only",
                "standard zones, or a machine with GPUs", "remove it",
            )  # fmt: skip


def _pods(spec: GkeNodePoolSpec) -> Iterator[Problem]:
    low, high = PODS_PER_NODE_RANGE
    if not low <= (count := spec.get("pods_per_node", low)) <= high:
        yield Problem("pods_per_node", count, "outside the range", f"{low} to {high}", "write 110, 64 or 32")


def _labels(made: GkePool) -> Iterator[Problem]:
    length = max(sum(len(key) + len(value) for key, value in rung.labels.items()) for rung in made.pool.rungs)
    if length > _LABELS_LENGTH:
        yield Problem(
            "labels", length, "characters in the labels of a node, with gpuyard's own", f"up to {_LABELS_LENGTH}",
            "remove or shorten some",
        )  # fmt: skip


def _driver(made: GkePool) -> Iterator[Problem]:
    if NO_PLUGIN_LABEL in made.spec.get("labels", {}) and made.pool.gpus and made.driver != "disabled":
        yield Problem(
            f"labels.{NO_PLUGIN_LABEL}", made.spec.get("labels", {})[NO_PLUGIN_LABEL],
            f"prevents GKE's device plugin, and with it the driver ({made.driver}) that the plugin's pod installs",
            "together with `driver: disabled`",
            "write `driver: disabled` and install driver and device plugin, or remove the label",
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
            "local_ssds", count, f"{machine.name} {f'includes {comes}' if comes else 'takes none'}", "nothing",
            "remove it",
        )  # fmt: skip
    elif count not in machine.local_ssds:
        allowed = ", ".join(map(str, machine.local_ssds))
        yield Problem("local_ssds", count, f"not offered for {machine.name}", allowed, "choose one of them")
    elif spec.get("scratch") is False:
        yield Problem(
            "local_ssds", count, "disks for `scratch`, which is off", "together with `scratch: true`", "remove one"
        )


def home_problems(specs: Mapping[str, GkeNodePoolSpec]) -> Iterator[Problem]:
    """GKE's system pods do not tolerate gpuyard's taints, and flex-start nodes end after at most seven days: one pool
    without GPUs must be able to run these pods. Whether there is a pool without GPUs is not checked here."""
    without = [made.pool for made in resolve_all(specs).values() if not made.pool.gpus]
    if without and not any(_may_hold_system_pods(pool) for pool in without):
        yield Problem(
            "", [pool.name for pool in without], "GKE's system pods have no node to run on",
            "a pool without GPUs and without taints, which has one rung and not flex",
            "remove the taints of one of them, or write `capacity: [on_demand]`",
        )  # fmt: skip


def warnings(specs: Mapping[str, GkeNodePoolSpec], version: str = "") -> Iterator[str]:
    """Settings that are valid but rarely intended, and machine types with a known defect when last checked. `version`:
    the cluster's minor, if it is known."""
    for name, spec in specs.items():
        minor = versions.minor(version)
        if spec["machine_types"][0] in _OLD_IMAGE_ONLY and minor and minor > _OLD_IMAGE_UNTIL:
            yield (
                f"{name}.machine_types[0]: {spec['machine_types'][0]} did not start with the node image of Kubernetes "
                "1.35 in 2026-05 (COS 125; cluster-toolkit#5673); try one node, or use Kubernetes 1.34"
            )
    homes = [
        pool for made in resolve_all(specs).values() if not (pool := made.pool).gpus and _may_hold_system_pods(pool)
    ]
    if homes and all(pool.capacity == ("spot",) for pool in homes):
        yield (
            f"{homes[0].name}.capacity: GKE's system pods, including the cluster's DNS, have only spot nodes and stop "
            "when Google reclaims these; write on_demand, or add a small pool on demand"
        )


def _may_hold_system_pods(pool: Pool) -> bool:
    return pool.capacity != ("flex",) and all(taint["effect"] == "PreferNoSchedule" for taint in pool.taints)
