"""Platforms for training, pipelines and serving, as options: pinned, placed, with their kinds kept. On both clouds."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .argo_workflows import ArgoWorkflows as ArgoWorkflows
    from .argo_workflows import ArgoWorkflowsArgs as ArgoWorkflowsArgs
    from .cert_manager import CertManager as CertManager
    from .cert_manager import CertManagerArgs as CertManagerArgs
    from .job_set import JobSet as JobSet
    from .job_set import JobSetArgs as JobSetArgs
    from .keda import Keda as Keda
    from .keda import KedaArgs as KedaArgs
    from .kserve import KServe as KServe
    from .kserve import KServeArgs as KServeArgs
    from .kubeflow_trainer import KubeflowTrainer as KubeflowTrainer
    from .kubeflow_trainer import KubeflowTrainerArgs as KubeflowTrainerArgs
    from .leader_worker_set import LeaderWorkerSet as LeaderWorkerSet
    from .leader_worker_set import LeaderWorkerSetArgs as LeaderWorkerSetArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
