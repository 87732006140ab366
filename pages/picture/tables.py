"""Tables of the pages: their format, and the rows that are the same on both clouds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from .recorded import NONE, Group, Stack, joined

_Key = TypeVar("_Key", bound=Hashable)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. A `|` within a cell would end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def only_in(found: Mapping[_Key, Sequence[str]], stacks: Sequence[str]) -> dict[_Key, str]:
    """Each item → the stacks that have it, as text such as ` (prod)`; empty if all `stacks` have it."""
    return {
        key: "" if set(stacks) <= set(where) else f" ({', '.join(dict.fromkeys(where))})"
        for key, where in found.items()
    }


def examples(stacks: Sequence[Stack], facts: Mapping[str, Callable[..., str]]) -> str:
    """The differences between the stacks, one fact in each row."""
    rows = [[name, *(fact(stack) for stack in stacks)] for name, fact in facts.items()]
    return table(["", *(f"[`{stack.name}`](../Pulumi.{stack.name}.yaml)" for stack in stacks)], rows)


def needs(name: str, found: Mapping[str, Sequence[tuple[Group, int]]], stacks: Sequence[Stack]) -> list[str]:
    """A row of quotas: for each stack, the groups that use the quota, each at its maximum, with the amount for one
    node."""
    cells = []
    for stack in stacks:
        own = found.get(stack.name, [])
        parts = [f"{group.name} {group.max} × {each}" for group, each in own]
        total = sum(group.max * each for group, each in own)
        cells.append(f"**{total:,}**<br>{'<br>'.join(parts)}" if own else NONE)
    return [name, *cells]


def zones(stack: Stack) -> str:
    """Region, and the zones' letters."""
    return f"{stack.region}: {joined(zone[-1] for zone in stack.zones)}"


def pools(stack: Stack) -> str:
    """A line for each pool: machines, sizes, ladder."""
    lines = []
    for pool, groups in stack.pools().items():
        best, last = groups[0], groups[-1]
        ladder = ", then ".join(group.bought for group in groups)
        has = ", ".join(each for each in (best.accelerators, best.interconnect) if each)
        lines.append(f"**{pool}**: {best.types}{f' ({has})' if has else ''}, {last.min}..{best.max}, {ladder}")
    return "<br>".join(lines)


def gpus(stack: Stack) -> str:
    """GPUs with every group at its maximum; each rung of a ladder may reach it."""
    most = {pool: sum(group.max * group.gpus for group in groups) for pool, groups in stack.pools().items()}
    return joined(f"{count:,} in {pool}" for pool, count in most.items() if count)
