"""The EKS cluster: API server, the key that encrypts its secrets, the role of its nodes, and the add-ons without which
no node becomes ready."""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
from typing_extensions import NotRequired

from .. import checks, naming
from ..checks import Problem
from .addon import EksAddon, EksAddonArgs

# A node registers, pulls images, and nothing else: pods get their rights by Pod Identity, the CNI by its own role.
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ACCESS_POLICIES = {
    "admin": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    "edit": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
    "view": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
}
# EKS offers these; before them AL2023's NVIDIA images and Pod Identity are not complete.
VERSIONS = ("1.33", "1.34", "1.35")


class Access(TypedDict):
    """Who may use the cluster's API: an IAM role or user by ARN, as `admin`, `edit` or `view` of everything."""

    principal_arn: str
    level: str


class EksClusterArgs(TypedDict):
    """`cluster_name`: physical name. `version`: Kubernetes minor. `public_access_cidrs`: who reaches the API endpoint
    from outside the VPC; empty (default) leaves it private. `access`: by name, beside whoever creates the cluster.
    `log_types`: control-plane logs to CloudWatch. `addon_versions`: exact versions by add-on name.
    `deletion_protection`: EKS refuses to delete the cluster, Pulumi refuses to try (default true)."""

    cluster_name: str
    version: str
    network_id: pulumi.Input[str]
    private_subnet_ids: pulumi.Input[list[str]]
    public_subnet_ids: pulumi.Input[list[str]]
    public_access_cidrs: NotRequired[list[str]]
    access: NotRequired[dict[str, Access]]
    log_types: NotRequired[list[str]]
    addon_versions: NotRequired[dict[str, str]]
    deletion_protection: NotRequired[bool]
    tags: NotRequired[dict[str, str]]


