"""How fast nodes of an EKS pool pull images: nodeadm's parallel pull, and the throughput of the disk that holds images.

Sources: amazon-eks-ami, nodeadm/doc/examples.md ("Enabling fast image pull": 600 MiB/s or more, better up to 1,000;
below that, pulls may take longer) and nodeadm/internal/containerd/config.go (ignored below 4 vCPUs or 7 GiB of memory).
"""

from ..checks import Problem
from ..pools import Pool

GATE = {"featureGates": {"FastImagePull": True}}
"""The `spec` of a NodeConfig that turns the parallel pull on."""

_LEAST_MB_PER_S = 629
_LEAST_VCPU, _LEAST_MIB = 4, 8192


def problem(image: str, pool: Pool) -> Problem | None:
    """Why nodes cannot pull in parallel, or would be slower with it; None if they can."""
    field, machine = "fast_image_pull", min(pool.machines, key=lambda each: each.vcpu)
    if image != "al2023":
        return Problem(field, True, f"{image} has no such gate", "together with `image: al2023`", "remove it")
    if machine.vcpu < _LEAST_VCPU or machine.memory_mib < _LEAST_MIB:
        return Problem(
            field, True, f"the node ignores it on {machine.name}", "machine types with 4 vCPUs and 8 GiB or more",
            "remove it",
        )  # fmt: skip
    slow = next((each for each in pool.machines if each.ebs_mb_per_s < _LEAST_MB_PER_S), None)
    if slow and not pool.scratch_gb:
        return Problem(
            field, True, f"{slow.name} reaches {slow.ebs_mb_per_s} MB/s on EBS, and pulls would take longer",
            f"local NVMe for images (`scratch`), or {_LEAST_MB_PER_S} MB/s and more", "remove it",
        )  # fmt: skip
    return None


def throughput(pool: Pool, parallel: bool) -> int:
    """Throughput in MiB/s of the EBS volume with the images. gp3 includes 125; images for GPUs have ten gigabytes and
    more. `parallel`: whether their layers are pulled in parallel."""
    if parallel and not pool.scratch_gb:
        return 1000
    return 500 if pool.gpus else 125
