"""What blocks a repeated creation, type by type: the command that removes the blocking object, or why there is none.

The next run repeats a creation whose answer was lost. If the program determines the name or the place of the object,
the cloud refuses the second one, as the simulated clouds do, and the user has to delete the first. If the cloud or the
provider chooses the name, the first object remains in addition to the second (`sandbox/orphans.py`).

Sources: AWS CLI 1.46 and its model of every operation, gcloud's reference (cloud.google.com/sdk/gcloud/reference), and
each service's rules for a second creation as its simulation has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

TAKEN = re.compile(r"\b[Aa]lready\b|AlreadyExists|ALREADY_EXISTS|[Cc]onflict|Duplicate|overlaps|re-use a name|\b409\b")
"""The clouds' words for a second object of the same name, in the same place or with the same address."""

_ONE = "--output text"
_ASSOCIATION = "aws eks list-pod-identity-associations --cluster-name {clusterName}"

COMMANDS = {
    "aws:cloudwatch/logGroup:LogGroup": "aws logs delete-log-group --log-group-name {name}",
    "aws:ec2/flowLog:FlowLog": "aws ec2 delete-flow-logs --flow-log-ids $(aws ec2 describe-flow-logs --filter "
    "Name=resource-id,Values={vpcId} --query "
    f"\"FlowLogs[?LogDestination && starts_with(LogDestination, '{{destination}}')].FlowLogId\" {_ONE})",
    "aws:ec2/internetGateway:InternetGateway": "id=$(aws ec2 describe-internet-gateways --filters "
    f"Name=attachment.vpc-id,Values={{vpcId}} --query 'InternetGateways[].InternetGatewayId' {_ONE}) && aws ec2 "
    "detach-internet-gateway --internet-gateway-id $id --vpc-id {vpcId} && aws ec2 delete-internet-gateway "
    "--internet-gateway-id $id",
    "aws:ec2/natGateway:NatGateway": "id=$(aws ec2 describe-nat-gateways --filter Name=state,Values=pending,available "
    f"--query \"NatGateways[?NatGatewayAddresses[?AllocationId=='{{allocationId}}']].NatGatewayId\" {_ONE}) && aws ec2 "
    "delete-nat-gateway --nat-gateway-id $id && aws ec2 wait nat-gateway-deleted --nat-gateway-ids $id",
    "aws:ec2/route:Route": "aws ec2 delete-route --route-table-id {routeTableId} "
    "--destination-cidr-block {destinationCidrBlock}",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "aws ec2 disassociate-route-table --association-id $(aws "
    "ec2 describe-route-tables --filters Name=association.subnet-id,Values={subnetId} --query "
    f"\"RouteTables[].Associations[?SubnetId=='{{subnetId}}'][].RouteTableAssociationId\" {_ONE})",
    "aws:ec2/subnet:Subnet": "aws ec2 delete-subnet --subnet-id $(aws ec2 describe-subnets --filters "
    f"Name=vpc-id,Values={{vpcId}} Name=cidr-block,Values={{cidrBlock}} --query 'Subnets[].SubnetId' {_ONE})",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids $(aws ec2 "
    "describe-vpc-endpoints --filters Name=vpc-id,Values={vpcId} Name=service-name,Values={serviceName} --query "
    f"'VpcEndpoints[].VpcEndpointId' {_ONE})",
    "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": "aws ec2 disassociate-vpc-cidr-block "
    '--association-id $(aws ec2 describe-vpcs --vpc-ids {vpcId} --query "Vpcs[].CidrBlockAssociationSet[?'
    f"CidrBlock=='{{cidrBlock}}' && CidrBlockState.State=='associated'][].AssociationId\" {_ONE})",
    "aws:efs/mountTarget:MountTarget": "aws efs delete-mount-target --mount-target-id $(aws efs describe-mount-targets "
    f"--file-system-id {{fileSystemId}} --query \"MountTargets[?SubnetId=='{{subnetId}}'].MountTargetId\" {_ONE})",
    "aws:eks/accessEntry:AccessEntry": "aws eks delete-access-entry --cluster-name {clusterName} "
    "--principal-arn {principalArn}",
    "aws:eks/addon:Addon": "aws eks delete-addon --cluster-name {clusterName} --addon-name {addonName} && aws eks wait "
    "addon-deleted --cluster-name {clusterName} --addon-name {addonName}",
    "aws:eks/cluster:Cluster": "aws eks delete-cluster --name {name} && aws eks wait cluster-deleted --name {name}",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "aws eks delete-pod-identity-association --cluster-name "
    f"{{clusterName}} --association-id $({_ASSOCIATION} --namespace {{namespace}} --service-account {{serviceAccount}} "
    f"--query 'associations[].associationId' {_ONE})",
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": "aws fsx delete-data-repository-association "
    "--no-delete-data-in-file-system --association-id $(aws fsx describe-data-repository-associations --filters "
    "Name=file-system-id,Values={fileSystemId} --query "
    f"\"Associations[?FileSystemPath=='{{fileSystemPath}}'].AssociationId\" {_ONE})",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "aws iam delete-open-id-connect-provider "
    "--open-id-connect-provider-arn $(aws iam list-open-id-connect-providers --query "
    f"\"OpenIDConnectProviderList[?ends_with(Arn, ':oidc-provider/{{issuer}}')].Arn\" {_ONE})",
    "aws:kms/alias:Alias": "aws kms delete-alias --alias-name {name}",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "aws ec2 revoke-security-group-egress --group-id "
    "{securityGroupId} --ip-permissions '{permissions}'",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "aws ec2 revoke-security-group-ingress --group-id "
    "{securityGroupId} --ip-permissions '{permissions}'",
    "gcp:compute/routerNat:RouterNat": "gcloud compute routers nats delete $(gcloud compute routers nats list "
    '--router={router} --region={region} --project={project} --format="value(name)") --router={router} '
    "--region={region} --project={project} --quiet",
    "gcp:compute/subnetwork:Subnetwork": "gcloud compute networks subnets delete $(gcloud compute networks subnets "
    'list --network={network} --project={project} --filter="ipCidrRange={ipCidrRange}" --format="value(name)") '
    "--region={region} --project={project} --quiet",
    "gcp:container/cluster:Cluster": "gcloud container clusters delete {name} --location={location} "
    "--project={project} --quiet",
    "gcp:serviceaccount/account:Account": "gcloud iam service-accounts delete "
    "{accountId}@{project}.iam.gserviceaccount.com --project={project} --quiet",
    "kubernetes:helm.sh/v3:Release": "helm uninstall {name} --namespace {namespace}",
}
"""The command that deletes an object of the type, with inputs in braces. `_values` gives names that are not inputs."""

UNPROTECT = (
    "aws eks update-cluster-config --name {name} --no-deletion-protection && aws eks wait cluster-active --name {name} "
    "&& "
)
"""The first command if a cluster is protected against deletion."""

OBJECT = "kubectl delete {kind} {name}"
"""The command that deletes a Kubernetes object; `--namespace` is added if it has one."""

_ID = "the cloud chooses the id, so a second creation creates a second object"
_END = "its name ends in a random suffix, so a second creation creates a second object"
_KEY = "its name ends in a random suffix, and Google never deletes a key"
_SAME = "a second request changes nothing"

NEVER = {
    "aws:autoscaling/tag:Tag": _SAME,
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _SAME,
    "aws:ec2/eip:Eip": _ID,
    "aws:ec2/launchTemplate:LaunchTemplate": _END,
    "aws:ec2/placementGroup:PlacementGroup": _END,
    "aws:ec2/routeTable:RouteTable": _ID,
    "aws:ec2/securityGroup:SecurityGroup": _END,
    "aws:ec2/vpc:Vpc": _ID,
    "aws:efs/backupPolicy:BackupPolicy": _SAME,
    "aws:efs/fileSystem:FileSystem": _ID,
    "aws:efs/fileSystemPolicy:FileSystemPolicy": _SAME,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _SAME,
    "aws:eks/nodeGroup:NodeGroup": _END,
    "aws:fsx/lustreFileSystem:LustreFileSystem": _ID,
    "aws:iam/role:Role": _END,
    "aws:iam/rolePolicy:RolePolicy": _END,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _SAME,
    "aws:kms/key:Key": _ID,
    "gcp:compute/network:Network": _END,
    "gcp:compute/router:Router": _END,
    "gcp:container/nodePool:NodePool": _END,
    "gcp:filestore/instance:Instance": _END,
    "gcp:kms/cryptoKey:CryptoKey": _KEY,
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": _SAME,
    "gcp:kms/keyRing:KeyRing": _KEY,
    "gcp:projects/iAMMember:IAMMember": _SAME,
    "gcp:projects/service:Service": _SAME,
    "gcp:projects/serviceIdentity:ServiceIdentity": _SAME,
    "gcp:storage/bucketIAMMember:BucketIAMMember": _SAME,
    "pulumi-python:dynamic/gpuyard:ClusterContents": "it exists only in the state",
    "pulumi-python:dynamic/gpuyard:PoolPlan": "nothing in the cloud: a step of the program",
    "pulumi-python:dynamic/gpuyard:PoolHold": "nothing in the cloud: a step of the program",
    "pulumi-python:dynamic/gpuyard:PoolRelease": "nothing in the cloud: a step of the program",
}
"""Types whose second creation does not conflict with the first object, with the reason."""

LEAKS = frozenset(token for token, why in NEVER.items() if why in (_ID, _END))
"""Those of them whose first object remains, and is billed, until the user deletes it."""

_PLAIN = re.compile(r"[\w./:@+=,*-]+")
"""Values that no shell changes."""

_PEERS = {
    "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "cidrIpv4": ("IpRanges", "CidrIp"),
    "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "prefixListId": ("PrefixListIds", "PrefixListId"),
}


def commands(failed: Iterable[tuple[str, Mapping[str, Any], str]], region: str = "") -> list[str]:
    """The commands that delete the blocking objects.

    `failed`: type, inputs and error of each resource that could not be created. `region`: of AWS.
    """
    found = [command(type, inputs, region) for type, inputs, message in failed if TAKEN.search(message)]
    return list(dict.fromkeys(filter(None, found)))


def command(type: str, inputs: Mapping[str, Any], region: str = "") -> str:
    """The command that deletes the object of these inputs; '' if they do not identify it."""
    template = COMMANDS.get(type, OBJECT if type.startswith("kubernetes:") else "")
    if type == "aws:eks/cluster:Cluster" and inputs.get("deletionProtection"):
        template = UNPROTECT + template
    values = _values(inputs)
    if template == OBJECT and values.get("namespace"):
        template += " --namespace {namespace}"
    names = set(re.findall(r"\{(\w+)\}", template))
    if not all(name == "permissions" or _PLAIN.fullmatch(values.get(name, "")) for name in names):
        return ""
    text = re.sub(r"\{(\w+)\}", lambda place: values[place[1]], template)
    return re.sub(r"\baws (?=[a-z])", f"aws --region {region} ", text) if region else text


def _values(inputs: Mapping[str, Any]) -> dict[str, str]:
    """The inputs that are plain values, and what follows from them."""
    values = {name: str(value) for name, value in inputs.items() if isinstance(value, str | int)}
    for name in ("network", "router"):
        if name in values:
            values[name] = values[name].rsplit("/", 1)[-1]
    metadata = inputs.get("metadata")
    if isinstance(metadata, Mapping):
        values |= {name: str(metadata[name]) for name in ("name", "namespace") if metadata.get(name)}
        group = values.get("apiVersion", "").rpartition("/")[0]
        values["kind"] = f"{values.get('kind', '').lower()}{'.' + group if group else ''}"
    values["issuer"] = values.get("url", "").removeprefix("https://")
    values["destination"] = values.get("logDestination", "").removesuffix(":*")
    values["permissions"] = _permissions(inputs)
    return values


def _permissions(inputs: Mapping[str, Any]) -> str:
    """The rule of a security group as the API takes it."""
    ports = (("fromPort", "FromPort"), ("toPort", "ToPort"))
    rule: dict[str, Any] = {"IpProtocol": inputs.get("ipProtocol")}
    rule |= {member: inputs[name] for name, member in ports if name in inputs}
    rule |= {many: [{one: inputs[name]}] for name, (many, one) in _PEERS.items() if inputs.get(name)}
    return json.dumps([rule])
