"""Plausible outputs of resources and data sources for the recorder: enough for a program to run, not a simulation.

Shapes are the SDK's. Values contain the logical name, so that a test's message shows a wrong reference.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Any

ACCOUNT = "123456789012"
REGION = "us-east-1"
ZONES = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1f"]

# Prefixes of EC2's ids. Every other resource has its name (or its ARN) as id.
_PREFIXES = {
    "Vpc": "vpc",
    "Subnet": "subnet",
    "InternetGateway": "igw",
    "NatGateway": "nat",
    "RouteTable": "rtb",
    "Eip": "eipalloc",
    "SecurityGroup": "sg",
    "LaunchTemplate": "lt",
    "VpcEndpoint": "vpce",
    "FileSystem": "fs",
    "LustreFileSystem": "fs",
    "MountTarget": "fsmt",
    "SecurityGroupRule": "sgrule",
}


def resource(token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs of a new resource, including `id`, the same in every run. Outputs that equal an input may be omitted."""
    package, type = token.split(":")[0], token.rpartition(":")[2]
    digest = hashlib.sha256(f"{token}{name}".encode()).hexdigest()[:17]
    made: dict[str, Any] = _SPECIAL.get(token, lambda *_: {})(name, inputs)
    physical = made.get("name") or inputs.get("name") or f"{name}-{digest[:7]}"
    if token.startswith("pulumi:providers:") or package in ("kubernetes", "pulumi"):
        made.setdefault("id", f"{name}-id")
        if package == "kubernetes":
            made["metadata"] = {"name": name, **(inputs.get("metadata") or {})}
        return made
    if package == "aws":
        prefix = _PREFIXES.get(type)
        made.setdefault("id", f"{prefix}-{digest}" if prefix else physical)
        service = token.split(":")[1].split("/")[0]
        # IAM's ARNs have no region; the policy tests check them.
        where = f"{service}::{ACCOUNT}" if service == "iam" else f"{service}:{REGION}:{ACCOUNT}"
        made.setdefault("arn", f"arn:aws:{where}:{type[0].lower()}{type[1:]}/{made['id']}")
    made.setdefault("id", physical)
    made.setdefault("name", physical)
    return made


def invoke(token: str, args: dict[str, Any]) -> dict[str, Any]:
    """The answer of a data source.

    Raises:
        KeyError: the table has no answer for it.
    """
    try:
        return _INVOKES[token](args)
    except KeyError:
        raise KeyError(f"recording/outputs.py has no answer for {token}; pass outputs={{{token!r}: ...}}") from None


