"""GKE clusters and node pools. Where the API's names differ from the provider's: google/services/container."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.gcp import gke, groups, machines, pool_rules, versions
from sandbox.gcp.mapping import UNWRAPPED, Converter, Names
from sandbox.gcp.rows.compute import OWN, cidr
from sandbox.gcp.table import AutoName, Row, paths
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props
from sandbox.plugins.values import has_unknown

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,38}[a-z0-9])?")


def name(value: Any) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return ""
    return (
        f"'{value}' must be 1-40 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen"
    )


def location(value: Any) -> str:
    if machines.is_zone(value) or value in machines.ZONES:
        return ""
    near = machines.ZONES.get(machines.region_of(str(value)))
    there = f" There are: {', '.join(near)}." if near else ""
    return f'Location "{value}" does not exist.{there}'


def cluster_location(value: Any) -> str:
    """Control planes and the nodes that come with them are in standard zones (Compute Engine, "AI zones")."""
    said = f'Location "{value}" is an AI zone, which holds no control plane.'
    return location(value) or (said if machines.is_ai(str(value)) else "")


def zone(value: Any) -> str:
    return "" if machines.is_zone(str(value)) else f'Zone "{value}" does not exist.'


def control_plane_range(value: Any) -> str:
    if said := cidr(value):
        return said
    return "" if ipaddress.ip_network(value).prefixlen == 28 else f"'{value}' must be a /28"


# The provider's property is a text, "" for what Google decides.
_SWITCH: Converter = (lambda value: value == "TRUE", lambda value: "TRUE" if value else "FALSE")
_REGISTRY = "containerdConfig.privateRegistryAccessConfig"

NODE_CONFIG = Names(
    {
        f"{_REGISTRY}.certificateAuthorityDomainConfigs": "certificateAuthorityDomainConfig",
        "containerdConfig.registryHosts.hosts.cas": "ca",
        "containerdConfig.registryHosts.hosts.clients": "client",
        "containerdConfig.registryHosts.hosts.headers": "header",
        "containerdConfig.registryHosts.hosts.headers.values": "value",
        "gpudirectStrategy": "gpuDirectConfig.gpuDirectStrategy",
        "guestAccelerators": "accelerators",
        "guestAccelerators.count": "acceleratorCount",
        "guestAccelerators.type": "acceleratorType",
        "linuxNodeConfig.hugepagesConfig": "hugepages",
        "loggingVariant": "loggingConfig.variantConfig.variant",
        "nodeImageConfigs": "nodeImageConfig",
        "windowsNodeConfig.osversion": "osVersion",
        "effectiveTaints": None,
    },
    {
        "kubeletConfig.insecureKubeletReadonlyPortEnabled": _SWITCH,
        "nodeImageConfigs": UNWRAPPED,
        # GKE adds some of its own, which the provider hides (containerNodePoolResourceLabelsDiffSuppress).
        "resourceLabels": (
            lambda labels: labels,
            lambda labels: {key: value for key, value in labels.items() if not key.startswith("goog-gke")},
        ),
        "resourceManagerTags": (lambda tags: {"tags": tags}, lambda value: value.get("tags", {})),
    },
)

_POOL = NODE_CONFIG.nested("nodeConfig") | Names(
    {
        "nodeConfig": "config",
        "nodeLocations": "locations",
        "nodeCount": None,
        "namePrefix": None,
        "ignoreNodeCountChanges": None,
        "maxPodsPerNode": "maxPodsConstraint.maxPodsPerNode",
        "nodeDrainConfigs": "nodeDrainConfig",
        "maintenancePolicies": "maintenancePolicy",
        "maintenancePolicies.exclusionUntilEndOfSupports": "exclusionUntilEndOfSupport",
        "networkConfig.podCidrOverprovisionConfig.disabled": "disable",
    },
    {
        "nodeDrainConfigs": UNWRAPPED,
        "maintenancePolicies": UNWRAPPED,
        "maintenancePolicies.exclusionUntilEndOfSupports": UNWRAPPED,
        # The block means that it is on.
        "autoscaling": (lambda value: {**value, "enabled": True}, lambda value: _autoscaling(value)),
    },
)

_NODE_REPLACES = paths(
    """
    guestAccelerators guestAccelerators.* localSsdCount ephemeralStorageLocalSsdConfig
    ephemeralStorageLocalSsdConfig.* localNvmeSsdBlockConfig localNvmeSsdBlockConfig.* secondaryBootDisks
    secondaryBootDisks.* metadata metadata.* minCpuPlatform oauthScopes oauthScopes.* preemptible
    reservationAffinity reservationAffinity.* spot serviceAccount shieldedInstanceConfig shieldedInstanceConfig.*
    sandboxConfig bootDiskKmsKey nodeGroup advancedMachineFeatures advancedMachineFeatures.threadsPerCore
    advancedMachineFeatures.enableNestedVirtualization soleTenantConfig hostMaintenancePolicy
    hostMaintenancePolicy.* confidentialNodes.confidentialInstanceType enableConfidentialStorage
    localSsdEncryptionMode maxRunDuration flexStart
    """
)

_POOL_REPLACES = paths(
    """
    project cluster location name namePrefix initialNodeCount maxPodsPerNode placementPolicy
    placementPolicy.policyName queuedProvisioning queuedProvisioning.enabled
    networkConfig.acceleratorNetworkProfile networkConfig.createPodRange networkConfig.podRange
    networkConfig.podIpv4CidrBlock networkConfig.additionalNodeNetworkConfigs
    networkConfig.additionalNodeNetworkConfigs.* networkConfig.additionalPodNetworkConfigs
    networkConfig.additionalPodNetworkConfigs.* networkConfig.podCidrOverprovisionConfig networkConfig.subnetwork
    """
)

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
    _POOL.nested("nodePools")
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
            "nodePoolDefaults.nodeConfigDefaults.insecureKubeletReadonlyPortEnabled": _SWITCH,
            "nodePoolAutoConfig.resourceManagerTags": (
                lambda tags: {"tags": tags},
                lambda value: value.get("tags", {}),
            ),
        },
    )
    | Names(OWN)
)


def _autoscaling(value: Props) -> Props | None:
    rest = {key: item for key, item in value.items() if key != "enabled"}
    return rest if value.get("enabled") else None


def check_pool(inputs: Props) -> Iterator[CheckFailure]:
    """The rules between a node pool's fields; those with UNKNOWN are judged at the update."""
    config = inputs.get("nodeConfig") or {}
    config = {} if config is UNKNOWN else config
    yield from _check_counts(inputs)
    yield from _check_modes(inputs, config)
    yield from pool_rules.check(inputs, config)
    zones = inputs.get("nodeLocations")
    if not zones and machines.is_zone(str(inputs.get("location"))):
        zones = [inputs["location"]]
    yield from check_config(config, zones if isinstance(zones, list) else [], "nodeConfig")


