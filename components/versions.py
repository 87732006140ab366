"""Every version that the library pins, in one place, each with the date on which it was last checked.

Not included: Python packages (`requirements.txt`) and the sandbox's tools (`tools/*/go.mod`), whose own tools read
those files. An upgrade is one line here; the preview then shows what it changes.
"""

import re
from dataclasses import dataclass
from datetime import date

EKS_VERSION = "1.35"
"""Kubernetes on EKS; standard support ends 2027-03-27. Checked 2026-08."""
GKE_VERSION = "1.35"
"""Kubernetes on GKE. Checked 2026-08."""
GKE_CHANNELS = {
    "RAPID": ("1.34", "1.35", "1.36", "1.37"),
    "REGULAR": ("1.34", "1.35", "1.36"),
    "STABLE": ("1.34", "1.35"),
    "EXTENDED": ("1.34", "1.35", "1.36"),
}
"""GKE release channel → minors that it offers to new clusters and that the library accepts; EXTENDED has older ones as
well. Source: GKE's release notes of 2026-09 (2026-R39). A preview asks GKE what a location offers today."""


def minor(version: str) -> tuple[int, int] | None:
    """The minor of a version: (1, 35) for 1.35 and for 1.35.6-gke.1000000; None for text that is not a version."""
    found = re.match(r"(\d+)\.(\d+)(\.|$)", version)
    return (int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Support:
    """How long EKS supports a Kubernetes minor. Dates are UTC."""

    standard_until: date
    """End of standard support. After it a cluster with extended support costs more per hour, and EKS upgrades a cluster
    without it."""
    extended_until: date
    """End of extended support. After it EKS upgrades every cluster."""


EKS_SUPPORT = {
    "1.33": Support(date(2026, 7, 29), date(2027, 7, 29)),
    "1.34": Support(date(2026, 12, 2), date(2027, 12, 2)),
    "1.35": Support(date(2027, 3, 27), date(2028, 3, 27)),
}
"""The minors that the library accepts, oldest first. Before 1.33, AL2023's NVIDIA images and Pod Identity are not
complete. Source: "Amazon EKS Kubernetes release calendar" in EKS's user guide (1.33 and 1.34); answers of
`aws eks describe-cluster-versions` in public records (1.35, with the guide's 14 + 12 months). Checked 2026-11."""


@dataclass(frozen=True)
class Image:
    """A release of the EKS-optimized Amazon Linux 2023 images."""

    release: str
    """Name of the release, the same for all of these images."""
    driver_branch: int
    """Branch of the NVIDIA driver in it."""


EKS_IMAGES = {
    "1.33": Image("1.33.13-20260903", 580),
    "1.34": Image("1.34.10-20260903", 580),
    "1.35": Image("1.35.7-20260903", 580),
}
"""Image per Kubernetes minor. Releases: public records of clusters. Driver: EKS's user guide, "EKS AL2023 NVIDIA AMIs"
(580 for every minor); v20260714 has 580.159.03 (awslabs/amazon-eks-ami, CHANGELOG.md). Checked 2026-11."""


EKS_ADDONS = {
    # EKS's default on all three minors. Nothing older: below v1.22.4 a pod can slip through another namespace's
    # NetworkPolicy (CVE-2026-86831, AWS bulletin 2026-113). Read 2026-10.
    "vpc-cni": {"1.33": "v1.22.4-eksbuild.3", "1.34": "v1.22.4-eksbuild.3", "1.35": "v1.22.4-eksbuild.3"},
    # One cluster taken from 1.32 to 1.36, each version installed on the way. Read 2026-09.
    "kube-proxy": {"1.33": "v1.33.10-eksbuild.29", "1.34": "v1.34.6-eksbuild.29", "1.35": "v1.35.3-eksbuild.29"},
    # EKS's default on each minor. Read 2026-10.
    "coredns": {"1.33": "v1.12.4-eksbuild.38", "1.34": "v1.12.4-eksbuild.38", "1.35": "v1.13.2-eksbuild.31"},
    # Installed on each of the three minors. Read 2026-09.
    "eks-pod-identity-agent": {"1.33": "v1.4.0-eksbuild.2", "1.34": "v1.4.0-eksbuild.2", "1.35": "v1.4.0-eksbuild.2"},
    # Installed on each of the three minors. Read 2026-09.
    "aws-ebs-csi-driver": {"1.33": "v1.66.0-eksbuild.1", "1.34": "v1.66.0-eksbuild.1", "1.35": "v1.66.0-eksbuild.1"},
    # Installed on 1.34 and 1.35. Read 2026-09.
    "aws-efs-csi-driver": {"1.33": "v3.4.2-eksbuild.1", "1.34": "v3.4.2-eksbuild.1", "1.35": "v3.4.2-eksbuild.1"},
    # Installed on 1.34 and 1.35. Read 2026-09.
    "metrics-server": {"1.33": "v0.9.0-eksbuild.11", "1.34": "v0.9.0-eksbuild.11", "1.35": "v0.9.0-eksbuild.11"},
    # Answer of describe-addon-versions for 1.35. Read 2026-09.
    "snapshot-controller": {"1.34": "v8.6.0-eksbuild.6", "1.35": "v8.6.0-eksbuild.6"},
    # Ran on 1.35. Read 2026-08.
    "eks-node-monitoring-agent": {"1.34": "v1.7.0-eksbuild.1", "1.35": "v1.7.0-eksbuild.1"},
    # Ran on 1.35, the newest build there. Read 2026-08.
    "aws-mountpoint-s3-csi-driver": {"1.34": "v2.7.0-eksbuild.1", "1.35": "v2.7.0-eksbuild.1"},
    # A stack's pin on 1.35. Read 2026-08.
    "aws-fsx-csi-driver": {"1.34": "v1.9.0-eksbuild.1", "1.35": "v1.9.0-eksbuild.1"},
}
"""Add-on that EKS manages → Kubernetes minor → version. All of them were read in public records of clusters and of `aws
eks describe-addon-versions` in 2026-08 to 2026-10; EKS keeps the builds of an add-on for a long time. Only vpc-cni,
kube-proxy and coredns follow the minor: for the others, EKS offers the same builds for neighboring minors (observed for
the CSI drivers and metrics-server from 1.31 to 1.35), so a version that was read on one minor is used for the next as
well. An add-on without a version for a minor gets EKS's default there."""


@dataclass(frozen=True)
class ChartImage:
    """An image of a chart, and where it is in the chart's values."""

    name: str
    """Image with its registry."""
    tag: str
    """Default tag of the chart."""
    at: str
    """Dotted path of the map in the chart's values that describes the image; empty if it is in no values."""
    split: bool = False
    """Whether that map has `registry` and `repository`; otherwise it has only `repository`."""
    digest_at: str = ""
    """Key in that map for a digest; if it is empty, the digest is appended to the tag."""
    bare: bool = False
    """Whether that key takes a digest without `sha256:`."""
    key: str = "repository"
    """Key in that map for the name."""

    @property
    def reference(self) -> str:
        """NAME:TAG."""
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True)
class Chart:
    """A Helm chart."""

    name: str
    """Name of the chart."""
    repository: str
    """The https address of its repository, or an oci:// address that holds the chart."""
    version: str
    """Exact version."""
    looked_at: str
    """Month in which the version was last checked."""
    images: tuple[ChartImage, ...]
    """Images that it pulls with the library's values. Source: values.yaml and templates of this version."""


