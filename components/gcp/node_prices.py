"""The list prices of a cluster's GPU nodes, for the costs that alert rules record."""

from collections.abc import Mapping

from .. import prices
from ..hardware import GCP
from ..monitoring.alerts import NodePrice, node_price
from ..prices import RungPrice
from .pool_spec import GkeNodePoolSpec, resolve


def of_rungs(region: str, node_pools: Mapping[str, GkeNodePoolSpec]) -> list[RungPrice]:
    """The prices of the rungs with GPUs, one for each machine type and capacity type, as far as they are known."""
    pools = [resolve(name, spec).pool for name, spec in node_pools.items()]
    found = {
        (each.price.machine, each.capacity): each
        for pool in pools
        if pool.gpus
        for each in prices.of_pool(GCP, region, pool)
    }
    return list(found.values())


def of_nodes(region: str, node_pools: Mapping[str, GkeNodePoolSpec]) -> list[NodePrice]:
    """The same as the argument `prices` of `Alerts`."""
    return [node_price(each) for each in of_rungs(region, node_pools)]
