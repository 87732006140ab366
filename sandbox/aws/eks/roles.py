"""The IAM roles that EKS assumes."""

from __future__ import annotations

import re

from sandbox.aws.eks.backend import Backend, invalid


def check_role(backend: Backend, arn: str) -> None:
    """Refuses a role that does not exist, which reveals a wrong order of creation."""
    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", arn):
        raise invalid(f"Invalid Role Arn: '{arn}'")
    roles = backend.other("iam", backend.partition).roles.values()
    if not any(role.arn == arn for role in roles):
        raise invalid(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct"
        )