NVIDIA_DEVICE_PLUGIN = Chart(
    "nvidia-device-plugin", "https://nvidia.github.io/k8s-device-plugin", "0.20.0", "2026-08",
    (ChartImage("nvcr.io/nvidia/k8s-device-plugin", "v0.20.0", "image"),),
)  # fmt: skip
DCGM_EXPORTER = Chart(
    "dcgm-exporter", "https://nvidia.github.io/dcgm-exporter/helm-charts", "4.8.2", "2026-05",
    (ChartImage("nvcr.io/nvidia/k8s/dcgm-exporter", "4.5.3-4.8.2-distroless", "image"),),
)  # fmt: skip
EFA_DEVICE_PLUGIN = Chart(
    "aws-efa-k8s-device-plugin", "https://aws.github.io/eks-charts", "v0.5.30", "2026-08",
    (ChartImage("602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin", "v0.5.20", "image"),),
)  # fmt: skip
CLUSTER_AUTOSCALER = Chart(
    "cluster-autoscaler", "https://kubernetes.github.io/autoscaler", "9.59.0", "2026-08",
    # The component uses the tag of the cluster's minor.
    (ChartImage("registry.k8s.io/autoscaling/cluster-autoscaler", "v1.35.0", "image"),),
)  # fmt: skip


