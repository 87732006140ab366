"""The table: every resource type of pulumi-gcp that the sandbox knows."""

from __future__ import annotations

from sandbox.gcp.rows import compute, container, identity, monitoring, node_pool, routers, storage

ROWS = {
    row.token: row
    for module in (compute, routers, container, node_pool, identity, storage, monitoring)
    for row in module.ROWS
}
