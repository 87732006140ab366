"""Node pools as an argument of other components: what is wrong with their specs, and which of them have GPUs."""

from collections.abc import Iterator, Mapping

from ..checks import Problem
from ..hardware import AWS
from ..pools import Pool, resolve_all
from .pool_checks import fact_problems
from .pool_checks import problems as pool_problems
from .pool_spec import EksNodePoolSpec


def problems(node_pools: Mapping[str, EksNodePoolSpec], zones: list[str] | None = None) -> Iterator[Problem]:
    """Everything that is wrong with a component's argument `node_pools`, checked without calling AWS. `zones`: the
    network's; an add-on does not know them, so those of the pool are used."""
    for name, spec in node_pools.items():
        found = pool_problems(name, spec, spec.get("zones", []) if zones is None else zones)
        yield from (problem.under(f"node_pools.{name}") for problem in found)
    yield from (problem.under("node_pools") for problem in fact_problems(node_pools))


def with_gpus(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, Pool]:
    """The pools whose nodes have GPUs, by name."""
    return {name: pool for name, pool in resolve_all(AWS, node_pools).items() if pool.gpus}


def without_gpus(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, Pool]:
    """The pools whose nodes have no GPUs, by name."""
    return {name: pool for name, pool in resolve_all(AWS, node_pools).items() if not pool.gpus}