def check_config(config: Props, zones: list[Any], path: str) -> Iterator[CheckFailure]:
    """Machine type and accelerators."""
    if has_unknown(config.get("guestAccelerators")) or config.get("machineType") is UNKNOWN:
        return
    known = [zone for zone in zones if isinstance(zone, str) and machines.is_zone(zone)]
    body = NODE_CONFIG.to_api({k: config[k] for k in ("machineType", "guestAccelerators") if k in config})
    for accelerator in body.get("accelerators", []):
        accelerator["acceleratorCount"] = str(accelerator.get("acceleratorCount", 0))
    if fault := gke.machine_fault(body, known):
        yield CheckFailure(f"{path}.{'guestAccelerators' if fault[0] == 'accelerators' else fault[0]}", fault[1])


def _check_counts(inputs: Props) -> Iterator[CheckFailure]:
    if inputs.get("initialNodeCount") and inputs.get("nodeCount"):
        yield CheckFailure("nodeCount", "Cannot set both initial_node_count and node_count on node pool")
    scaling = inputs.get("autoscaling")
    if not scaling or has_unknown(scaling):
        return
    per_zone = [key for key in ("minNodeCount", "maxNodeCount") if scaling.get(key) is not None]
    total = [key for key in ("totalMinNodeCount", "totalMaxNodeCount") if scaling.get(key) is not None]
    if per_zone and total:
        yield CheckFailure(
            f"autoscaling.{total[0]}", f"conflicts with {per_zone[0]}: counts are per zone or in total, not both"
        )
        return
    low, high = ("totalMinNodeCount", "totalMaxNodeCount") if total else ("minNodeCount", "maxNodeCount")
    if not scaling.get(high):
        yield CheckFailure(f"autoscaling.{high}", "must be greater than zero when autoscaling is on")
    elif scaling.get(low, 0) > scaling[high]:
        yield CheckFailure(f"autoscaling.{low}", f"{scaling[low]} is greater than {high} {scaling[high]}")
    if scaling.get(low, 0) < 0:
        yield CheckFailure(f"autoscaling.{low}", "must not be negative")


