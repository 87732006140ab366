"""Amazon EKS as the sandbox has it: the API of botocore's model, clusters with real control planes, real node
groups."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


@lru_cache
def operations() -> dict[str, Any]:
    """Every operation that the sandbox's EKS knows, by its name in the API."""
    from sandbox.aws.eks import access, addon, cluster, nodegroup, tags

    found: dict[str, Any] = {}
    for module in (cluster, nodegroup, addon, access, tags):
        found.update(module.OPERATIONS)
    return found
