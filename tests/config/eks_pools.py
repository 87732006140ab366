"""Mistakes in node pools on EKS: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

from tests.config.places import CPU, GPU, GPUS

RESERVATION = "cr-0123456789abcdef0"
BLOCK = {"id": RESERVATION, "capacityBlock": True}

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {f"{GPU}/image": "ubuntu"}, f"{GPUS}.image", ["al2023, bottlerocket"]),
    ("dev", {f"{GPU}/release": "latest"}, f"{GPUS}.release", ["1.35.6-20260714"]),
    ("dev", {f"{GPU}/release": "1.35.6-20261399"}, f"{GPUS}.release", ["1.35.6-20260714"]),
    ("dev", {f"{GPU}/release": "1.34.9-20260714"}, f"{GPUS}.release", ["1.35.PATCH-DATE"]),
    (
        "dev",
        {f"{GPU}/machineTypes": ["g7.2xlarge"]},
        f"{GPUS}.machineTypes[0]",
        ["driver branch 580", "595 or later"],
    ),
    (
        "guide",
        {f"{GPU}/release": "1.35.8-20260930", f"{GPU}/driverBranch": 595},
        f"{GPUS}.driverBranch",
        ["V100", "450 to 580"],
    ),
    ("dev", {f"{GPU}/machineTypes": ["g6f.2xlarge"]}, f"{GPUS}.machineTypes[0]", ["fraction of a GPU"]),
    ("dev", {f"{GPU}/machineTypes": ["trn1.2xlarge"]}, f"{GPUS}.machineTypes[0]", ["Trainium"]),
    ("dev", {f"{GPU}/machineTypes": ["hpc7a.12xlarge"]}, f"{GPUS}.machineTypes[0]", ["not offered as spot"]),
    ("dev", {f"{GPU}/scratch": True, f"{GPU}/machineTypes": ["m5.2xlarge"]}, f"{GPUS}.scratch", ["no local NVMe"]),
    (
        "dev",
        {f"{GPU}/interconnect": True, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.machineTypes[0]",
        ["has no EFA", "g6.8xlarge"],
    ),
    (
        "dev",
        {f"{GPU}/interconnect": True, f"{GPU}/machineTypes": ["p5.48xlarge"]},
        f"{GPUS}.zones",
        ["within one zone", "zones: [us-east-1a]"],
    ),
    ("dev", {f"{GPU}/placement": True}, f"{GPUS}.zones", ["`placement` works within one zone"]),
    (
        "dev",
        {
            f"{GPU}/interconnect": True,
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/machineTypes": ["p5.48xlarge", "p5en.48xlarge"],
        },
        f"{GPUS}.machineTypes",
        ["as many interfaces"],
    ),
    ("dev", {f"{GPU}/capacity": ["reserved"]}, f"{GPUS}.reservation", ["needs a reservation", "cr-"]),
    (
        "dev",
        {f"{GPU}/reservation": BLOCK, f"{GPU}/machineTypes": ["p5.48xlarge"], f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.capacity",
        ["a capacity block", "only the rung reserved", "[reserved, spot]"],
    ),
    ("dev", {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {}}, f"{GPUS}.reservation", ["exactly one of"]),
    *(
        (
            "dev",
            {
                f"{GPU}/capacity": ["reserved"],
                f"{GPU}/reservation": {"id": RESERVATION, field: value},
                f"{GPU}/zones": ["us-east-1a"],
            },
            f"{GPUS}.reservation.{field}",
            words,
        )
        for field, value, words in (
            ("nodes", 0, ["1 to 1000"]),
            ("ends", "2027-01-31", ["a time and a zone", "2027-01-31T11:30:00Z"]),
        )
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {"id": "res-1"}, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.reservation.id",
        ["cr-"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {"groupArn": "gpus"}},
        f"{GPUS}.reservation.groupArn",
        ["arn:aws:resource-groups"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": BLOCK, f"{GPU}/machineTypes": ["p5.48xlarge"]},
        f"{GPUS}.zones",
        ["a capacity block lies in one zone, the pool in 2"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": BLOCK, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.machineTypes[0]",
        ["not sold in capacity blocks"],
    ),
    (
        "dev",
        {
            f"{GPU}/capacity": ["reserved"],
            f"{GPU}/reservation": {"id": RESERVATION},
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/machineTypes": ["g6.2xlarge", "g5.2xlarge"],
        },
        f"{GPUS}.machineTypes",
        ["of one machine type"],
    ),
    (
        "dev",
        {
            f"{GPU}/capacity": ["reserved"],
            f"{GPU}/reservation": {"id": RESERVATION},
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/placement": True,
        },
        f"{GPUS}.placement",
        ["InsufficientInstanceCapacity"],
    ),
    (
        "dev",
        {f"{GPU}/taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]},
        f"{GPUS}.taints[1]",
        ["unique by key", "keep a:NoSchedule"],
    ),
    *(
        ("dev", {f"{GPU}/labels": {key: value}}, f"{GPUS}.labels.{key}", words)
        for key, value, words in (
            ("node-role.kubernetes.io/gpu", "true", ["never joins"]),
            ("kubernetes.io/team", "a", ["EKS refuses"]),
            ("topology.kubernetes.io/zone", "us-east-1a", ["EKS refuses"]),
            ("example.k8s.io/team", "a", ["EKS refuses"]),
            ("eks.amazonaws.com/x", "a", ["Kubernetes or EKS reserves"]),
            ("node.kubernetes.io/instance-type", "big", ["rename the key"]),
            ("team", "", ["empty, which EKS does not accept", "1 to 63"]),
            (f"{'x' * 40}.example.org/{'y' * 24}", "a", ["77 characters", "up to 63"]),
        )
    ),
    *(
        ("dev", {f"{GPU}/taints": taints}, path, words)
        for taints, path, words in (
            (
                [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}],
                f"{GPUS}.taints[0].key",
                ["removes it again"],
            ),
            (
                [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}],
                f"{GPUS}.taints[0].key",
                ["removes it again"],
            ),
            ([{"key": "a", "effect": "NoSchedule"}] * 2, f"{GPUS}.taints[1]", ["same key twice"]),
            ([{"key": f"{'x' * 40}.org/{'y' * 24}", "effect": "NoSchedule"}], f"{GPUS}.taints[0].key", ["up to 63"]),
            ([{"key": f"k{n}", "effect": "NoSchedule"} for n in range(51)], f"{GPUS}.taints", ["up to 50"]),
        )
    ),
    ("dev", {f"{GPU}/labels": {f"k{n}": "v" for n in range(40)}}, f"{GPUS}.labels", ["tag on the Auto Scaling group"]),
    *(
        ("dev", {f"{GPU}/machineTypes": types, f"{GPU}/capacity": ["spot"]}, f"{GPUS}.machineTypes", words)
        for types, words in (
            (["g6.16xlarge", "g6.xlarge"], ["another is smaller", "write g6.xlarge first"]),
            (["m5.24xlarge", "m5.large"], ["write m5.large first"]),
            (["c5.4xlarge", "r5.2xlarge"], ["make a pool for each size"]),
            (["p5.4xlarge", "g4dn.xlarge"], ["write g4dn.xlarge first"]),
        )
    ),
    ("dev", {f"{GPU}/machineTypes": ["g6.2xlarge"] * 2}, f"{GPUS}.machineTypes[1]", ["named twice"]),
    ("dev", {f"{CPU}/min": 0}, "gpuyard:nodePools", ["DNS and the autoscaler", "write `min: 1` in cpu-workers"]),
    (
        "dev",
        {f"{CPU}/taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]},
        "gpuyard:nodePools",
        ["without taints", "min 2, tainted", "add a pool"],
    ),
    ("dev", {f"{GPU}/updatePercentage": 0}, f"{GPUS}.updatePercentage", ["1 to 100"]),
    (
        "dev",
        {"gpuyard:nodePools/train-spot": {"machineTypes": ["g6.xlarge"], "min": 0, "max": 1}},
        "gpuyard:nodePools.train-spot",
        ["ends like the group of"],
    ),
]
