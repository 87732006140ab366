"""Every version that the library pins, in one place, each with the day on which it was last looked at.

Not here: Python packages (`requirements.txt`), the sandbox's tools (`tools/*/go.mod`); their own tools read those.
A bump is one line here; the preview then shows what it changes.
"""

from dataclasses import dataclass

EKS_VERSION = "1.35"
"""Kubernetes on EKS; standard support ends 2027-03-27. Looked at 2026-08."""
GKE_VERSION = "1.35"
"""Kubernetes on GKE; the Regular channel offers 1.34 to 1.36. Looked at 2026-08."""


@dataclass(frozen=True)
class Image:
    """A release of the EKS-optimized Amazon Linux 2023 images (one string for all of them), and the branch of the
    NVIDIA driver in it."""

    release: str
    driver_branch: int


EKS_IMAGES = {
    "1.33": Image("1.33.13-20260714", 580),
    "1.34": Image("1.34.9-20260714", 580),
    "1.35": Image("1.35.6-20260714", 580),
}
"""Image per Kubernetes minor. Driver 580.159.03: awslabs/amazon-eks-ami, CHANGELOG.md, v20260714. Looked at 2026-11."""


@dataclass(frozen=True)
class Chart:
    """A Helm chart: `repository` is the https address of its repository, or an oci:// address that holds the chart."""

    name: str
    repository: str
    version: str
    looked_at: str


NVIDIA_DEVICE_PLUGIN = Chart("nvidia-device-plugin", "https://nvidia.github.io/k8s-device-plugin", "0.20.0", "2026-08")
DCGM_EXPORTER = Chart("dcgm-exporter", "https://nvidia.github.io/dcgm-exporter/helm-charts", "4.8.2", "2026-05")
CLUSTER_AUTOSCALER = Chart("cluster-autoscaler", "https://kubernetes.github.io/autoscaler", "9.59.0", "2026-08")
KUBE_PROMETHEUS_STACK = Chart(
    "kube-prometheus-stack", "https://prometheus-community.github.io/helm-charts", "88.5.3", "2026-08"
)

CLUSTER_AUTOSCALER_IMAGE = {"1.33": "v1.33.0", "1.34": "v1.34.0", "1.35": "v1.35.0"}
"""Image tag per Kubernetes minor: the autoscaler simulates the scheduler of its own version. Looked at 2026-08."""
