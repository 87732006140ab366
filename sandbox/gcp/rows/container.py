"""GKE clusters. Where the API's names differ from the provider's: google/services/container."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.gcp import gke, machines, planes, versions
from sandbox.gcp.mapping import UNWRAPPED, Converter, Names
from sandbox.gcp.rows.compute import OWN, cidr
from sandbox.gcp.rows.node_pool import (
    NODE_CONFIG,
    NODE_REPLACES,
    POOL,
    SWITCH,
    check_config,
    check_pool,
    location,
    name,
    zone,
)
from sandbox.gcp.table import AutoName, Row, paths
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props
from sandbox.plugins.values import has_unknown


def cluster_location(value: Any) -> str:
    """Control planes and their initial nodes are in standard zones (Compute Engine, "AI zones")."""
    message = f'Location "{value}" is an AI zone, which holds no control plane.'
    return location(value) or (message if machines.is_ai(str(value)) else "")


def control_plane_range(value: Any) -> str:
    if message := cidr(value):
        return message
    return "" if ipaddress.ip_network(value).prefixlen == 28 else f"'{value}' must be a /28"


_CLUSTER_REPLACES = paths(
    """
    project name location description clusterIpv4Cidr enableKubernetesAlpha enableTpu enableAutopilot
    initialNodeCount confidentialNodes confidentialNodes.* network subnetwork ipAllocationPolicy
    ipAllocationPolicy.clusterIpv4CidrBlock ipAllocationPolicy.servicesIpv4CidrBlock
    ipAllocationPolicy.clusterSecondaryRangeName ipAllocationPolicy.servicesSecondaryRangeName
    ipAllocationPolicy.podCidrOverprovisionConfig networkingMode privateClusterConfig.masterIpv4CidrBlock
    privateClusterConfig.privateEndpointSubnetwork defaultMaxPodsPerNode datapathProvider
    dataplaneOptimizationMode masterAuth.clientCertificateConfig
    masterAuth.clientCertificateConfig.issueClientCertificate nodePools
    clusterAutoscaling.autoProvisioningDefaults.bootDiskKmsKey userManagedKeysConfig.clusterCa
    userManagedKeysConfig.etcdApiCa userManagedKeysConfig.etcdPeerCa userManagedKeysConfig.aggregationCa
    """
)

_EXCLUSIONS: Converter = (
    lambda items: {item["exclusionName"]: {k: v for k, v in item.items() if k != "exclusionName"} for item in items},
    lambda value: [{"exclusionName": key, **item} for key, item in value.items()],
)

_CLUSTER = (
    POOL.nested("nodePools")
    | NODE_CONFIG.nested("nodeConfig")
    | NODE_CONFIG.nested("nodePoolDefaults.nodeConfigDefaults")
    | Names(
        {
            "deletionProtection": None,
            "removeDefaultNodePool": None,
            "skipNodePoolRefresh": None,
            "ignoreNodeCountChanges": None,
            "desiredEmulatedVersion": None,
            "nodeVersion": None,
            "networkingMode": None,
            "fleet.membershipId": None,
            "fleet.membershipLocation": None,
            "addonsConfig.cloudrunConfig": "cloudRunConfig",
            "addonsConfig.rayOperatorConfigs": "rayOperatorConfig",
            "allowNetAdmin": "autopilot.workloadPolicyConfig.allowNetAdmin",
            "autopilotClusterPolicyConfig": "autopilot.clusterPolicyConfig",
            "autopilotPrivilegedAdmissions": "autopilot.privilegedAdmissionConfig.allowlistPaths",
            "enableAutopilot": "autopilot.enabled",
            "clusterAutoscaling": "autoscaling",
            "clusterAutoscaling.enabled": "enableNodeAutoprovisioning",
            "clusterAutoscaling.autoProvisioningDefaults": "autoprovisioningNodePoolDefaults",
            "clusterAutoscaling.autoProvisioningDefaults.diskSize": "diskSizeGb",
            "clusterAutoscaling.autoProvisioningLocations": "autoprovisioningLocations",
            "clusterAutoscaling.defaultComputeClassEnabled": "defaultComputeClassConfig.enabled",
            "datapathProvider": "networkConfig.datapathProvider",
            "dataplaneOptimizationMode": "networkConfig.dataplaneOptimizationMode",
            "defaultSnatStatus": "networkConfig.defaultSnatStatus",
            "disableL4LbFirewallReconciliation": "networkConfig.disableL4LbFirewallReconciliation",
            "dnsConfig": "networkConfig.dnsConfig",
            "enableCiliumClusterwideNetworkPolicy": "networkConfig.enableCiliumClusterwideNetworkPolicy",
            "enableFqdnNetworkPolicy": "networkConfig.enableFqdnNetworkPolicy",
            "enableIntranodeVisibility": "networkConfig.enableIntraNodeVisibility",
            "enableL4IlbSubsetting": "networkConfig.enableL4ilbSubsetting",
            "enableMultiNetworking": "networkConfig.enableMultiNetworking",
            "gatewayApiConfig": "networkConfig.gatewayApiConfig",
            "inTransitEncryptionConfig": "networkConfig.inTransitEncryptionConfig",
            "networkPerformanceConfig": "networkConfig.networkPerformanceConfig",
            "privateIpv6GoogleAccess": "networkConfig.privateIpv6GoogleAccess",
            "serviceExternalIpsConfig": "networkConfig.serviceExternalIpsConfig",
            "defaultMaxPodsPerNode": "defaultMaxPodsConstraint.maxPodsPerNode",
            "enableLegacyAbac": "legacyAbac.enabled",
            "enableShieldedNodes": "shieldedNodes.enabled",
            "ipAllocationPolicy.podCidrOverprovisionConfig.disabled": "disable",
            "loggingConfig.enableComponents": "componentConfig.enableComponents",
            "monitoringConfig.enableComponents": "componentConfig.enableComponents",
            "monitoringConfig.managedPrometheus": "managedPrometheusConfig",
            "maintenancePolicy.dailyMaintenanceWindow": "window.dailyMaintenanceWindow",
            "maintenancePolicy.recurringWindow": "window.recurringWindow",
            "maintenancePolicy.recurringWindow.startTime": "window.startTime",
            "maintenancePolicy.recurringWindow.endTime": "window.endTime",
            "maintenancePolicy.recurringMaintenanceWindow": "window.recurringMaintenanceWindow",
            "maintenancePolicy.maintenanceExclusions": "window.maintenanceExclusions",
            "maintenancePolicy.maintenanceExclusions.exclusionOptions": "maintenanceExclusionOptions",
            "minMasterVersion": "initialClusterVersion",
            "nodeLocations": "locations",
            "nodePoolDefaults.nodeConfigDefaults.insecureKubeletReadonlyPortEnabled": (
                "nodeKubeletConfig.insecureKubeletReadonlyPortEnabled"
            ),
            "notificationConfig.pubsub.filter.eventTypes": "eventType",
            "resourceUsageExportConfig.enableResourceConsumptionMetering": "consumptionMeteringConfig.enabled",
        },
        {
            "addonsConfig.rayOperatorConfigs": UNWRAPPED,
            "clusterAutoscaling.autoProvisioningDefaults.management.upgradeOptions": UNWRAPPED,
            "maintenancePolicy.maintenanceExclusions": _EXCLUSIONS,
            "masterAuthorizedNetworksConfig": (
                lambda value: {**value, "enabled": True},
                lambda value: {k: v for k, v in value.items() if k != "enabled"},
            ),
            "nodePoolDefaults.nodeConfigDefaults.insecureKubeletReadonlyPortEnabled": SWITCH,
            "nodePoolAutoConfig.resourceManagerTags": (
                lambda tags: {"tags": tags},
                lambda value: value.get("tags", {}),
            ),
        },
    )
    | Names(OWN)
)


def check_cluster(inputs: Props) -> Iterator[CheckFailure]:
    if inputs.get("enableAutopilot"):
        yield CheckFailure("enableAutopilot", "Autopilot is not simulated: use a standard cluster in the sandbox")
    elif not inputs.get("initialNodeCount") and not inputs.get("nodePools"):
        yield CheckFailure("initialNodeCount", "Cluster.initial_node_count must be greater than zero")
    if inputs.get("clusterIpv4Cidr") and inputs.get("ipAllocationPolicy"):
        yield CheckFailure("clusterIpv4Cidr", "conflicts with ipAllocationPolicy")
    policy = inputs.get("ipAllocationPolicy") or {}
    if policy is not UNKNOWN:
        for what in ("cluster", "services"):
            block, named = f"{what}Ipv4CidrBlock", f"{what}SecondaryRangeName"
            if policy.get(block) and policy.get(named):
                yield CheckFailure(f"ipAllocationPolicy.{block}", f"conflicts with {named}")
    pool = (inputs.get("workloadIdentityConfig") or {}).get("workloadPool")
    project = inputs.get("project")
    if isinstance(pool, str) and isinstance(project, str) and pool != f"{project}.svc.id.goog":
        yield CheckFailure("workloadIdentityConfig.workloadPool", f"must be '{project}.svc.id.goog'")
    channel = (inputs.get("releaseChannel") or {}).get("channel")
    wanted = inputs.get("minMasterVersion")
    if isinstance(wanted, str) and channel is not UNKNOWN:
        try:
            versions.resolve(wanted, channel or versions.DEFAULT_CHANNEL)
        except versions.ApiError as error:
            yield CheckFailure("minMasterVersion", error.message)
    channel = (inputs.get("releaseChannel") or {}).get("channel", versions.DEFAULT_CHANNEL)
    yield from _check_maintenance(inputs.get("maintenancePolicy") or {}, channel)
    config = inputs.get("nodeConfig")
    if config and config is not UNKNOWN:
        yield from check_config(config, [], "nodeConfig")
    for index, pool in enumerate(inputs.get("nodePools") or []):
        for failure in check_pool({"location": inputs.get("location"), **pool}):
            yield CheckFailure(f"nodePools[{index}].{failure.property}", failure.reason)


_REST_DAYS = 90
_RESTS = 3
# At most, counted from the day a version enters the Rapid channel: 14 months of support from Regular on, 24 in
# Extended (GKE, "Versioning and support").
_SUPPORT_DAYS, _EXTENDED_DAYS = 18 * 30, 28 * 30


def _check_maintenance(policy: Props, channel: str) -> Iterator[CheckFailure]:
    """Exclusions: their end, and the maximum time without any upgrade (GKE, "Maintenance windows and exclusions")."""
    days = _EXTENDED_DAYS if channel == "EXTENDED" else _SUPPORT_DAYS
    latest = datetime.now(timezone.utc) + timedelta(days=days)
    if has_unknown(policy):
        return
    whole = 0
    for index, exclusion in enumerate(policy.get("maintenanceExclusions") or []):
        path = f"maintenancePolicy.maintenanceExclusions[{index}]"
        options = exclusion.get("exclusionOptions") or {}
        if ("endTime" in exclusion) == ("endTimeBehavior" in options):
            yield CheckFailure(path, "exactly one of endTime and exclusionOptions.endTimeBehavior must be set")
            continue
        if options.get("scope", "NO_UPGRADES") != "NO_UPGRADES":
            if "endTime" in exclusion and _moment(exclusion["endTime"]) > latest:
                # terraform-provider-google#20556
                yield CheckFailure(path, "must end before the end of support of the cluster's minor version")
            continue
        whole += 1
        if "endTime" not in exclusion:
            yield CheckFailure(path, "an exclusion of scope NO_UPGRADES cannot last until the end of support")
        elif _days(exclusion) > _REST_DAYS:
            yield CheckFailure(path, f"an exclusion of scope NO_UPGRADES lasts {_REST_DAYS} days at most")
    if whole > _RESTS:
        yield CheckFailure(
            "maintenancePolicy.maintenanceExclusions", f"at most {_RESTS} exclusions of scope NO_UPGRADES are allowed"
        )


def _days(exclusion: Props) -> float:
    return (_moment(exclusion["endTime"]) - _moment(exclusion["startTime"])).total_seconds() / 86400


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


ROWS = [
    Row(
        token="gcp:container/cluster:Cluster",
        kind="Cluster",
        api="container.v1beta1",
        schema="Cluster",
        collection=planes.CLUSTERS,
        name="projects/{project}/locations/{location}/clusters/{name}",
        names=Names({**_CLUSTER.renames, "location": None}, _CLUSTER.converters),
        replaces=_CLUSTER_REPLACES | {f"nodeConfig.{path}" for path in NODE_REPLACES},
        defaults={"deletionProtection": True, "enableShieldedNodes": True},
        places=("project", "location"),
        autoname=AutoName(most=255),
        references={"network": "compute.networks", "subnetwork": "compute.subnetworks"},
        labels="resourceLabels",
        # Sent as a separate update (resource_container_cluster.go, "updating AdditionalPodRangesConfig").
        apart=frozenset({"ipAllocationPolicy.additionalPodRangesConfig"}),
        checks={
            "name": name,
            "location": cluster_location,
            "nodeLocations": zone,
            "clusterIpv4Cidr": cidr,
            "privateClusterConfig.masterIpv4CidrBlock": control_plane_range,
            "masterAuthorizedNetworksConfig.cidrBlocks.cidrBlock": cidr,
        },
        validate=check_cluster,
        complete=lambda inputs: (
            {"ipAllocationPolicy": {"useIpAliases": True}}
            if inputs.get("ipAllocationPolicy") or inputs.get("networkingMode") == "VPC_NATIVE"
            else {}
        ),
        behaviour=gke.Cluster(),
    ),
]
