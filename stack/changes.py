"""What a change of the stack's file does to an environment that exists: refused, or said in plain words at preview.

One table for each cloud (`aws/changes.py`, `gcp/changes.py`) says it field by field. From it follow the refusals and
the words here, and the table in docs/upgrades.md; a test holds it against what the engine would do.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import pulumi
from pydantic.alias_generators import to_camel

from components import arguments, pools
from components.arguments import Shape
from components.checks import Problem

from . import living, on
from .environment import Environment
from .section import Section


class Effect(Enum):
    """What a change of a field does; the values are the words of docs/upgrades.md."""

    IN_PLACE = "in place"
    ROLLS = "nodes are replaced"
    NEW_POOL = "new nodes first, then the old ones go"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rule:
    """`note`: what else there is to know, in one clause. Of what is refused, the reason."""

    effect: Effect
    note: str = ""


IN_PLACE = Rule(Effect.IN_PLACE)
ROLLS = Rule(Effect.ROLLS)
NEW_POOL = Rule(Effect.NEW_POOL)


def refused(reason: str) -> Rule:
    """A field that cannot change while the environment exists."""
    return Rule(Effect.REFUSED, reason)


@dataclass(frozen=True)
class Group:
    """Nodes that the cloud keeps equal: a node group of EKS, a node pool of GKE. `pool`: of the file. `nodes`: how many
    of them there are at the moment. `divided`: several groups take its place."""

    name: str
    pool: str
    zones: tuple[str, ...]
    gpu: bool
    nodes: int
    divided: bool = False


def compared(environment: Environment, providers: list[pulumi.ProviderResource]) -> Environment:
    """The environment, with what exists of it. Says in plain words what the file's changes do.

    Raises:
        pulumi.RunError: one error that lists every change that cannot be made while the environment exists.
    """
    found = living.read(providers)
    of_cloud, now = on.changes(environment.config.cloud), settings(replace(environment, living=found))
    environment = replace(environment, living=found)
    problems = list(_fixed(of_cloud.facts(environment, found), now, of_cloud.RULES))
    if found.objects and now != found.settings:
        groups = of_cloud.groups(environment, found, providers[0])
        environment = replace(environment, sizes=_sizes(environment, groups))
        problems += of_cloud.problems(environment, found, groups)
        differing = dict(differences(found.settings, now))
        words = [
            *_gone(environment, groups),
            *_said(environment, groups, differing, of_cloud.RULES),
            *of_cloud.words(environment, found, groups),
        ]
        for said in () if problems else words:
            pulumi.log.warn(said)
    environment.refuse(problems)
    environment.recheck()
    for said in environment.warnings(datetime.now(timezone.utc).date()):
        pulumi.log.warn(said)
    return environment


def _fixed(facts: Mapping[str, Any], now: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[Problem]:
    """`facts`: what exists, by the path of the field that made it."""
    for path, exists in facts.items():
        given = _at(now, path)
        if given != exists:
            same = f"write {_text(exists)}" if exists else "remove it"
            yield Problem(
                path, given or None, f"{rules[pattern(path)].note}; this environment has {_text(exists)}",
                _text(exists), f"{same}; or make a new environment and move, or destroy this one first",
            )  # fmt: skip


def _gone(environment: Environment, groups: list[Group]) -> Iterator[str]:
    """Pools that are no longer in the file."""
    kept = environment.node_pools.keys() | {pool.was for pool in environment.config.node_pools.values()}
    for name in sorted({group.pool for group in groups} - kept):
        mine = [group for group in groups if group.pool == name]
        what = "A GPU POOL IS DELETED" if any(group.gpu for group in mine) else "a pool is deleted"
        yield (
            f"nodePools.{name}: {what}: it is no longer in the file, and goes with {_nodes(mine)} and all that runs on "
            f"them. If only its name is new, write `was: {name}` in the pool with the new one: then nothing is deleted"
        )
    planned = on.changes(environment.config.cloud).planned(environment)
    for name, pool in environment.config.node_pools.items():
        for group in groups:
            mine = group.pool in (name, pool.was) and not group.divided
            if mine and _today(group, name) not in planned and group.nodes:
                yield f"nodePools.{name}: {group.name} is deleted, with {_nodes([group])} and all that runs on them"


def _today(group: Group, pool: str) -> str:
    """The logical name of a group whose pool may have another name by now."""
    return f"{pool}{group.name.removeprefix(group.pool)}"


def _said(
    environment: Environment, groups: list[Group], changed: Mapping[str, tuple[Any, Any]], rules: Mapping[str, Rule]
) -> Iterator[str]:
    """What happens to nodes, pool by pool."""
    for name, pool in environment.config.node_pools.items():
        mine = [group for group in groups if group.pool in (name, pool.was)]
        for effect in (Effect.ROLLS, Effect.NEW_POOL):
            fields = {
                path: rule
                for path in changed
                # A map of a person's own keys that is empty by now has no rule of its own.
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
    """Path → (old, new) of what differs. A field that the older file could not have, and a pool that it did not have,
    differ in nothing."""
    for path, value in now.items():
        old = _at(before, path)
        if old is not None and old != value:
            yield path, (old, value)
    for path, old in before.items():
        # A section that is left out now: what was in it.
        if path not in now and _at(now, path) is not None and old:
            yield path, (old, "")


def _at(settings: Mapping[str, Any], path: str) -> Any:
    """The value at a path; '' inside a section that is left out, None where there is nothing of the kind."""
    if path in settings:
        return settings[path]
    parts = path.split(".")
    if any(key.startswith(f"{path}.") for key in settings):
        return {key: value for key, value in settings.items() if key.startswith(f"{path}.")}
    above = (".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    return "" if any(settings.get(each) == "" for each in above) else None


def removal_problems(environment: Environment, path: str) -> Iterator[Problem]:
    """A file system that the file no longer has. Protection is that of the last `up`: the engine holds it to that."""
    if environment.living.settings.get("deletionProtection", environment.config.deletion_protection):
        yield Problem(
            path, None, "it is no longer in the file, and gpuyard:deletionProtection keeps it with its data",
            "what it was", "put it back; or copy its data, set gpuyard:deletionProtection: false, run `pulumi up`, and "
            "remove it then",
        )  # fmt: skip


def removal_words(path: str) -> str:
    """The same where nothing is protected."""
    return f"{path}: THE FILE SYSTEM IS DELETED with all its data: it is no longer in the file"


def _sizes(environment: Environment, groups: list[Group]) -> dict[str, int]:
    """Nodes of the moment by the groups' logical names of today."""
    former = {pool.was: name for name, pool in environment.config.node_pools.items() if pool.was}
    return {_today(group, former.get(group.pool, group.pool)): group.nodes for group in groups}


