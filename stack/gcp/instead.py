"""The alternatives on Google GKE to keys that only other clouds have, for errors and for docs/pools.md.

Paths are those of the fields; names of fields are in backticks.
"""

INSTEAD = {
    "network.interface_endpoints": "Google's APIs are reached without leaving the network anyway",
    "network.flow_log_days": "`flow_log_percent`",
    "network.existing.vpc_id": "`network`",
    "network.existing.private_subnet_ids": "`subnetwork`",
    "network.existing.public_subnet_ids": "a subnetwork serves load balancers as well",
    "cluster.access": "IAM of the project; `groups_domain` for groups in Kubernetes' own rules",
    "cluster.iam": "IAM of the project",
    "cluster.log_days": "the retention of the log bucket _Default",
    "cluster.addon_versions": "GKE chooses the versions of its add-ons",
    "cluster.support": "`release_channel: EXTENDED`",
    "cluster.service_cidr": "`network.services_cidr`",
    "cluster.node_policy_arns": "grant roles to the service account of the nodes",
    "node_pools.image": "always Container-Optimized OS",
    "node_pools.release": "`cluster.release_channel` and `cluster.maintenance`",
    "node_pools.driver_branch": "`driver`",
    "node_pools.reservation.id": "`reservation.name`",
    "node_pools.reservation.group_arn": "omit `reservation`, and GKE uses any reservation that fits",
    "node_pools.reservation.capacity_block": "flex in `capacity`, for up to seven days",
    "node_pools.update_percentage": "`upgrade`",
    "node_pools.ami": "always Container-Optimized OS",
    "node_pools.node_settings": "`sysctls`, `huge_pages`, `cpu_manager`",
    "node_pools.security_group_ids": "firewall rules of the network",
    "node_pools.machine": "its machine types are those of the table",
    "storage.backups": "`gcloud filestore backups create`",
    "storage.lustre": "`filestore`, or a bucket",
    "storage.buckets.account": "the name of a bucket is enough",
    "addons.device_plugin": "GKE runs its own",
    "addons.efa_plugin": "`interconnect` of a pool",
    "addons.cluster_autoscaler": "GKE runs its own",
    "addons.scale_down_after_minutes": "`cluster.autoscaling_profile`",
    "addons.dcgm_exporter": "`cluster.managed_dcgm`",
    "addons.monitoring": "`cluster.metric_types`; Google's managed Prometheus",
}
