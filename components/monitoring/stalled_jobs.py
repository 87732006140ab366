"""Restarts jobs whose GPUs wait for a peer that has stopped, and keeps new pods off its node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks, cluster_pools, versions
from ..charts import images, placement
from ..charts.images import ImagesArgs
from ..charts.release import namespace
from ..checks import Problem
from ..cluster_pools import ClusterPool
from .targets import READERS

NAMESPACE = "stalled-jobs"
"""Namespace of the program."""

PROMETHEUS = "http://kube-prometheus-stack-prometheus.monitoring:9090"
"""Address of the Prometheus of `Monitoring`."""

_RANGES = {"every_minutes": (1, 60), "most_nodes": (1, 100)}
_UNPRIVILEGED_ID = 65534
_PROGRAM = "watch.py"


class StalledJobsArgs(TypedDict):
    """Where stalled jobs are restarted, and how much may be done at a time."""

    namespaces: list[str]
    """The namespaces in which pods may be evicted. They must exist."""
    taint: NotRequired[bool]
    """Whether the node of the pod that has stopped gets a taint, so that no new pod goes there: the autoscaler removes
    it once it is empty. The program then needs the permission to change nodes. Default: `true`."""
    most_nodes: NotRequired[int]
    """Most nodes that have the taint at a time, 1 to 100: more faults at once are rarely those of nodes. Default:
    `1`."""
    every_minutes: NotRequired[int]
    """Minutes between two rounds, 1 to 60, counted from each full hour: 45 is at :00 and :45. Default: `5`."""
    prometheus: NotRequired[str]
    """Address of a Prometheus that evaluates the rules of `Alerts`, as pods reach it, without a login. Default: that of
    `Monitoring`, http://kube-prometheus-stack-prometheus.monitoring:9090."""
    pools: NotRequired[dict[str, ClusterPool]]
    """Every pool of the cluster, by name. The program runs on nodes without GPUs; if each pool of these has taints, it
    tolerates them. Default: none, it runs on nodes without taints."""
    images: NotRequired[ImagesArgs]
    """Where the image comes from. Default: its own registry."""


