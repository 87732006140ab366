"""Everything that a stack installs in an EKS cluster: one row for each add-on.

The stack's wiring, its checks and the tables of the documentation read these rows. A new managed add-on is one row,
with its permissions if it needs some; a new Helm release is one row, one component module and one pin. The add-ons
without which no node becomes ready (`EksCluster`) and the storage drivers are not here: their components install them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import pulumi
from typing_extensions import NotRequired

from .. import arguments, hardware, versions
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from ..monitoring.alerts import Alerts, reservations_of
from ..monitoring.grafana_dashboards import GrafanaDashboards
from ..monitoring.prometheus import PROMETHEUS_OPERATOR
from ..monitoring.prometheus_stack import Monitoring
from ..pools import Pool
from ..taints import tolerations
from ..versions import Chart
from . import cluster_autoscaler, device_plugin, efa_plugin, node_prices, roles, served_pools
from .addon import EksAddon
from .addons_spec import EksAddonsSpec as EksAddonsSpec
from .cluster_autoscaler import ClusterAutoscaler
from .dcgm_exporter import DcgmExporter
from .device_plugin import NvidiaDevicePlugin
from .efa_plugin import EfaDevicePlugin
from .pool_spec import EksNodePoolSpec
from .roles import Need, Roles

MONITORING_AGENT = "eks-node-monitoring-agent"
"""The add-on that finds nodes that EKS should repair."""

KUBE_SYSTEM = "kube-system"
"""Namespace in which EKS installs most of its add-ons."""

Specs = Mapping[str, EksNodePoolSpec]
"""Every pool of a cluster, by name."""

MANAGED, RELEASE, RULES, DASHBOARDS = "EKS add-on", "Helm release", "alert rules", "dashboards"
"""Kinds of rows."""

NO_POOLS, CPU_POOLS, SERVED_POOLS, ALL_POOLS = "no pools", "pools without GPUs", "the pools that it serves", "all pools"
"""Which pools an add-on waits for. It is created after them and deleted before them."""


def problems(spec: EksAddonsSpec) -> Iterator[Problem]:
    """Everything that is wrong with the values."""
    yield from cluster_autoscaler.idle_problems(spec)


def sharing_problems(node_pools: Specs, spec: EksAddonsSpec, existing: Collection[str] = ()) -> Iterator[Problem]:
    """Pools that share GPUs without the device plugin that does it. Paths begin with the pool. `existing`: add-ons that
    the cluster has."""
    plugin = next(row for row in ADDONS if row.component is NvidiaDevicePlugin)
    if plugin.is_on(spec) and plugin.name not in existing:
        return
    for name in device_plugin.served(node_pools):
        if sharing := node_pools[name].get("sharing"):
            yield Problem(
                f"{name}.sharing", dict(sharing), "gpuyard's device plugin shares them, and it is not installed",
                "together with the device plugin, or with `image: bottlerocket`",
                "let gpuyard install the device plugin, or remove it",
            )  # fmt: skip


class ClusterFacts(TypedDict):
    """What the add-ons need to know of a cluster. It may be one that gpuyard did not create."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    region: str
    """AWS region of the cluster, such as us-east-1."""
    kubernetes_version: str
    """Kubernetes minor of the cluster, such as 1.35."""
    node_pools: dict[str, EksNodePoolSpec]
    """Every pool that the add-ons serve, by name: those of `EksNodePool`. Other nodes of the cluster need no entry."""
    spec: NotRequired[EksAddonsSpec]
    """Which add-ons to install. Default: all."""
    existing_addons: NotRequired[list[str]]
    """Add-ons that the cluster has already, by their names here, such as coredns: they are not installed, and others
    work with them. `monitoring` is any Prometheus operator; with it, `monitor_labels` is required. An existing
    `cluster-autoscaler` does not get the priorities of the pools' capacity ladders. Default: none."""
    monitor_labels: NotRequired[dict[str, str]]
    """Labels by which the existing Prometheus operator selects monitors and rules, such as
    {release: kube-prometheus-stack}; an empty map if it selects all of them, as `Monitoring` does. Default: none."""
    monitoring_namespace: NotRequired[str]
    """Namespace of the alert rules, one that the existing Prometheus operator watches. Default: `monitoring`."""
    addon_versions: NotRequired[dict[str, str]]
    """Exact versions of the EKS add-ons that are installed, by name. Default: the versions that this library has tested
    with `kubernetes_version`."""
    storage_class: NotRequired[str]
    """Storage class of Prometheus' disk. Default: that of `AwsStorage`, if it is passed as `storage`."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `cluster_autoscaler`. Default: none."""
    charts: NotRequired[ChartsArgs]
    """Where charts come from. Default: their own repositories."""
    images: NotRequired[ImagesArgs]
    """Where images come from. Default: their own registries."""


