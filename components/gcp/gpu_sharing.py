"""The driver of a GKE pool's GPUs, and how pods share them: partitions (MIG), time sharing or MPS."""

from collections.abc import Iterator

from .. import checks, hardware
from ..checks import Problem
from .pool_spec import GkePool

# Value of the argument → the API's.
DRIVERS = {"default": "DEFAULT", "latest": "LATEST", "disabled": "INSTALLATION_DISABLED"}
STRATEGIES = {"time_sharing": "TIME_SHARING", "mps": "MPS"}
# What GKE's autoscaler accepts in a template (pkg/cloudprovider/gke/machinetypes/gpu.go, 2026-08).
CLIENTS = (2, 48)


def problems(made: GkePool) -> Iterator[Problem]:
    """What is wrong with `driver`, `partition` and `sharing`."""
    spec, gpu = made.spec, made.pool.gpu
    if not made.pool.gpus:
        for field in ("driver", "partition", "sharing"):
            if field in spec:
                yield Problem(field, spec[field], f"{made.machine.name} has no GPU", "nothing", "remove it")
        return
    yield from checks.one_of("driver", made.driver, DRIVERS)
    partition, sharing = spec.get("partition"), spec.get("sharing")
    sizes = hardware.GCP_PARTITIONS.get(gpu, {})
    if partition is not None and partition not in sizes:
        if sizes:
            yield Problem(
                "partition", partition, f"not a partition size of {gpu}", ", ".join(sizes), f"write {next(iter(sizes))}"
            )
        else:
            share = "remove it, and share the GPU with `sharing`, such as {strategy: time_sharing, clients: 2}"
            yield Problem("partition", partition, f"{gpu} cannot be partitioned (MIG)", "nothing", share)
    if sharing is None:
        return
    low, high = CLIENTS
    yield from checks.one_of("sharing.strategy", sharing["strategy"], STRATEGIES)
    if not low <= sharing["clients"] <= high:
        yield Problem(
            "sharing.clients", sharing["clients"], "not a valid number of clients", f"{low} to {high}",
            f"write {min(max(sharing['clients'], low), high)}, or remove `sharing`",
        )  # fmt: skip
    if sharing["strategy"] == "mps" and partition is not None:
        yield Problem(
            "sharing.strategy", "mps", "MPS does not work on partitions", "time_sharing, or no partition",
            "write time_sharing",
        )  # fmt: skip