def problems(args: StalledJobsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    given: dict[str, Any] = {**args}
    for index in sorted(checks.repeated(args["namespaces"])):
        yield Problem(
            f"namespaces[{index}]", args["namespaces"][index], "named twice", "each once", "remove one of them"
        )
    if not args["namespaces"]:
        yield Problem("namespaces", [], "has no namespace", "at least one", "name the namespaces of training jobs")
    for index, each in enumerate(args["namespaces"]):
        yield from checks.namespace(f"namespaces[{index}]", each)
    for field, (low, high) in _RANGES.items():
        if not low <= given[field] <= high:
            fix = f"write {min(max(given[field], low), high)}"
            yield Problem(field, given[field], "outside the range", f"{low} to {high}", fix)
    address = args.get("prometheus", PROMETHEUS)
    if not address.startswith(("http://", "https://")) or "@" in address:
        yield Problem(
            "prometheus", address, "not an address of a Prometheus", "http://HOST:PORT or https://HOST:PORT",
            "write the address of its Service",
        )  # fmt: skip
    pools = args.get("pools", {})
    yield from list(cluster_pools.problems(pools)) or placement.problems(pools)
    yield from (problem.under("images") for problem in images.problems(args.get("images", {})))


class StalledJobs(pulumi.ComponentResource):
    """A CronJob that restarts the jobs for which the alert GpuBusyWithoutMemoryTraffic fires.

    Their GPUs are busy but move no data: usually a collective operation waits for a peer that has stopped. In a job of
    several pods, the one with idle or unmeasured GPUs is evicted and its node gets a taint; if all of them wait, one is
    evicted. Evictions respect disruption budgets. The job starts a new pod, which resumes from its checkpoint if the
    training code does so. Left alone are pods that nothing starts again, and a job with a pod that started less than
    15 minutes ago. Nothing removes the taint: at a pool's `min`, where the autoscaler removes no node, do it yourself.

    Works on any cluster with `Alerts` for the Prometheus operator and a DCGM exporter. It needs the provider
    `kubernetes`; let it depend on `Alerts`, and on the namespaces. In the cluster it is in the namespace
    `stalled-jobs`. Not for GKE's managed Prometheus, which pods query only through a proxy with an identity of Google
    Cloud.
    """

    namespace: pulumi.Output[str]
    """Namespace of the program."""

    def __init__(self, name: str, args: StalledJobsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"StalledJobs {name}", StalledJobsArgs, args, problems)
        super().__init__("gpuyard:index:StalledJobs", name, None, opts)
        home = namespace(f"{name}-namespace", NAMESPACE, self, "restricted", READERS)
        inside = pulumi.ResourceOptions(parent=self, depends_on=[home])
        here = k8s.meta.v1.ObjectMetaArgs(name=NAMESPACE, namespace=NAMESPACE)
        program = k8s.core.v1.ConfigMap(
            f"{name}-program",
            metadata=here,
            data={_PROGRAM: Path(__file__).with_name("stalled_jobs_watch.py").read_text()},
            opts=inside,
        )
        account = k8s.core.v1.ServiceAccount(f"{name}-account", metadata=here, opts=inside)
        rights = self._rights(name, args, pulumi.ResourceOptions(parent=self, depends_on=[account]))
        k8s.batch.v1.CronJob(
            f"{name}-cron",
            metadata=here,
            spec=k8s.batch.v1.CronJobSpecArgs(
                schedule=f"*/{args['every_minutes']} * * * *",
                concurrency_policy="Forbid",
                starting_deadline_seconds=60,
                successful_jobs_history_limit=1,
                failed_jobs_history_limit=1,
                job_template=k8s.batch.v1.JobTemplateSpecArgs(
                    spec=k8s.batch.v1.JobSpecArgs(
                        backoff_limit=0,
                        active_deadline_seconds=120,
                        template=k8s.core.v1.PodTemplateSpecArgs(spec=_pod(args)),
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[program, *rights]),
        )
        self.namespace = home.metadata.name
        self.register_outputs({"namespace": self.namespace})

    def _rights(self, name: str, args: StalledJobsArgs, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Roles and their bindings: pods in the namespaces, and nodes if they get a taint."""
        pods = [
            k8s.rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods"], verbs=["list"]),
            k8s.rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["pods/eviction"], verbs=["create"]),
        ]
        nodes = [k8s.rbac.v1.PolicyRuleArgs(api_groups=[""], resources=["nodes"], verbs=["get", "list", "patch"])]
        made = [self._right(f"{name}-{each}", each, pods, opts) for each in args["namespaces"]]
        return [*made, *([self._right(f"{name}-nodes", None, nodes, opts)] if args["taint"] else [])]

    def _right(
        self,
        name: str,
        namespace: str | None,
        rules: list[k8s.rbac.v1.PolicyRuleArgs],
        opts: pulumi.ResourceOptions,
    ) -> pulumi.Resource:
        """A role and its binding, in a namespace or (None) in the whole cluster. Returns the binding."""
        rbac = k8s.rbac.v1
        role_kind, binding_kind = (
            (rbac.Role, rbac.RoleBinding) if namespace else (rbac.ClusterRole, rbac.ClusterRoleBinding)
        )
        meta = k8s.meta.v1.ObjectMetaArgs(name=NAMESPACE, namespace=namespace)
        role = role_kind(f"{name}-role", metadata=meta, rules=rules, opts=opts)
        return binding_kind(
            f"{name}-binding",
            metadata=meta,
            role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind=role_kind.__name__, name=NAMESPACE),
            subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=NAMESPACE, namespace=NAMESPACE)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )


def _pod(args: StalledJobsArgs) -> k8s.core.v1.PodSpecArgs:
    settings = {
        "NAMESPACES": ",".join(args["namespaces"]),
        "PROMETHEUS": args.get("prometheus", PROMETHEUS),
        "MOST_NODES": str(args["most_nodes"]),
        "TAINT": "true" if args["taint"] else "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    size = {"cpu": "50m", "memory": "64Mi"}
    affinity: Any = placement.without_gpus({})
    return k8s.core.v1.PodSpecArgs(
        service_account_name=NAMESPACE,
        restart_policy="Never",
        enable_service_links=False,
        affinity=affinity,
        tolerations=[k8s.core.v1.TolerationArgs(**each) for each in placement.pool_tolerations(args.get("pools", {}))],
        security_context=k8s.core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=_UNPRIVILEGED_ID,
            seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        containers=[
            k8s.core.v1.ContainerArgs(
                name="watch",
                image=images.mirrored(versions.PYTHON_IMAGE, args.get("images", {})),
                command=["python3", f"/program/{_PROGRAM}"],
                env=[k8s.core.v1.EnvVarArgs(name=key, value=value) for key, value in settings.items()],
                resources=k8s.core.v1.ResourceRequirementsArgs(requests=size, limits={"memory": "128Mi"}),
                security_context=k8s.core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
                volume_mounts=[k8s.core.v1.VolumeMountArgs(name="program", mount_path="/program", read_only=True)],
            )
        ],
        volumes=[
            k8s.core.v1.VolumeArgs(name="program", config_map=k8s.core.v1.ConfigMapVolumeSourceArgs(name=NAMESPACE))
        ],
    )