def _operators(name: str, tag: str, at: str) -> ChartImage:
    return ChartImage(name, tag, at, split=True, digest_at="sha", bare=True)


_OPERATOR = "prometheusOperator"
KUBE_PROMETHEUS_STACK = Chart(
    "kube-prometheus-stack", "https://prometheus-community.github.io/helm-charts", "88.5.3", "2026-08",
    (
        _operators("quay.io/prometheus/prometheus", "v3.14.0-distroless", "prometheus.prometheusSpec.image"),
        _operators("quay.io/prometheus/alertmanager", "v0.34.0", "alertmanager.alertmanagerSpec.image"),
        _operators("quay.io/prometheus-operator/prometheus-operator", "v0.93.1", f"{_OPERATOR}.image"),
        _operators(
            "quay.io/prometheus-operator/prometheus-config-reloader", "v0.93.1",
            f"{_OPERATOR}.prometheusConfigReloader.image",
        ),
        # An argument of the operator; pulled once a Prometheus with a Thanos sidecar is created.
        _operators("quay.io/thanos/thanos", "v0.42.4", f"{_OPERATOR}.thanosImage"),
        _operators("ghcr.io/jkroepke/kube-webhook-certgen", "1.8.7", f"{_OPERATOR}.admissionWebhooks.patch.image"),
        ChartImage(
            "registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.20.0", "kube-state-metrics.image", True, "sha",
        ),
        # With Grafana.
        ChartImage("docker.io/grafana/grafana", "13.2.0", "grafana.image", True, "sha"),
        ChartImage("quay.io/kiwigrid/k8s-sidecar", "2.10.1", "grafana.sidecar.image", True, "sha"),
        ChartImage(
            "quay.io/prometheus/node-exporter", "v1.12.1-distroless", "prometheus-node-exporter.image", True, "digest",
        ),
    ),
)  # fmt: skip