def _nodes(groups: list[Group]) -> str:
    count = sum(group.nodes for group in groups)
    return f"{count or 'no'} node{'' if count == 1 else 's'} at the moment"


def pattern(path: str) -> str:
    """The table's key for a path of the file: `nodePools.gpu.max` is `nodePools.*.max`."""
    return re.sub(
        r"^(nodePools|cluster\.access|storage\.buckets|cluster\.maintenance\.exclusions)\.[^.]+", r"\1.*", path
    )


def settings(environment: Environment) -> dict[str, Any]:
    """Every field of the file by its path, with the defaults of today filled in."""
    config = environment.config
    found = {"gpuyard:cloud": config.cloud, f"{config.cloud}:region": environment.region}
    if environment.project:
        found["gcp:project"] = environment.project
    found |= {path: value for path, value in _flat("", config) if path != "cloud"}
    found |= {"cluster.name": environment.cluster_name, "cluster.version": environment.kubernetes_version}
    for name, pool in pools.resolve_all(config.cloud, environment.node_pools).items():
        found[f"nodePools.{name}.diskGib"] = pool.disk_gib
        found[f"nodePools.{name}.placement"] = pool.placement
    found |= on.changes(config.cloud).defaults(environment)
    return {path: "" if value is None else value for path, value in found.items()}


def fields(shape: Shape, path: str = "") -> Iterator[str]:
    """The paths of all fields that a file may have. A person's own keys are `*`; a section that may be omitted is a
    path of its own."""
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
        value = int(value)  # the state knows no whole numbers
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return "nothing" if value in (None, "", {}) else str(value).lower() if isinstance(value, bool) else str(value)
