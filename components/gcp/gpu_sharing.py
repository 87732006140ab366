"""The driver of a GKE pool's GPUs, and Google's words for how pods share them."""

from collections.abc import Iterator

from .. import checks, gpu_sharing
from ..checks import Problem
from .pool_spec import GkePool

# Value of the argument → the API's.
DRIVERS = {"default": "DEFAULT", "latest": "LATEST", "disabled": "INSTALLATION_DISABLED"}
STRATEGIES = {"time_sharing": "TIME_SHARING", "mps": "MPS"}


def problems(made: GkePool) -> Iterator[Problem]:
    """What is wrong with `driver`, `partition` and `sharing`."""
    pool = made.pool
    if pool.gpus:
        yield from checks.one_of("driver", made.driver, DRIVERS)
    elif "driver" in made.spec:
        yield Problem("driver", made.spec["driver"], f"{made.machine.name} has no GPU", "nothing", "remove it")
    yield from gpu_sharing.problems(made.spec, made.machine, pool.gpus, pool.gpu)
