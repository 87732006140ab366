"""What a change of the stack's file does to an existing environment: it is refused, or a preview warns of its effects.

Every field has a rule: fields of pools in the clouds' node pools (`CHANGES`), others here (`COMMON`) or in the cloud's
`changes.py`. The errors and warnings here, and tables in the documentation, are made from them. A test compares them
with what the engine would do.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import pulumi
from pydantic.alias_generators import to_camel

from components import arguments, changes, pools
from components.arguments import Shape
from components.changes import IN_PLACE, Effect, Rule, refused
from components.checks import Problem

from . import deployed, on, platforms, teams
from .environment import Environment
from .section import Section

COMMON: dict[str, Rule] = {
    "gpuyard:cloud": refused("an environment cannot move to another cloud"),
    "network.nat": Rule(Effect.IN_PLACE, "open connections break"),
    "cluster.name": refused("a cluster cannot be renamed"),
    "cluster.publicAccessCidrs": IN_PLACE,
    "cluster.privateAccessCidrs": IN_PLACE,
    "cluster.logTypes": IN_PLACE,
    "storage.buckets": IN_PLACE,
    "teams": Rule(Effect.IN_PLACE, "a removed team's namespace is deleted, if its `deletionProtection` is false"),
    "teams.*.namespace": refused("a team cannot move to another namespace, which would be empty"),
    "queues": IN_PLACE,
    "addons": IN_PLACE,
    "platforms": IN_PLACE,
    "charts": IN_PLACE,
    "images": IN_PLACE,
    "deletionProtection": IN_PLACE,
}
"""The effects that are the same on every cloud, by path. A field inside another one has its rule, unless it has its
own."""


def rules(cloud: str, own: Mapping[str, Rule], of_pools: Mapping[str, Rule]) -> dict[str, Rule]:
    """Every field of the file by path → its rule. `own`: by path; `of_pools`: by the names of a pool's fields."""
    camel = {f"nodePools.*.{'.'.join(map(to_camel, field.split('.')))}": rule for field, rule in of_pools.items()}
    found = {**COMMON, **own, **camel}
    paths = [*(path for path in found if ":" in path), *fields(on.shape(cloud))]
    return {path: rule for path in paths if (rule := changes.of(path, found))}


@dataclass(frozen=True)
class Group:
    """A group of equal nodes: a node group on EKS, a node pool on GKE. `pool`: name of its pool in the file. `nodes`:
    its current number of nodes. `divided`: whether several groups replace it."""

    name: str
    pool: str
    zones: tuple[str, ...]
    gpu: bool
    nodes: int
    divided: bool = False


def compared(environment: Environment, providers: list[pulumi.ProviderResource]) -> Environment:
    """The environment, with its existing resources. Warns of what the changes of the file do.

    Raises:
        pulumi.RunError: one error that lists every change that cannot be made while the environment exists.
    """
    found = deployed.read(providers)
    of_cloud, now = on.changes(environment.config.cloud), settings(replace(environment, deployed=found))
    environment = replace(environment, deployed=found)
    existing = {**of_cloud.facts(environment, found), **teams.facts(environment, found)}
    problems = [*_fixed(existing, now, of_cloud.RULES), *teams.removal_problems(environment, found)]
    if found.objects and now != found.settings:
        groups = of_cloud.groups(environment, found, providers[0])
        environment = replace(environment, sizes=_sizes(environment, groups))
        problems += [*of_cloud.problems(environment, found, groups), *platforms.removal_problems(environment)]
        differing = dict(differences(found.settings, now))
        warnings = [
            *_deletion_warnings(environment, groups),
            *_replacement_warnings(environment, groups, differing, of_cloud.RULES),
            *of_cloud.warnings(environment, found, groups),
            *teams.removal_warnings(environment, found),
        ]
        for warning in () if problems else warnings:
            pulumi.log.warn(warning)
    environment.refuse(problems)
    environment.recheck()
    for warning in environment.warnings(datetime.now(timezone.utc).date()):
        pulumi.log.warn(warning)
    return environment