def problems(args: EksClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with a cluster's arguments, seen without asking AWS."""
    name = args["cluster_name"]
    if not 1 <= len(name) <= 100 or not name.replace("-", "").isalnum():
        yield Problem("name", name, "no possible EKS cluster name", "1 to 100 letters, digits and '-'", "rename it")
    yield from checks.one_of("version", args["version"], VERSIONS)
    for index, cidr in enumerate(args.get("public_access_cidrs", [])):
        yield from checks.cidr(f"public_access_cidrs[{index}]", cidr)
    for index, kind in enumerate(args.get("log_types", [])):
        yield from checks.one_of(f"log_types[{index}]", kind, LOG_TYPES)
    for who, access in args.get("access", {}).items():
        yield from checks.one_of(f"access.{who}.level", access["level"], ACCESS_POLICIES)
        arn = access["principal_arn"]
        if not arn.startswith("arn:aws") or ":iam::" not in arn:
            yield Problem(
                f"access.{who}.principal_arn", arn, "no IAM ARN", "arn:aws:iam::ACCOUNT:role/NAME or …:user/NAME",
                "see `aws sts get-caller-identity` and `aws iam get-role`",
            )  # fmt: skip


class EksCluster(pulumi.ComponentResource):
    """An EKS cluster with API authentication, encrypted secrets and a private endpoint, and no nodes yet.

    Does not: make node pools (`EksNodePool`), storage (`AwsStorage`) or anything inside Kubernetes.
    """

    cluster_name: pulumi.Output[str]
    """Physical name. Whoever uses it waits for the API server; nodes `depends_on` the whole component."""
    endpoint: pulumi.Output[str]
    """Address of the API server."""
    kubernetes_version: pulumi.Output[str]
    """Minor version of the control plane."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `aws eks get-token`; secret."""
    connect_command: pulumi.Output[str]
    """What a person types to use kubectl."""
    node_role_arn: pulumi.Output[str]
    """Role of the nodes."""
    security_group_id: pulumi.Output[str]
    """Security group that EKS puts on the control plane and on every node."""

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksCluster", name, None, opts)
        checks.refuse(problems(args), f"EksCluster {name}")
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags", {})
        protected = args.get("deletion_protection", True)
        public_cidrs = args.get("public_access_cidrs", [])

        key = aws.kms.Key(
            f"{name}-secrets",
            description=f"Kubernetes secrets of the EKS cluster {args['cluster_name']}",
            enable_key_rotation=True,
            # The longest that KMS grants: without the key a cluster's backup is unreadable.
            deletion_window_in_days=30,
            tags=tags,
            opts=child,
        )
        cluster = eks.Cluster(
            f"{name}-eks",
            name=args["cluster_name"],
            version=args["version"],
            vpc_id=args["network_id"],
            private_subnet_ids=args["private_subnet_ids"],
            public_subnet_ids=args["public_subnet_ids"],
            authentication_mode=eks.AuthenticationMode.API,
            access_entries={
                who: eks.AccessEntryArgs(
                    principal_arn=access["principal_arn"],
                    access_policies={
                        access["level"]: eks.AccessPolicyAssociationArgs(
                            policy_arn=ACCESS_POLICIES[access["level"]],
                            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                        )
                    },
                )
                for who, access in args.get("access", {}).items()
            },
            endpoint_private_access=True,
            endpoint_public_access=bool(public_cidrs),
            public_access_cidrs=public_cidrs or None,
            encryption_config_key_arn=key.arn,
            enabled_cluster_log_types=args.get("log_types", list(LOG_TYPES[:3])),
            # Node pools, add-ons and security groups are ours: EKS's own group covers nodes and control plane.
            skip_default_node_group=True,
            skip_default_security_groups=True,
            use_default_vpc_cni=True,
            bootstrap_self_managed_addons=False,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            create_oidc_provider=False,
            create_instance_role=False,
            deletion_protection=protected,
            cluster_tags=tags,
            # A cluster is replaced by no edit of this file; see docs/upgrades.md.
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        node_role = aws.iam.Role(
            f"{name}-nodes",
            name_prefix=f"{naming.fit(f'{name}-nodes', naming.IAM_ROLE_LIMIT - 26 - 1)}-",
            description=f"Nodes of the EKS cluster {args['cluster_name']}",
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                    ],
                }
            ),
            tags=tags,
            opts=child,
        )
        for policy in NODE_POLICIES:
            aws.iam.RolePolicyAttachment(
                f"{name}-nodes-{policy}",
                role=node_role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=child,
            )

        eks_name = cluster.eks_cluster.name

        before_nodes: EksAddonArgs = {
            "addon": "kube-proxy",
            "cluster": eks_name,
            "cluster_name": args["cluster_name"],
            "kubernetes_version": args["version"],
            "versions": args.get("addon_versions", {}),
            "tags": tags,
        }
        EksAddon(f"{name}-kube-proxy", before_nodes, child)
        EksAddon(f"{name}-pod-identity", {**before_nodes, "addon": "eks-pod-identity-agent"}, child)
        EksAddon(
            f"{name}-vpc-cni",
            {
                **before_nodes,
                "addon": "vpc-cni",
                "service_account": "aws-node",
                "policy_arns": ["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"],
                # Prefix delegation: 110 pods and more on a node instead of what its addresses allow.
                "configuration": {"env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}},
            },
            child,
        )

        self.cluster_name = eks_name
        self.endpoint = cluster.eks_cluster.endpoint
        self.kubernetes_version = cluster.eks_cluster.version
        self.kubeconfig = pulumi.Output.secret(cluster.kubeconfig_json)
        region = cluster.eks_cluster.arn.apply(lambda arn: arn.split(":")[3])
        self.connect_command = pulumi.Output.format("aws eks update-kubeconfig --region {} --name {}", region, eks_name)
        self.node_role_arn = node_role.arn
        self.security_group_id = cluster.eks_cluster.vpc_config.cluster_security_group_id
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "kubernetesVersion": self.kubernetes_version,
                "kubeconfig": self.kubeconfig,
                "connectCommand": self.connect_command,
                "nodeRoleArn": self.node_role_arn,
                "securityGroupId": self.security_group_id,
            }
        )
