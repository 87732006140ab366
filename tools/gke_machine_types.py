"""Writes the table of Google's machine types that the library ships, from the source of GKE's own Cluster Autoscaler.

    python -m tools.venv -m tools.gke_machine_types             rewrite components/gcp/machine_types.csv
    python -m tools.venv -m tools.gke_machine_types FILE.go     the same from a copy of the source

The autoscaler must know every type before a machine of it exists: its GPUs, local SSDs, boot disk types and other disk
types, and how many machines fit into one placement. Facts that its table lacks are below, each with its source.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "components" / "gcp" / "machine_types.csv"
# The commit of 2026-08-21. A newer one may move the file: it is marked as deprecated, to be replaced by a CRD.
SOURCE = (
    "https://raw.githubusercontent.com/GoogleCloudPlatform/cluster-autoscaler/7d25050/"
    "pkg/cloudprovider/gke/machinetypes/deprecated_machine_types_config.go"
)
COLUMNS = (
    *("type", "arch", "vcpu", "memory_mib", "gpus", "gpu", "gpu_memory_mib", "nvme_gb", "local_ssds"),
    *("boot_disks", "disks", "compact", "gpudirect", "on_demand", "spot", "flex"),
)
# Without A4X, whose nodes come in NVLink domains of 18, TPUs, bare metal, and families that are only announced.
FAMILIES = (
    *("a2", "a3", "a4", "c2", "c2d", "c3", "c3d", "c4", "c4a", "c4d", "e2", "g2", "g4"),
    *("h3", "h4d", "n1", "n2", "n2d", "n4", "n4a", "n4d", "t2a", "t2d"),
)
# Name in the source → (accelerator type, GiB); the memory is that of Compute Engine's page "GPU machine types".
GPUS = {
    "NvidiaTeslaA100": ("nvidia-tesla-a100", 40),
    "NvidiaA100_80gb": ("nvidia-a100-80gb", 80),
    "NvidiaH100_80gb": ("nvidia-h100-80gb", 80),
    "NvidiaH100Mega_80gb": ("nvidia-h100-mega-80gb", 80),
    "NvidiaH200Ultra_141gb": ("nvidia-h200-141gb", 141),
    "NvidiaB200": ("nvidia-b200", 180),
    "NvidiaL4": ("nvidia-l4", 24),
    "NvidiaRTXPro6000": ("nvidia-rtx-pro-6000", 96),
}
# Errors of the source, corrected by Compute Engine's pages on machine families.
CORRECTIONS = {"g2-standard-24": {"vcpu": 24}, "n2d-highmem-96": {"memory_mib": 768 * 1024}}
# Slices of an RTX PRO 6000 by NVIDIA's vGPU driver, counted as one GPU in the source.
FRACTIONS = ("g4-standard-6", "g4-standard-12", "g4-standard-24")
DISKS = {
    "DiskTypeBalanced": "pd-balanced",
    "DiskTypeSSD": "pd-ssd",
    "DiskTypeStandard": "pd-standard",
    "DiskTypePDExtreme": "pd-extreme",
    "DiskTypeHyperdiskBalanced": "hyperdisk-balanced",
    "DiskTypeHyperdiskBalancedHighAvailability": "hyperdisk-balanced-high-availability",
    "DiskTypeHyperdiskExtreme": "hyperdisk-extreme",
    "DiskTypeHyperdiskThroughput": "hyperdisk-throughput",
    "DiskTypeHyperdiskMl": "hyperdisk-ml",
}
# Interfaces for GPUDirect (TCPX, TCPXO, RDMA): dranet.go in the same folder as the source.
GPUDIRECT = {
    "a3-edgegpu-8g": 4,
    "a3-edgegpu-8g-nolssd": 4,
    "a3-highgpu-8g": 4,
    "a3-megagpu-8g": 8,
    "a3-ultragpu-8g": 8,
    "a3-ultragpu-8g-nolssd": 8,
    "a4-highgpu-8g": 8,
    "a4-highgpu-8g-nolssd": 8,
}
# Sold only as spot, flex-start and by reservation: dstackai/gpuhunt, providers/gcp.py (3584151, 2026-08-19), after
# Compute Engine's page on consumption options by machine type.
NOT_ON_DEMAND = r"a3-highgpu-[124]g(-nolssd)?|a3-ultragpu-.*|a4-.*"
NOT_SPOT = ("h3",)
# Flex-start is for machines with GPUs (to N1 they are attached) and H4D: GKE's page on flex-start, 2026-06.
FLEX_FAMILIES = ("n1", "h4d")
SSD_GB = 375


def _disks(text: str) -> list[str]:
    """Disk types in the order of `DISKS`; the first is the default of a pool."""
    found = set(re.findall(r'DiskType\w+|"[\w-]+"', text))
    return [name for symbol, name in DISKS.items() if symbol in found or f'"{name}"' in found]


def _field(family: str, name: str) -> str:
    """The text in the braces after `name:`."""
    found = re.search(rf"{name}:\s*map\[[^\]]*\]\w+\{{(.*?)\}}", family, re.S)
    return found[1] if found else ""


def _row(family: str, series: str, name: str, vcpu: str, gib: str, options: str) -> dict[str, Any]:
    gpu = re.search(r"withGpuOverride\((\w+), (\d+)\)", options)
    accelerator, memory = GPUS[gpu[1]] if gpu else ("", 0)
    bundled = re.search(r"withAutomaticEphemeralLocalSsdCount\((\d+)\)", options)
    choice = re.search(r"withAllowedEphemeralLocalSsdCounts\(([^)]*)\)", options)
    only = re.search(r"withSupportedDisksOverride\((.*?)\)", options)
    attachable = re.sub(r"\w+:\s*ConfidentialOnlyMode", "", _field(family, "supportedAttachDiskTypes"))
    boot_disks = _disks(only[1] if only else _field(family, "supportedBootDiskTypes"))
    compact = re.search(r"maxCompactPlacementNodes:\s*int64\((\d+)\)", family)
    whole = gpu is not None and name not in FRACTIONS
    return dict(
        type=name,
        arch="arm64" if "gce.Arm64" in family else "x86_64",
        vcpu=vcpu,
        memory_mib=round(float(gib) * 1024),
        gpus=gpu[2] if gpu and whole else "",
        gpu=accelerator,
        gpu_memory_mib=memory * 1024 or "",
        nvme_gb=int(bundled[1]) * SSD_GB if bundled else "",
        local_ssds=choice[1].replace(",", "") if choice else "",
        boot_disks=" ".join(boot_disks),
        disks=" ".join(_disks(attachable) or boot_disks),
        compact=compact[1] if compact and "supportCompactPlacement:" in family else "",
        gpudirect=GPUDIRECT.get(name, ""),
        on_demand="" if re.fullmatch(NOT_ON_DEMAND, name) else 1,
        spot="" if series in NOT_SPOT else 1,
        flex=1 if (gpu or series in FLEX_FAMILIES) and "withDwsDisabled" not in options else "",
    ) | CORRECTIONS.get(name, {})


def rows(source: str) -> list[dict[str, Any]]:
    """One row for each machine type in the source, by name."""
    found = []
    for family in source.split("= RegisterMachineFamily(MachineFamily{")[1:]:
        named = re.search(r'name:\s*"(\w+)"', family)
        series = named[1] if named else ""
        if series not in FAMILIES:
            continue
        # Types that cannot be auto-provisioned (E2's shared cores) are not offered here either.
        types = re.split(r"\n\t\totherMachineTypes:", family)[0]
        uncommented = re.sub(r"//[^\n]*", "", types)
        for name, vcpu, gib, options in re.findall(
            r'NewMachineTypeInfo\("([\w-]+)", (\d+), ([\d.]+)\)(.*?)(?=NewMachineTypeInfo|\n\t\t\),)', uncommented, re.S
        ):
            if not name.startswith("custom-") and not name.endswith("-metal"):
                found.append(_row(family, series, name, vcpu, gib, options))
    return sorted(found, key=lambda row: row["type"])


def table(source: str) -> str:
    """The text of the CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(source))
    return text.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Returns exit code 0 if the table was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="a copy of the source; without it, it is downloaded")
    file = parser.parse_args(argv).file
    if file:
        source = file.read_text()
    else:
        with urllib.request.urlopen(SOURCE, timeout=60) as response:
            source = response.read().decode()
    text = table(source)
    TARGET.write_text(text)
    print(f"{text.count(chr(10)) - 1} machine types in {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