def _fixed(facts: Mapping[str, Any], now: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[Problem]:
    """Changes of immutable fields. `facts`: the existing value of each, by the path of the field."""
    for path, exists in facts.items():
        given = _at(now, path)
        if given != exists:
            same = f"write {_text(exists)}" if exists else "remove it"
            yield Problem(
                path, given or None, f"{rules[pattern(path)].note}; this environment has {_text(exists)}",
                _text(exists), f"{same}; or create a new environment and move there, or destroy this one first",
            )  # fmt: skip


def _deletion_warnings(environment: Environment, groups: list[Group]) -> Iterator[str]:
    """Pools and groups that are no longer in the file."""
    kept = environment.node_pools.keys() | {pool.was for pool in environment.config.node_pools.values()}
    for name in sorted({group.pool for group in groups} - kept):
        mine = [group for group in groups if group.pool == name]
        what = "A GPU POOL IS DELETED" if any(group.gpu for group in mine) else "a pool is deleted"
        yield (
            f"nodePools.{name}: {what}: it is no longer in the file; {_nodes(mine)} and everything that runs on them "
            f"are deleted. If you renamed the pool, write `was: {name}` in the pool with the new name: then nothing is "
            "deleted"
        )
    planned = on.changes(environment.config.cloud).planned(environment)
    for name, pool in environment.config.node_pools.items():
        for group in groups:
            mine = group.pool in (name, pool.was) and not group.divided
            if mine and _current_name(group, name) not in planned and group.nodes:
                yield f"nodePools.{name}: {group.name} is deleted, with {_nodes([group])} and everything on them"


def _current_name(group: Group, pool: str) -> str:
    """The logical name of a group, for a pool that may have been renamed."""
    return f"{pool}{group.name.removeprefix(group.pool)}"


def _replacement_warnings(
    environment: Environment, groups: list[Group], changed: Mapping[str, tuple[Any, Any]], rules: Mapping[str, Rule]
) -> Iterator[str]:
    """Pools whose nodes are replaced, and why."""
    for name, pool in environment.config.node_pools.items():
        mine = [group for group in groups if group.pool in (name, pool.was)]
        for effect in (Effect.ROLLS, Effect.NEW_POOL):
            fields = {
                path: rule
                for path in changed
                # A map with the user's keys that is now empty has no rule.
                if (rule := rules.get(pattern(path), IN_PLACE)).effect is effect
                and (path.startswith(f"nodePools.{name}.") or not path.startswith("nodePools."))
            }
            if fields and mine:
                what = ", ".join(
                    f"{path.removeprefix(f'nodePools.{name}.')} {_text(changed[path][0])} → {_text(changed[path][1])}"
                    for path in fields
                )
                notes = "; ".join([_nodes(mine), *dict.fromkeys(rule.note for rule in fields.values() if rule.note)])
                yield f"nodePools.{name}: {what}: {effect.value} ({notes})"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Path → (old, new) of each difference. A field that the earlier release did not have and a new pool are not
    differences."""
    for path, value in now.items():
        old = _at(before, path)
        if old is not None and old != value:
            yield path, (old, value)
    for path, old in before.items():
        # A section that is now omitted: its former contents.
        if path not in now and _at(now, path) is not None and old:
            yield path, (old, "")


def _at(settings: Mapping[str, Any], path: str) -> Any:
    """The value at a path; '' inside an omitted section, None if the settings do not have the field."""
    if path in settings:
        return settings[path]
    parts = path.split(".")
    if any(key.startswith(f"{path}.") for key in settings):
        return {key: value for key, value in settings.items() if key.startswith(f"{path}.")}
    above = (".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    return "" if any(settings.get(each) == "" for each in above) else None


def removal_problems(environment: Environment, path: str) -> Iterator[Problem]:
    """A protected file system that the file no longer has. The engine applies the protection of the last `up`."""
    if environment.deployed.settings.get("deletionProtection", environment.config.deletion_protection):
        yield Problem(
            path, None, "it is no longer in the file, but gpuyard:deletionProtection protects it and its data",
            "the former value", "restore it; or copy its data, set gpuyard:deletionProtection: false, run `pulumi up`, "
            "and then remove it",
        )  # fmt: skip


def removal_warning(path: str) -> str:
    """The warning about an unprotected file system that the file no longer has."""
    return f"{path}: THE FILE SYSTEM IS DELETED with all its data: it is no longer in the file"


def _sizes(environment: Environment, groups: list[Group]) -> dict[str, int]:
    """Current number of nodes by the current logical names of the groups."""
    former = {pool.was: name for name, pool in environment.config.node_pools.items() if pool.was}
    return {_current_name(group, former.get(group.pool, group.pool)): group.nodes for group in groups}


def _nodes(groups: list[Group]) -> str:
    count = sum(group.nodes for group in groups)
    return f"{count} node{'' if count == 1 else 's'} at the moment"


def pattern(path: str) -> str:
    """The key in the table for a path of the file: `nodePools.*.max` for `nodePools.gpu.max`."""
    return re.sub(
        r"^(nodePools|cluster\.access|storage\.buckets|teams|cluster\.maintenance\.exclusions)\.[^.]+", r"\1.*", path
    )


def settings(environment: Environment) -> dict[str, Any]:
    """Every field of the file by its path, with this release's defaults filled in."""
    config = environment.config
    found = {"gpuyard:cloud": config.cloud, f"{config.cloud}:region": environment.region}
    if environment.project:
        found["gcp:project"] = environment.project
    found |= {path: value for path, value in _flat("", config) if path != "cloud"}
    found |= {"cluster.name": environment.cluster_name, "cluster.version": environment.kubernetes_version}
    for name, pool in pools.resolve_all(config.cloud, environment.node_pools).items():
        found[f"nodePools.{name}.diskGib"] = pool.disk_gib
        found[f"nodePools.{name}.placement"] = pool.placement
    found |= on.changes(config.cloud).defaults(environment) | teams.defaults(environment)
    return {path: "" if value is None else value for path, value in found.items()}


def fields(shape: Shape, path: str = "") -> Iterator[str]:
    """The paths of all fields that a file may have. The user's keys are `*`. A section that may be omitted has its
    own path."""
    for name, field in shape.fields.items():
        here = f"{path}.{to_camel(name)}".lstrip(".")
        inside, held = arguments.part(field.hint)
        if inside is None or held == "list":
            yield here
        else:
            yield from [here] if not held and field.default is None and not field.required else []
            yield from fields(inside, f"{here}.*" if held else here)


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Section):
        for name in value.shape.fields:
            yield from _flat(f"{path}.{to_camel(name)}".lstrip("."), getattr(value, name))
    elif isinstance(value, Mapping) and any(isinstance(each, Section) for each in value.values()):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}", each)
    else:
        yield path, value


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # all numbers in the state are floats
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return "nothing" if value in (None, "", {}) else str(value).lower() if isinstance(value, bool) else str(value)
