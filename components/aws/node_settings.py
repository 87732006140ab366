"""Settings of a pool's nodes that a person gives: NodeConfig on AL2023, settings of Bottlerocket. What gpuyard and EKS
set is refused: the autoscaler would not know of the change, or the node would not join.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import checks
from ..checks import Problem

# nodeadm/doc/api.md, NodeConfigSpec: what each place holds; `cluster` is EKS's. A map is described by what its keys
# hold, "*" by what every other key holds (`object`: anything). nodeadm stops at another kind, and the node never joins.
_NODE_CONFIG: dict[str, Any] = {
    "containerd": {"config": str, "baseRuntimeSpec": dict, "*": object},
    "featureGates": {"*": bool},
    "instance": {"localStorage": dict, "*": object},
    "kubelet": {"config": dict, "flags": [str]},
}
_KINDS = {str: "text", bool: "true or false", dict: "a map"}
_JOIN = ("api-server", "authentication-mode", "cluster-certificate", "cluster-dns-ip", "cluster-name")
_OF_THE_POOL = {
    "registerWithTaints": "taints", "--node-labels": "labels", "--register-with-taints": "taints",
    "node-labels": "labels", "node-taints": "taints", "localStorage": "scratch",
}  # fmt: skip


def problems(image: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with them, seen without a node. Paths are relative to the pool."""
    if image == "al2023":
        for key, value in settings.items():
            path = f"node_settings.{key}"
            wrong = list(checks.one_of(path, key, _NODE_CONFIG))
            yield from wrong or _kinds(path, value, _NODE_CONFIG[key])
    else:
        for path in _nothings("node_settings", settings):
            yield Problem(path, None, "TOML, which Bottlerocket reads, has no empty value", "a value", "remove it")
        for key, value in settings.items():
            if key == "settings":
                yield Problem(
                    f"node_settings.{key}", "…", "`settings` of Bottlerocket stand here without that word",
                    "groups such as kubernetes and kernel", "move what is in it one step up",
                )  # fmt: skip
            elif key != "motd":  # the one setting without a group
                yield from _kinds(f"node_settings.{key}", value, dict)
        own = settings.get("kubernetes")
        for key, value in own.items() if isinstance(own, Mapping) else ():
            if key in _JOIN:
                yield Problem(
                    f"node_settings.kubernetes.{key}", value, "EKS sets it, so that nodes join",
                    "other settings", "remove it",
                )  # fmt: skip
    for path, key in _keys("node_settings", settings):
        if key in _OF_THE_POOL:
            field = _OF_THE_POOL[key]
            yield Problem(
                path, key, f"the autoscaler does not see it there: pools have `{field}` for it",
                f"`{field}` of the pool", f"move it to {field}",
            )  # fmt: skip


def _kinds(path: str, value: Any, wanted: Any) -> Iterator[Problem]:
    """What is of another kind than `wanted`, which is a kind, a list of one, or what a map's keys hold."""
    kind = wanted if isinstance(wanted, type) else type(wanted)
    if not isinstance(value, kind):
        allowed = "a list" if kind is list else _KINDS[kind]
        fix = f"write [{value}]" if kind is list and isinstance(value, str) else f"write {allowed}"
        yield Problem(path, value, "of another kind: the node would not join", allowed, fix)
    elif isinstance(wanted, list):
        for index, inner in enumerate(value):
            yield from _kinds(f"{path}[{index}]", inner, wanted[0])
    elif isinstance(wanted, dict):
        for key, inner in value.items():
            if key in wanted or "*" in wanted:
                yield from _kinds(f"{path}.{key}", inner, wanted.get(key) or wanted["*"])
            else:
                yield from checks.one_of(f"{path}.{key}", key, wanted)


def _keys(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every key in nested maps, and the name of every flag in lists, with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from _keys(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, str) and (flag := re.match(r"--[a-z-]+", inner)):
                yield f"{path}[{index}]", flag[0]
            yield from _keys(f"{path}[{index}]", inner)


def _nothings(path: str, value: Any) -> Iterator[str]:
    """The paths of what is null in nested maps and lists."""
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _nothings(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nothings(f"{path}[{index}]", inner)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both maps in one, maps in maps too; where both say something, `second` counts, and lists are put together."""
    made = dict(first)
    for key, value in second.items():
        mine = made.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            made[key] = merged(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            made[key] = [*mine, *value]
        else:
            made[key] = value
    return made