def has(facts: ClusterFacts, name: str) -> bool:
    """Whether the cluster has the add-on of that name, or gets it."""
    return name in facts.get("existing_addons", []) or any(row.name == name for row in of_cluster(facts))


def of_cluster(facts: ClusterFacts) -> "list[Addon]":
    """The add-ons that the cluster gets, in the order of `ADDONS`."""
    return installed(facts["node_pools"], facts.get("spec", {}), facts.get("existing_addons", []))


def _nothing(_: ClusterFacts) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class AddonIdentity:
    """AWS permissions of an add-on: one IAM role for its service account, by EKS Pod Identity."""

    service_account: str
    """Name of the service account that takes the role."""
    reason: str
    """The reason for these permissions, as a sentence for the documentation."""
    namespace: str = KUBE_SYSTEM
    """Namespace of the service account."""
    role: str = ""
    """Field of `Roles` with an existing role for it; empty if there is no such field."""
    policy_arns: tuple[str, ...] = ()
    """ARNs of AWS-managed policies."""
    policy: Callable[[ClusterFacts], dict[str, Any]] | None = None
    """A policy document. A component that writes its policies itself needs neither."""

    @property
    def need(self) -> Need:
        """What an existing role needs."""
        return Need(roles.PODS, f"{self.namespace}/{self.service_account}", self.policy_arns)


@dataclass(frozen=True)
class Addon:
    """One add-on."""

    name: str
    """Name of the component; for a managed add-on, EKS's name of it."""
    kind: str
    """`MANAGED`, `RELEASE`, `RULES` or `DASHBOARDS`."""
    purpose: str
    """What it is for, in a few words."""
    component: Callable[[str, Any, pulumi.ResourceOptions], pulumi.ComponentResource]
    """The class of the component."""
    args: Callable[[ClusterFacts], Mapping[str, Any]] = _nothing
    """The component's arguments, without those that follow from the other fields."""
    chart: Chart | None = None
    """The chart of a Helm release."""
    permissions: AddonIdentity | None = None
    """Its AWS permissions."""
    toggle: str = ""
    """Field of `EksAddonsSpec` that switches it off; empty if it is always installed."""
    serves: Callable[[Specs], Mapping[str, Pool]] | None = None
    """The pools that it serves, by name: without such a pool it is not installed, and its component gets `node_pools`.
    None for an add-on of the whole cluster."""
    pools: str = NO_POOLS
    """Which pools it waits for."""
    storage: bool = False
    """Whether it waits for the storage classes."""
    requires: tuple[str, ...] = ()
    """Rows above without which it is not installed; it waits for them."""
    after: tuple[str, ...] = ()
    """Rows above that it waits for if they are installed."""

    def is_on(self, spec: EksAddonsSpec) -> bool:
        """Whether the spec, or its default, switches it on."""
        return not self.toggle or arguments.cleaned(EksAddonsSpec, spec)[self.toggle]

    def waits_for(self, node_pools: Specs) -> list[str]:
        """Names of the pools that it waits for."""
        if self.pools == SERVED_POOLS and self.serves is not None:
            return list(self.serves(node_pools))
        if self.pools == CPU_POOLS:
            return list(served_pools.without_gpus(node_pools))
        return list(node_pools) if self.pools == ALL_POOLS else []

    def arguments(self, facts: ClusterFacts) -> dict[str, Any]:
        """All arguments of the component."""
        facts = arguments.cleaned(ClusterFacts, facts)
        given = {**self.args(facts)}
        if self.kind == MANAGED:
            given |= {
                "addon": self.name,
                "cluster": facts["cluster"],
                "kubernetes_version": facts["kubernetes_version"],
                "version": facts.get("addon_versions", {}).get(self.name),
            }
        if self.chart is not None:
            given |= {"charts": facts.get("charts", {}), "images": facts.get("images", {})}
        if self.serves is not None:
            given["node_pools"] = facts["node_pools"]
        return given | self._permissions(facts)

    def _permissions(self, facts: ClusterFacts) -> dict[str, Any]:
        needed = self.permissions
        if needed is None:
            return {}
        new: dict[str, Any] = {}
        if self.kind == MANAGED:
            new = {"policy_arns": list(needed.policy_arns)}
            new |= {} if needed.policy is None else {"policy": needed.policy(facts)}
        given: dict[str, Any] = {**roles.permissions(facts.get("roles", {}), needed.role, cast(roles.Permissions, new))}
        if self.kind == MANAGED:
            given["service_account"] = needed.service_account
            given |= {} if needed.namespace == KUBE_SYSTEM else {"namespace": needed.namespace}
        return given

    def install(self, name: str, facts: ClusterFacts, opts: pulumi.ResourceOptions) -> pulumi.ComponentResource:
        """The component, created under a name that is unique in the program."""
        return self.component(name, self.arguments(facts), opts)