KUEUE = Chart(
    "kueue", "oci://registry.k8s.io/kueue/charts/kueue", "0.19.2", "2026-08",
    (ChartImage("registry.k8s.io/kueue/kueue", "v0.19.2", "controllerManager.manager.image"),),
)  # fmt: skip
JOB_SET = Chart(
    "jobset", "oci://registry.k8s.io/jobset/charts/jobset", "0.12.0", "2026-08",
    (ChartImage("registry.k8s.io/jobset/jobset", "v0.12.0", "image"),),
)  # fmt: skip
LEADER_WORKER_SET = Chart(
    "lws", "oci://registry.k8s.io/lws/charts/lws", "0.10.0", "2026-08",
    (ChartImage("registry.k8s.io/lws/lws", "v0.10.0", "image.manager"),),
)  # fmt: skip
KEDA = Chart(
    "keda", "https://kedacore.github.io/charts", "2.20.2", "2026-08",
    (
        ChartImage("ghcr.io/kedacore/keda", "2.20.2", "image.keda", split=True),
        ChartImage("ghcr.io/kedacore/keda-metrics-apiserver", "2.20.2", "image.metricsApiServer", split=True),
        ChartImage("ghcr.io/kedacore/keda-admission-webhooks", "2.20.2", "image.webhooks", split=True),
    ),
)  # fmt: skip
KUBEFLOW_TRAINER = Chart(
    "kubeflow-trainer", "oci://ghcr.io/kubeflow/charts/kubeflow-trainer", "2.3.0", "2026-08",
    (
        ChartImage("ghcr.io/kubeflow/trainer/trainer-controller-manager", "v2.3.0", "image", split=True),
        # Of the runtimes, which the component writes: the image of Trainer's torch-distributed.
        ChartImage("docker.io/pytorch/pytorch", "2.13.0-cuda13.0-cudnn9-runtime", ""),
    ),
)  # fmt: skip
ARGO_WORKFLOWS = Chart(
    "argo-workflows", "https://argoproj.github.io/argo-helm", "1.0.18", "2026-07",
    (
        ChartImage("quay.io/argoproj/workflow-controller", "v4.0.6", "controller.image", split=True),
        ChartImage("quay.io/argoproj/argoexec", "v4.0.6", "executor.image", split=True),
        ChartImage("quay.io/argoproj/argocli", "v4.0.6", "server.image", split=True),
    ),
)  # fmt: skip
CERT_MANAGER = Chart(
    "cert-manager", "https://charts.jetstack.io", "v1.20.2", "2026-08",
    (
        ChartImage("quay.io/jetstack/cert-manager-controller", "v1.20.2", "image"),
        ChartImage("quay.io/jetstack/cert-manager-webhook", "v1.20.2", "webhook.image"),
        ChartImage("quay.io/jetstack/cert-manager-cainjector", "v1.20.2", "cainjector.image"),
        # An argument of the controller; it runs where a certificate is issued by ACME over HTTP.
        ChartImage("quay.io/jetstack/cert-manager-acmesolver", "v1.20.2", "acmesolver.image"),
    ),
)  # fmt: skip
KSERVE_CRD = Chart(
    # Without the schema of a pod in them: with it, a busy API server needs more than ten seconds for one of them.
    "kserve-crd-minimal", "oci://ghcr.io/kserve/charts/kserve-crd-minimal", "v0.20.0", "2026-08", (),
)  # fmt: skip
KSERVE = Chart(
    "kserve-resources", "oci://ghcr.io/kserve/charts/kserve-resources", "v0.20.0", "2026-08",
    (
        ChartImage("docker.io/kserve/kserve-controller", "v0.20.0", "kserve.controller", key="image"),
        ChartImage("docker.io/kserve/agent", "v0.20.0", "kserve.agent", key="image"),
        ChartImage("docker.io/kserve/router", "v0.20.0", "kserve.router", key="image"),
        ChartImage("docker.io/kserve/storage-initializer", "v0.20.0", "kserve.storage", key="image"),
        ChartImage("quay.io/brancz/kube-rbac-proxy", "v0.18.0", ""),
    ),
)  # fmt: skip

KUBE_STATE_METRICS = Chart(
    "kube-state-metrics", "https://prometheus-community.github.io/helm-charts", "8.4.0", "2026-08",
    (ChartImage("registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.20.0", "image", True, "sha"),),
)  # fmt: skip

RELEASED = (NVIDIA_DEVICE_PLUGIN, DCGM_EXPORTER, EFA_DEVICE_PLUGIN, CLUSTER_AUTOSCALER, KUBE_PROMETHEUS_STACK)
"""Charts that are installed as Helm releases."""
RENDERED = (
    KUEUE, JOB_SET, LEADER_WORKER_SET, KEDA, KUBEFLOW_TRAINER, ARGO_WORKFLOWS, CERT_MANAGER, KSERVE_CRD, KSERVE,
    KUBE_STATE_METRICS,
)  # fmt: skip
"""Charts whose objects are resources of the program (`charts/rendered.py`)."""
CHARTS = (*RELEASED, *RENDERED)
"""Every chart that the library installs."""

CLUSTER_AUTOSCALER_IMAGE = {"1.33": "v1.33.6", "1.34": "v1.34.5", "1.35": "v1.35.2"}
"""Image tag per Kubernetes minor: the autoscaler simulates the scheduler of the same version. The newest patches in
public records of releases and clusters. Checked 2026-11."""

PYTHON_IMAGE = "docker.io/library/python:3.13.7-alpine3.22"
"""Image of the library's own programs in a cluster, which use only Python's standard library. Checked 2026-08."""
PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"
"""Image of pods that only hold a place (Kubernetes' release 1.34 and later use this one, build/pause)."""
