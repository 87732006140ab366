"""The `node_settings` of a pool: NodeConfig on AL2023, settings of Bottlerocket. Settings that gpuyard and EKS make are
refused: the autoscaler would not know of the change, or the node would not join.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import checks
from ..checks import Problem

# nodeadm/doc/api.md, NodeConfigSpec: the type of each value; `cluster` is EKS's. A map lists the types of its keys, "*"
# is the type of every other key (`object`: any). With another type nodeadm stops, and the node never joins.
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
    "device-sharing-strategy": "sharing", "device-partitioning-strategy": "partition",
}  # fmt: skip


def problems(image: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the settings. Paths are relative to the pool."""
    if image == "al2023":
        for key, value in settings.items():
            path = f"node_settings.{key}"
            wrong = list(checks.one_of(path, key, _NODE_CONFIG))
            yield from wrong or _kinds(path, value, _NODE_CONFIG[key])
    else:
        for path in _empty_paths("node_settings", settings):
            yield Problem(
                path, None, "empty: Bottlerocket reads TOML, which has no empty values", "a value", "remove it"
            )
        for key, value in settings.items():
            if key == "settings":
                yield Problem(
                    f"node_settings.{key}", "…", "Bottlerocket's settings are written here without that word",
                    "groups such as kubernetes and kernel", "move its contents one level up",
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
                path, key, f"the autoscaler does not see it there; a pool has `{field}` for it",
                f"`{field}` of the pool", f"move it to `{field}`",
            )  # fmt: skip


def _kinds(path: str, value: Any, wanted: Any) -> Iterator[Problem]:
    """Values of another type than `wanted`, which is a type, a list with one type, or the types of a map's keys."""
    kind = wanted if isinstance(wanted, type) else type(wanted)
    if not isinstance(value, kind):
        allowed = "a list" if kind is list else _KINDS[kind]
        fix = f"write [{value}]" if kind is list and isinstance(value, str) else f"write {allowed}"
        yield Problem(path, value, "of another type: the node would not join", allowed, fix)
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
    """(path, name) of every key in nested maps and of every flag in lists."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"{path}.{key}", str(key)
            yield from _keys(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, str) and (flag := re.match(r"--[a-z-]+", inner)):
                yield f"{path}[{index}]", flag[0]
            yield from _keys(f"{path}[{index}]", inner)


def _empty_paths(path: str, value: Any) -> Iterator[str]:
    """The paths of null values in nested maps and lists."""
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _empty_paths(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _empty_paths(f"{path}[{index}]", inner)


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both maps merged recursively. If both have a value, that of `second` counts; lists are joined."""
    result = dict(first)
    for key, value in second.items():
        earlier = result.get(key)
        if isinstance(earlier, Mapping) and isinstance(value, Mapping):
            result[key] = merged(earlier, value)
        elif isinstance(earlier, list) and isinstance(value, list):
            result[key] = [*earlier, *value]
        else:
            result[key] = value
    return result