def _autoscaler(facts: ClusterFacts) -> dict[str, Any]:
    return {
        "cluster": facts["cluster"],
        "kubernetes_version": facts["kubernetes_version"],
        "region": facts["region"],
        "node_pools": facts["node_pools"],
        "scale_down_after_minutes": arguments.cleaned(EksAddonsSpec, facts.get("spec", {}))["scale_down_after_minutes"],
    }


def _monitoring_agent(facts: ClusterFacts) -> dict[str, Any]:
    """The agent's DCGM server tolerates no taint by default (containers-roadmap#2567). On a GPU node without that
    server the agent reports DCGMError, and EKS replaces healthy nodes (#2555)."""
    taints = (taint for pool in served_pools.with_gpus(facts["node_pools"]).values() for taint in pool.taints)
    tolerated = tolerations(taints)
    return {"configuration": {"dcgmAgent": {"tolerations": tolerated}}} if tolerated else {}


def _has_node_engine(facts: ClusterFacts) -> bool:
    """Whether the monitoring agent runs DCGM on every node with GPUs. It does so on the machine types that its release
    lists, which are those of EC2's table."""
    pools = served_pools.with_gpus(facts["node_pools"]).values()
    known = hardware.names(hardware.AWS)
    return has(facts, MONITORING_AGENT) and all(name in known for pool in pools for name in pool.machine_types)


