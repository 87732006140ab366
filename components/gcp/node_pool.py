"""A pool of GKE nodes: a node pool for each rung of the capacity ladder."""

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks
from ..pools import Rung
from ..renames import renamed
from ..taints import cloud_effect
from . import gpu_sharing, node_settings, places, upgrades
from .capacity import RESERVATION_KEY, reservation_values
from .pool_checks import problems
from .pool_spec import NETWORK_PROFILE, GkeNodePoolSpec, GkePool, resolve


class GkeNodePoolArgs(TypedDict):
    """`pool`: what the pool is (see `GkeNodePoolSpec`). `zones`: the network's zones. `location`: the cluster's.
    `cluster`: the cluster's name as an output. `kubernetes_version`: the cluster's minor, for checks. `tags`: labels of
    the machines, for bills. `disks_key`: encrypts their boot disks (default: Google's own)."""

    pool: GkeNodePoolSpec
    zones: list[str]
    location: str
    cluster: pulumi.Input[str]
    node_service_account: pulumi.Input[str]
    kubernetes_version: NotRequired[str]
    tags: NotRequired[dict[str, str]]
    disks_key: NotRequired[pulumi.Input[str]]


class GkeNodePool(pulumi.ComponentResource):
    """Equal nodes that GKE's own autoscaler may resize between min and max, from zero too.

    The name of the resource is the name of the pool; its node pools are named after it and their rung. Sizes are the
    autoscaler's. What cannot change in place (accelerators, spot, local SSDs) makes a new node pool before the old one
    goes: names carry a suffix. On the rung `reserved` the old one goes first. A GPU pool must depend on a pool without
    GPUs: GKE adds its own taint only when one exists, and its system pods need a place. Does not put the rungs in
    order: see `GkeComputeClass`.
    """

    node_pool_names: pulumi.Output[list[str]]
    """Physical names of the node pools, best rung first."""

    def __init__(self, name: str, args: GkeNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GkeNodePool", name, None, renamed(opts, args["pool"]))
        wrong = problems(name, args["pool"], args["zones"], args.get("kubernetes_version", ""))
        checks.refuse(wrong, f"GkeNodePool {name}")
        gke = resolve(name, args["pool"])
        made = [self._pool(rung, gke, args) for rung in gke.pool.rungs]
        self.node_pool_names = pulumi.Output.all(*[each.name for each in made])
        self.register_outputs({"nodePoolNames": self.node_pool_names})

    def _pool(self, rung: Rung, gke: GkePool, args: GkeNodePoolArgs) -> gcp.container.NodePool:
        pool, flex = gke.pool, rung.capacity == "flex"
        zones = list(pool.zones or places.standard(args["zones"]))
        return gcp.container.NodePool(
            rung.name,
            cluster=args["cluster"],
            location=args["location"],
            node_locations=zones,
            max_pods_per_node=int(gke.spec["pods_per_node"]) if "pods_per_node" in gke.spec else None,
            # Per zone. Rounded up, `min: 1` would buy a node in every zone, and one dry zone would fail the pool. The
            # autoscaler brings what is missing, wherever there is room.
            initial_node_count=rung.min // len(zones),
            autoscaling=_autoscaling(rung, gke, len(zones)),
            management=gcp.container.NodePoolManagementArgs(
                # The API refuses repair of flex-start nodes, and a pool in a release channel that is not upgraded.
                auto_repair=not flex and gke.spec.get("node_repair", True),
                auto_upgrade=True,
            ),
            # Flex-start nodes have a strategy of their own, which GKE sets (SHORT_LIVED).
            upgrade_settings=None if flex else _upgrade_settings(gke),
            placement_policy=gcp.container.NodePoolPlacementPolicyArgs(
                type="COMPACT", policy_name=gke.spec.get("placement_policy")
            )
            if gke.compact(rung)
            else None,
            queued_provisioning=gcp.container.NodePoolQueuedProvisioningArgs(enabled=True)
            if gke.spec.get("queued")
            else None,
            network_config=gcp.container.NodePoolNetworkConfigArgs(
                # Left out beside another field, the provider sends `false`: public addresses.
                enable_private_nodes=True,
                # GKE makes the networks of the machine's other interfaces, and removes them with the pool.
                accelerator_network_profile=NETWORK_PROFILE if pool.interconnects else None,
                pod_range=gke.spec.get("pods_range"),
            ),
            node_config=_node_config(rung, gke, args),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Both are the autoscaler's from the first node on, and a change of the first replaces the pool.
                ignore_changes=["initialNodeCount", "nodeCount"],
                # The old pool's machines fill the reservation that the new one needs.
                delete_before_replace=rung.capacity == "reserved",
                # Renewing all nodes takes longer than the provider's two hours, or is taken for failed half-way.
                custom_timeouts=upgrades.timeouts(gke),
            ),
        )


