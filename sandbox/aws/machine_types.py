"""EC2's machine types: moto's dump of DescribeInstanceTypes, and the withdrawn types that the guide still uses.

A withdrawn type can be described and launched in the sandbox, so that the guide's literal environment can be created,
but no region offers it and `SupportedInRegion` is false: a program that checks whether the type is available gets the
correct answer.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from sandbox import paths
from sandbox.errors import SandboxError

# p3.2xlarge as EC2 described it while it was sold (EC2 user guide, "Accelerated computing"; AWS's P3 page): 8 vCPUs of
# Xeon E5-2686 v4, 61 GiB, one V100 with 16 GiB, up to 10 Gbit/s, 4 interfaces with 15 addresses each, no local disk,
# no EFA.
WITHDRAWN: dict[str, dict[str, Any]] = {
    "p3.2xlarge": {
        "InstanceType": "p3.2xlarge",
        "CurrentGeneration": False,
        "SupportedInRegion": False,
        "FreeTierEligible": False,
        "BareMetal": False,
        "Hypervisor": "xen",
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "SupportedBootModes": ["legacy-bios"],
        "ProcessorInfo": {
            "SupportedArchitectures": ["x86_64"],
            "SustainedClockSpeedInGhz": 2.7,
            "Manufacturer": "Intel",
        },
        "VCpuInfo": {"DefaultVCpus": 8, "DefaultCores": 4, "DefaultThreadsPerCore": 2},
        "MemoryInfo": {"SizeInMiB": 62464},
        "InstanceStorageSupported": False,
        "EbsInfo": {"EbsOptimizedSupport": "default", "EncryptionSupport": "supported", "NvmeSupport": "unsupported"},
        "NetworkInfo": {
            "NetworkPerformance": "Up to 10 Gigabit",
            "MaximumNetworkInterfaces": 4,
            "MaximumNetworkCards": 1,
            "DefaultNetworkCardIndex": 0,
            "NetworkCards": [
                {"NetworkCardIndex": 0, "NetworkPerformance": "Up to 10 Gigabit", "MaximumNetworkInterfaces": 4}
            ],
            "Ipv4AddressesPerInterface": 15,
            "Ipv6AddressesPerInterface": 15,
            "Ipv6Supported": True,
            "EnaSupport": "supported",
            "EfaSupported": False,
        },
        "GpuInfo": {
            "Gpus": [{"Name": "V100", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 16384}}],
            "TotalGpuMemoryInMiB": 16384,
        },
        "PlacementGroupInfo": {"SupportedStrategies": ["cluster", "partition", "spread"]},
        "HibernationSupported": False,
        "BurstablePerformanceSupported": False,
        "DedicatedHostsSupported": True,
        "AutoRecoverySupported": True,
    },
}


def _newer() -> dict[str, dict[str, Any]]:
    """Types that EC2 has added since moto's dump, from `.sandbox/machine_types.json`: the output of
    `aws ec2 describe-instance-types --instance-types NAME`."""
    try:
        text = (paths.home() / "machine_types.json").read_text()
        return {facts["InstanceType"]: facts for facts in json.loads(text)["InstanceTypes"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError):
        raise SandboxError(
            "machine_types.json is not an answer of DescribeInstanceTypes",
            "write the output of `aws ec2 describe-instance-types --instance-types NAME` into it",
        ) from None


def load() -> None:
    """Adds the withdrawn types, and those that are newer than moto's table. The newer ones are offered in every zone;
    the offerings of the others do not change."""
    from moto.ec2.models import instance_types

    newer = _newer()
    if newer:  # the list is long, so skip it without newer types
        every = instance_types.INSTANCE_TYPE_OFFERINGS.values()
        for offered in (offered for by_region in every for offered in by_region.values()):
            here = {each["Location"]: each for each in offered}
            known = {each["InstanceType"] for each in offered}
            offered += [
                {**example, "InstanceType": name} for name in newer if name not in known for example in here.values()
            ]
    for name, facts in {**WITHDRAWN, **newer}.items():
        if name not in instance_types.INSTANCE_TYPES:
            instance_types.INSTANCE_TYPES[name] = facts
            instance_types.InstanceTypeBackend.instance_types.append(instance_types.InstanceType(name))


@lru_cache
def find(name: str) -> dict[str, Any] | None:
    """The answer of DescribeInstanceTypes for a type; None if EC2 never had it."""
    from moto.ec2.models import instance_types

    load()
    return instance_types.INSTANCE_TYPES.get(name)
