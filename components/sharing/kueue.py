"""Kueue's controllers: they decide when a job may start, so that teams share GPUs by quota. Queues are separate."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import yaml
from typing_extensions import NotRequired

from .. import arguments, checks, versions
from ..charts import installed, placement
from ..charts.installed import ControllersArgs, Installation
from ..charts.rendered import Object
from ..checks import Problem
from . import kueue_gates

NAMESPACE = "kueue-system"
"""Namespace of the controllers."""

PODS = {"app.kubernetes.io/name": "kueue", "control-plane": "controller-manager"}
"""Labels of the controllers' pods, as the chart writes them."""
METRICS_PORT = "metrics"
"""Name of the port with Kueue's metrics: by HTTPS, for those who may read `/metrics` of the Kubernetes API."""

MANAGED = {"gpuyard.dev/queues": "true"}
"""Label of a namespace whose workloads may use queues. In other namespaces Kueue manages none."""

INTEGRATIONS = (
    "batch/job", "jobset.x-k8s.io/jobset", "trainer.kubeflow.org/trainjob",
    "leaderworkerset.x-k8s.io/leaderworkerset", "pod", "deployment", "statefulset", "ray.io/rayjob",
    "ray.io/raycluster", "ray.io/rayservice", "kubeflow.org/mpijob", "kubeflow.org/pytorchjob",
    "kubeflow.org/tfjob", "kubeflow.org/xgboostjob", "kubeflow.org/paddlejob", "kubeflow.org/jaxjob",
    "workload.codeflare.dev/appwrapper",
)  # fmt: skip
"""Kinds of workloads that Kueue 0.19 manages (apis/config/v1beta2, `Integrations`)."""

_NEED_PODS = ("deployment", "statefulset", "leaderworkerset.x-k8s.io/leaderworkerset")
_VISIBILITY = "VisibilityOnDemand"
_ROLE = re.compile(r"kueue-(\w+)-(?:editor|viewer)-role")
_RANGES = {
    "replicas": (1, 5),
    "pods_ready_minutes": (1, 1440),
    "recovery_minutes": (1, 1440),
    "first_retry_seconds": (1, 3600),
    "longest_retry_minutes": (1, 1440),
    "retries": (0, 1000),
}


class KueueArgs(ControllersArgs):
    """How Kueue treats workloads that do not start, and which kinds of workloads it manages."""

    integrations: NotRequired[list[str]]
    """Kinds of workloads that use queues, by Kueue's names, such as jobset.x-k8s.io/jobset. A kind that the cluster
    does not have yet is managed once it has it. Default: `[batch/job, pod, deployment, statefulset]`."""
    replicas: NotRequired[int]
    """Pods of the controllers, 1 to 5, on different nodes if possible. One decides, all answer webhooks: without any,
    no job can be created in a namespace that uses queues. A disruption budget keeps one of several. Default: `2`."""
    pods_ready_minutes: NotRequired[int]
    """How long an admitted workload may wait until all its pods are ready, in minutes, 1 to 1440. Then it is stopped
    and queued again, so that a gang of which only a part got nodes is not paid for. Include the time that the
    autoscaler, the driver and the image take. Default: `20`."""
    recovery_minutes: NotRequired[int]
    """How long a running workload may lack a pod, for example after an interruption of a spot node, in minutes, 1 to
    1440. Then it is stopped and queued again. Default: `10`."""
    first_retry_seconds: NotRequired[int]
    """How long a workload that was stopped like this waits before it may be admitted again, in seconds, 1 to 3600. The
    wait doubles each time. Default: `60`."""
    longest_retry_minutes: NotRequired[int]
    """The longest such wait, in minutes, 1 to 1440. Default: `30`."""
    retries: NotRequired[int]
    """How often a workload is queued again before it is deactivated, 0 to 1000. Default: none, without an end."""
    fair_sharing: NotRequired[bool]
    """Whether queues that borrow from each other get equal shares, by weight; a queue below its share then preempts
    those above theirs. Default: `true`."""
    visibility: NotRequired[bool]
    """Whether the cluster's API lists the waiting workloads of each queue in order (visibility.kueue.x-k8s.io). Kueue
    serves this part of the API: while it does not run, no namespace of the cluster can be deleted. Default: `false`."""
    feature_gates: NotRequired[dict[str, bool]]
    """Kueue's feature gates to change, such as {ConcurrentAdmission: true}. Default: none;
    UnadmittedWorkloadsObservability, which reports why a workload waits, is on."""


