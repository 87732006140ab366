"""Mermaid flowcharts, which GitHub draws: the frame and the boxes that are the same on both clouds.

Not everything that is registered is drawn: routes, security groups, policies and tags would hide the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .recorded import Group, Stack

# fill, border; the text is dark on all of them, so that the picture reads on a light and on a dark page.
COLOURS = {
    "outside": ("#f4f4f5", "#71717a"),
    "control": ("#fde8d0", "#c2610c"),
    "addon": ("#fdf3d7", "#b7860b"),
    "cpu": ("#dbeafe", "#2563eb"),
    "gpu": ("#d9f2dc", "#15803d"),
    "net": ("#ede9fe", "#7c3aed"),
    "data": ("#fce0ec", "#be185d"),
}
TEXT = "#18181b"
# Labels are as wide as they are written, and arrows leave the titles of boxes readable.
SETTINGS = """%%{init: {"flowchart": {"wrappingWidth": 420, "nodeSpacing": 30, "rankSpacing": 45,
  "subGraphTitleMargin": {"top": 4, "bottom": 14}}}}%%"""


def flowchart(place: str, inside: Iterable[str], access_path: str, edges: Iterable[str]) -> str:
    """The whole picture: people, `place` with its contents, the internet, and the connections.

    `access_path`: how people reach the node `api`.
    """
    lines = [
        node("people", "people and CI<br>kubectl, pulumi", "outside", "([", "])"),
        *box("region", place, inside),
        node("internet", "internet", "outside", "([", "])"),
        f'people -->|"{access_path}"| api',
        "api <--> pools",
        *edges,
        *(f"classDef {name} fill:{fill},stroke:{border},color:{TEXT}" for name, (fill, border) in COLOURS.items()),
        "classDef box fill:none,stroke:#8b8b94",
    ]
    boxes = [found[1] for line in lines if (found := re.match(r"\s*subgraph (\w+)\[", line))]
    lines.append(f"class {','.join(boxes)} box")
    return "\n".join([SETTINGS, "flowchart TB", *(f"  {line}" for line in lines)])


def box(name: str, title: str, lines: Iterable[str]) -> Iterator[str]:
    """A box around what `lines` declare."""
    yield f'subgraph {ref(name)}["{title}"]'
    yield from (f"  {line}" for line in lines)
    yield "end"


def node(name: str, label: str, kind: str, opening: str = "[", closing: str = "]") -> str:
    """One node of the flowchart; `kind` sets its color."""
    return f'{ref(name)}{opening}"{label}"{closing}:::{kind}'


def described(name: str, *facts: str) -> str:
    """A label: the name, and details below it."""
    return "<br>".join([f"<b>{name}</b>", *(fact for fact in facts if fact)])


def ref(name: str) -> str:
    """An id for Mermaid, which does not accept blanks and dots, and may read a dash as part of an arrow."""
    return re.sub(r"\W", "_", name)


def wrapped(words: list[str], width: int = 3) -> str:
    """A list in lines of `width`."""
    return "<br>".join(", ".join(words[index : index + width]) for index in range(0, len(words), width))


def pools(title: str, stack: Stack) -> Iterator[str]:
    """The box of the node pools, a node for each group. Zones are shown if a pool has fewer than the network."""
    yield from box("pools", title, (_group(group, stack) for group in stack.groups))


def _group(group: Group, stack: Stack) -> str:
    sizes = f"{group.min}..{group.max} nodes, {group.bought}"
    fewer = f"in {', '.join(group.zones)}" if len(group.zones) < len(stack.zones) else ""
    label = described(group.name, group.types, group.accelerators, group.interconnect, sizes, fewer)
    return node(group.name, label, "gpu" if group.gpus else "cpu")


def volumes(found: Mapping[str, str]) -> Iterator[str]:
    """The box of volumes that pods mount: id → label."""
    yield from box("data", "volumes", (node(name, label, "data", "[(", ")]") for name, label in found.items()))


def classes(kind: str, names: list[str]) -> str:
    """The label of storage classes."""
    return described(kind, f"{'class' if len(names) == 1 else 'classes'} {', '.join(names)}")
