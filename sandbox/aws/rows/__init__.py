"""The table: one row per resource type. Properties that force a replacement are those with `ForceNew` in the
Terraform AWS provider 6.x, whose schema pulumi-aws 7.51.1 contains (internal/service/<service>/<resource>.go); ids are
those that its Create sets."""

from __future__ import annotations

from functools import lru_cache

from sandbox.aws.table import Row


@lru_cache
def rows() -> dict[str, Row]:
    """Every row by its type token."""
    from sandbox.aws.rows import (
        eks,
        eks_access,
        gateways,
        groups,
        iam,
        launch,
        lustre,
        network,
        routes,
        services,
        storage,
    )

    return {
        row.token: row
        for module in (network, gateways, routes, groups, launch, iam, eks, eks_access, storage, lustre, services)
        for row in module.ROWS
    }
