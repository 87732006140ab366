"""Writes the tables of EC2 machine types and regions that the library ships, from EC2's own dump inside `moto`.

    python -m tools.venv -m tools.machine_types            rewrite components/aws/machine_types.csv
    python -m tools.venv -m tools.machine_types --check    exit 1 if they differ from the installed dump

Run it after a change of moto's version. The dump is the answer of DescribeInstanceTypes for all regions on the day moto
recorded it, so no account is needed. Types that EC2 no longer describes are added from `WITHDRAWN`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "components" / "aws"
COLUMNS = (
    *("type", "arch", "vcpu", "memory_mib", "gpus", "gpu", "gpu_memory_mib", "neuron"),
    *("nvme_gb", "nvme_disks", "efa", "network_cards", "max_pods", "offered"),
    *("spot", "capacity_block", "cluster_placement", "ebs_mb_per_s"),
)

# Still on price lists, no longer described by EC2; the figures are those of EC2's page for P3 (8 vCPU per V100).
WITHDRAWN = [
    dict(
        type="p3.2xlarge",
        arch="x86_64",
        vcpu=8,
        memory_mib=62464,
        gpus=1,
        gpu="V100",
        gpu_memory_mib=16384,
        max_pods=58,
    ),
    dict(
        type="p3.8xlarge",
        arch="x86_64",
        vcpu=32,
        memory_mib=249856,
        gpus=4,
        gpu="V100",
        gpu_memory_mib=16384,
        max_pods=234,
    ),
    dict(
        type="p3.16xlarge",
        arch="x86_64",
        vcpu=64,
        memory_mib=499712,
        gpus=8,
        gpu="V100",
        gpu_memory_mib=16384,
        max_pods=234,
    ),
]


def _dump() -> dict[str, dict[str, Any]]:
    path = resources.files("moto.ec2") / "resources" / "instance_types.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def _row(name: str, info: dict[str, Any]) -> dict[str, Any]:
    gpus = [g for g in info.get("GpuInfo", {}).get("Gpus", []) if g["Manufacturer"] == "NVIDIA"]
    storage = info.get("InstanceStorageInfo", {})
    network = info["NetworkInfo"]
    nitro_pods = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    architectures = info["ProcessorInfo"]["SupportedArchitectures"]
    return dict(
        type=name,
        arch="arm64" if "arm64" in architectures else "x86_64",
        vcpu=info["VCpuInfo"]["DefaultVCpus"],
        memory_mib=info["MemoryInfo"]["SizeInMiB"],
        gpus=sum(g["Count"] for g in gpus) or "",
        gpu=gpus[0]["Name"] if gpus else "",
        gpu_memory_mib=gpus[0]["MemoryInfo"]["SizeInMiB"] if gpus else "",
        neuron=sum(d["Count"] for d in info.get("NeuronInfo", {}).get("NeuronDevices", [])) or "",
        nvme_gb=storage.get("TotalSizeInGB", ""),
        nvme_disks=sum(d["Count"] for d in storage.get("Disks", [])) or "",
        efa=network.get("EfaInfo", {}).get("MaximumEfaInterfaces", ""),
        network_cards=network["MaximumNetworkCards"],
        max_pods=nitro_pods,
        offered=1,
        spot=1 if "spot" in info["SupportedUsageClasses"] else "",
        capacity_block=1 if "capacity-block" in info["SupportedUsageClasses"] else "",
        ebs_mb_per_s=round(info.get("EbsInfo", {}).get("EbsOptimizedInfo", {}).get("MaximumThroughputInMBps", 0)) or "",
        cluster_placement=1 if "cluster" in info.get("PlacementGroupInfo", {}).get("SupportedStrategies", ()) else "",
    )


def tables() -> dict[str, str]:
    """File name → text for every table."""
    rows = [_row(name, info) for name, info in _dump().items()] + [
        {**row, "network_cards": 1, "offered": 0, "spot": 1, "cluster_placement": 1} for row in WITHDRAWN
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["type"]))
    return {"machine_types.csv": text.getvalue()}


def main(argv: list[str] | None = None) -> int:
    """Returns exit code 0 if the tables were written or are up to date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table is out of date")
    check = parser.parse_args(argv).check
    stale = [
        name for name, text in tables().items() if not (TARGET / name).exists() or (TARGET / name).read_text() != text
    ]
    if check:
        for name in stale:
            print(f"{TARGET / name} differs from EC2's dump. Fix: python -m tools.machine_types", file=sys.stderr)
        return 1 if stale else 0
    for name, text in tables().items():
        (TARGET / name).write_text(text)
    print(f"{len(stale)} of {len(tables())} tables changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
