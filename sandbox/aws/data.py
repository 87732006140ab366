"""The data sources (invokes) of pulumi-aws that this project uses, answered from the sandbox's server."""

from __future__ import annotations

import re
from collections.abc import Callable

from sandbox.aws import network_data, role_sources
from sandbox.aws.api import Api, AwsError, Props, from_api
from sandbox.aws.policy_document import policy_document
from sandbox.plugins.provider import ProviderError


def invoke(api: Api, token: str, args: Props) -> Props:
    """The data source's answer. Raises ProviderError for one that the sandbox does not simulate."""
    name = token.rsplit(":", 1)[-1]
    source = _SOURCES.get(":".join((token.split(":")[1].split("/")[0], name)))
    if source is None:
        raise ProviderError(f"the sandbox's AWS does not simulate the function {token}")
    given = {key: value for key, value in args.items() if value is not None}
    return {**given, **source(api, given)}


def _region(api: Api, args: Props) -> Props:
    name = args.get("region") or args.get("name") or api.region
    names = {
        "us-east-1": "US East (N. Virginia)",
        "us-east-2": "US East (Ohio)",
        "us-west-1": "US West (N. California)",
        "us-west-2": "US West (Oregon)",
        "eu-west-1": "Europe (Ireland)",
        "eu-central-1": "Europe (Frankfurt)",
    }
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": names.get(name, name),
        "endpoint": f"ec2.{name}.amazonaws.com",
    }


def _partition(api: Api, args: Props) -> Props:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _zones(api: Api, args: Props) -> Props:
    params: Props = {"AllAvailabilityZones": True} if args.get("allAvailabilityZones") else {}
    if filters := network_data.ec2_filters(args):
        params["Filters"] = filters
    zones = api.call("ec2", "DescribeAvailabilityZones", params)["AvailabilityZones"]
    without, state = {*args.get("excludeNames", []), *args.get("excludeZoneIds", [])}, args.get("state")
    kept = [
        zone
        for zone in zones
        if zone["ZoneName"] not in without and zone["ZoneId"] not in without and state in (None, zone["State"])
    ]
    kept.sort(key=lambda zone: zone["ZoneName"])
    return {
        "id": api.region,
        "region": api.region,
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": sorted({zone.get("GroupName") or api.region for zone in kept}),
    }


def _addon_version(api: Api, args: Props) -> Props:
    params = {"addonName": args["addonName"], "kubernetesVersion": args["kubernetesVersion"]}
    addons = api.call("eks", "DescribeAddonVersions", params)["addons"]
    versions = [each for addon in addons for each in addon["addonVersions"]]
    if not versions:
        raise ProviderError(f"reading EKS Add-On version info ({args['addonName']}): couldn't find resource")
    versions.sort(key=lambda each: [int(part) for part in re.findall(r"\d+", each["addonVersion"])], reverse=True)
    default = [each for each in versions if any(c["defaultVersion"] for c in each["compatibilities"])]
    chosen = versions[0] if args.get("mostRecent") else (default or versions)[0]
    return {"id": args["addonName"], "region": api.region, "version": chosen["addonVersion"]}


def _cluster_versions(api: Api, args: Props) -> Props:
    params: Props = {}
    for name, member in (
        ("clusterType", "clusterType"),
        ("clusterVersionsOnlies", "clusterVersions"),
        ("defaultOnly", "defaultOnly"),
        ("includeAll", "includeAll"),
        ("versionStatus", "versionStatus"),
    ):
        if args.get(name):
            params[member] = args[name]
    found = from_api(api.call("eks", "DescribeClusterVersions", params)["clusterVersions"])
    for each in found:
        each.pop("status", None)
    return {"region": api.region, "clusterVersions": found}


def _clusters(api: Api, args: Props) -> Props:
    return {"id": api.region, "region": api.region, "names": api.call("eks", "ListClusters", {})["clusters"]}


def _cluster(api: Api, args: Props) -> Props:
    found = api.call("eks", "DescribeCluster", {"name": args["name"]})["cluster"]
    shown = from_api(found)
    enabled = [t for setup in found["logging"]["clusterLogging"] if setup["enabled"] for t in setup["types"]]
    return {
        "id": args["name"],
        "region": api.region,
        **{k: shown.get(k) for k in ("arn", "createdAt", "deletionProtection", "endpoint", "name", "platformVersion")},
        **{k: shown.get(k) for k in ("roleArn", "status", "version")},
        "clusterId": "",
        "tags": found.get("tags", {}),
        "accessConfigs": [shown["accessConfig"]],
        "certificateAuthorities": [shown.get("certificateAuthority", {})],
        "computeConfigs": [shown["computeConfig"]] if shown.get("computeConfig") else [],
        "controlPlaneScalingConfigs": [shown["controlPlaneScalingConfig"]],
        "enabledClusterLogTypes": enabled,
        "identities": [{"oidcs": [shown["identity"]["oidc"]]}] if shown.get("identity") else [],
        "kubernetesNetworkConfigs": [shown["kubernetesNetworkConfig"]],
        "outpostConfigs": [],
        "remoteNetworkConfigs": [],
        "storageConfigs": [shown["storageConfig"]] if shown.get("storageConfig") else [],
        "upgradePolicies": [shown["upgradePolicy"]],
        "vpcConfig": shown["resourcesVpcConfig"],
        "zonalShiftConfigs": [shown["zonalShiftConfig"]] if shown.get("zonalShiftConfig") else [],
    }


