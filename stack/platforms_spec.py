"""The choice of platforms in a stack's file."""

from typing import TypedDict

from typing_extensions import NotRequired


class PlatformsSpec(TypedDict):
    """Platforms for training, pipelines and serving. They need `helm` on the machine that runs Pulumi."""

    job_set: NotRequired[bool]
    """Install JobSet: several Jobs that start, restart and end as one. Default: `false`, unless another platform needs
    it."""
    leader_worker_set: NotRequired[bool]
    """Install LeaderWorkerSet: groups of pods that serve one model together. Default: `false`."""
    keda: NotRequired[bool]
    """Install KEDA: scales workloads by a metric, to zero and back. Default: `false`."""
    kubeflow_trainer: NotRequired[bool]
    """Install Kubeflow Trainer, with a runtime for each pool with GPUs, and JobSet. Default: `false`."""
    argo_workflows: NotRequired[bool]
    """Install Argo Workflows: pipelines of pods. Default: `false`."""
    cert_manager: NotRequired[bool]
    """Install cert-manager: certificates as objects. Default: `false`, unless another platform needs it."""
    kserve: NotRequired[bool]
    """Install KServe in mode Standard, and cert-manager: a model server is one object. Default: `false`."""
