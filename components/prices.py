"""Prices of machines on demand, as dated data: `prices.csv`, list prices in US dollars an hour without tax or discount.

Not here: prices of spot (they change hourly), capacity blocks and commitments (they are contracts), disks, traffic
and the control plane. A machine, or a region, without a row has no price, rather than a wrong one.

`python -m tools.prices` writes it. Sources, both generated from the clouds' own price lists: AWS,
zz_generated.pricing_aws.go of aws/karpenter-provider-aws; Google, initial-prices.json of
cloudpilot-ai/karpenter-provider-gcp. A price of Google is that of the whole machine with its GPUs; GPUs that are
attached to N1 machines are not in it.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from .pools import Pool

OLD_DAYS = 270
"""After this many days a price is old: clouds change them about once a year."""
# A capacity reservation is billed like the machines on demand, whether they run or not; a capacity block is not.
_AS_ON_DEMAND = ("on_demand", "reserved")


@dataclass(frozen=True)
class Price:
    """Price of a machine on demand."""

    cloud: str
    region: str
    machine: str
    dollars_per_hour: float
    """For the whole machine, with its GPUs."""
    read: date
    """When it was read."""
    source: str
    """The repository that it was read in."""


@dataclass(frozen=True)
class RungPrice:
    """Price of the nodes of a rung."""

    price: Price
    capacity: str
    """Capacity type of the rung."""
    gpus: int
    """GPUs of a node."""


@cache
def _table() -> Mapping[tuple[str, str, str], Price]:
    with (Path(__file__).parent / "prices.csv").open(newline="") as file:
        rows = [
            Price(
                row["cloud"], row["region"], row["type"], float(row["dollars_per_hour"]),
                date.fromisoformat(row["date"]), row["source"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return {(row.cloud, row.region, row.machine): row for row in rows}


def every() -> list[Price]:
    """All prices."""
    return list(_table().values())


def of(cloud: str, region: str, machine: str) -> Price | None:
    """The price of a machine type in a region; None if it is not known."""
    return _table().get((cloud, region, machine))


def of_pool(cloud: str, region: str, pool: Pool, capacity_block: bool = False) -> list[RungPrice]:
    """The prices of a pool's rungs, as far as they are known. `capacity_block`: whether its reservation is one."""
    found = [
        price
        for machine in pool.machines
        # GPUs that are attached have their own price.
        if machine.gpus == pool.gpus and (price := of(cloud, region, machine.name))
    ]
    rungs = [each for each in pool.capacity if each in _AS_ON_DEMAND and not (each == "reserved" and capacity_block)]
    return [RungPrice(price, capacity, pool.gpus) for capacity in rungs for price in found]


def age_warning(used: Iterable[Price], today: date) -> str | None:
    """What to say about prices that are old; None if none is."""
    oldest = min((price.read for price in used), default=today)
    days = (today - oldest).days
    if days <= OLD_DAYS:
        return None
    return f"prices are of {oldest}, {days} days ago: costs in dashboards may differ from the bill; update gpuyard"
