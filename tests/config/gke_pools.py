"""Mistakes in pools on GKE: (stack, change, path in the error, text that the error must contain).

Among them are the rules of Google's API about capacity types and placements that exclude each other. Conflicts between
spot, flex-start and a reservation cannot be written, because each capacity type is a separate node pool.
"""

from __future__ import annotations

from typing import Any

GPU = "gpuyard:nodePools/gpu-workers"
GPUS = "gpuyard:nodePools.gpu-workers"
CPU = "gpuyard:nodePools/cpu-workers"
CPUS = "gpuyard:nodePools.cpu-workers"
ZONE = ["us-central1-a"]


SMALL = {"machineTypes": ["g2-standard-8"], "min": 0, "max": 1}


def gpu(**fields: Any) -> dict[str, Any]:
    """Fields of the GPU pool (g2-standard-8, spot, 0 to 10) set to other values."""
    return {f"{GPU}/{name}": value for name, value in fields.items()}


def on(machine_type: str, **fields: Any) -> dict[str, Any]:
    """The GPU pool on another machine type, in one zone."""
    return gpu(machineTypes=[machine_type], zones=ZONE, **fields)


CASES: list[tuple[dict[str, Any], str, list[str]]] = [
    # machines and accelerators
    (gpu(machineTypes=["p3.2xlarge"]), f"{GPUS}.machineTypes[0]", ["unknown machine type", "a type of EC2"]),
    (gpu(machineTypes=["g4-standard-12"]), f"{GPUS}.machineTypes[0]", ["fraction of a GPU"]),
    (gpu(accelerator={"type": "nvidia-tesla-t4"}), f"{GPUS}.accelerator.type", ["another GPU", "write nvidia-l4"]),
    (gpu(accelerator={"type": "nvidia-l4", "count": 2}), f"{GPUS}.accelerator.count", ["another number"]),
    (
        gpu(machineTypes=["n2-standard-8"], accelerator={"type": "nvidia-tesla-t4"}),
        f"{GPUS}.machineTypes[0]",
        ["without a GPU type"],
    ),
    (
        gpu(machineTypes=["n1-standard-8"], accelerator={"type": "nvidia-l4"}),
        f"{GPUS}.accelerator.type",
        ["nvidia-tesla-v100"],
    ),
    (
        gpu(machineTypes=["n1-standard-8"], accelerator={"type": "nvidia-tesla-v100", "count": 3}),
        f"{GPUS}.accelerator.count",
        ["not offered for nvidia-tesla-v100", "1, 2, 4, 8"],
    ),
    (
        gpu(machineTypes=["n1-standard-16"], accelerator={"type": "nvidia-tesla-v100"}),
        f"{GPUS}.accelerator.count",
        ["allows at most 12 vCPUs, n1-standard-16 has 16", "write count: 2"],
    ),
    (
        gpu(machineTypes=["n1-standard-96"], accelerator={"type": "nvidia-tesla-p100", "count": 4}),
        f"{GPUS}.accelerator.count",
        ["none on this machine", "a smaller machine"],
    ),
    # names, labels, taints, sizes
    (
        {
            "gpuyard:nodePools/multi-node-training-large": {
                "machineTypes": ["g2-standard-8"],
                "min": 0,
                "max": 1,
                "capacity": ["reserved", "on_demand"],
            }
        },
        "gpuyard:nodePools.multi-node-training-large",
        ["multi-node-training-large-reserved", "up to 23 characters"],
    ),
    (
        {"gpuyard:nodePools/train-flex": {"machineTypes": ["g2-standard-8"], "min": 0, "max": 1}},
        "gpuyard:nodePools.train-flex",
        ["flex rung"],
    ),
    *(
        (
            {f"gpuyard:nodePools/{name}": SMALL},
            f"gpuyard:nodePools.{name}",
            ["not a valid pool name", "not ending in '-'"],
        )
        for name in ("gpü", "gpu-", "GPU")
    ),
    *(
        (
            {f"gpuyard:nodePools/{name}": {**SMALL, "capacity": ["spot", "on_demand"]}},
            f"gpuyard:nodePools.{name}",
            ["a ComputeClass of this name", "a pool of one rung"],
        )
        for name in ("default", "autopilot", "autopilot-arm")
    ),
    (gpu(zones=[*ZONE, *ZONE]), f"{GPUS}.zones[1]", ["named twice"]),
    (gpu(labels={"gpuyard.dev/pool": "x"}), f"{GPUS}.labels.gpuyard.dev/pool", ["gpuyard sets this label"]),
    (
        gpu(labels={"nvidia.com/gpu.present": "no"}),
        f"{GPUS}.labels.nvidia.com/gpu.present",
        ["gpuyard sets this label"],
    ),
    (gpu(labels={f"key-{n}": "v" * 60 for n in range(16)}), f"{GPUS}.labels", ["characters", "up to 1024"]),
    (
        gpu(taints=[{"key": "a", "value": value, "effect": "NoSchedule"} for value in "xy"]),
        f"{GPUS}.taints[1]",
        ["the same key and effect as taints[0]"],
    ),
    (
        gpu(taints=[{"key": "a b", "effect": "NoSchedule"}]),
        f"{GPUS}.taints[0].a b",
        ["not a valid Kubernetes label key"],
    ),
    (
        gpu(taints=[{"key": "nvidia.com/gpu", "value": "present", "effect": "PreferNoSchedule"}]),
        f"{GPUS}.taints[0].effect",
        ["conflicts with nvidia.com/gpu=present:NoSchedule", "GKE sets it"],
    ),
    # field case G5: keys that GKE sets or reserves are refused, not whole domains
    *(
        (gpu(labels={key: "true"}), f"{GPUS}.labels.{key}", [words])
        for key, words in (
            ("cloud.google.com/gke-spot", "GKE sets it"),
            ("cloud.google.com/gke-accelerator", "GKE sets it"),
            ("gke.networks.io/accelerator-network-profile", "GKE sets it"),
            ("disk-type.gke.io/pd-balanced", "GKE sets it"),
            ("cloud.google.com/compute-class", "more than one rung"),
            ("node-role.kubernetes.io/gpu", "a key of Kubernetes"),
            ("kubernetes.io/team", "a key of Kubernetes"),
        )
    ),
    *(
        (gpu(taints=[{"key": key, "effect": "NoSchedule"}]), f"{GPUS}.taints[0].key", [words])
        for key, words in (
            ("sandbox.gke.io/runtime", "GKE sets it"),
            ("cloud.google.com/gke-queued", "GKE sets it"),
            ("node.kubernetes.io/not-ready", "a key of Kubernetes"),  # reliability case R13
            ("node.cloudprovider.kubernetes.io/uninitialized", "a key of Kubernetes"),
        )
    ),
    (
        gpu(taints=[{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]),
        f"{GPUS}.taints[0].value",
        ["conflicts with nvidia.com/gpu=present", "GKE sets it"],
    ),
    # NVIDIA/aicr#2047: GKE's device plugin also installs the driver
    (
        gpu(labels={"gke-no-default-nvidia-gpu-device-plugin": "true"}),
        f"{GPUS}.labels.gke-no-default-nvidia-gpu-device-plugin",
        ["and with it the driver (default)", "write `driver: disabled`"],
    ),
    (gpu(perZone=True), f"{GPUS}.perZone", ["does not name its zones", "name the pool's zones"]),
    (
        {f"{CPU}/taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]},
        "gpuyard:nodePools",
        ["system pods have no node", "without taints"],
    ),
    ({f"{CPU}/capacity": ["spot", "on_demand"]}, "gpuyard:nodePools", ["system pods have no node", "one rung"]),
    # disks
    (gpu(diskGib=20000), f"{GPUS}.diskGib", ["30 to 16384 GiB", "write 16384"]),
    (gpu(diskGib=10), f"{GPUS}.diskGib", ["write 30"]),
    (gpu(diskType="pd-standard"), f"{GPUS}.diskType", ["does not boot from it", "pd-balanced, pd-ssd"]),
    (on("a4-highgpu-8g", diskType="pd-balanced"), f"{GPUS}.diskType", ["write hyperdisk-balanced"]),
    ({f"{CPU}/scratch": True, f"{CPU}/machineTypes": ["e2-standard-8"]}, f"{CPUS}.scratch", ["no local NVMe"]),
    (gpu(localSsds=2), f"{GPUS}.localSsds", ["not offered for g2-standard-8"]),
    (on("a3-highgpu-8g", localSsds=8), f"{GPUS}.localSsds", ["includes 16", "remove it"]),
    ({f"{CPU}/localSsds": 1, f"{CPU}/machineTypes": ["e2-standard-8"]}, f"{CPUS}.localSsds", ["takes none"]),
    (gpu(localSsds=1, scratch=False), f"{GPUS}.localSsds", ["which is off"]),
    # drivers and sharing
    (gpu(driver="570"), f"{GPUS}.driver", ["default, latest, disabled"]),
    ({f"{CPU}/driver": "latest"}, f"{CPUS}.driver", ["has no GPU"]),
    ({f"{CPU}/sharing": {"strategy": "mps", "clients": 2}}, f"{CPUS}.sharing", ["has no GPU"]),
    ({f"{CPU}/partition": "1g.5gb"}, f"{CPUS}.partition", ["has no GPU"]),
    (gpu(partition="1g.5gb"), f"{GPUS}.partition", ["cannot be partitioned", "time_sharing"]),
    (on("a2-highgpu-1g", partition="1g.10gb"), f"{GPUS}.partition", ["1g.5gb, 2g.10gb", "write 1g.5gb"]),
    (gpu(sharing={"strategy": "timesharing", "clients": 2}), f"{GPUS}.sharing.strategy", ["write time_sharing"]),
    (gpu(sharing={"strategy": "mps", "clients": 1}), f"{GPUS}.sharing.clients", ["2 to 48", "write 2"]),
    (gpu(sharing={"strategy": "mps", "clients": 49}), f"{GPUS}.sharing.clients", ["2 to 48", "write 48"]),
    (gpu(sharing={"strategy": "mps"}), f"{GPUS}.sharing.clients", ["missing"]),
    (
        on("a2-highgpu-1g", partition="1g.5gb", sharing={"strategy": "mps", "clients": 2}),
        f"{GPUS}.sharing.strategy",
        ["does not work on partitions", "write time_sharing"],
    ),
    # consumption options of machine types
    (gpu(capacity=["ondemand"]), f"{GPUS}.capacity[0]", ["reserved, flex, spot, on_demand", "write on_demand"]),
    (gpu(capacity=["flex", "flex"]), f"{GPUS}.capacity", ["each rung only once"]),
    (
        on("a4-highgpu-8g", capacity=["on_demand"]),
        f"{GPUS}.capacity",
        ["not sold as on_demand", "reserved, flex, spot", "write [spot]"],
    ),
    (
        on("a3-highgpu-1g", capacity=["reserved", "spot", "on_demand"]),
        f"{GPUS}.capacity",
        ["not sold as on_demand", "write [reserved, spot]"],
    ),
    (
        {f"{CPU}/capacity": ["flex"], f"{CPU}/min": 0, f"{CPU}/machineTypes": ["h3-standard-88"]},
        f"{CPUS}.capacity",
        ["not sold as flex", "allowed: reserved, on_demand", "write [on_demand]"],
    ),
    (on("a3-edgegpu-8g", capacity=["flex"]), f"{GPUS}.capacity", ["not sold as flex"]),
    (
        {f"{CPU}/capacity": ["flex"], f"{CPU}/min": 0},
        f"{CPUS}.capacity",
        ["not sold as flex", "machines with GPUs"],
    ),
    (
        {f"{CPU}/capacity": ["flex"], f"{CPU}/min": 0, f"{CPU}/machineTypes": ["n1-standard-8"]},
        f"{CPUS}.capacity",
        ["not sold as flex", "machines with GPUs"],
    ),
    (
        {f"{CPU}/capacity": ["spot"], f"{CPU}/machineTypes": ["h3-standard-88"]},
        f"{CPUS}.machineTypes[0]",
        ["not offered as spot"],
    ),
    (
        {f"{CPU}/capacity": ["flex"], f"{CPU}/min": 0, f"{CPU}/machineTypes": ["h4d-standard-192"]},
        "gpuyard:nodePools",
        ["system pods have no node", "not flex"],
    ),
    # flex-start and queued provisioning
    (gpu(capacity=["flex"], min=1), f"{GPUS}.min", ["none is permanent", "write 0"]),
    (gpu(capacity=["flex", "on_demand"], nodeRepair=True), f"{GPUS}.nodeRepair", ["never repaired"]),
    (gpu(capacity=["flex"], upgrade={"maxSurge": 1}), f"{GPUS}.upgrade", ["not upgraded", "remove it"]),
    (gpu(capacity=["flex"], maxRunSeconds=300), f"{GPUS}.maxRunSeconds", ["600 to 604800 seconds", "write 600"]),
    (gpu(capacity=["flex", "spot"], maxRunSeconds=700000), f"{GPUS}.maxRunSeconds", ["write 604800"]),
    (gpu(maxRunSeconds=10), f"{GPUS}.maxRunSeconds", ["30 to 10368000 seconds", "write 30"]),
    (gpu(queued=True), f"{GPUS}.queued", ["a form of flex-start", "write `capacity: [flex]`"]),
    (gpu(queued=True, capacity=["flex", "spot"]), f"{GPUS}.queued", ["runs no other pods"]),
    (gpu(queued=True, capacity=["flex"], min=1), f"{GPUS}.min", ["write 0"]),
    (on("g2-standard-8", queued=True, capacity=["flex"], placement=True), f"{GPUS}.placement", ["queued provisioning"]),
    (
        on("a4-highgpu-8g", queued=True, capacity=["flex"], interconnect=True, placementPolicy="close"),
        f"{GPUS}.placementPolicy",
        ["queued provisioning cannot be placed compactly"],
    ),
    (gpu(queued=True, capacity=["flex"], maxRunSeconds=3600), f"{GPUS}.maxRunSeconds", ["maxRunDurationSeconds"]),
    # reservations
    (
        gpu(reservation={"name": "l4s", "nodes": 1001}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.nodes",
        ["1 to 1000"],
    ),
    (
        gpu(reservation={"name": "l4s", "ends": "soon"}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.ends",
        ["a time and a zone"],
    ),
    (
        gpu(reservation={"name": "l4s"}, zones=ZONE),
        f"{GPUS}.capacity",
        ["has no rung reserved", "write [reserved, spot]"],
    ),
    (
        gpu(reservation={"name": "l4s"}, capacity=["flex"], zones=ZONE),
        f"{GPUS}.capacity",
        ["the only one that uses a `reservation`", "[reserved, flex]"],
    ),
    (
        gpu(reservation={"name": "l4s"}, capacity=["reserved"]),
        f"{GPUS}.zones",
        ["in every zone of the pool", "such as [us-central1-a]"],
    ),
    (
        gpu(reservation={"name": "L4s"}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.name",
        ["not a valid name of a reservation", "gcloud compute reservations list"],
    ),
    (
        gpu(reservation={"name": "l4s", "project": "P"}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.project",
        ["the project that owns"],
    ),
    (
        gpu(reservation={"name": "l4s", "block": "reservationBlocks/b"}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.block",
        ["without a path"],
    ),
    (
        gpu(reservation={"name": "l4s", "id": "cr-1"}, capacity=["reserved"]),
        f"{GPUS}.reservation.id",
        ["environments on aws"],
    ),
    # spot
    (gpu(spotGraceSeconds=60), f"{GPUS}.spotGraceSeconds", ["0, 30, 120"]),
    (gpu(capacity=["on_demand"], spotGraceSeconds=120), f"{GPUS}.spotGraceSeconds", ["only spot nodes"]),
    (
        {**gpu(spotGraceSeconds=120), "gpuyard:cluster/version": "1.34"},
        f"{GPUS}.spotGraceSeconds",
        ["not supported by Kubernetes 1.34"],
    ),
    # interconnect and placement
    (
        on("g2-standard-8", interconnect=True),
        f"{GPUS}.machineTypes[0]",
        ["has no GPUDirect", "none with such GPUs"],
    ),
    (on("a3-highgpu-4g", interconnect=True), f"{GPUS}.machineTypes[0]", ["types that have it: a3-"]),
    (
        gpu(machineTypes=["a3-highgpu-8g"], interconnect=True),
        f"{GPUS}.zones",
        ["within one zone", "zones: [us-central1-a]"],
    ),
    (gpu(placement=True), f"{GPUS}.zones", ["`placement` works within one zone"]),
    (
        {f"{CPU}/placement": True, f"{CPU}/zones": ZONE, f"{CPU}/machineTypes": ["e2-standard-8"]},
        f"{CPUS}.machineTypes[0]",
        ["does not support a compact placement"],
    ),
    (
        on("g2-standard-8", placement=True, upgrade={"strategy": "blue_green"}),
        f"{GPUS}.upgrade.strategy",
        ["compactly placed", "write surge"],
    ),
    (
        on("a3-highgpu-8g", placement=True, capacity=["flex"]),
        f"{GPUS}.placement",
        ["cannot be placed compactly as flex-start", "a3-ultragpu"],
    ),
    (
        on("a3-highgpu-8g", interconnect=True, capacity=["flex", "spot"], placementPolicy="close"),
        f"{GPUS}.placementPolicy",
        ["cannot be placed compactly as flex-start", "flex from `capacity`"],
    ),
    (
        on("a4-highgpu-8g", placement=True, capacity=["flex"]),
        f"{GPUS}.placementPolicy",
        ["a workload policy", "HIGH_THROUGHPUT"],
    ),
    (
        on("g2-standard-8", placement=True, capacity=["reserved"]),
        f"{GPUS}.placement",
        ["is already placed", "placementPolicy"],
    ),
    (on("g2-standard-8", placementPolicy="close"), f"{GPUS}.placementPolicy", ["write `placement: true`"]),
    (
        on("a4-highgpu-8g", interconnect=True, placementPolicy="close", capacity=["reserved"]),
        f"{GPUS}.placementPolicy",
        ["write `placement: true`"],
    ),
    (
        on("g2-standard-8", placement=True, placementPolicy="Close!"),
        f"{GPUS}.placementPolicy",
        ["not a valid name of a resource policy"],
    ),
    (
        on("a3-highgpu-8g", placement=True, max=96, upgrade={"maxSurge": 1}),
        f"{GPUS}.max",
        ["up to 95", "use several pools"],
    ),
    # upgrades
    (gpu(upgrade={"strategy": "bluegreen"}), f"{GPUS}.upgrade.strategy", ["surge, blue_green", "write blue_green"]),
    (gpu(upgrade={"strategy": "short_lived"}), f"{GPUS}.upgrade.strategy", ["surge, blue_green"]),
    (gpu(upgrade={"maxSurge": -1}), f"{GPUS}.upgrade.maxSurge", ["must not be negative"]),
    (gpu(upgrade={"maxUnavailable": -1}), f"{GPUS}.upgrade.maxUnavailable", ["must not be negative"]),
    (gpu(upgrade={"maxSurge": 20}), f"{GPUS}.upgrade.maxSurge", ["21 nodes at once", "up to 20", "write 19"]),
    (gpu(upgrade={"maxUnavailable": 21}), f"{GPUS}.upgrade.maxUnavailable", ["21 nodes at once", "write 20"]),
    (gpu(upgrade={"maxUnavailable": 0}), f"{GPUS}.upgrade", ["no node could be upgraded", "maxSurge: 1"]),
    (
        gpu(upgrade={"strategy": "blue_green", "maxSurge": 1}),
        f"{GPUS}.upgrade.maxSurge",
        ["no effect with the strategy blue_green", "write `strategy: surge`"],
    ),
    (gpu(upgrade={"batchPercentage": 20}), f"{GPUS}.upgrade.batchPercentage", ["write `strategy: blue_green`"]),
    (
        gpu(upgrade={"strategy": "blue_green", "batchPercentage": 0}),
        f"{GPUS}.upgrade.batchPercentage",
        ["1 to 100", "write 1"],
    ),
    (
        gpu(upgrade={"strategy": "blue_green", "soakSeconds": 700000}),
        f"{GPUS}.upgrade.soakSeconds",
        ["write 604800"],
    ),
    # shapes
    (gpu(reservation="h100"), f"{GPUS}.reservation", ["not a map", "a map of `nodes`, `ends`, `name`, `project`"]),
    (gpu(capacity="spot"), f"{GPUS}.capacity", ["a list", "write [spot]"]),
    (gpu(driver=535), f"{GPUS}.driver", ['put it in quotes: "535"']),
    # keys of the other cloud
    (gpu(image="bottlerocket"), f"{GPUS}.image", ["environments on aws only"]),
    (gpu(updatePercentage=10), f"{GPUS}.updatePercentage", ["environments on aws only"]),
]

MISTAKES = [("dev-gke", *case) for case in CASES] + [
    (
        "dev",
        {f"{GPU}/labels": {"gpuyard.dev/capacity": "spot"}},
        f"{GPUS}.labels.gpuyard.dev/capacity",
        ["gpuyard sets"],
    ),
    ("dev", {f"{GPU}/driver": "latest"}, f"{GPUS}.driver", ["environments on gcp only"]),
    ("dev", {f"{GPU}/capacity": ["flex"]}, f"{GPUS}.capacity[0]", ["reserved, spot, on_demand"]),
]