def _check_modes(inputs: Props, config: Props) -> Iterator[CheckFailure]:
    """Which ways of getting capacity exclude each other (GKE docs; facts gathered by cluster-toolkit)."""
    spot, flex = config.get("spot") is True, config.get("flexStart") is True
    queued = (inputs.get("queuedProvisioning") or {}).get("enabled") is True
    reserved = (config.get("reservationAffinity") or {}).get("consumeReservationType", "NO_RESERVATION")
    reserved = reserved not in ("NO_RESERVATION", UNKNOWN)
    placement = inputs.get("placementPolicy") or {}
    compact = placement is not UNKNOWN and placement.get("type") == "COMPACT"
    scaling = inputs.get("autoscaling") or {}
    management = inputs.get("management") or {}
    zones = inputs.get("nodeLocations")
    if spot and config.get("preemptible") is True:
        yield CheckFailure("nodeConfig.preemptible", "spot and preemptible cannot be set together")
    if spot and reserved:
        yield CheckFailure("nodeConfig.reservationAffinity", "Spot VMs cannot consume a reservation")
    if spot and flex:
        yield CheckFailure("nodeConfig.flexStart", "flex-start cannot be used together with spot")
    if flex and reserved:
        yield CheckFailure("nodeConfig.reservationAffinity", "flex-start cannot consume a reservation")
    if flex and management is not UNKNOWN and management.get("autoRepair", True):
        yield CheckFailure("management.autoRepair", "must be false for a flex-start node pool")
    if flex and (inputs.get("nodeCount") or inputs.get("initialNodeCount")):
        yield CheckFailure("nodeCount", "a flex-start node pool has no static size: use autoscaling")
    if queued and scaling is not UNKNOWN and (scaling.get("minNodeCount") or scaling.get("totalMinNodeCount")):
        yield CheckFailure("autoscaling", "queued provisioning needs a minimum of 0 nodes")
    if queued and (reserved or compact or spot):
        yield CheckFailure("queuedProvisioning", "cannot be combined with spot, reservations or compact placement")
    if compact and isinstance(zones, list) and len(zones) > 1:
        yield CheckFailure("placementPolicy", "compact placement needs all nodes in one zone")
    if compact and (inputs.get("upgradeSettings") or {}).get("strategy") == "BLUE_GREEN":
        yield CheckFailure("upgradeSettings.strategy", "compact placement cannot be upgraded BLUE_GREEN")


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
# From the day on which a version comes into the channel Rapid, at most: 14 months of support count from Regular on, 24
# in Extended (GKE, "Versioning and support").
_SUPPORT_DAYS, _EXTENDED_DAYS = 18 * 30, 28 * 30


def _check_maintenance(policy: Props, channel: str) -> Iterator[CheckFailure]:
    """Exclusions: how they end, and how much may rest from everything (GKE, "Maintenance windows and exclusions")."""
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


def _pool_place(inputs: Props) -> Props:
    """A cluster may be given as its id, which says project and location as well."""
    cluster = inputs.get("cluster")
    match = (
        re.fullmatch(r"projects/([^/]+)/locations/([^/]+)/clusters/([^/]+)", cluster)
        if isinstance(cluster, str)
        else None
    )
    return {"project": match[1], "location": match[2], "cluster": match[3]} if match else {}


ROWS = [
    Row(
        token="gcp:container/cluster:Cluster",
        kind="Cluster",
        api="container.v1beta1",
        schema="Cluster",
        collection=gke.CLUSTERS,
        name="projects/{project}/locations/{location}/clusters/{name}",
        names=Names({**_CLUSTER.renames, "location": None}, _CLUSTER.converters),
        replaces=_CLUSTER_REPLACES | {f"nodeConfig.{path}" for path in _NODE_REPLACES},
        defaults={"deletionProtection": True, "enableShieldedNodes": True},
        places=("project", "location"),
        autoname=AutoName(most=255),
        references={"network": "compute.networks", "subnetwork": "compute.subnetworks"},
        labels="resourceLabels",
        # By an update of its own (resource_container_cluster.go, "updating AdditionalPodRangesConfig").
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
    Row(
        token="gcp:container/nodePool:NodePool",
        kind="NodePool",
        api="container.v1beta1",
        schema="NodePool",
        collection=groups.POOLS,
        name=gke.POOL_NAME,
        names=_POOL | Names({**OWN, "cluster": None, "location": None}),
        replaces=_POOL_REPLACES | {f"nodeConfig.{path}" for path in _NODE_REPLACES},
        places=("project", "location"),
        autoname=AutoName(most=255),
        checks={"name": name, "location": location, "nodeLocations": zone},
        validate=check_pool,
        complete=lambda inputs: {"initialNodeCount": inputs["nodeCount"]} if inputs.get("nodeCount") else {},
        variables=_pool_place,
        behaviour=gke.NodePool(),
    ),
]