ADDONS: tuple[Addon, ...] = (
    Addon("coredns", MANAGED, "DNS of the cluster", EksAddon, pools=CPU_POOLS),
    Addon("metrics-server", MANAGED, "CPU and memory of pods, for autoscaling", EksAddon, pools=CPU_POOLS),
    Addon(
        MONITORING_AGENT,
        MANAGED,
        "finds nodes that EKS should repair",
        EksAddon,
        _monitoring_agent,
        pools=CPU_POOLS,
    ),
    Addon(
        "cluster-autoscaler",
        RELEASE,
        "adds nodes for pending pods, removes idle ones",
        ClusterAutoscaler,
        _autoscaler,
        versions.CLUSTER_AUTOSCALER,
        AddonIdentity(
            cluster_autoscaler.SERVICE_ACCOUNT,
            "The autoscaler reads all groups and resizes those with this cluster's tag.",
            role="cluster_autoscaler",
        ),
        toggle="cluster_autoscaler",
        pools=ALL_POOLS,
    ),
    Addon(
        "nvidia-device-plugin",
        RELEASE,
        "GPUs that pods can request",
        NvidiaDevicePlugin,
        chart=versions.NVIDIA_DEVICE_PLUGIN,
        toggle="device_plugin",
        serves=device_plugin.served,
        pools=SERVED_POOLS,
    ),
    Addon(
        "efa-device-plugin",
        RELEASE,
        "EFA interfaces that pods can request",
        EfaDevicePlugin,
        chart=versions.EFA_DEVICE_PLUGIN,
        toggle="efa_plugin",
        serves=efa_plugin.served,
        pools=SERVED_POOLS,
    ),
    Addon(
        "monitoring",
        RELEASE,
        "metrics and alerts",
        Monitoring,
        lambda facts: {
            "autoscaler": has(facts, "cluster-autoscaler"),
            "storage_class": facts.get("storage_class"),
            "grafana": arguments.cleaned(EksAddonsSpec, facts.get("spec", {}))["grafana"],
        },
        versions.KUBE_PROMETHEUS_STACK,
        toggle="monitoring",
        pools=CPU_POOLS,
        storage=True,
    ),
    Addon(
        "dcgm-exporter",
        RELEASE,
        "GPU metrics",
        DcgmExporter,
        # The ServiceMonitor's kind comes with the Prometheus operator.
        lambda facts: {
            "node_engine": _has_node_engine(facts),
            "scrape": has(facts, "monitoring"),
            "scrape_labels": facts.get("monitor_labels"),
        },
        versions.DCGM_EXPORTER,
        toggle="dcgm_exporter",
        serves=served_pools.with_gpus,
        pools=SERVED_POOLS,
        after=("monitoring",),
    ),
    Addon(
        "alerts",
        RULES,
        "alerts for GPUs and containers",
        Alerts,
        lambda facts: {
            "system": PROMETHEUS_OPERATOR,
            "gpu_metrics": has(facts, "dcgm-exporter"),
            "namespace": facts["monitoring_namespace"],
            "rule_labels": facts.get("monitor_labels"),
            "reservations": reservations_of(facts["node_pools"]),
            "prices": node_prices.of_nodes(facts["region"], facts["node_pools"]),
        },
        toggle="alerts",
        requires=("monitoring",),
    ),
    Addon(
        "dashboards",
        DASHBOARDS,
        "dashboards for Grafana",
        GrafanaDashboards,
        lambda facts: {
            "system": PROMETHEUS_OPERATOR,
            "gpu_metrics": has(facts, "dcgm-exporter"),
            "namespace": facts["monitoring_namespace"],
            "costs": bool(node_prices.of_rungs(facts["region"], facts["node_pools"])),
        },
        toggle="dashboards",
        requires=("monitoring",),
    ),
)
"""Every add-on, each after those that it waits for."""


def installed(node_pools: Specs, spec: EksAddonsSpec, existing: Collection[str] = ()) -> list[Addon]:
    """The add-ons that a cluster with these pools gets, in the order of `ADDONS`. `existing`: those that it has."""
    found: dict[str, Addon] = {}
    for row in ADDONS:
        serves = row.serves is None or bool(row.serves(node_pools))
        required = all(name in found or name in existing for name in row.requires)
        if row.name not in existing and row.is_on(spec) and serves and required:
            found[row.name] = row
    return list(found.values())


def managed(rows: Iterable[Addon]) -> list[str]:
    """Names of the add-ons among them that EKS manages."""
    return [row.name for row in rows if row.kind == MANAGED]


def role_fields(rows: Iterable[Addon]) -> list[str]:
    """The fields of `Roles` that these add-ons use."""
    return [row.permissions.role for row in rows if row.permissions and row.permissions.role]


def needs() -> dict[str, Need]:
    """What every existing role needs, by the fields of `Roles`."""
    rows = {row.permissions.role: row.permissions for row in ADDONS if row.permissions and row.permissions.role}
    return {**roles.NEEDS, **{field: each.need for field, each in rows.items()}}
