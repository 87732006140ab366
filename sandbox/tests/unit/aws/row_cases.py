"""Inputs of a resource of each type, and a change that AWS supports in place."""

from __future__ import annotations

from typing import Any

from sandbox.tests.unit.aws.conftest import POLICY

CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "igw": ("aws:ec2/internetGateway:InternetGateway", lambda m: {"vpcId": m["vpc"]["id"]}, {"tags": {"a": "b"}}),
    "eip": ("aws:ec2/eip:Eip", lambda m: {"domain": "vpc"}, {"tags": {"a": "b"}}),
    "nat": (
        "aws:ec2/natGateway:NatGateway",
        lambda m: {"subnetId": m["subnet-a"]["id"], "allocationId": m["eip"]["id"]},
        {"tags": {"a": "b"}},
    ),
    "inline": (
        "aws:ec2/routeTable:RouteTable",
        lambda m: {"vpcId": m["vpc"]["id"], "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": m["igw"]["id"]}]},
        {"routes": []},
    ),
    "table": ("aws:ec2/routeTable:RouteTable", lambda m: {"vpcId": m["vpc"]["id"]}, {"tags": {"a": "b"}}),
    "route": (
        "aws:ec2/route:Route",
        lambda m: {
            "routeTableId": m["table"]["id"],
            "destinationCidrBlock": "0.0.0.0/0",
            "natGatewayId": m["nat"]["id"],
        },
        {},
    ),
    "association": (
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        lambda m: {"routeTableId": m["table"]["id"], "subnetId": m["subnet-a"]["id"]},
        {},
    ),
    "group": (
        "aws:ec2/securityGroup:SecurityGroup",
        lambda m: {
            "vpcId": m["vpc"]["id"],
            "ingress": [
                {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/16"]},
                {"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True},
            ],
            "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
        },
        {"ingress": [{"protocol": "udp", "fromPort": 53, "toPort": 53, "cidrBlocks": ["10.0.0.0/8"]}]},
    ),
    "other": ("aws:ec2/securityGroup:SecurityGroup", lambda m: {"vpcId": m["vpc"]["id"]}, {"tags": {"a": "b"}}),
    "rule": (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        lambda m: {
            "securityGroupId": m["other"]["id"],
            "type": "ingress",
            "protocol": "tcp",
            "fromPort": 80,
            "toPort": 80,
            "sourceSecurityGroupId": m["group"]["id"],
        },
        {},
    ),
    "ingress": (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        lambda m: {
            "securityGroupId": m["other"]["id"],
            "ipProtocol": "-1",
            "referencedSecurityGroupId": m["other"]["id"],
        },
        {"description": "itself", "tags": {"a": "b"}},
    ),
    "egress": (
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        lambda m: {
            "securityGroupId": m["other"]["id"],
            "ipProtocol": "tcp",
            "fromPort": 1,
            "toPort": 9,
            "cidrIpv4": "10.0.0.0/8",
        },
        {"toPort": 10},
    ),
    "default": ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", lambda m: {"vpcId": m["vpc"]["id"]}, {}),
    "endpoint": (
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda m: {
            "vpcId": m["vpc"]["id"],
            "serviceName": "com.amazonaws.us-east-1.s3",
            "routeTableIds": [m["table"]["id"]],
        },
        {"tags": {"a": "b"}},
    ),
    "interface-endpoint": (
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda m: {
            "vpcId": m["vpc"]["id"],
            "serviceName": "com.amazonaws.us-east-1.sts",
            "vpcEndpointType": "Interface",
            "subnetIds": [m["subnet-a"]["id"]],
            "securityGroupIds": [m["group"]["id"]],
            "privateDnsEnabled": True,
        },
        {"tags": {"a": "b"}},
    ),
    "pods-network": (
        "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation",
        lambda m: {"vpcId": m["vpc"]["id"], "cidrBlock": "100.64.0.0/16"},
        {},
    ),
    "pods-subnet": (
        "aws:ec2/subnet:Subnet",
        lambda m: {"vpcId": m["vpc"]["id"], "cidrBlock": "100.64.0.0/19", "availabilityZone": "us-east-1a"},
        {"mapPublicIpOnLaunch": True, "tags": {"kubernetes.io/role/cni": "1"}},
    ),
    "subnet-tag": (
        "aws:ec2/tag:Tag",
        lambda m: {"resourceId": m["subnet-b"]["id"], "key": "kubernetes.io/role/elb", "value": "1"},
        {"value": "0"},
    ),
    "placement": ("aws:ec2/placementGroup:PlacementGroup", lambda m: {"strategy": "cluster"}, {}),
    "launch": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda m: {
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {"volumeSize": 200, "encrypted": "true", "deleteOnTermination": "true"},
                }
            ],
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2},
            "networkInterfaces": [
                {"deviceIndex": 0, "networkCardIndex": 0, "interfaceType": "efa", "securityGroups": [m["group"]["id"]]}
            ],
            "tagSpecifications": [{"resourceType": "instance", "tags": {"Name": "gpu"}}],
            "updateDefaultVersion": True,
            "userData": "TUlNRQ==",
        },
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1}},
    ),
    "inline-policy": (
        "aws:iam/rolePolicy:RolePolicy",
        lambda m: {"role": m["role"]["id"], "policy": POLICY},
        {"policy": POLICY.replace("GetObject", "PutObject")},
    ),
    "attachment": (
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        lambda m: {"role": m["role"]["id"], "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        {},
    ),
    "policy": ("aws:iam/policy:Policy", lambda m: {"policy": POLICY}, {"policy": POLICY.replace("Get", "Put")}),
    "profile": ("aws:iam/instanceProfile:InstanceProfile", lambda m: {"role": m["role"]["id"]}, {"tags": {"a": "b"}}),
    "oidc": (
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        lambda m: {"url": "https://oidc.example.com/id/1", "clientIdLists": ["sts.amazonaws.com"]},
        {"clientIdLists": ["sts.amazonaws.com", "other"]},
    ),
    "key": (
        "aws:kms/key:Key",
        lambda m: {"description": "secrets", "enableKeyRotation": True},
        {"description": "all secrets", "enableKeyRotation": False},
    ),
    "alias": ("aws:kms/alias:Alias", lambda m: {"targetKeyId": m["key"]["id"]}, {}),
    "log": (
        "aws:cloudwatch/logGroup:LogGroup",
        lambda m: {"name": "/aws/eks/ml/cluster", "retentionInDays": 30},
        {"retentionInDays": 7, "tags": {"a": "b"}},
    ),
    "flow": (
        "aws:ec2/flowLog:FlowLog",
        lambda m: {
            "vpcId": m["vpc"]["id"],
            "trafficType": "REJECT",
            "logDestination": m["log"]["arn"],
            "iamRoleArn": m["role"]["arn"],
        },
        {"tags": {"a": "b"}},
    ),
    "bucket": (
        "aws:s3/bucket:Bucket",
        lambda m: {"versioning": {"enabled": True}, "forceDestroy": True},
        {"tags": {"a": "b"}},
    ),
    "files": (
        "aws:efs/fileSystem:FileSystem",
        lambda m: {
            "encrypted": True,
            "throughputMode": "elastic",
            "lifecyclePolicies": [{"transitionToIa": "AFTER_30_DAYS"}],
        },
        {"throughputMode": "bursting", "lifecyclePolicies": []},
    ),
    "mount": (
        "aws:efs/mountTarget:MountTarget",
        lambda m: {
            "fileSystemId": m["files"]["id"],
            "subnetId": m["subnet-a"]["id"],
            "securityGroups": [m["group"]["id"]],
        },
        {},
    ),
    "backup": (
        "aws:efs/backupPolicy:BackupPolicy",
        lambda m: {"fileSystemId": m["files"]["id"], "backupPolicy": {"status": "ENABLED"}},
        {"backupPolicy": {"status": "DISABLED"}},
    ),
    "files-policy": (
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        lambda m: {"fileSystemId": m["files"]["id"], "policy": POLICY},
        {"policy": POLICY.replace("Allow", "Deny")},
    ),
    "lustre": (
        "aws:fsx/lustreFileSystem:LustreFileSystem",
        lambda m: {
            "deploymentType": "PERSISTENT_2",
            "storageCapacity": 1200,
            "perUnitStorageThroughput": 125,
            "fileSystemTypeVersion": "2.15",
            "metadataConfiguration": {"mode": "AUTOMATIC"},
            "dataCompressionType": "LZ4",
            "automaticBackupRetentionDays": 0,
            "copyTagsToBackups": True,
            "skipFinalBackup": True,
            "finalBackupTags": {"a": "b"},
            "subnetIds": m["subnet-a"]["id"],
            "securityGroupIds": [m["group"]["id"]],
        },
        {"storageCapacity": 4800, "perUnitStorageThroughput": 250, "tags": {"a": "b"}},
    ),
    "link": (
        "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation",
        lambda m: {
            "fileSystemId": m["lustre"]["id"],
            "fileSystemPath": "/",
            "dataRepositoryPath": "s3://data/train/",
            "batchImportMetaDataOnCreate": True,
            "s3": {"autoImportPolicy": {"events": ["NEW", "CHANGED", "DELETED"]}},
        },
        {"s3": {"autoImportPolicy": {"events": ["NEW"]}, "autoExportPolicy": {"events": ["NEW"]}}, "tags": {"a": "b"}},
    ),
    "addon": (
        "aws:eks/addon:Addon",
        lambda m: {
            "clusterName": "ml",
            "addonName": "aws-ebs-csi-driver",
            "resolveConflictsOnCreate": "OVERWRITE",
            "podIdentityAssociations": [{"serviceAccount": "ebs-csi-controller-sa", "roleArn": m["role"]["arn"]}],
        },
        {"addonVersion": "v1.99.0-eksbuild.1", "configurationValues": '{"controller":{}}'},
    ),
    "entry": (
        "aws:eks/accessEntry:AccessEntry",
        lambda m: {"clusterName": "ml", "principalArn": "arn:aws:iam::123456789012:user/me"},
        {"kubernetesGroups": ["viewers"]},
    ),
    "entry-policy": (
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        lambda m: {
            "clusterName": "ml",
            "principalArn": "arn:aws:iam::123456789012:user/me",
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["team-a"]},
        },
        {},
    ),
    "identity": (
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        lambda m: {
            "clusterName": "ml",
            "namespace": "kube-system",
            "serviceAccount": "cluster-autoscaler",
            "roleArn": m["role"]["arn"],
        },
        {"disableSessionTags": True, "tags": {"a": "b"}},
    ),
    "pool": (
        "aws:eks/nodeGroup:NodeGroup",
        lambda m: {},
        {"scalingConfig": {"minSize": 1, "maxSize": 5, "desiredSize": 1}, "labels": {"workload": "x"}, "taints": []},
    ),
    "tag": (
        "aws:autoscaling/tag:Tag",
        lambda m: {
            "autoscalingGroupName": m["pool"]["resources"][0]["autoscalingGroups"][0]["name"],
            "tag": {"key": "k8s.io/cluster-autoscaler/node-template/label/a", "value": "b", "propagateAtLaunch": False},
        },
        {"tag": {"key": "k8s.io/cluster-autoscaler/node-template/label/a", "value": "c", "propagateAtLaunch": False}},
    ),
}
