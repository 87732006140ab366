"""Checks of teams: of each one, and of all teams of a cluster together."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from .. import checks
from ..checks import OBJECT_NAME, Problem
from ..monitoring.targets import DCGM_NAMESPACE, NAMESPACE, NODES_NAMESPACE
from .team_network import LINK_LOCAL, SCRAPERS
from .team_spec import POD_SECURITY

TEAM_LIMIT = 63 - 1
"""Characters of a team's name, which is a label's value and the name of a namespace."""

# Kubernetes' namespace and service account for what names none.
_DEFAULT = "default"

RESERVED = (_DEFAULT, "mount-s3", "cert-manager", "stalled-jobs", NAMESPACE, NODES_NAMESPACE, DCGM_NAMESPACE, *SCRAPERS)
"""Namespaces that no team may have: Kubernetes' default one, and those of what this library or a cloud installs."""
RESERVED_PREFIXES = (
    "kube-",
    "gke-",
    "gmp-",
    "gpuyard-",
    "amazon-",
    "kueue-",
    "keda",
    "kserve",
    "kubeflow",
    "argo",
    "jobset-",
    "lws-",
)
"""Beginnings of names of namespaces that no team may have: those of Kubernetes, of the clouds and of platforms."""

# Field of a quota or of limits → the smallest and the largest value.
_RANGES = {
    "quota": {
        "cpu": (1, 1_000_000), "memory_gib": (1, 10_000_000), "gpus": (0, 100_000), "pods": (1, 100_000),
        "claims": (0, 10_000), "storage_gib": (0, 10_000_000), "load_balancers": (0, 100),
    },
    "limits": {
        "cpu_millicores": (1, 100_000), "memory_mib": (16, 1_000_000), "max_cpu": (1, 1000),
        "max_memory_gib": (1, 30_000), "max_claim_gib": (1, 1_000_000),
    },
}  # fmt: skip


def name_problems(path: str, team: str) -> Iterator[Problem]:
    """`team` is a valid name of a team."""
    if len(team) > TEAM_LIMIT or any(checks.namespace(path, team)) or not team:
        yield Problem(
            path, team, "not a valid name of a team", f"1 to {TEAM_LIMIT} lower-case letters, digits and '-'",
            "rename the team",
        )  # fmt: skip


def problems(team: str, spec: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with what a team gets, without its members, whose form depends on the cloud. `spec`: with the
    declared defaults."""
    path, namespace = ("namespace", spec["namespace"]) if "namespace" in spec else ("", team)
    if path:  # otherwise it is the team's name, which has its own check
        yield from checks.namespace(path, namespace)
        if not namespace:
            yield Problem(path, namespace, "empty", "a namespace of the team", f"remove it for {team}")
    if namespace in RESERVED or namespace.startswith(RESERVED_PREFIXES):
        yield Problem(
            path, namespace, "a namespace of the cluster's own components", "a namespace of the team",
            "name another `namespace`",
        )  # fmt: skip
    yield from checks.one_of("pod_security", spec["pod_security"], POD_SECURITY)
    # Limits that are out of range are not compared with each other.
    yield from list(_range_problems(spec)) or _limits_problems(spec["limits"], spec["quota"])
    yield from _network_problems(spec["network"])
    if "service_account" in spec or team == _DEFAULT:
        account = spec.get("service_account", team)
        if account == _DEFAULT or not OBJECT_NAME.fullmatch(account):
            wrong = "the account of pods that name none" if account == _DEFAULT else "not a valid name"
            yield Problem(
                "service_account", account, wrong, f"lower-case letters, digits, '-' and '.'; not {_DEFAULT}",
                "name it after what runs as it, such as trainer",
            )  # fmt: skip


def _range_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    for section, ranges in _RANGES.items():
        for field, (least, most) in ranges.items():
            value = spec[section].get(field)
            if value is not None and not least <= value <= most:
                yield Problem(f"{section}.{field}", value, "out of range", f"{least} to {most}", "correct it")


def _limits_problems(limits: Mapping[str, Any], quota: Mapping[str, Any]) -> Iterator[Problem]:
    """Defaults that are larger than the maximum of a container, and maxima that the quota never allows."""
    for field, value, limit, unit in (
        ("cpu_millicores", limits["cpu_millicores"], "max_cpu", 1000),
        ("memory_mib", limits["memory_mib"], "max_memory_gib", 1024),
    ):
        most = limits.get(limit)
        if most is not None and value > most * unit:
            yield Problem(
                f"limits.{field}", value, f"more than `{limit}`, {most}", f"up to {most * unit}",
                f"lower it, or raise `{limit}`",
            )  # fmt: skip
    for field, whole in (("max_cpu", "cpu"), ("max_memory_gib", "memory_gib")):
        most, total = limits.get(field), quota.get(whole)
        if most is not None and total is not None and most > total:
            yield Problem(
                f"limits.{field}", most, f"more than the team's quota, {total}", f"up to {total}",
                f"lower it, or raise `quota.{whole}`",
            )  # fmt: skip


def _network_problems(network: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("egress_cidrs", "ingress_cidrs"):
        cidrs = network.get(field, [])
        for index, cidr in enumerate(cidrs):
            wrong = list(checks.cidr(f"network.{field}[{index}]", cidr))
            yield from wrong
            if not wrong and field == "egress_cidrs":
                yield from _metadata_problems(f"network.{field}[{index}]", cidr)
        yield from checks.listed(f"network.{field}", cidrs, 100)
    for index, namespace in enumerate(network.get("ingress_namespaces", [])):
        yield from checks.namespace(f"network.ingress_namespaces[{index}]", namespace)


def _metadata_problems(path: str, cidr: str) -> Iterator[Problem]:
    """No network contains the addresses of the nodes' metadata servers."""
    if ipaddress.IPv4Network(cidr).overlaps(ipaddress.IPv4Network(LINK_LOCAL)):
        yield Problem(
            path, cidr, f"contains addresses of {LINK_LOCAL}, where nodes have their metadata servers",
            "networks without them", "for the internet, write `internet: true`; otherwise name smaller networks",
        )  # fmt: skip


def together_problems(teams: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """No two teams have one namespace. `teams`: specs by the names of the teams."""
    first: dict[str, str] = {}
    for team, spec in teams.items():
        namespace = spec.get("namespace") or team
        if namespace in first:
            path = f"{team}.namespace" if spec.get("namespace") else team
            yield Problem(
                path, namespace, f"the namespace of {first[namespace]}", "a namespace for each team",
                "name another `namespace`, or make them one team",
            )  # fmt: skip
        first.setdefault(namespace, team)


def warnings(team: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Settings that work but may not be intended."""
    if spec["pod_security"] == "privileged":
        yield (
            "pod_security: a member of `edit` can take over a node with a privileged pod, and from there other teams; "
            "use `baseline`"
        )