def problems(args: KueueArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    given = args["integrations"]
    for index, name in enumerate(given):
        yield from checks.one_of(f"integrations[{index}]", name, INTEGRATIONS)
        if name in _NEED_PODS and "pod" not in given:
            yield Problem(
                f"integrations[{index}]", name, "Kueue manages it by its pods, and `pod` is not in the list",
                "with `pod`", "add pod",
            )  # fmt: skip
    yield from checks.listed("integrations", given, len(INTEGRATIONS))
    for name, (low, high) in _RANGES.items():
        value = args.get(name)
        if isinstance(value, int) and not low <= value <= high:
            yield Problem(name, value, "out of range", f"{low} to {high}", f"write {low if value < low else high}")
    for name in args.get("feature_gates", {}):
        yield from checks.one_of(f"feature_gates.{name}", name, kueue_gates.GATES)
        if name == _VISIBILITY:
            yield Problem(
                f"feature_gates.{name}", args.get("feature_gates", {})[name],
                "its API service and permission come with `visibility` only", "other gates",
                "remove it, and set `visibility`",
            )  # fmt: skip
    longest = args["longest_retry_minutes"]
    if args["first_retry_seconds"] > 60 * longest:
        yield Problem(
            "longest_retry_minutes", longest, f"shorter than `first_retry_seconds`, {args['first_retry_seconds']}",
            "at least as long as the first wait", "raise it, or lower `first_retry_seconds`",
        )  # fmt: skip
    yield from installed.problems(args, versions.KUEUE)


def configuration(args: KueueArgs) -> dict[str, Any]:
    """Kueue's own configuration, of the kind `Configuration` in config.kueue.x-k8s.io/v1beta2."""
    retrying: dict[str, Any] = {
        "timestamp": "Eviction",
        "backoffBaseSeconds": args["first_retry_seconds"],
        "backoffMaxSeconds": 60 * args["longest_retry_minutes"],
    }
    if "retries" in args:
        retrying["backoffLimitCount"] = args["retries"]
    sharing = {"preemptionStrategies": ["LessThanOrEqualToFinalShare", "LessThanInitialShare"]}
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": ":8081"},
        "metrics": {
            "bindAddress": ":8443",
            # Quotas and their use per queue, which dashboards and costs per team need.
            "enableClusterQueueResources": True,
            "localQueueMetrics": {"enable": True},
        },
        "webhook": {"port": 9443},
        "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
        "clientConnection": {"qps": 50, "burst": 100},
        "waitForPodsReady": {
            "timeout": f"{args['pods_ready_minutes']}m",
            "recoveryTimeout": f"{args['recovery_minutes']}m",
            # Other workloads do not wait: one of them may fit on nodes that exist.
            "blockAdmission": False,
            "requeuingStrategy": retrying,
        },
        # A workload without a queue is not touched; policies may demand one.
        "manageJobsWithoutQueueName": False,
        "managedJobsNamespaceSelector": {"matchLabels": MANAGED},
        "integrations": {"frameworks": args["integrations"]},
        # Resources that a queue has no quota for (huge pages, EFA interfaces, often CPU) do not keep a job from it.
        "resources": {"quotaCheckStrategy": "IgnoreUndeclared"},
        **({"fairSharing": sharing} if args["fair_sharing"] else {}),
    }


def _values(args: KueueArgs) -> dict[str, Any]:
    gates = {"UnadmittedWorkloadsObservability": True, _VISIBILITY: args["visibility"]}
    gates |= args.get("feature_gates", {})
    # On one node rather than not at all: a small cluster may have only one.
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": PODS},
    }
    return {
        "enableVisibilityAuthReaderRoleBinding": args["visibility"],
        "controllerManager": {
            "replicas": args["replicas"],
            "topologySpreadConstraints": [spread],
            # With one pod it would keep a node from being drained.
            "podDisruptionBudget": {"enabled": args["replicas"] > 1, "minAvailable": 1},
            "featureGates": [{"name": name, "enabled": on} for name, on in sorted(gates.items())],
            "manager": {
                # Without a limit of CPU: at the start it reads every workload of the cluster.
                "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"cpu": None, "memory": "1Gi"}},
            },
        },
        "managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(configuration(args), sort_keys=False)},
    }


def _edit(args: KueueArgs) -> Callable[[Object], Object | None]:
    """Drops the roles for editing kinds of workloads that Kueue does not manage here, and the visibility API if it is
    off."""
    managed = {name.rpartition("/")[2] for name in args["integrations"]}
    others = {name.rpartition("/")[2] for name in INTEGRATIONS} | {"sparkapplication"}

    def edited(each: Object) -> Object | None:
        name = each["metadata"]["name"]
        role = _ROLE.fullmatch(name)
        dropped = (role and role[1] in others - managed) or (not args["visibility"] and "visibility" in name)
        return None if dropped else each

    return edited


class Kueue(pulumi.ComponentResource):
    """Kueue's controllers and custom resource definitions.

    A workload with the label `kueue.x-k8s.io/queue-name` is held until its queue admits it. Others start as before.
    Queues, flavors and priorities are not included: let those depend on this component, so that they are created after
    its webhooks and deleted while it runs. Does not include KueueViz and MultiKueue.

    Works on any cluster, with `helm` on the machine that runs Pulumi, which renders the chart. It needs the provider
    `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it is in the namespace
    `kueue-system`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controllers, known once they run."""
    version: pulumi.Output[str]
    """Version of Kueue, known once it runs."""

    def __init__(self, name: str, args: KueueArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Kueue {name}", KueueArgs, args, problems)
        super().__init__("gpuyard:index:Kueue", name, None, opts)
        installation = Installation(
            versions.KUEUE, NAMESPACE, _values(args), priority=placement.CRITICAL, edit=_edit(args)
        )
        made = installed.install(name, self, installation, args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.KUEUE.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
