"""The alternatives on Google GKE to keys that only other clouds have, for errors and for docs/pools.md.

Paths are those of the fields; names of fields are in backticks.
"""

INSTEAD = {
    "network.interface_endpoints": "not needed: traffic to Google's APIs stays in Google's network",
    "network.flow_log_days": "`flow_log_percent`",
    "network.existing.vpc_id": "`network`",
    "network.existing.private_subnet_ids": "`subnetwork`",
    "network.existing.public_subnet_ids": "not needed: load balancers use the same subnetwork",
    "cluster.access": "IAM roles in the project; `groups_domain` for Google groups in RBAC",
    "cluster.iam": "IAM roles and policies of the project",
    "cluster.log_days": "set the retention of the log bucket _Default",
    "cluster.addon_versions": "no alternative: GKE chooses the versions of its add-ons",
    "cluster.support": "`release_channel: EXTENDED`",
    "cluster.service_cidr": "`network.services_cidr`",
    "cluster.node_policy_arns": "grant roles to the service account of the nodes",
    "node_pools.image": "no alternative: nodes run Container-Optimized OS",
    "node_pools.release": "`cluster.release_channel` and `cluster.maintenance`",
    "node_pools.driver_branch": "`driver`",
    "node_pools.reservation.id": "`reservation.name`",
    "node_pools.reservation.group_arn": "omit `reservation`: GKE then uses any reservation that fits",
    "node_pools.reservation.capacity_block": "`capacity: [flex]`, for up to seven days",
    "node_pools.update_percentage": "`upgrade`",
    "node_pools.repair": "no alternative: GKE repairs nodes by its own rules",
    "node_pools.fast_image_pull": "`image_streaming`, `secondary_boot_disk`",
    "node_pools.ami": "no alternative: nodes run Container-Optimized OS",
    "node_pools.node_settings": "`sysctls`, `huge_pages`, `cpu_manager`",
    "node_pools.security_group_ids": "create firewall rules in the network",
    "node_pools.machine": "no alternative: gpuyard must know the machine type",
    "storage.backups": "`gcloud filestore backups create`",
    "storage.lustre": "`filestore`, or a bucket",
    "teams.role.policy_arns": "`roles`",
    "storage.buckets.account": "not needed: the name identifies the bucket",
    "addons.device_plugin": "not needed: GKE runs the device plugin",
    "addons.efa_plugin": "`interconnect` of a pool",
    "addons.cluster_autoscaler": "not needed: GKE runs its own autoscaler",
    "addons.scale_down_after_minutes": "`cluster.autoscaling_profile`",
    "addons.dcgm_exporter": "`cluster.managed_dcgm`",
    "addons.stalled_jobs": (
        "no alternative: pods ask Google's Prometheus only with an identity of Google Cloud, which the program that "
        "restarts jobs does not have"
    ),
    "addons.monitoring": "`cluster.metric_types`; Google's managed Prometheus",
    "addons.grafana": "`addons.dashboards`, in Cloud Monitoring",
}
