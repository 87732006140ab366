"""A team in a cluster: a namespace that its members share, and everything that keeps it apart from other teams."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks
from ..charts import release as releases
from ..checks import Problem
from ..clouds import CLOUDS
from . import team_checks, team_members, team_network, team_policy, team_quota, team_roles
from .kueue import MANAGED
from .queues import API_VERSION
from .team_queue import TEAM_LABEL
from .team_spec import TeamSpec

LOCAL_QUEUE = "default"
"""Name of a team's LocalQueue: Kueue puts a job that names no queue into the LocalQueue of this name."""
OBJECT = "team"
"""Name of the quota, the limits and the network policy in the namespace; what the names of the other quota and of the
roles begin with."""


class TeamArgs(TeamSpec):
    """A team of one cluster."""

    team: str
    """Name of the team: 1 to 62 lower-case letters, digits and '-'."""
    cloud: NotRequired[str]
    """Cloud of the cluster, aws or gcp: pods may reach the address from which they get the permissions of their service
    account. Default: none, pods reach no such address."""
    api_server_cidrs: NotRequired[pulumi.Input[list[str]]]
    """Networks (CIDRs) in which the API server has its addresses, for teams whose pods may call it. Default: none."""
    queue: NotRequired[pulumi.Input[str]]
    """Name of the team's ClusterQueue of Kueue; the namespace then gets a LocalQueue. Default: none, pods start at
    once."""
    monitoring_namespaces: NotRequired[list[str]]
    """Namespaces whose pods may read metrics of the team's pods: those of Prometheus. Default:
    `[monitoring, gmp-system]`."""


