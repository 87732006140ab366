"""A pool of GKE nodes, for each rung of the capacity ladder."""

import math
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks, hardware
from ..pools import NodePoolSpec, Pool, Rung, problems, resolve
from ..taints import cloud_effect

# Machine series whose boot disk cannot be a persistent disk (Google's machine series comparison, 2026-11).
_HYPERDISK_SERIES = ("n4-", "c4-", "c4a-", "a3-ultragpu", "a4-", "g4-")


class GkeNodePoolArgs(TypedDict):
    """`pool`: what the pool is (see `NodePoolSpec`). `zones`: the network's zones. `location`: the cluster's.
    `cluster`: the cluster's name as an output. `tags`: labels of the machines, for bills."""

    pool: NodePoolSpec
    zones: list[str]
    location: str
    cluster: pulumi.Input[str]
    node_service_account: pulumi.Input[str]
    tags: NotRequired[dict[str, str]]


class GkeNodePool(pulumi.ComponentResource):
    """Equal nodes that GKE's own autoscaler may resize between min and max, from zero too.

    The name of the resource is the name of the pool. A GPU pool must depend on a pool without GPUs: GKE adds its own
    taint only when one exists, and its system pods need a place.
    """

    node_pool_names: pulumi.Output[list[str]]
    """Physical names of the node pools, best rung first."""

    def __init__(self, name: str, args: GkeNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GkeNodePool", name, None, opts)
        checks.refuse(problems(hardware.GCP, name, args["pool"], args["zones"]), f"GkeNodePool {name}")
        pool = resolve(hardware.GCP, name, args["pool"])
        pools = [self._pool(rung, pool, args) for rung in pool.rungs]
        self.node_pool_names = pulumi.Output.all(*[made.name for made in pools])
        self.register_outputs({"nodePoolNames": self.node_pool_names})

    def _pool(self, rung: Rung, pool: Pool, args: GkeNodePoolArgs) -> gcp.container.NodePool:
        zones = list(pool.zones or args["zones"])
        return gcp.container.NodePool(
            rung.name,
            cluster=args["cluster"],
            location=args["location"],
            node_locations=zones,
            # Per zone; the totals below are the pool's.
            initial_node_count=math.ceil(rung.min / len(zones)),
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=rung.min,
                total_max_node_count=pool.max,
                # GPUs are taken where they are; the rest is spread for availability.
                location_policy="ANY" if pool.gpus else "BALANCED",
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=gcp.container.NodePoolNodeConfigArgs(
                machine_type=pool.machine_types[0],
                spot=rung.capacity == "spot",
                disk_size_gb=pool.disk_gib,
                disk_type=(
                    "hyperdisk-balanced" if pool.machine_types[0].startswith(_HYPERDISK_SERIES) else "pd-balanced"
                ),
                service_account=args["node_service_account"],
                oauth_scopes=["https://www.googleapis.com/auth/cloud-platform"],
                labels=rung.labels,
                resource_labels={**args.get("tags", {}), "gpuyard-pool": pool.name},
                taints=[
                    gcp.container.NodePoolNodeConfigTaintArgs(
                        key=taint["key"], value=taint.get("value", ""), effect=cloud_effect(taint["effect"])
                    )
                    for taint in pool.taints
                ],
                guest_accelerators=[
                    gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
                        type=pool.gpu,
                        count=pool.gpus,
                        gpu_driver_installation_config=(
                            gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                                gpu_driver_version="DEFAULT"
                            )
                        ),
                    )
                ]
                if pool.gpus
                else None,
                gvnic=gcp.container.NodePoolNodeConfigGvnicArgs(enabled=True),
                shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
                workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                    mode="GKE_METADATA"
                ),
                metadata={"disable-legacy-endpoints": "true"},
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Both are the autoscaler's from the first node on, and a change of the first replaces the pool.
                ignore_changes=["initialNodeCount", "nodeCount"],
            ),
        )
