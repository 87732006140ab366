"""Every operation of the sandbox's EKS."""

from __future__ import annotations

from sandbox.aws.eks import access, addon, cluster, nodegroup, tags
from sandbox.aws.eks.backend import Operation

OPERATIONS: dict[str, Operation] = {
    name: operation
    for module in (cluster, nodegroup, addon, access, tags)
    for name, operation in module.OPERATIONS.items()
}
"""Operations by their names in the API."""
