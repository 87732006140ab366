"""A minimal EKS cluster as another team may have created it: plain pulumi-aws, public subnets, one node without
GPUs."""

import json

import pulumi
import pulumi_aws as aws

NAME, REGION, VERSION = "theirs", "us-east-1", "1.35"
ZONES = ["us-east-1a", "us-east-1b"]

account = pulumi.ResourceOptions(provider=aws.Provider("aws", region=REGION))


def role(name: str, service: str, policies: list[str]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role for a service, and the attachments of its policies."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws.iam.Role(name, assume_role_policy=document, opts=account)
    return made, [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}", role=made.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=account
        )
        for policy in policies
    ]


vpc = aws.ec2.Vpc("vpc", cidr_block="10.8.0.0/16", enable_dns_hostnames=True, opts=account)
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id, opts=account)
internet = aws.ec2.RouteTable(
    "way-out",
    vpc_id=vpc.id,
    routes=[aws.ec2.RouteTableRouteArgs(cidr_block="0.0.0.0/0", gateway_id=gateway.id)],
    opts=account,
)
subnets, routed = {}, []
for index, zone in enumerate(ZONES):
    subnets[zone] = aws.ec2.Subnet(
        zone,
        vpc_id=vpc.id,
        availability_zone=zone,
        cidr_block=f"10.8.{index}.0/24",
        map_public_ip_on_launch=True,
        opts=account,
    )
    routed.append(
        aws.ec2.RouteTableAssociation(zone, subnet_id=subnets[zone].id, route_table_id=internet.id, opts=account)
    )

cluster_role, cluster_policies = role("cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"])
node_role, node_policies = role(
    "nodes",
    "ec2.amazonaws.com",
    ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly"],
)
cluster = aws.eks.Cluster(
    "cluster",
    name=NAME,
    version=VERSION,
    role_arn=cluster_role.arn,
    access_config=aws.eks.ClusterAccessConfigArgs(
        authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
    ),
    vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=[subnet.id for subnet in subnets.values()]),
    opts=pulumi.ResourceOptions.merge(account, pulumi.ResourceOptions(depends_on=cluster_policies)),
)
for addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
    aws.eks.Addon(addon, cluster_name=cluster.name, addon_name=addon, opts=account)
aws.eks.NodeGroup(
    "system",
    cluster_name=cluster.name,
    node_role_arn=node_role.arn,
    subnet_ids=[subnets[ZONES[0]].id],
    instance_types=["m5.xlarge"],
    scaling_config=aws.eks.NodeGroupScalingConfigArgs(min_size=1, max_size=1, desired_size=1),
    opts=pulumi.ResourceOptions.merge(account, pulumi.ResourceOptions(depends_on=[*node_policies, *routed])),
)


def kubeconfig(found: list[str]) -> str:
    """The kubeconfig that `aws eks update-kubeconfig` writes."""
    name, endpoint, authority = found
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["--region", REGION, "eks", "get-token", "--cluster-name", name, "--output", "json"],
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": authority}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [{"name": name, "user": {"exec": login}}],
        }
    )


pulumi.export("region", REGION)
pulumi.export("clusterName", cluster.name)
pulumi.export("kubernetesVersion", VERSION)
pulumi.export("nodeRoleArn", node_role.arn)
pulumi.export("subnetIds", {ZONES[0]: subnets[ZONES[0]].id})
facts = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.certificate_authority.data)
pulumi.export("kubeconfig", pulumi.Output.secret(facts.apply(kubeconfig)))
