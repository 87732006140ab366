"""A pool of GKE nodes: one node pool for each rung of its `capacity`."""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks
from ..changes import IN_PLACE, NEW_POOL, ROLLS, Effect, Rule
from ..checks import Problem
from ..pools import Rung
from ..renames import renamed
from ..taints import cloud_effect
from . import gpu_sharing, labels, node_settings, places, pool_checks, upgrades
from .capacity import RESERVATION_KEY, reservation_values
from .pool_spec import NETWORK_PROFILE, GkeNodePoolSpec, GkePool, resolve

CHANGES: dict[str, Rule] = {
    "machine_types": Rule(
        Effect.ROLLS, "if GPUs or local SSDs differ, a new pool is added, then the old one is deleted"
    ),
    "min": IN_PLACE,
    "max": Rule(Effect.IN_PLACE, "nodes above it are kept until they are idle"),
    "per_zone": IN_PLACE,
    "labels": IN_PLACE,
    "taints": IN_PLACE,
    "capacity": Rule(
        Effect.IN_PLACE, "a new rung adds a node pool; a removed rung's node pool is deleted with its nodes"
    ),
    "zones": Rule(Effect.IN_PLACE, "nodes in a removed zone are deleted"),
    "was": Rule(Effect.IN_PLACE, "the pool of that name gets the new name and keeps its nodes"),
    "disk_gib": ROLLS,
    "scratch": NEW_POOL,
    "interconnect": NEW_POOL,
    "placement": NEW_POOL,
    "accelerator": NEW_POOL,
    "accept_withdrawn": IN_PLACE,
    "disk_type": ROLLS,
    "local_ssds": NEW_POOL,
    "driver": NEW_POOL,
    "partition": NEW_POOL,
    "sharing": NEW_POOL,
    "reservation": NEW_POOL,
    "reservation.nodes": IN_PLACE,
    "reservation.ends": IN_PLACE,
    "pods_per_node": NEW_POOL,
    "pods_range": NEW_POOL,
    "sysctls": ROLLS,
    "huge_pages": ROLLS,
    "cpu_manager": ROLLS,
    "secondary_boot_disk": NEW_POOL,
    "queued": NEW_POOL,
    "max_run_seconds": NEW_POOL,
    "placement_policy": NEW_POOL,
    "spot_grace_seconds": ROLLS,
    "upgrade": IN_PLACE,
    "node_repair": IN_PLACE,
    "image_streaming": ROLLS,
}
"""What a change of each field of a pool does to its nodes. A field inside another one has its rule, unless it has its
own."""


class GkeNodePoolArgs(TypedDict):
    """A pool and the cluster that it belongs to."""

    pool: GkeNodePoolSpec
    """Machines, sizes and settings of the pool."""
    zones: list[str]
    """Zones of the network, for a pool that names none."""
    location: pulumi.Input[str]
    """Location of the cluster: its region or its zone."""
    cluster: pulumi.Input[str]
    """Name of the GKE cluster."""
    node_service_account: pulumi.Input[str]
    """E-mail address of the Google service account that the nodes run as."""
    kubernetes_version: NotRequired[str]
    """Kubernetes minor of the cluster, such as 1.35, for checks. Default: not checked."""
    tags: NotRequired[dict[str, str]]
    """Labels of the machines, for example for billing. Default: none."""
    disks_key: NotRequired[pulumi.Input[str]]
    """Full name of the Cloud KMS key that encrypts the boot disks. Default: Google's own key."""


