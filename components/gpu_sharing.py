"""How pods share GPUs on both clouds: partitions (MIG), time sharing, MPS."""

from collections.abc import Iterator, Mapping

from . import checks
from .checks import Problem
from .hardware import MachineType
from .pool_spec import NodePoolSpec

STRATEGIES = ("time_sharing", "mps")
"""How clients share a GPU or a partition of it."""

CLIENTS = (2, 48)
"""Range of `sharing.clients`: an MPS server takes 48 (NVIDIA's page on MPS, "Volta MPS"), and so does GKE's autoscaler
(pkg/cloudprovider/gke/machinetypes/gpu.go, 2026-08)."""


def problems(spec: NodePoolSpec, machine: MachineType, gpus: int, gpu: str) -> Iterator[Problem]:
    """What is wrong with `partition` and `sharing` on a machine type, whatever the cloud. `gpus`, `gpu`: number and
    name of the GPUs of a node."""
    given: Mapping[str, object] = {**spec}
    if not gpus:
        for field in ("partition", "sharing"):
            if field in given:
                yield Problem(field, given[field], f"{machine.name} has no GPU", "nothing", "remove it")
        return
    partition, sharing = spec.get("partition"), spec.get("sharing")
    sizes = machine.partitions
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
