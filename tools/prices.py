"""Writes components/prices.csv from two public files, which are generated from the clouds' own price lists.

    python -m tools.prices --aws zz_generated.pricing_aws.go --google initial-prices.json --google-date 2026-08-03

AWS: pkg/providers/pricing/zz_generated.pricing_aws.go of aws/karpenter-provider-aws, which has its date inside. Google:
pkg/providers/pricing/initial-prices.json of cloudpilot-ai/karpenter-provider-gcp; its date is that of its commit.
Prices on demand, of one region each, of the machine types with GPUs in components/*/machine_types.csv and of usual ones
without.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

COMPONENTS = Path(__file__).resolve().parents[1] / "components"
REGIONS = {"aws": "us-east-1", "gcp": "us-central1"}
SOURCES = {"aws": "karpenter-provider-aws", "gcp": "karpenter-provider-gcp"}
HEAD = ("cloud", "region", "type", "dollars_per_hour", "date", "source")
_USUAL = {
    "aws": re.compile(r"(m5|m6i|m7i|c7i|r7i|m7g)\.(large|xlarge|[248]xlarge|12xlarge|16xlarge)"),
    "gcp": re.compile(r"(n1|n2|e2)-standard-(2|4|8|16|32|48|64|80|96)|(n4|c4|c3)-standard-(4|8|16)"),
}


def aws(text: str) -> tuple[str, dict[str, float]]:
    """Date and prices of Karpenter's file for AWS."""
    found = re.search(r"generated at (\d{4}-\d\d-\d\d)T.* for us-east-1", text)
    _, _, region = text.partition(f'"{REGIONS["aws"]}": {{')
    if found is None or not region:
        raise ValueError("the file has no date, or no region us-east-1")
    prices = re.findall(r'"([\w-]+\.[\w-]+)": ([0-9.]+)', region.partition("\n\t},")[0])
    return found[1], {name: float(price) for name, price in prices}


def google(text: str) -> dict[str, float]:
    """Prices of Karpenter's file for Google."""
    return json.loads(text)["prices"][REGIONS["gcp"]]["on_demand"]


def rows(cloud: str, date: str, prices: dict[str, float]) -> Iterator[tuple[str, ...]]:
    """The rows of a cloud, in the order of its table of machine types."""
    with (COMPONENTS / cloud / "machine_types.csv").open(newline="") as file:
        for machine in csv.DictReader(file):
            name, gpus = machine["type"], machine["gpus"] not in ("", "0")
            if name in prices and (gpus or _USUAL[cloud].fullmatch(name)):
                price = f"{prices[name]:.6f}".rstrip("0").rstrip(".")
                yield cloud, REGIONS[cloud], name, price, date, SOURCES[cloud]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.prices", description="Writes components/prices.csv")
    parser.add_argument("--aws", type=Path, required=True, help="zz_generated.pricing_aws.go")
    parser.add_argument("--google", type=Path, required=True, help="initial-prices.json")
    parser.add_argument("--google-date", required=True, help="date of its commit, YYYY-MM-DD")
    given = parser.parse_args(arguments)
    date, prices = aws(given.aws.read_text())
    found = [*rows("aws", date, prices), *rows("gcp", given.google_date, google(given.google.read_text()))]
    with (COMPONENTS / "prices.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD)
        writer.writerows(found)
    print(f"{len(found)} prices")
    return 0


if __name__ == "__main__":
    sys.exit(main())
