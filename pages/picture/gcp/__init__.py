"""The parts of docs/gcp.md that are generated from the example stacks on GKE."""

from __future__ import annotations

from collections.abc import Sequence

from ..pages import Parts, fenced
from . import access, choices, diagram, machines, quotas, tables
from .facts import Stack


def parts(stacks: Sequence[Stack]) -> Parts:
    """A picture of each stack, and the tables. Permissions include those of options that the examples do not use."""
    chosen = choices.recorded()
    return Parts(
        {stack.name: fenced(diagram.mermaid(stack)) for stack in stacks},
        {
            "apis": access.apis(stacks, chosen),
            "deployer": access.deployer(stacks, chosen),
            "identity": access.identity(stacks, chosen),
            "machines": machines.accelerated(),
            "quotas": quotas.quotas(stacks),
            "examples": tables.examples(stacks),
        },
    )