def problems(name: str, args: GkeNodePoolArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments of the pool `name`, found without asking Google."""
    if not places.standard(args["zones"]):
        yield Problem("zones", args["zones"], "has no standard zone", "one or more standard zones", "add a zone")
        return
    version = args.get("kubernetes_version", "")
    if version:
        yield from checks.minor_version("kubernetes_version", version)
    found = pool_checks.problems(name, args["pool"], args["zones"], version)
    yield from (problem.under("pool") for problem in found)


class GkeNodePool(pulumi.ComponentResource):
    """Equal nodes that GKE's autoscaler scales between `min` and `max`, also from zero.

    The name of the resource is the name of the pool; its node pools are named after it and their rung. The autoscaler
    owns their sizes. What cannot change in place (accelerators, spot, local SSDs) creates a new node pool before the
    old one is deleted: names have a suffix. On the rung `reserved` the old one is deleted first. A GPU pool should
    depend on a pool without GPUs: GKE adds its own taint only if one exists, and its system pods need nodes. It does
    not put the rungs in order: see `GkeComputeClass`.
    """

    node_pool_names: pulumi.Output[list[str]]
    """Physical names of the node pools, best rung first."""

    def __init__(self, name: str, args: GkeNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"GkeNodePool {name}", GkeNodePoolArgs, args, lambda given: problems(name, given), labels.with_tags,
            places.of_one_region, places.location_problems,
        )  # fmt: skip
        super().__init__("gpuyard:index:GkeNodePool", name, None, renamed(opts, args["pool"]))
        gke = resolve(name, args["pool"])
        self.node_pools: dict[str, gcp.container.NodePool] = {
            rung.name: self._pool(rung, gke, args) for rung in gke.pool.rungs
        }
        """The node pools by logical name (pool and rung), best rung first."""
        self.node_pool_names = pulumi.Output.all(*[each.name for each in self.node_pools.values()])
        self.register_outputs({"nodePoolNames": self.node_pool_names})

    def _pool(self, rung: Rung, gke: GkePool, args: GkeNodePoolArgs) -> gcp.container.NodePool:
        pool, flex = gke.pool, rung.capacity == "flex"
        zones = list(pool.zones or places.standard(args["zones"]))
        return gcp.container.NodePool(
            rung.name,
            cluster=args["cluster"],
            location=args["location"],
            node_locations=zones,
            max_pods_per_node=gke.spec.get("pods_per_node"),
            # Per zone, rounded down: rounded up, `min: 1` would buy a node in every zone, and one zone without capacity
            # would fail the pool. The autoscaler adds the missing nodes wherever there is capacity.
            initial_node_count=rung.min // len(zones),
            autoscaling=_autoscaling(rung, gke, len(zones)),
            management=gcp.container.NodePoolManagementArgs(
                # The API refuses repair of flex-start nodes, and in a release channel a pool without upgrades.
                auto_repair=not flex and gke.spec.get("node_repair", True),
                auto_upgrade=True,
            ),
            # Flex-start nodes have their own strategy, which GKE sets (SHORT_LIVED).
            upgrade_settings=None if flex else _upgrade_settings(gke),
            placement_policy=gcp.container.NodePoolPlacementPolicyArgs(
                type="COMPACT", policy_name=gke.spec.get("placement_policy")
            )
            if gke.compact(rung)
            else None,
            queued_provisioning=gcp.container.NodePoolQueuedProvisioningArgs(enabled=True)
            if gke.spec["queued"]
            else None,
            network_config=gcp.container.NodePoolNetworkConfigArgs(
                # If omitted while another field is set, the provider sends `false`: public addresses.
                enable_private_nodes=True,
                # GKE creates the networks of the machine's other interfaces, and deletes them with the pool.
                accelerator_network_profile=NETWORK_PROFILE if pool.interconnects else None,
                pod_range=gke.spec.get("pods_range"),
            ),
            node_config=_node_config(rung, gke, args),
            opts=pulumi.ResourceOptions(
                parent=self,
                # The autoscaler owns both after creation, and a change of the first replaces the pool.
                ignore_changes=["initialNodeCount", "nodeCount"],
                # The old pool's machines use the reservation that the new pool needs.
                delete_before_replace=rung.capacity == "reserved",
                # Recreating all nodes can take longer than the provider's two hours.
                custom_timeouts=upgrades.timeouts(gke),
            ),
        )


def _autoscaling(rung: Rung, gke: GkePool, zones: int) -> gcp.container.NodePoolAutoscalingArgs:
    # GPUs, spot and reserved machines are taken wherever they are offered; the others are spread for availability.
    policy = "ANY" if gke.pool.gpus or rung.capacity != "on_demand" else "BALANCED"
    if gke.spec["per_zone"]:
        return gcp.container.NodePoolAutoscalingArgs(
            min_node_count=rung.min // zones, max_node_count=gke.pool.max // zones, location_policy=policy
        )
    return gcp.container.NodePoolAutoscalingArgs(
        total_min_node_count=rung.min, total_max_node_count=gke.pool.max, location_policy=policy
    )


def _upgrade_settings(gke: GkePool) -> gcp.container.NodePoolUpgradeSettingsArgs:
    wanted = gke.upgrade
    strategy = upgrades.STRATEGIES[wanted["strategy"]]
    if strategy == "SURGE":
        return gcp.container.NodePoolUpgradeSettingsArgs(
            strategy=strategy,
            max_surge=wanted["max_surge"],
            max_unavailable=wanted["max_unavailable"],
        )
    return gcp.container.NodePoolUpgradeSettingsArgs(
        strategy=strategy,
        blue_green_settings=gcp.container.NodePoolUpgradeSettingsBlueGreenSettingsArgs(
            standard_rollout_policy=gcp.container.NodePoolUpgradeSettingsBlueGreenSettingsStandardRolloutPolicyArgs(
                batch_percentage=wanted["batch_percentage"] / 100,
                batch_soak_duration=f"{wanted['batch_soak_seconds']}s",
            ),
            node_pool_soak_duration=f"{wanted['soak_seconds']}s",
        ),
    )


def _node_config(rung: Rung, gke: GkePool, args: GkeNodePoolArgs) -> gcp.container.NodePoolNodeConfigArgs:
    pool, spec = gke.pool, gke.spec
    run, spot = spec.get("max_run_seconds"), rung.capacity == "spot"
    # Local SSDs are the pods' ephemeral storage; if a machine has some and `scratch` is off, they are block devices.
    ephemeral = block = None
    if gke.local_ssds and pool.scratch_gb:
        ephemeral = gcp.container.NodePoolNodeConfigEphemeralStorageLocalSsdConfigArgs(local_ssd_count=gke.local_ssds)
    elif gke.local_ssds:
        block = gcp.container.NodePoolNodeConfigLocalNvmeSsdBlockConfigArgs(local_ssd_count=gke.local_ssds)
    grace = spec.get("spot_grace_seconds") if spot else None
    return gcp.container.NodePoolNodeConfigArgs(
        machine_type=pool.machine_types[0],
        image_type="COS_CONTAINERD",
        spot=spot,
        flex_start=True if rung.capacity == "flex" else None,
        max_run_duration=f"{run}s" if run else None,
        reservation_affinity=_reservation_affinity(rung, gke),
        disk_size_gb=pool.disk_gib,
        disk_type=gke.boot_disk,
        boot_disk_kms_key=args.get("disks_key"),
        ephemeral_storage_local_ssd_config=ephemeral,
        local_nvme_ssd_block_config=block,
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
        # As on EKS: by default GKE taints Arm nodes, and a workload would fit only one of the clouds.
        taint_config=gcp.container.NodePoolNodeConfigTaintConfigArgs(architecture_taint_behavior="NONE")
        if pool.arch == "arm64"
        else None,
        guest_accelerators=[_accelerator(gke)] if pool.gpus else None,
        gvnic=gcp.container.NodePoolNodeConfigGvnicArgs(enabled=True),
        gcfs_config=gcp.container.NodePoolNodeConfigGcfsConfigArgs(enabled=spec["image_streaming"]),
        kubelet_config=gcp.container.NodePoolNodeConfigKubeletConfigArgs(
            # The port exposes to the whole network what runs on the node.
            insecure_kubelet_readonly_port_enabled="FALSE",
            # CPU limits are enforced. If omitted, some providers sent `false` (terraform-provider-google#15767).
            cpu_cfs_quota=True,
            cpu_manager_policy=spec.get("cpu_manager"),
            shutdown_grace_period_seconds=grace,
        ),
        shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        linux_node_config=node_settings.linux(gke),
        secondary_boot_disks=node_settings.boot_disks(gke),
        metadata={"disable-legacy-endpoints": "true"},
    )


def _reservation_affinity(rung: Rung, gke: GkePool) -> gcp.container.NodePoolNodeConfigReservationAffinityArgs | None:
    if rung.capacity == "flex":
        # The API requires the field.
        return gcp.container.NodePoolNodeConfigReservationAffinityArgs(consume_reservation_type="NO_RESERVATION")
    if rung.capacity != "reserved":
        return None  # on demand, open reservations of the project are used first, as on EKS
    values = reservation_values(rung, gke)
    if not values:
        # Not ANY_RESERVATION: it buys on demand when there is no reservation, and the next rung is never tried.
        return gcp.container.NodePoolNodeConfigReservationAffinityArgs(
            consume_reservation_type="ANY_RESERVATION_THEN_FAIL"
        )
    return gcp.container.NodePoolNodeConfigReservationAffinityArgs(
        consume_reservation_type="SPECIFIC_RESERVATION", key=RESERVATION_KEY, values=values
    )


def _accelerator(gke: GkePool) -> gcp.container.NodePoolNodeConfigGuestAcceleratorArgs:
    sharing = gke.spec.get("sharing")
    return gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
        type=gke.pool.gpu,
        count=gke.pool.gpus,
        gpu_driver_installation_config=(
            gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                gpu_driver_version=gpu_sharing.DRIVERS[gke.driver]
            )
        ),
        gpu_partition_size=gke.spec.get("partition"),
        gpu_sharing_config=gcp.container.NodePoolNodeConfigGuestAcceleratorGpuSharingConfigArgs(
            gpu_sharing_strategy=gpu_sharing.STRATEGIES[sharing["strategy"]],
            max_shared_clients_per_gpu=sharing["clients"],
        )
        if sharing
        else None,
    )