def problems(args: TeamArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from team_checks.name_problems("team", args["team"])
    for problem in team_checks.problems(args["team"], args):
        # The namespace is named after the team.
        yield problem if problem.path else replace(problem, path="team")
    yield from (problem.under("members") for problem in team_members.problems(args["members"]))
    if "cloud" in args:
        yield from checks.one_of("cloud", args["cloud"], CLOUDS)
    queue = args.get("queue")
    if isinstance(queue, str) and not checks.OBJECT_NAME.fullmatch(queue):
        yield Problem(
            "queue", queue, "not the name of a ClusterQueue", "lower-case letters, digits, '-' and '.'",
            "see `kubectl get clusterqueues`, or remove it",
        )  # fmt: skip
    networks = args.get("api_server_cidrs", [])
    for index, network in enumerate(networks if isinstance(networks, list) else ()):
        if isinstance(network, str):
            yield from checks.cidr(f"api_server_cidrs[{index}]", network)
    for index, namespace in enumerate(args["monitoring_namespaces"]):
        yield from checks.namespace(f"monitoring_namespaces[{index}]", namespace)
    if args["network"]["api_server"] and networks == []:
        yield Problem(
            "api_server_cidrs", None, "missing: pods may call the API server, whose addresses are unknown",
            "the networks of its endpoints", "see `kubectl get endpointslices --namespace default kubernetes`",
        )  # fmt: skip


class Team(pulumi.ComponentResource):
    """A namespace with the level of pod security, quota, limits, network policy, roles and service account of one team,
    and its queue if there is one.

    The namespace is protected: Pulumi refuses to delete it with what is in it, until `deletion_protection` is false and
    an `up` has applied that. Does not: create a ClusterQueue, map identities of a cloud to members (`EksTeamAccess`,
    `GkeTeamAccess`), or give the service account permissions in a cloud (`EksTeamIdentity`, `GkeTeamIdentity`).
    NetworkPolicies need a cluster that enforces them, as those of `EksCluster` and `GkeCluster` do.

    Works on any cluster. It needs the provider `kubernetes`; with `queue`, the kinds of Kueue, so let it depend on what
    installs Kueue: then the namespace and its jobs are deleted while Kueue still runs.
    """

    namespace: pulumi.Output[str]
    """Name of the namespace, known once it exists with its limits."""
    service_account: pulumi.Output[str]
    """Name of the service account for the team's permissions in the cloud."""
    queue: pulumi.Output[str]
    """Name of the LocalQueue; '' without one."""

    def __init__(self, name: str, args: TeamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Team {name}", TeamArgs, args, problems)
        super().__init__("gpuyard:index:Team", name, None, opts)
        team, queued = args["team"], "queue" in args
        labels = {TEAM_LABEL: team}
        self.resource = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=args.get("namespace", team),
                labels={
                    **releases.pod_security_labels(args["pod_security"]),
                    **labels,
                    **(MANAGED if queued else {}),
                },
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Its deletion deletes everything that the team has in it, including claims with data.
                protect=args["deletion_protection"],
                # A namespace's name is fixed.
                delete_before_replace=True,
            ),
        )
        """The namespace."""
        home = self.resource.metadata.name
        # Not children of the namespace, whose protection they would inherit: a member could not be removed.
        child = pulumi.ResourceOptions(parent=self)

        def meta(each: str) -> k8s.meta.v1.ObjectMetaArgs:
            return k8s.meta.v1.ObjectMetaArgs(name=each, namespace=home, labels=labels)

        quota = k8s.core.v1.ResourceQuota(
            f"{name}-quota",
            metadata=meta(OBJECT),
            spec=k8s.core.v1.ResourceQuotaSpecArgs(hard=team_quota.hard(args["quota"], queued)),
            opts=child,
        )
        ranks = k8s.core.v1.ResourceQuota(
            f"{name}-system-pods",
            metadata=meta(f"{OBJECT}-system-pods"),
            spec=team_quota.without_system_pods(),
            opts=child,
        )
        limits = k8s.core.v1.LimitRange(
            f"{name}-limits",
            metadata=meta(OBJECT),
            spec=k8s.core.v1.LimitRangeSpecArgs(limits=team_quota.limit_range(args["limits"])),
            opts=child,
        )
        policy = k8s.networking.v1.NetworkPolicy(
            f"{name}-network",
            metadata=meta(OBJECT),
            spec=team_network.spec(
                args["network"],
                args.get("cloud", ""),
                pulumi.Output.from_input(args.get("api_server_cidrs", [])).apply(team_network.blocks),
                args["monitoring_namespaces"],
            ),
            opts=child,
        )
        self._accounts(name, args, meta)
        self._members(name, args, meta)
        self._policy(name, args)
        # Pods that start before these exist would not be limited by them.
        ready = pulumi.Output.all(home, quota.id, ranks.id, limits.id, policy.id)
        self.namespace = ready.apply(lambda values: values[0])
        self.service_account = self.account.metadata.name
        self.queue = self._queue(name, args, meta) if queued else self.namespace.apply(lambda _: "")
        self.register_outputs(
            {"namespace": self.namespace, "serviceAccount": self.service_account, "queue": self.queue}
        )

    def _accounts(self, name: str, args: TeamArgs, meta: Any) -> None:
        """The team's service account, and no token for pods that name none."""
        child = pulumi.ResourceOptions(parent=self)
        called = args["network"]["api_server"]
        self.account = k8s.core.v1.ServiceAccount(
            f"{name}-account",
            metadata=meta(args.get("service_account", args["team"])),
            automount_service_account_token=called,
            opts=child,
        )
        """The service account."""
        k8s.core.v1.ServiceAccountPatch(
            f"{name}-default-account",
            # Kubernetes creates it with the namespace.
            metadata=k8s.meta.v1.ObjectMetaPatchArgs(
                name="default", namespace=self.resource.metadata.name, annotations={"pulumi.com/patchForce": "true"}
            ),
            automount_service_account_token=False,
            opts=child,
        )
        if called:
            subject = {"kind": "ServiceAccount", "name": self.account.metadata.name}
            subject["namespace"] = self.resource.metadata.name
            self._bound(name, "account", team_roles.account_rules(), [subject], meta)

    def _members(self, name: str, args: TeamArgs, meta: Any) -> None:
        """A role and its binding for each level that has members, and what members read outside the namespace."""
        child, given = pulumi.ResourceOptions(parent=self), team_members.by_level(args["members"])
        for level, members in given.items():
            self._bound(name, level, team_roles.rules(level), list(map(team_members.subject, members)), meta)
        if not given:
            return
        of_cluster = _of_cluster(args["team"])
        role = k8s.rbac.v1.ClusterRole(
            f"{name}-cluster-role",
            metadata=of_cluster,
            rules=team_roles.cluster_rules(),
            opts=child,
        )
        k8s.rbac.v1.ClusterRoleBinding(
            f"{name}-cluster-members",
            metadata=of_cluster,
            role_ref=_role_ref("ClusterRole", role.metadata.name),
            subjects=[team_members.subject(each) for members in given.values() for each in members],
            opts=child,
        )

    def _policy(self, name: str, args: TeamArgs) -> None:
        """What no member may write in the namespace, whatever the role."""
        child, of_cluster = pulumi.ResourceOptions(parent=self), _of_cluster(args["team"])
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-policy",
            metadata=of_cluster,
            spec=team_policy.spec(),
            opts=child,
        )
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-policy-binding",
            metadata=of_cluster,
            spec=team_policy.binding(policy.metadata.name, self.resource.metadata.name),
            opts=child,
        )

    def _bound(self, name: str, who: str, rules: list[Any], subjects: list[Any], meta: Any) -> None:
        child = pulumi.ResourceOptions(parent=self)
        role = k8s.rbac.v1.Role(f"{name}-{who}-role", metadata=meta(f"{OBJECT}-{who}"), rules=rules, opts=child)
        k8s.rbac.v1.RoleBinding(
            f"{name}-{who}-members",
            metadata=meta(f"{OBJECT}-{who}"),
            role_ref=_role_ref("Role", role.metadata.name),
            subjects=subjects,
            opts=child,
        )

    def _queue(self, name: str, args: TeamArgs, meta: Any) -> pulumi.Output[str]:
        queue = k8s.apiextensions.CustomResource(
            f"{name}-queue",
            api_version=API_VERSION,
            kind="LocalQueue",
            metadata=meta(LOCAL_QUEUE),
            spec={"clusterQueue": args["queue"]},
            # The ClusterQueue of a LocalQueue is immutable, and its name is fixed.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, replace_on_changes=["spec"]),
        )
        return queue.id.apply(lambda _: LOCAL_QUEUE)


def _of_cluster(team: str) -> k8s.meta.v1.ObjectMetaArgs:
    """Metadata of the team's objects without a namespace."""
    return k8s.meta.v1.ObjectMetaArgs(name=f"gpuyard-team-{team}", labels={TEAM_LABEL: team})


def _role_ref(kind: str, name: pulumi.Output[str]) -> k8s.rbac.v1.RoleRefArgs:
    return k8s.rbac.v1.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind=kind, name=name)