def _autoscaling(rung: Rung, gke: GkePool, zones: int) -> gcp.container.NodePoolAutoscalingArgs:
    # GPUs, spot and reserved machines are taken where they are; the rest is spread for availability.
    policy = "ANY" if gke.pool.gpus or rung.capacity != "on_demand" else "BALANCED"
    if gke.spec.get("per_zone"):
        return gcp.container.NodePoolAutoscalingArgs(
            min_node_count=rung.min // zones, max_node_count=gke.pool.max // zones, location_policy=policy
        )
    return gcp.container.NodePoolAutoscalingArgs(
        total_min_node_count=rung.min, total_max_node_count=gke.pool.max, location_policy=policy
    )


def _upgrade_settings(gke: GkePool) -> gcp.container.NodePoolUpgradeSettingsArgs:
    wanted = gke.upgrade
    strategy = upgrades.STRATEGIES[wanted.get("strategy", "surge")]
    if strategy == "SURGE":
        return gcp.container.NodePoolUpgradeSettingsArgs(
            strategy=strategy,
            max_surge=int(wanted.get("max_surge", 0)),
            max_unavailable=int(wanted.get("max_unavailable", 0)),
        )
    return gcp.container.NodePoolUpgradeSettingsArgs(
        strategy=strategy,
        blue_green_settings=gcp.container.NodePoolUpgradeSettingsBlueGreenSettingsArgs(
            standard_rollout_policy=gcp.container.NodePoolUpgradeSettingsBlueGreenSettingsStandardRolloutPolicyArgs(
                batch_percentage=int(wanted.get("batch_percentage", 10)) / 100,
                batch_soak_duration=f"{int(wanted.get('batch_soak_seconds', 0))}s",
            ),
            node_pool_soak_duration=f"{int(wanted.get('soak_seconds', 3600))}s",
        ),
    )


def _node_config(rung: Rung, gke: GkePool, args: GkeNodePoolArgs) -> gcp.container.NodePoolNodeConfigArgs:
    pool, spec = gke.pool, gke.spec
    run, spot = spec.get("max_run_seconds"), rung.capacity == "spot"
    # Local SSDs are the pods' disk or, when a machine comes with some that are not wanted so, raw block devices.
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
        max_run_duration=f"{int(run)}s" if run else None,
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
        # As on EKS: GKE would taint Arm nodes, and workloads of either cloud would fit one of them only.
        taint_config=gcp.container.NodePoolNodeConfigTaintConfigArgs(architecture_taint_behavior="NONE")
        if pool.arch == "arm64"
        else None,
        guest_accelerators=[_accelerator(gke)] if pool.gpus else None,
        gvnic=gcp.container.NodePoolNodeConfigGvnicArgs(enabled=True),
        gcfs_config=gcp.container.NodePoolNodeConfigGcfsConfigArgs(enabled=spec.get("image_streaming", True)),
        kubelet_config=gcp.container.NodePoolNodeConfigKubeletConfigArgs(
            # The port tells everybody on the network what runs on the node.
            insecure_kubelet_readonly_port_enabled="FALSE",
            # Limits of CPU hold. Providers have sent a no where it was not said (terraform-provider-google#15767).
            cpu_cfs_quota=True,
            cpu_manager_policy=spec.get("cpu_manager"),
            shutdown_grace_period_seconds=int(grace) if grace is not None else None,
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
        # The API wants it to be said, not left out.
        return gcp.container.NodePoolNodeConfigReservationAffinityArgs(consume_reservation_type="NO_RESERVATION")
    if rung.capacity != "reserved":
        return None  # on demand, what the project has reserved for everybody is used first, as on EKS
    values = reservation_values(rung, gke)
    if not values:
        # Not ANY_RESERVATION, which would buy on demand when there is none and never let the next rung have its turn.
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
            max_shared_clients_per_gpu=int(sharing["clients"]),
        )
        if sharing
        else None,
    )
