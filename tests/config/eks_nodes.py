"""Mistakes in settings of EKS nodes, and in tags on both clouds: (stack, change, path in the error, text that the error
must contain)."""

from __future__ import annotations

from typing import Any

from tests.config.places import GPU, GPUS


def partitioned(size: str, **changes: Any) -> dict[str, Any]:
    """A change of the pool to partitioned A100s."""
    spec = {"machineTypes": ["p4d.24xlarge"], "image": "bottlerocket", "partition": size, **changes}
    return {f"{GPU}/{key}": value for key, value in spec.items()}


def shared(strategy: str, clients: int) -> dict[str, Any]:
    """A change of the pool to shared GPUs."""
    return {f"{GPU}/sharing": {"strategy": strategy, "clients": clients}}


MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # how pods share GPUs
    ("dev", {f"{GPU}/partition": "1g.5gb"}, f"{GPUS}.partition", ["cannot be partitioned", "time_sharing"]),
    ("dev", partitioned("1g.5gb", image="al2023"), f"{GPUS}.partition", ["`image: bottlerocket`"]),
    ("dev", partitioned("1g.6gb"), f"{GPUS}.partition", ["1g.5gb, 1g.10gb, 2g.10gb"]),
    ("dev", partitioned("1g.5gb", release="1.33.0-beaadc52"), f"{GPUS}.release", ["1.34 and later"]),
    (
        "dev",
        partitioned("1g.10gb", machineTypes=["p4d.24xlarge", "p4de.24xlarge"]),
        f"{GPUS}.machineTypes",
        ["keep p4d.24xlarge"],
    ),
    (
        "dev",
        partitioned("1g.5gb", sharing={"strategy": "mps", "clients": 2}),
        f"{GPUS}.sharing.strategy",
        ["write time_sharing"],
    ),
    (
        "dev",
        {f"{GPU}/labels": {"nvidia.com/mps.capable": "true"}},
        f"{GPUS}.labels.nvidia.com/mps.capable",
        ["finds its configuration by it"],
    ),
    (
        "dev",
        shared("mps", 2) | {f"{GPU}/labels": {"nvidia.com/device-plugin.config": "own"}},
        f"{GPUS}.labels.nvidia.com/device-plugin.config",
        ["finds its configuration by it", "write `sharing`"],
    ),
    ("dev", shared("mps", 49), f"{GPUS}.sharing.clients", ["2 to 48"]),
    ("dev", shared("slices", 2), f"{GPUS}.sharing.strategy", ["time_sharing, mps"]),
    (
        "dev",
        {**shared("mps", 2), f"{GPU}/image": "bottlerocket", f"{GPU}/release": "1.53.0-beaadc52"},
        f"{GPUS}.release",
        ["1.54 and later"],
    ),
    (
        "dev",
        {"gpuyard:nodePools/cpu-workers/repair": {"xids": {"79": "reboot"}}},
        "gpuyard:nodePools.cpu-workers.repair.xids",
        ["has no GPU"],
    ),
    (
        "dev",
        {"gpuyard:nodePools/cpu-workers/sharing": {"strategy": "mps", "clients": 2}},
        "gpuyard:nodePools.cpu-workers.sharing",
        ["has no GPU"],
    ),
    (
        "dev",
        {
            f"{GPU}/image": "bottlerocket",
            f"{GPU}/nodeSettings": {"kubelet-device-plugins": {"nvidia": {"device-sharing-strategy": "mps"}}},
        },
        f"{GPUS}.nodeSettings.kubelet-device-plugins.nvidia.device-sharing-strategy",
        ["move it to `sharing`"],
    ),
    (
        "dev",
        {**shared("mps", 2), "gpuyard:addons": {"devicePlugin": False}},
        f"{GPUS}.sharing",
        ["let gpuyard install the device plugin"],
    ),
    # faster pulls
    ("dev", {f"{GPU}/fastImagePull": True, f"{GPU}/image": "bottlerocket"}, f"{GPUS}.fastImagePull", ["al2023"]),
    ("dev", {f"{GPU}/fastImagePull": True, f"{GPU}/scratch": False}, f"{GPUS}.fastImagePull", ["625 MB/s"]),
    (
        "dev",
        {
            "gpuyard:nodePools/cpu-workers/fastImagePull": True,
            "gpuyard:nodePools/cpu-workers/machineTypes": ["m5.large"],
        },
        "gpuyard:nodePools.cpu-workers.fastImagePull",
        ["4 vCPUs"],
    ),
    # repair
    ("dev", {f"{GPU}/repair": {"xids": {"13": "reboot"}}}, f"{GPUS}.repair.xids.13", ["46, 48"]),
    ("dev", {f"{GPU}/repair": {"xids": {"79": "restart"}}}, f"{GPUS}.repair.xids.79", ["replace, reboot, none"]),
    ("dev", {f"{GPU}/repair": {"xidWaitMinutes": 0}}, f"{GPUS}.repair.xidWaitMinutes", ["1 to 1440"]),
    ("dev", {f"{GPU}/repair": {"maxUnhealthyPercentage": 0}}, f"{GPUS}.repair.maxUnhealthyPercentage", ["1 to 100"]),
    ("dev", {f"{GPU}/nodeRepair": False, f"{GPU}/repair": {}}, f"{GPUS}.repair", ["nothing is repaired"]),
    # settings of nodes by the user: field case A15
    ("dev", {f"{GPU}/ami": "ami-1"}, f"{GPUS}.ami", ["ami- and 17"]),
    (
        "dev",
        {f"{GPU}/ami": "ami-0123456789abcdef0", f"{GPU}/release": "1.35.7-20260903"},
        f"{GPUS}.release",
        ["or `ami`"],
    ),
    ("dev", {f"{GPU}/securityGroupIds": ["default"]}, f"{GPUS}.securityGroupIds[0]", ["sg- and 17"]),
    (
        "dev",
        {f"{GPU}/securityGroupIds": [f"sg-0123456789abcdef{n}" for n in range(5)]},
        f"{GPUS}.securityGroupIds",
        ["4"],
    ),
    ("dev", {f"{GPU}/securityGroupIds": ["sg-0123456789abcdef0"] * 2}, f"{GPUS}.securityGroupIds[1]", ["twice"]),
    ("dev", {f"{GPU}/nodeSettings": {"cluster": {}}}, f"{GPUS}.nodeSettings.cluster", ["containerd, featureGates"]),
    (
        "dev",
        {f"{GPU}/nodeSettings": {"kubelet": {"flags": ["--node-labels=a=b"]}}},
        f"{GPUS}.nodeSettings.kubelet.flags[0]",
        ["move it to `labels`"],
    ),
    (
        "dev",
        {f"{GPU}/nodeSettings": {"kubelet": {"config": {"registerWithTaints": []}}}},
        f"{GPUS}.nodeSettings.kubelet.config.registerWithTaints",
        ["move it to `taints`"],
    ),
    (
        "dev",
        {f"{GPU}/nodeSettings": {"instance": {"localStorage": {"strategy": "Mount"}}}},
        f"{GPUS}.nodeSettings.instance.localStorage",
        ["move it to `scratch`"],
    ),
    # settings at which nodeadm and Bottlerocket would stop, so that nodes never join
    ("dev", {f"{GPU}/nodeSettings": {"kubelet": "x"}}, f"{GPUS}.nodeSettings.kubelet", ["a map"]),
    ("dev", {f"{GPU}/nodeSettings": {"kubelet": {"maxPods": 5}}}, f"{GPUS}.nodeSettings.kubelet.maxPods", ["config"]),
    ("dev", {f"{GPU}/nodeSettings": {"kubelet": {"config": "x"}}}, f"{GPUS}.nodeSettings.kubelet.config", ["a map"]),
    (
        "dev",
        {f"{GPU}/nodeSettings": {"kubelet": {"flags": "--v=2"}}},
        f"{GPUS}.nodeSettings.kubelet.flags",
        ["write [--v=2]"],
    ),
    ("dev", {f"{GPU}/nodeSettings": {"kubelet": {"flags": [2]}}}, f"{GPUS}.nodeSettings.kubelet.flags[0]", ["text"]),
    ("dev", {f"{GPU}/nodeSettings": {"featureGates": {"X": 1}}}, f"{GPUS}.nodeSettings.featureGates.X", ["true or"]),
    (
        "dev",
        {f"{GPU}/image": "bottlerocket", f"{GPU}/nodeSettings": {"kubernetes": "x"}},
        f"{GPUS}.nodeSettings.kubernetes",
        ["a map"],
    ),
    (
        "dev",
        {f"{GPU}/image": "bottlerocket", f"{GPU}/nodeSettings": {"settings": {"kernel": {"lockdown": "none"}}}},
        f"{GPUS}.nodeSettings.settings",
        ["one level up"],
    ),
    # types on which AL2023 does not boot, and types that do not exist
    (
        "dev",
        {"gpuyard:nodePools/cpu-workers/machineTypes": ["a1.large"]},
        "gpuyard:nodePools.cpu-workers.machineTypes[0]",
        ["m7g.large"],
    ),
    *(
        (
            "dev",
            {"gpuyard:nodePools/cpu-workers/machineTypes": [name]},
            "gpuyard:nodePools.cpu-workers.machineTypes[0]",
            ["too small for a node", room, "t3.small"],
        )
        for name, room in (("t3.nano", "34 pods and 0 MiB"), ("t2.micro", "4 pods and 5"))
    ),
    (
        "dev",
        {f"{GPU}/machineTypes": ["x y!"], f"{GPU}/machine": {"vcpu": 8, "memoryMib": 32768}},
        f"{GPUS}.machineTypes[0]",
        ["FAMILY.SIZE"],
    ),
    (
        "dev",
        {f"{GPU}/image": "bottlerocket", f"{GPU}/nodeSettings": {"host-containers": {"admin": {"enabled": None}}}},
        f"{GPUS}.nodeSettings.host-containers.admin.enabled",
        ["TOML", "remove it"],
    ),
    (
        "dev",
        {f"{GPU}/image": "bottlerocket", f"{GPU}/nodeSettings": {"kubernetes": {"api-server": "https://x"}}},
        f"{GPUS}.nodeSettings.kubernetes.api-server",
        ["so that nodes join"],
    ),
    (  # kops#10202
        "dev",
        {f"{GPU}/nodeSettings": {"containerd": {"config": "x" * 14_500}}},
        f"{GPUS}.nodeSettings",
        ["16,384 bytes"],
    ),
    ("dev", {f"{GPU}/machine": {"vcpu": 8, "memoryMib": 32768}}, f"{GPUS}.machine", ["are known"]),
    (
        "dev",
        {f"{GPU}/machineTypes": ["x9.large"], f"{GPU}/machine": {"vcpu": 0, "memoryMib": 1024}},
        f"{GPUS}.machine.vcpu",
        ["1 or more"],
    ),
    (
        "dev",
        {
            f"gpuyard:nodePools/{name}": {
                "machineTypes": ["x9.large"],
                "machine": {"vcpu": vcpu, "memoryMib": 8192},
                "min": 1,
                "max": 2,
            }
            for name, vcpu in (("one", 2), ("two", 4))
        },
        "gpuyard:nodePools.two.machine",
        ["the pool one gives other facts for x9.large"],
    ),
    ("dev", {"gpuyard:cluster/serviceCidr": "100.64.0.0/16"}, "gpuyard:cluster.serviceCidr", ["private networks only"]),
    ("dev", {"gpuyard:cluster/serviceCidr": "172.20.0.0/25"}, "gpuyard:cluster.serviceCidr", ["/12 to /24"]),
    ("dev", {"gpuyard:cluster/serviceCidr": "10.0.128.0/20"}, "gpuyard:cluster.serviceCidr", ["overlaps network.cidr"]),
    ("dev", {"gpuyard:cluster/nodePolicyArns": ["SSM"]}, "gpuyard:cluster.nodePolicyArns[0]", ["ARN of an IAM policy"]),
    (  # of another partition: reliability case R14
        "dev",
        {"gpuyard:cluster/nodePolicyArns": ["arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore"]},
        "gpuyard:cluster.nodePolicyArns[0]",
        ["ARN of an IAM policy"],
    ),
    (
        "dev",
        {"gpuyard:cluster/nodePolicyArns": ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"]},
        "gpuyard:cluster.nodePolicyArns[0]",
        ["already have it"],
    ),
    (
        "dev",
        {"gpuyard:cluster/nodePolicyArns": [f"arn:aws:iam::123456789012:policy/p{n}" for n in range(9)]},
        "gpuyard:cluster.nodePolicyArns",
        ["up to 8"],
    ),
    # tags: reliability case R13
    ("dev", {"gpuyard:tags": {"aws:team": "ml"}}, "gpuyard:tags.aws:team", ["begin with aws:"]),
    ("dev", {"gpuyard:tags": {"": "ml"}}, "gpuyard:tags.", ["not a valid tag key"]),
    ("dev", {"gpuyard:tags": {"a=b": "ml"}}, "gpuyard:tags.a=b", ["the EBS driver accepts no ="]),
    ("dev", {"gpuyard:tags": {"team": "v" * 300}}, "gpuyard:tags.team", ["up to 256"]),
    ("dev", {"gpuyard:tags": {"team": "🚀"}}, "gpuyard:tags.team", ["not a valid tag value"]),
    ("dev", {"gpuyard:tags": {"Team": "a", "team": "b"}}, "gpuyard:tags.team", ["IAM", "keep Team or team"]),
    ("dev", {"gpuyard:tags": {f"k{n}": "v" for n in range(60)}}, "gpuyard:tags", ["up to 40"]),
    ("dev", {"gpuyard:tags": {"gpuyard-stack": "x"}}, "gpuyard:tags.gpuyard-stack", ["gpuyard sets"]),
    ("dev", {"gpuyard:tags": {"gpuyard.dev/pool": "x"}}, "gpuyard:tags.gpuyard.dev/pool", ["gpuyard sets"]),
    (
        "dev",
        {"gpuyard:tags": {"kubernetes.io/cluster/a": "owned"}},
        "gpuyard:tags.kubernetes.io/cluster/a",
        ["recognize a cluster's resources"],
    ),
    (
        "dev",
        {"gpuyard:tags": {"k8s.io/cluster-autoscaler/enabled": "false"}},
        "gpuyard:tags.k8s.io/cluster-autoscaler/enabled",
        ["recognize a cluster's resources"],
    ),
    (
        "dev",
        {"gpuyard:tags": {"eks:cluster-name": "a"}},
        "gpuyard:tags.eks:cluster-name",
        ["recognize a cluster's resources"],
    ),
    ("dev-gke", {"gpuyard:tags": {"goog-team": "ml"}}, "gpuyard:tags.goog-team", ["Google reserves"]),
    ("dev-gke", {"gpuyard:tags": {"": "ml"}}, "gpuyard:tags.", ["not a valid label"]),
    ("dev-gke", {"gpuyard:tags": {"team": "v" * 300}}, "gpuyard:tags.team", ["up to 63"]),
    ("dev-gke", {"gpuyard:tags": {"team": "🚀"}}, "gpuyard:tags.team", ["not a valid label"]),
    ("dev-gke", {"gpuyard:tags": {"gpuyard-stack": "x"}}, "gpuyard:tags.gpuyard-stack", ["gpuyard sets"]),
    ("dev-gke", {"gpuyard:tags": {f"k{n}": "v" for n in range(60)}}, "gpuyard:tags", ["up to 48"]),
]
