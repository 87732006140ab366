"""One ClusterTrainingRuntime of Kubeflow Trainer per pool with GPUs: a TrainJob that names it lands on that pool."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..charts import images
from ..charts.images import ImagesArgs
from ..cluster_pools import ClusterPool
from ..quantities import binary, decimal
from ..taints import COMPUTE_CLASS_TOLERATION, GPU_TOLERATION, tolerations

API_VERSION = "trainer.kubeflow.org/v1alpha1"
KIND = "ClusterTrainingRuntime"
TOKEN = f"kubernetes:{API_VERSION}:{KIND}"
"""Type of the resource."""

# Trainer's own runtimes have the second label: its webhook does not check them. It would refuse these while its
# certificate is new; a test checks them with the kind's definition.
_LABELS = {"trainer.kubeflow.org/framework": "torch", "trainer.kubeflow.org/webhook-validation": "disabled"}


def name_of(pool: str) -> str:
    """Name of the runtime of a pool."""
    return f"torch-{pool}"


def runtimes(pools: Mapping[str, ClusterPool], image: str, images_from: ImagesArgs) -> Iterator[dict[str, Any]]:
    """The runtimes, one for each pool with GPUs.

    The job's pods are on the pool's nodes, one per node, each with all its GPUs, and with the pool's `cpu_millicores`
    and `memory_mib`. The memory is a limit as well; CPUs have none. A pod of a pool without these facts requests GPUs
    only: in a namespace with a LimitRange it gets that one's defaults. A TrainJob may ask for other resources instead
    (`trainer.resourcesPerNode`), and sets the number of nodes. torchrun starts one process for each GPU.
    """
    for pool, spec in pools.items():
        if spec["gpus"]:
            yield _runtime(pool, spec, images.mirrored(image, images_from))


def _runtime(pool: str, spec: ClusterPool, image: str) -> dict[str, Any]:
    pod = {
        "nodeSelector": spec.get("labels", {}),
        "tolerations": [*_tolerations(spec)],
        "containers": [{"name": "node", "image": image, "resources": _resources(spec)}],
    }
    # The label tells Trainer which of the jobs runs the training (constants.AncestorTrainer).
    labels = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    job = {"name": "node", "template": {"metadata": {"labels": labels}, "spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name_of(pool), "labels": _LABELS},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {}},
            "template": {"spec": {"replicatedJobs": [job]}},
        },
    }


def _resources(spec: ClusterPool) -> dict[str, Any]:
    cpu = {"cpu": decimal(spec["cpu_millicores"])} if "cpu_millicores" in spec else {}
    limits: dict[str, Any] = {"nvidia.com/gpu": spec["gpus"]}
    if "memory_mib" in spec:
        limits["memory"] = binary(spec["memory_mib"])
    return {"requests": {**cpu, **limits}, "limits": limits}


def _tolerations(spec: ClusterPool) -> list[Any]:
    """Those of the pool's taints, of GPU nodes that a cloud taints itself, and of GKE's compute classes."""
    found: list[Any] = [*tolerations(spec.get("taints", []))]
    return [*found, *(each for each in (GPU_TOLERATION, COMPUTE_CLASS_TOLERATION) if each not in found)]
