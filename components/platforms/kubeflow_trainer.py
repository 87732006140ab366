"""Kubeflow Trainer: a training job is one object, and the platform knows how to start it on each pool."""

import re
from collections.abc import Iterator
from typing import Any

import pulumi
from typing_extensions import NotRequired

from .. import arguments, component_names, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem
from . import training_runtimes

NAMESPACE = "kubeflow-system"
"""Namespace of the controller."""

# The names of a job's pods begin with the runtime's, and a pod's hostname has up to 63 characters.
_NAME_LIMIT = 63
# A registry and its port, a path in lower case, a tag, a digest (distribution/reference).
_REFERENCE = re.compile(
    r"([\w.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)
_IMAGE = versions.KUBEFLOW_TRAINER.images[1].reference


class KubeflowTrainerArgs(ControllersArgs):
    """Where the controller runs and comes from, and the runtimes of the pools with GPUs."""

    runtimes: NotRequired[bool]
    """Whether each of the `pools` with GPUs gets a ClusterTrainingRuntime, `torch-POOL`. Default: `true`."""
    runtime_image: NotRequired[str]
    """Image of these runtimes, for jobs that name none: PyTorch with CUDA. Default: the one of Trainer's own
    torch-distributed."""


def problems(args: KubeflowTrainerArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    for pool, spec in args.get("pools", {}).items():
        if spec["gpus"] and args["runtimes"]:
            made = training_runtimes.name_of(pool)
            if any(component_names.kubernetes_problems(made, "ClusterTrainingRuntime", _NAME_LIMIT)):
                most = _NAME_LIMIT - len(training_runtimes.name_of(""))
                yield Problem(
                    f"pools.{pool}", pool, f"its runtime {made} would not have a valid name",
                    f"names of up to {most} lower-case letters, digits, '-' and '.'",
                    "rename the pool, or write `runtimes: false`",
                )  # fmt: skip
    image = args.get("runtime_image")
    if image is not None and not _REFERENCE.fullmatch(image):
        yield Problem(
            "runtime_image", image, "not the name of an image", "NAME:TAG or NAME@DIGEST, without spaces",
            "write it as in `docker pull`, or remove it",
        )  # fmt: skip
    yield from installed.problems(args, versions.KUBEFLOW_TRAINER)


def installation() -> Installation:
    """How the chart is installed: without JobSet, and without its runtimes, which a hook job would create after it has
    downloaded kubectl."""
    values: dict[str, Any] = {
        "jobset": {"install": False},
        "manager": {
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        },
    }
    return Installation(versions.KUBEFLOW_TRAINER, NAMESPACE, values)


class KubeflowTrainer(pulumi.ComponentResource):
    """Kubeflow Trainer's controller, its custom resource definitions, and one runtime for each pool with GPUs.

    A TrainJob names a runtime, `torch-POOL`, and lands on that pool: the runtime has the node selector, the tolerations
    and the GPUs of its nodes, and the CPUs and the memory that the pool names. Not included: runtimes for other
    frameworks, the data cache, and requests for EFA or GPUDirect interfaces. With Kueue, add
    trainer.kubeflow.org/trainjob to its `integrations`.

    Works on any cluster with JobSet: let it depend on `JobSet`, or on what installs it. `helm` on the machine that runs
    Pulumi renders the chart. It needs the provider `kubernetes` of the cluster: let it depend on a pool without GPUs.
    In the cluster it is in the namespace `kubeflow-system`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controller, known once it runs."""
    version: pulumi.Output[str]
    """Version of Kubeflow Trainer, known once it runs."""
    runtimes: pulumi.Output[dict[str, str]]
    """Pool with GPUs → its ClusterTrainingRuntime."""

    def __init__(self, name: str, args: KubeflowTrainerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"KubeflowTrainer {name}", KubeflowTrainerArgs, args, problems)
        super().__init__("gpuyard:index:KubeflowTrainer", name, None, opts)
        made = installed.install(name, self, installation(), args)
        pools = args.get("pools", {}) if args["runtimes"] else {}
        image = args.get("runtime_image", _IMAGE)
        runtimes = [
            pulumi.CustomResource(
                training_runtimes.TOKEN,
                f"{name}-runtime-{each['metadata']['name']}",
                each,
                # Its definitions must exist; a job that names one needs the controller.
                pulumi.ResourceOptions(parent=self, depends_on=made),
            )
            for each in training_runtimes.runtimes(pools, image, args.get("images", {}))
        ]
        named = {pool: training_runtimes.name_of(pool) for pool, spec in pools.items() if spec["gpus"]}
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.KUBEFLOW_TRAINER.version)
        self.runtimes = pulumi.Output.all(*(each.id for each in runtimes)).apply(lambda _: named)
        self.register_outputs({"namespace": self.namespace, "version": self.version, "runtimes": self.runtimes})
