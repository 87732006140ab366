"""GKE's node pools, and the node config, which clusters have as well. Source for the differences between the API's
names and the provider's: google/services/container."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.gcp import groups, machines, node_pools, pool_rules
from sandbox.gcp.mapping import UNWRAPPED, Converter, Names
from sandbox.gcp.rows.compute import OWN
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


def zone(value: Any) -> str:
    return "" if machines.is_zone(str(value)) else f'Zone "{value}" does not exist.'


# The provider's property is a string; "" means that Google decides.
SWITCH: Converter = (lambda value: value == "TRUE", lambda value: "TRUE" if value else "FALSE")
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
        "kubeletConfig.insecureKubeletReadonlyPortEnabled": SWITCH,
        "nodeImageConfigs": UNWRAPPED,
        # GKE adds labels, which the provider hides (containerNodePoolResourceLabelsDiffSuppress).
        "resourceLabels": (
            lambda labels: labels,
            lambda labels: {key: value for key, value in labels.items() if not key.startswith("goog-gke")},
        ),
        "resourceManagerTags": (lambda tags: {"tags": tags}, lambda value: value.get("tags", {})),
    },
)

POOL = NODE_CONFIG.nested("nodeConfig") | Names(
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
        # The presence of the block enables it.
        "autoscaling": (lambda value: {**value, "enabled": True}, lambda value: _autoscaling(value)),
    },
)

NODE_REPLACES = paths(
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


def _autoscaling(value: Props) -> Props | None:
    rest = {key: item for key, item in value.items() if key != "enabled"}
    return rest if value.get("enabled") else None


def check_pool(inputs: Props) -> Iterator[CheckFailure]:
    """The rules between a node pool's fields; rules with UNKNOWN are checked at the update."""
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
    if fault := node_pools.machine_fault(body, known):
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
    """Capacity options that exclude each other (GKE docs; facts gathered by cluster-toolkit)."""
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


def _pool_place(inputs: Props) -> Props:
    """A cluster may be given as its id, which contains project and location."""
    cluster = inputs.get("cluster")
    match = (
        re.fullmatch(r"projects/([^/]+)/locations/([^/]+)/clusters/([^/]+)", cluster)
        if isinstance(cluster, str)
        else None
    )
    return {"project": match[1], "location": match[2], "cluster": match[3]} if match else {}


ROWS = [
    Row(
        token="gcp:container/nodePool:NodePool",
        kind="NodePool",
        api="container.v1beta1",
        schema="NodePool",
        collection=groups.POOLS,
        name=node_pools.POOL_NAME,
        names=POOL | Names({**OWN, "cluster": None, "location": None}),
        replaces=_POOL_REPLACES | {f"nodeConfig.{path}" for path in NODE_REPLACES},
        places=("project", "location"),
        autoname=AutoName(most=255),
        checks={"name": name, "location": location, "nodeLocations": zone},
        validate=check_pool,
        complete=lambda inputs: {"initialNodeCount": inputs["nodeCount"]} if inputs.get("nodeCount") else {},
        variables=_pool_place,
        behaviour=node_pools.NodePool(),
    ),
]