def _eks_cluster(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    physical = inputs.get("name") or f"{name}-1234567"
    return {
        "id": physical,
        "name": physical,
        "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{physical}",
        "endpoint": f"https://{physical}.eks.example.com",
        "certificateAuthority": {"data": "Q0E="},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{REGION}.amazonaws.com/id/ABCDEF"}]}],
        "version": inputs.get("version", "1.35"),
        "vpcConfig": {
            **inputs.get("vpcConfig", {}),
            "clusterSecurityGroupId": "sg-made-by-eks",
            "vpcId": "vpc-of-cluster",
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"},
        "status": "ACTIVE",
    }


def _node_group(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    # The provider's suffix: time and a counter. Groups of one rung have the same prefix.
    physical = f"{inputs.get('nodeGroupNamePrefix') or name}202601010000000000{zlib.crc32(name.encode()):08x}"
    return {
        "id": f"{inputs.get('clusterName')}:{physical}",
        "nodeGroupName": physical,
        "resources": [{"autoscalingGroups": [{"name": f"eks-{physical}"}], "remoteAccessSecurityGroupId": ""}],
        "status": "ACTIVE",
        "version": "1.35",
    }


def _log_group(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{inputs['name']}"}


def _subnet(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"availabilityZone": inputs.get("availabilityZone", ZONES[0])}


def _gke_cluster(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    physical = inputs.get("name") or f"{name}-1234567"
    return {
        "id": f"projects/p/locations/{inputs.get('location')}/clusters/{physical}",
        "name": physical,
        "endpoint": "203.0.113.10",
        "masterAuth": {"clusterCaCertificate": "Q0E=", "clientCertificate": "", "clientKey": ""},
        "masterVersion": "1.35.1-gke.100",
        "privateClusterConfig": {**(inputs.get("privateClusterConfig") or {}), "privateEndpoint": "10.0.0.2"},
        "controlPlaneEndpointsConfig": {
            "dnsEndpointConfig": {
                **((inputs.get("controlPlaneEndpointsConfig") or {}).get("dnsEndpointConfig") or {}),
                "endpoint": "gke-0123456789ab.us-central1.gke.goog",
            }
        },
        "selfLink": f"https://container.googleapis.com/v1/projects/p/locations/x/clusters/{physical}",
        "project": "gpuyard-project",
        "location": inputs.get("location", "us-central1"),
    }


def _service_account(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    email = f"{inputs.get('accountId')}@gpuyard-project.iam.gserviceaccount.com"
    return {
        "id": f"projects/gpuyard-project/serviceAccounts/{email}",
        "email": email,
        "member": f"serviceAccount:{email}",
        "name": f"projects/gpuyard-project/serviceAccounts/{email}",
    }


def _service_identity(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    email = "service-123456@container-engine-robot.iam.gserviceaccount.com"
    return {"id": f"projects/p/services/{inputs['service']}", "email": email, "member": f"serviceAccount:{email}"}


def _filestore(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"networks": [{**network, "ipAddresses": ["10.255.1.2"]} for network in inputs["networks"]]}


_SPECIAL = {
    "pulumi-python:dynamic/gpuyard:PoolPlan": lambda *_: {"planned_at": "2026-11-28T00:00:00+00:00"},
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:eks/cluster:Cluster": _eks_cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:ec2/subnet:Subnet": _subnet,
    "aws:ec2/launchTemplate:LaunchTemplate": lambda name, inputs: {"latestVersion": 1, "defaultVersion": 1},
    "aws:ec2/vpc:Vpc": lambda name, inputs: {
        "defaultSecurityGroupId": "sg-default",
        "mainRouteTableId": "rtb-main",
        "defaultRouteTableId": "rtb-main",
    },
    "aws:ec2/eip:Eip": lambda name, inputs: {"publicIp": "203.0.113.7", "allocationId": "eipalloc-1"},
    "aws:efs/fileSystem:FileSystem": lambda name, inputs: {"dnsName": "fs.efs.us-east-1.amazonaws.com"},
    "aws:fsx/lustreFileSystem:LustreFileSystem": lambda name, inputs: {
        "dnsName": "fs.fsx.us-east-1.amazonaws.com",
        "mountName": "abcdefgh",
    },
    "aws:ec2/securityGroupRule:SecurityGroupRule": lambda name, inputs: {"securityGroupRuleId": f"sgr-{name}"},
    "gcp:container/cluster:Cluster": _gke_cluster,
    "gcp:filestore/instance:Instance": _filestore,
    "gcp:projects/serviceIdentity:ServiceIdentity": _service_identity,
    "gcp:serviceaccount/account:Account": _service_account,
    "gcp:compute/network:Network": lambda name, inputs: {
        "selfLink": f"https://www.googleapis.com/compute/v1/projects/p/global/networks/{name}"
    },
    "gcp:compute/subnetwork:Subnetwork": lambda name, inputs: {
        "selfLink": f"https://www.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/{name}"
    },
    "kubernetes:helm.sh/v3:Release": lambda name, inputs: {
        "status": {"name": inputs.get("name", name), "namespace": inputs.get("namespace", ""), "status": "deployed"}
    },
}

_INVOKES = {
    "aws:index/getPartition:getPartition": lambda args: {
        "id": "aws",
        "partition": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    },
    "aws:ec2/getSecurityGroups:getSecurityGroups": lambda args: {"id": REGION, "ids": []},
    "aws:index/getRegion:getRegion": lambda args: {
        "id": REGION,
        "name": REGION,
        "region": REGION,
        "description": "US East (N. Virginia)",
        "endpoint": f"ec2.{REGION}.amazonaws.com",
    },
    "aws:index/getCallerIdentity:getCallerIdentity": lambda args: {
        "id": ACCOUNT,
        "accountId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/tester",
        "userId": "AIDA",
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": lambda args: {
        "id": REGION,
        "names": ZONES,
        "zoneIds": [f"use1-az{index}" for index, _ in enumerate(ZONES, 1)],
        "groupNames": [REGION],
    },
    "aws:eks/getAddonVersion:getAddonVersion": lambda args: {
        **args,
        "id": args["addonName"],
        "version": "v1.0.0-eksbuild.1",
    },
    "aws:eks/getAddon:getAddon": lambda args: {
        **args,
        "id": f"{args['clusterName']}:{args['addonName']}",
        "configurationValues": '{"enableNetworkPolicy": "true"}',
    },
    "gcp:container/getCluster:getCluster": lambda args: {
        **args,
        "id": args["name"],
        "datapathProvider": "ADVANCED_DATAPATH",
        "networkPolicies": [{"enabled": False, "provider": "PROVIDER_UNSPECIFIED"}],
    },
    "aws:eks/getClusters:getClusters": lambda args: {"id": REGION, "names": []},
    "aws:ec2/getVpc:getVpc": lambda args: {"id": "vpc-default", "cidrBlock": "172.31.0.0/16"},
    "aws:ec2/getSubnets:getSubnets": lambda args: {"id": REGION, "ids": ["subnet-default-a", "subnet-default-b"]},
    "aws:ssm/getParameter:getParameter": lambda args: {"id": args["name"], "name": args["name"], "value": "ami-0123"},
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": lambda args: {
        "id": REGION,
        # Every type in every zone, as the API lists pairs.
        "instanceTypes": [value for f in args["filters"] for value in f["values"] for _ in ZONES],
        "locations": [zone for f in args["filters"] for _ in f["values"] for zone in ZONES],
        "locationTypes": ["availability-zone" for f in args["filters"] for _ in f["values"] for _ in ZONES],
    },
    "gcp:organizations/getProject:getProject": lambda args: {
        "id": "projects/gpuyard-project",
        "projectId": args.get("projectId", "gpuyard-project"),
        "number": "123456",
        "name": "gpuyard",
    },
    "gcp:organizations/getClientConfig:getClientConfig": lambda args: {
        "id": "client",
        "accessToken": "token",
        "project": "gpuyard-project",
        "region": "us-central1",
        "zone": "us-central1-a",
    },
    "gcp:compute/getMachineTypes:getMachineTypes": lambda args: {
        "id": "machines",
        # Every type that is asked for, in every zone.
        "machineTypes": [{"name": name} for name in re.findall(r'name = "([^"]+)"', args.get("filter") or "")],
    },
    "gcp:compute/getZones:getZones": lambda args: {
        "id": "zones",
        "names": [f"{args.get('region', 'us-central1')}-{letter}" for letter in "abcf"],
    },
    "gcp:container/getEngineVersions:getEngineVersions": lambda args: {
        "id": "versions",
        "latestMasterVersion": "1.35.1-gke.100",
        "defaultClusterVersion": "1.35.1-gke.100",
        "validMasterVersions": ["1.35.1-gke.100"],
        "releaseChannelDefaultVersion": {"REGULAR": "1.35.1-gke.100"},
        "releaseChannelLatestVersion": {"REGULAR": "1.36.1-gke.100", "RAPID": "1.37.0-gke.100"},
    },
}
