"""The section `teams`, for both clouds: what each team gets, its checks, and what a changed file does to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components import arguments
from components.checks import Problem
from components.pools import Pool
from components.sharing import team_checks
from components.sharing.team import Team, TeamArgs
from components.sharing.team_queue import TEAM_LABEL, TeamQueue

from .deployed import DeployedState
from .environment import Environment


@dataclass(frozen=True)
class Teams:
    """The components of the teams by name, and the output that describes them."""

    made: dict[str, Team]
    outputs: dict[str, dict[str, pulumi.Input[str]]]


_NAMESPACE = "kubernetes:core/v1:Namespace"
_NOT_OF_TEAM = ("role", *arguments.shape(TeamQueue).fields)


def specs(environment: Environment) -> dict[str, dict[str, Any]]:
    """The teams of the file by name, with the declared defaults."""
    return {name: arguments.cleaned(team.shape, team.written) for name, team in environment.config.teams.items()}


def namespace(name: str, spec: Mapping[str, Any]) -> str:
    """Name of a team's namespace."""
    return spec.get("namespace", name)


def service_account(name: str, spec: Mapping[str, Any]) -> str:
    """Name of a team's service account."""
    return spec.get("service_account", name)


def members(environment: Environment) -> dict[str, Any]:
    """The members of each team that has any, by the name of the team."""
    return {name: spec["members"] for name, spec in specs(environment).items() if any(spec["members"].values())}


def problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with the teams on every cloud; members and roles are checked by the cloud's own module."""
    found = specs(environment)
    for name, spec in found.items():
        yield from team_checks.name_problems(name, name)
        yield from (problem.under(name) for problem in team_checks.problems(name, spec))
        for index, bucket in enumerate(spec.get("role", {}).get("buckets", [])):
            known = list(environment.config.storage.buckets)
            if bucket not in known:
                near = arguments.nearest(bucket, {each: each for each in known})
                yield Problem(
                    f"{name}.role.buckets[{index}]", bucket, "not a volume of `storage.buckets`",
                    ", ".join(known) or "there is none", f"write {near}" if near else "add it there, or remove it",
                )  # fmt: skip
    yield from team_checks.together_problems(found)


def warnings(environment: Environment, pools: Mapping[str, Pool]) -> Iterator[str]:
    """Settings of teams that work but may not be intended. `pools`: those of the file."""
    most = sum(pool.max * pool.gpus for pool in pools.values())
    for name, spec in specs(environment).items():
        yield from (f"teams.{name}.{each}" for each in team_checks.warnings(name, spec))
        gpus = spec["quota"].get("gpus")
        if gpus is not None and gpus > most:
            yield f"teams.{name}.quota.gpus: {gpus}, but all pools together have {most} GPUs at their `max`"
        role, network = spec.get("role", {}), spec["network"]
        if any(role.values()) and not network["internet"] and not network.get("egress_cidrs"):
            yield (
                f"teams.{name}.role: its pods cannot reach the cloud's services, which have public addresses: set "
                "`network.internet`, or name the networks of private endpoints in `network.egress_cidrs`"
            )


def args(environment: Environment, name: str, spec: Mapping[str, Any]) -> TeamArgs:
    """The arguments of a team's component that do not depend on other resources."""
    own = {field: value for field, value in spec.items() if field not in _NOT_OF_TEAM}
    protected = environment.config.deletion_protection and spec["deletion_protection"]
    return {**own, "team": name, "cloud": environment.config.cloud, "deletion_protection": protected}  # type: ignore[typeddict-item]


def outputs(
    made: Mapping[str, Team], identities: Mapping[str, pulumi.Output[str]], connect_command: pulumi.Output[str]
) -> dict[str, dict[str, pulumi.Input[str]]]:
    """The output `teams`: what the members of each team need to know."""
    return {
        name: {
            "namespace": team.namespace,
            "queue": team.queue,
            "serviceAccount": team.service_account,
            "identity": identities.get(name, ""),
            "connect": pulumi.Output.concat(
                connect_command, " && kubectl config set-context --current --namespace ", team.namespace
            ),
        }
        for name, team in made.items()
    }


def defaults(environment: Environment) -> dict[str, Any]:
    """Values of fields that the file omits, by path."""
    return {f"teams.{name}.namespace": namespace(name, spec) for name, spec in specs(environment).items()}


def facts(environment: Environment, deployed: DeployedState) -> dict[str, Any]:
    """The existing namespaces of teams that are still in the file, by path."""
    found = _existing(deployed)
    return {f"teams.{name}.namespace": found[name] for name in environment.config.teams if name in found}


def removal_problems(environment: Environment, deployed: DeployedState) -> Iterator[Problem]:
    """Teams that are no longer in the file, and whose last `up` did not allow that."""
    for name, there in _removed(environment, deployed).items():
        if deployed.settings.get(f"teams.{name}.deletionProtection", True):
            yield Problem(
                f"teams.{name}", None,
                f"it is no longer in the file, and its namespace {there} would be deleted with everything in it",
                "the former value", f"restore it; or save its data, set teams.{name}.deletionProtection: false, run "
                "`pulumi up`, and then remove it",
            )  # fmt: skip


def removal_warnings(environment: Environment, deployed: DeployedState) -> Iterator[str]:
    """The effect of the removal of a team that may be removed."""
    for name, there in _removed(environment, deployed).items():
        yield f"teams.{name}: THE NAMESPACE {there} IS DELETED with everything in it: the team is no longer in the file"


def _removed(environment: Environment, deployed: DeployedState) -> dict[str, str]:
    return {name: there for name, there in _existing(deployed).items() if name not in environment.config.teams}


def _existing(deployed: DeployedState) -> dict[str, str]:
    """Team → its existing namespace."""
    found = {}
    for each in deployed.all(_NAMESPACE):
        meta = each.outputs.get("metadata") or {}
        if team := (meta.get("labels") or {}).get(TEAM_LABEL):
            found[team] = meta["name"]
    return found