def _addon(api: Api, args: Props) -> Props:
    params = {"clusterName": args["clusterName"], "addonName": args["addonName"]}
    found = api.call("eks", "DescribeAddon", params)["addon"]
    shown = from_api({key: value for key, value in found.items() if key != "tags"})
    return {
        "id": f"{args['clusterName']}:{args['addonName']}",
        "region": api.region,
        "arn": found["addonArn"],
        "tags": found.get("tags", {}),
        # One association is an account and a role here; the API has their ARNs.
        "podIdentityAssociations": [],
        **{k: shown.get(k) or "" for k in ("addonVersion", "configurationValues", "createdAt", "modifiedAt")},
        "serviceAccountRoleArn": shown.get("serviceAccountRoleArn") or "",
    }


def _node_group(api: Api, args: Props) -> Props:
    params = {"clusterName": args["clusterName"], "nodegroupName": args["nodeGroupName"]}
    found = api.call("eks", "DescribeNodegroup", params)["nodegroup"]
    shown = from_api({key: value for key, value in found.items() if key not in ("labels", "tags")})
    return {
        "id": f"{args['clusterName']}:{args['nodeGroupName']}",
        "region": api.region,
        "arn": found["nodegroupArn"],
        "nodeRoleArn": found["nodeRole"],
        "labels": found.get("labels", {}),
        "tags": found.get("tags", {}),
        "subnetIds": found["subnets"],
        **{k: shown.get(k) for k in ("amiType", "capacityType", "releaseVersion", "status", "version", "taints")},
        "diskSize": shown.get("diskSize", 0),
        "instanceTypes": shown.get("instanceTypes", []),
        "launchTemplates": [shown["launchTemplate"]] if shown.get("launchTemplate") else [],
        "remoteAccesses": [],
        "resources": [shown["resources"]],
        "scalingConfigs": [shown["scalingConfig"]],
        "updateConfigs": [shown["updateConfig"]],
    }


