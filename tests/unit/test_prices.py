"""Prices: sourced, dated, for machines that exist; what is unknown has no price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from components import hardware, prices
from components.aws import node_prices as aws_prices
from components.clouds import AWS, GCP
from components.pools import resolve
from tools import prices as prices_tool

REGIONS = {(AWS, "us-east-1"), (GCP, "us-central1")}


def test_every_price_is_of_a_known_machine_and_has_a_date_and_a_source() -> None:
    found = prices.every()
    assert {(each.cloud, each.region) for each in found} == REGIONS and len(found) > 100
    for each in found:
        assert hardware.find(each.cloud, each.machine), each
        assert each.dollars_per_hour > 0 and each.read.year >= 2026 and each.source.startswith("karpenter-provider-")


@pytest.mark.parametrize(
    ("machine", "dollars"), [("g6.2xlarge", 0.9776), ("g5.xlarge", 1.006), ("p3.2xlarge", 3.06), ("p5.4xlarge", 6.88)]
)
def test_known_prices_are_there(machine: str, dollars: float) -> None:
    """Those that the project's records have as well."""
    found = prices.of(AWS, "us-east-1", machine)
    assert found is not None and found.dollars_per_hour == pytest.approx(dollars)


def test_a_larger_machine_of_a_family_costs_more_for_the_same_gpu() -> None:
    """A row that moved to another type would break this."""
    for small, large in (("g6.xlarge", "g6.2xlarge"), ("g5.12xlarge", "g5.48xlarge"), ("p5.4xlarge", "p5.48xlarge")):
        first, second = (prices.of(AWS, "us-east-1", name) for name in (small, large))
        assert first and second and first.dollars_per_hour < second.dollars_per_hour


def pool(cloud: str = AWS, **spec: Any) -> Any:
    return resolve(cloud, "gpu", {"machine_types": ["g6.2xlarge"], "min": 0, "max": 2, **spec})


def test_what_is_not_known_has_no_price() -> None:
    """Spot, capacity blocks, other regions, and GPUs that are attached to a machine."""
    ladder = pool(capacity=["reserved", "spot", "on_demand"])
    assert [each.capacity for each in prices.of_pool(AWS, "us-east-1", ladder)] == ["reserved", "on_demand"]
    assert [each.capacity for each in prices.of_pool(AWS, "us-east-1", ladder, True)] == ["on_demand"]
    assert not prices.of_pool(AWS, "eu-west-1", ladder)
    attached = pool(GCP, machine_types=["n1-standard-8"], accelerator={"type": "nvidia-tesla-v100"})
    assert prices.of(GCP, "us-central1", "n1-standard-8") and not prices.of_pool(GCP, "us-central1", attached)


def test_the_argument_of_alerts_has_the_rungs_with_gpus() -> None:
    """One entry for a type and a rung, even if two pools have it."""
    gpu: Any = {"machine_types": ["g6.12xlarge"], "min": 0, "max": 2}
    cpu: Any = {"machine_types": ["m5.2xlarge"], "min": 1, "max": 2}
    found = aws_prices.of_nodes("us-east-1", {"cpu": cpu, "one": gpu, "two": gpu})
    assert found == [
        {"machine": "g6.12xlarge", "capacity": "on_demand", "gpus": 4, "dollars_per_hour": pytest.approx(4.6016)}
    ]


def test_old_prices_are_a_warning() -> None:
    used = [price for price in prices.every() if price.cloud == AWS]
    read = used[0].read
    assert prices.age_warning(used, read + timedelta(days=prices.OLD_DAYS)) is None
    assert str(read) in (prices.age_warning(used, read + timedelta(days=prices.OLD_DAYS + 1)) or "")
    assert prices.age_warning([], read) is None


def test_the_tool_reads_both_files() -> None:
    """One region of each; another region of the same file is not read."""
    text = '// generated at 2026-07-20T13:44:30Z for us-east-1\n"us-east-1": {\n\t\t"g6.xlarge": 0.804800,\n\t},\n'
    assert prices_tool.aws(text + '"eu-west-1": {\n\t\t"g6.xlarge": 9.0,\n\t},\n') == (
        "2026-07-20",
        {"g6.xlarge": 0.8048},
    )
    found = prices_tool.google('{"prices": {"us-central1": {"on_demand": {"g2-standard-4": 0.7}}}}')
    assert list(prices_tool.rows("gcp", "2026-08-03", found)) == [
        ("gcp", "us-central1", "g2-standard-4", "0.7", "2026-08-03", "karpenter-provider-gcp")
    ]
    with pytest.raises(ValueError, match="no date"):
        prices_tool.aws("package pricing")
