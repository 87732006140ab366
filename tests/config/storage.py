"""Mistakes in storage and add-ons: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

LUSTRE = {"zone": "us-east-1a"}
STALLED = "gpuyard:addons.stalledJobs"

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {"gpuyard:storage": {"filestoreTier": "zonal"}}, "gpuyard:storage.filestoreTier", ["environments on gcp"]),
    ("dev", {"gpuyard:storage": {"backups": "daily"}}, "gpuyard:storage.backups", ["true or false"]),
    ("dev", {"gpuyard:storage": {"lustre": {}}}, "gpuyard:storage.lustre.zone", ["missing"]),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"size": 1200}}},
        "gpuyard:storage.lustre.size",
        ["write `sizeGib`"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": {"zone": "us-east-1z"}}},
        "gpuyard:storage.lustre.zone",
        ["not a zone of the network", "us-east-1a"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"sizeGib": 5000}}},
        "gpuyard:storage.lustre.sizeGib",
        ["multiples of 2400 GiB", "write 7200"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"throughput": 200}}},
        "gpuyard:storage.lustre.throughput",
        ["125, 250, 500, 1000"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"s3": "arn:aws:s3:::acme"}}},
        "gpuyard:storage.lustre.s3",
        ["not the address of a bucket", "s3://BUCKET"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "Acme_Data"}}}},
        "gpuyard:storage.buckets.data.bucket",
        ["not a valid bucket name", "3 to 63 lower-case"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "acme", "prefix": "/train/*"}}}},
        "gpuyard:storage.buckets.data.prefix",
        ["train/images/", "wildcards"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"Data": {"bucket": "acme"}}}},
        "gpuyard:storage.buckets.Data",
        ["rename the volume"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "acme", "write": True}}}},
        "gpuyard:storage.buckets.data.write",
        ["unknown key", "write `writable`"],
    ),
    ("dev", {"gpuyard:addons": {"scaleDownAfterMinutes": 0}}, "gpuyard:addons.scaleDownAfterMinutes", ["1"]),
    ("dev", {"gpuyard:addons": {"stalledJobs": "kill"}}, STALLED, ["none, restart, restart_and_taint"]),
    ("dev", {"gpuyard:addons": {"stalledJobs": "restart"}}, STALLED, ["there is no team", "add a team"]),
    (
        "dev",
        {"gpuyard:addons": {"stalledJobs": "restart", "monitoring": False}, "gpuyard:teams": {"training": {}}},
        STALLED,
        ["without monitoring, alerts", "addons.monitoring"],
    ),
    ("dev-gke", {"gpuyard:addons": {"stalledJobs": "restart"}}, STALLED, ["on aws only", "an identity of Google"]),
    ("dev", {"gpuyard:addons": {"stateMetrics": True}}, "gpuyard:addons.stateMetrics", ["addons.monitoring"]),
]