def _instance_type(api: Api, args: Props) -> Props:
    """Facts of a machine type. A withdrawn type (machine_types.py) has facts as well, but no offerings."""
    name = args["instanceType"]
    found = api.call("ec2", "DescribeInstanceTypes", {"InstanceTypes": [name]})["InstanceTypes"][0]
    network, processor, cpus = found["NetworkInfo"], found["ProcessorInfo"], found["VCpuInfo"]
    gpus = found.get("GpuInfo", {})
    storage, ebs = found.get("InstanceStorageInfo", {}), found.get("EbsInfo", {})
    optimized = ebs.get("EbsOptimizedInfo", {})
    return {
        "id": name,
        "region": api.region,
        "autoRecoverySupported": found.get("AutoRecoverySupported"),
        "bareMetal": found.get("BareMetal"),
        "bootModes": found.get("SupportedBootModes", []),
        "burstablePerformanceSupported": found.get("BurstablePerformanceSupported"),
        "currentGeneration": found.get("CurrentGeneration"),
        "dedicatedHostsSupported": found.get("DedicatedHostsSupported"),
        "defaultCores": cpus.get("DefaultCores"),
        "defaultNetworkCardIndex": network.get("DefaultNetworkCardIndex", 0),
        "defaultThreadsPerCore": cpus.get("DefaultThreadsPerCore"),
        "defaultVcpus": cpus.get("DefaultVCpus"),
        "ebsEncryptionSupport": ebs.get("EncryptionSupport"),
        "ebsNvmeSupport": ebs.get("NvmeSupport"),
        "ebsOptimizedSupport": ebs.get("EbsOptimizedSupport"),
        "ebsPerformanceBaselineBandwidth": optimized.get("BaselineBandwidthInMbps"),
        "ebsPerformanceBaselineIops": optimized.get("BaselineIops"),
        "ebsPerformanceBaselineThroughput": optimized.get("BaselineThroughputInMBps"),
        "ebsPerformanceMaximumBandwidth": optimized.get("MaximumBandwidthInMbps"),
        "ebsPerformanceMaximumIops": optimized.get("MaximumIops"),
        "ebsPerformanceMaximumThroughput": optimized.get("MaximumThroughputInMBps"),
        "efaMaximumInterfaces": network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
        "efaSupported": network.get("EfaSupported", False),
        "enaSupport": network.get("EnaSupport"),
        "freeTierEligible": found.get("FreeTierEligible"),
        "fpgas": [],
        "gpuses": [
            {
                "count": gpu["Count"],
                "manufacturer": gpu["Manufacturer"],
                "memorySize": gpu.get("MemoryInfo", {}).get("SizeInMiB", 0),
                "name": gpu["Name"],
            }
            for gpu in gpus.get("Gpus", [])
        ],
        "hibernationSupported": found.get("HibernationSupported"),
        "hypervisor": found.get("Hypervisor"),
        "inferenceAccelerators": [],
        "instanceDisks": [
            {"count": disk["Count"], "size": disk["SizeInGB"], "type": disk["Type"]}
            for disk in storage.get("Disks", [])
        ],
        "instanceStorageSupported": found.get("InstanceStorageSupported"),
        "ipv6Supported": network.get("Ipv6Supported"),
        "maximumIpv4AddressesPerInterface": network.get("Ipv4AddressesPerInterface"),
        "maximumIpv6AddressesPerInterface": network.get("Ipv6AddressesPerInterface"),
        "maximumNetworkCards": network.get("MaximumNetworkCards"),
        "maximumNetworkInterfaces": network.get("MaximumNetworkInterfaces"),
        "memorySize": found["MemoryInfo"]["SizeInMiB"],
        "networkPerformance": network.get("NetworkPerformance"),
        "supportedArchitectures": processor.get("SupportedArchitectures", []),
        "supportedPlacementStrategies": found.get("PlacementGroupInfo", {}).get("SupportedStrategies", []),
        "supportedRootDeviceTypes": found.get("SupportedRootDeviceTypes", []),
        "supportedUsagesClasses": found.get("SupportedUsageClasses", []),
        "supportedVirtualizationTypes": found.get("SupportedVirtualizationTypes", []),
        "sustainedClockSpeed": processor.get("SustainedClockSpeedInGhz"),
        "totalGpuMemory": gpus.get("TotalGpuMemoryInMiB", 0),
        "totalInstanceStorage": storage.get("TotalSizeInGB", 0),
        "validCores": cpus.get("ValidCores", []),
        "validThreadsPerCores": cpus.get("ValidThreadsPerCore", []),
    }


def _offerings(api: Api, args: Props) -> Props:
    kind = args.get("locationType", "region")
    params: Props = {"LocationType": kind}
    if args.get("filters"):
        params["Filters"] = network_data.ec2_filters(args)
    found = api.call("ec2", "DescribeInstanceTypeOfferings", params)["InstanceTypeOfferings"]
    found.sort(key=lambda each: (each["InstanceType"], each["Location"]))
    return {
        "id": api.region,
        "region": api.region,
        "instanceTypes": [each["InstanceType"] for each in found],
        "locations": [each["Location"] for each in found],
        "locationTypes": [kind] * len(found),
    }


def _parameter(api: Api, args: Props) -> Props:
    params = {"Name": args["name"], "WithDecryption": args.get("withDecryption", True)}
    try:
        found = api.call("ssm", "GetParameter", params)["Parameter"]
    except AwsError as error:
        if error.gone:
            raise ProviderError(f"reading SSM Parameter ({args['name']}): couldn't find resource") from None
        raise
    return {
        "id": found["Name"],
        "region": api.region,
        "arn": found["ARN"],
        "type": found["Type"],
        "value": found["Value"],
        "insecureValue": found["Value"] if found["Type"] != "SecureString" else None,
        "version": found["Version"],
    }


_SOURCES: dict[str, Callable[[Api, Props], Props]] = {
    "index:getRegion": _region,
    "index:getPartition": _partition,
    "index:getAvailabilityZones": _zones,
    "eks:getAddon": _addon,
    "eks:getAddonVersion": _addon_version,
    "eks:getClusterVersions": _cluster_versions,
    "eks:getCluster": _cluster,
    "eks:getClusters": _clusters,
    "eks:getNodeGroup": _node_group,
    "ec2:getInstanceType": _instance_type,
    "ec2:getInstanceTypeOfferings": _offerings,
    "ec2:getVpc": network_data.vpc,
    "ec2:getRouteTable": network_data.route_table,
    "ec2:getSecurityGroups": network_data.security_groups,
    "ec2:getSubnet": network_data.subnet,
    "ec2:getSubnets": network_data.subnets,
    "iam:getPolicyDocument": policy_document,
    "iam:getRole": role_sources.role,
    "iam:getRolePolicies": role_sources.inline_policies,
    "iam:getRolePolicyAttachments": role_sources.attached_policies,
    "ssm:getParameter": _parameter,
}
