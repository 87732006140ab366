"""The parts of docs/aws.md that are generated from the example stacks on EKS."""

from __future__ import annotations

from collections.abc import Sequence

from ..pages import Parts, fenced
from . import diagram, tables
from .facts import Stack


def parts(stacks: Sequence[Stack]) -> Parts:
    """A picture of each stack, and the tables."""
    return Parts(
        {stack.name: fenced(diagram.mermaid(stack)) for stack in stacks},
        {
            "addons": tables.addons(stacks),
            "identity": tables.identity(stacks),
            "existing-roles": tables.existing_roles(stacks),
            "quotas": tables.quotas(stacks),
            "examples": tables.examples(stacks),
        },
    )
