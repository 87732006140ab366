"""Mistakes in `gpuyard:cluster`, and keys of the other cloud: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {"gpuyard:cluster/version": "1.12"}, "gpuyard:cluster.version", ["1.35"]),
    ("dev", {"gpuyard:cluster/name": "my cluster"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "größe"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "-abc"}, "gpuyard:cluster.name", ["'-' not first"]),
    ("dev", {"gpuyard:cluster/name": "abc\n"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "٣"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/publicAccessCidrs": ["everyone"]}, "gpuyard:cluster.publicAccessCidrs[0]", ["IPv4"]),
    ("dev", {"gpuyard:cluster/logTypes": ["apis"]}, "gpuyard:cluster.logTypes[0]", ["api, audit"]),
    (
        "dev",
        {"gpuyard:cluster/access": {"ops": {"principalArn": "me", "level": "admin"}}},
        "gpuyard:cluster.access.ops.principalArn",
        ["not the ARN of an IAM role or user", "arn:aws:iam::"],
    ),
    (
        "dev",
        {"gpuyard:cluster/access": {"ops": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "root"}}},
        "gpuyard:cluster.access.ops.level",
        ["admin, edit, view"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "me": {"principalArn": "arn:aws:sts::123456789012:assumed-role/ops/me", "level": "admin"}
            }
        },
        "gpuyard:cluster.access.me.principalArn",
        ["a session of a role", "aws iam get-role --role-name ops", "arn:aws:iam::123456789012:role/ops"],
    ),
    (
        "dev",
        {"gpuyard:cluster/access": {"all": {"principalArn": "arn:aws:iam::123456789012:root", "level": "view"}}},
        "gpuyard:cluster.access.all.principalArn",
        ["root user", "name a role"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "ops": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "admin"},
                "people": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "view"},
            }
        },
        "gpuyard:cluster.access.people.principalArn",
        ["the same as that of access.ops", "keep ops or people"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "team": {
                    "principalArn": "arn:aws:iam::123456789012:role/o",
                    "level": "edit",
                    "namespaces": ["team-a", "Team B"],
                }
            }
        },
        "gpuyard:cluster.access.team.namespaces[1]",
        ["not a valid Kubernetes namespace"],
    ),
    (
        "dev",
        {"gpuyard:cluster/publicAccessCidrs": ["10.0.0.0/8"]},
        "gpuyard:cluster.publicAccessCidrs[0]",
        ["not public addresses"],
    ),
    ("dev", {"gpuyard:cluster/support": "Standard"}, "gpuyard:cluster.support", ["write standard"]),
    ("dev", {"gpuyard:cluster/logDays": 45}, "gpuyard:cluster.logDays", ["CloudWatch", "write 60"]),
    ("dev", {"gpuyard:cluster/logDays": 0}, "gpuyard:cluster.logDays", ["forever", "write 90"]),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"vpc-cnii": "v1.22.4-eksbuild.3"}},
        "gpuyard:cluster.addonVersions.vpc-cnii",
        ["not an add-on that is installed here", "write vpc-cni"],
    ),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"aws-mountpoint-s3-csi-driver": "v2.4.1-eksbuild.1"}},
        "gpuyard:cluster.addonVersions.aws-mountpoint-s3-csi-driver",
        ["does not remove a node", "v2.5.0-eksbuild.1 or later"],  # mountpoint-s3-csi-driver#675
    ),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"aws-efs-csi-driver": "4.4.1"}},
        "gpuyard:cluster.addonVersions.aws-efs-csi-driver",
        ["Helm charts have other version numbers", "--addon-name aws-efs-csi-driver --kubernetes-version 1.35"],
    ),
    ("dev", {"gpuyard:cluster/releaseChannel": "RAPID"}, "gpuyard:cluster.releaseChannel", ["environments on gcp"]),
    ("dev-gke", {"gpuyard:cluster/releaseChannel": "FAST"}, "gpuyard:cluster.releaseChannel", ["RAPID, REGULAR"]),
]
