"""The `config:` part of Pulumi.yaml: every top-level key of `gpuyard:` with its type, default and keys."""

from __future__ import annotations

import json
import re

from pydantic.alias_generators import to_camel

from components.arguments import Field
from components.clouds import CLOUDS
from stack import on

from .declared import keys, section, spelled

_REQUIRED = "  # Required. The empty default lets the program report all problems; without it the engine stops first."

_PATH = re.compile(r"(\w+)(\.NAME|\[\]|)(?:\.(.+))?")
"""A path in the form of `keys`: its first key, the container of what is inside it, the rest."""


def placed(text: str) -> str:
    """Pulumi.yaml with `config:` rewritten; everything above it is kept."""
    return f"{text[: text.index('config:')]}config:\n{''.join(map(_key, _common()))}"


def _common() -> list[Field]:
    shapes = [on.shape(cloud) for cloud in CLOUDS]
    return list(shapes[0].fields.values())


def _key(field: Field) -> str:
    default = json.dumps(field.default if field.default is not None else {})
    quoted = default.strip('"')
    lines = [
        f"  gpuyard:{to_camel(field.name)}:",
        f"    type: {'string' if field.hint is str else 'boolean' if field.hint is bool else 'object'}",
        f"    default: {quoted}{_REQUIRED if field.required else ''}",
        f"    description: {json.dumps(_description(field), ensure_ascii=False)}",
    ]
    return "\n".join(lines) + "\n"


def _description(field: Field) -> str:
    """The purpose of the section, the keys that all clouds have, then those of each."""
    shapes = {cloud: section(cloud, field.name) for cloud in CLOUDS}
    paths = {cloud: [key.path for key in keys(shape)] for cloud, shape in shapes.items()}
    common = [path for path in next(iter(paths.values())) if all(path in each for each in paths.values())]
    texts = [spelled(field.doc)]
    if common:
        texts.append(f"Keys: {_listed(common)}.")
    for cloud, own in paths.items():
        if further := [path for path in own if path not in common]:
            texts.append(f"{CLOUDS[cloud].kubernetes}: {_listed(further)}.")
    return " ".join(texts)


def _listed(paths: list[str]) -> str:
    """Keys, each with those inside it in parentheses: `iam (path)`, `access.NAME (level)`, `taints[] (key)`."""
    inside: dict[str, list[str]] = {}
    containers: dict[str, str] = {}
    for path in paths:
        first, container, rest = _PATH.fullmatch(path).groups()  # type: ignore[union-attr]
        inside.setdefault(first, []).extend([rest] if rest else [])
        containers[first] = container
    return ", ".join(
        f"{first}{containers[first]} ({_listed(rest)})" if rest else first for first, rest in inside.items()
    )
