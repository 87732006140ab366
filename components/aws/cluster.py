"""The EKS cluster: API server and its logs, the key that encrypts its secrets, the role of its nodes, and the add-ons
without which no node becomes ready."""

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
from typing_extensions import NotRequired

from .. import arguments, checks, child_names, component_names, naming
from ..checks import Problem
from . import access, addon, addresses, drivers, node_role, regions, retention, roles, support
from . import tags as aws_tags
from .access import Access
from .addon import EksAddon
from .roles import Roles

ADDONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""EKS's names of the add-ons that `EksCluster` installs."""
ROLES = ("cluster", "nodes", "vpc_cni")
"""The fields of `Roles` that `EksCluster` uses."""
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
# EKS's quota of ranges for the public endpoint, which cannot be raised (EKS user guide, "Service quotas"); a security
# group holds 60 rules in each direction (VPC quota), and others need some of them.
MOST_CIDRS = 40


class EksClusterArgs(TypedDict):
    """A control plane, and access to it."""

    cluster_name: str
    """Physical name of the cluster: 1 to 100 letters, digits and '-'. It cannot change."""
    version: str
    """Kubernetes minor version that EKS offers, such as "1.35". EKS upgrades one minor at a time, and never back."""
    network_id: pulumi.Input[str]
    """Id of the VPC."""
    private_subnet_ids: dict[str, pulumi.Input[str]]
    """Private subnets of the control plane by zone, in at least two zones: `subnet_ids` of the network, or a part of
    it. A control plane stays in the zones of its creation."""
    public_subnet_ids: NotRequired[dict[str, pulumi.Input[str]]]
    """Public subnets of the control plane by zone, in the same zones: `load_balancer_subnet_ids` of the network.
    Default: none."""
    support: NotRequired[str]
    """What EKS does when `version` leaves standard support: `standard` upgrades the cluster to the next version,
    `extended` keeps it and bills more per hour. Default: `standard`."""
    public_access_cidrs: NotRequired[list[str]]
    """Networks (CIDRs) that reach the API endpoint from the internet, up to 40. Default: none, the endpoint is
    private."""
    private_access_cidrs: NotRequired[list[str]]
    """Networks (CIDRs) in the VPC, or connected to it, that reach the private endpoint, up to 40; the
    cluster's nodes always do. Each is a rule in the cluster's security group. Default: none."""
    access: NotRequired[dict[str, Access]]
    """Who may use the Kubernetes API, by a name of your choice. The role that creates the cluster is its administrator
    without an entry. Default: only that role."""
    log_types: NotRequired[list[str]]
    """Logs of the control plane that go to CloudWatch: api, audit, authenticator, controllerManager, scheduler.
    Default: `[api, audit, authenticator]`."""
    log_days: NotRequired[int]
    """How many days CloudWatch keeps these logs: 1, 3, 5, 7, 14, 30, 60, 90 or another retention that it offers, up to
    3653. Default: `90`."""
    addon_versions: NotRequired[dict[str, str]]
    """Exact versions of EKS add-ons by name: vpc-cni, kube-proxy, eks-pod-identity-agent. Default: the versions that
    this library has tested with `version`."""
    service_cidr: NotRequired[str]
    """Addresses of the cluster's Services: a private network, /12 to /24, that overlaps neither the VPC nor networks
    connected to it. It cannot change. Default: EKS's choice, 10.100.0.0/16 or 172.20.0.0/16."""
    node_policy_arns: NotRequired[list[str]]
    """ARNs of further IAM policies of the nodes' role, up to eight. Default: none."""
    deletion_protection: NotRequired[bool]
    """Whether EKS refuses to delete the cluster and Pulumi refuses to try. Default: `true`."""
    profile: NotRequired[str]
    """AWS profile with which the kubeconfig logs in. Default: none, that of the shell's environment."""
    role_arn: NotRequired[str]
    """ARN of a role that the kubeconfig assumes. Default: none."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `cluster`, `nodes`, `vpc_cni`. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for every resource that can have tags, and for the network interfaces that the CNI creates. Default:
    none."""


def problems(args: EksClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    name, version = args["cluster_name"], args["version"]
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]{0,99}", name):
        allowed = "1 to 100 letters, digits and '-' of ASCII, '-' not first"
        yield Problem("cluster_name", name, "not a valid EKS cluster name", allowed, "rename it")
    yield from checks.one_of("version", version, support.VERSIONS)
    yield from checks.one_of("support", args["support"], support.POLICIES)
    for index, cidr in enumerate(args.get("public_access_cidrs", [])):
        yield from _public(f"public_access_cidrs[{index}]", cidr)
    for index, cidr in enumerate(args.get("private_access_cidrs", [])):
        yield from checks.cidr(f"private_access_cidrs[{index}]", cidr)
    yield from checks.listed("public_access_cidrs", args.get("public_access_cidrs", []), MOST_CIDRS)
    yield from checks.listed("private_access_cidrs", args.get("private_access_cidrs", []), MOST_CIDRS)
    for index, kind in enumerate(args["log_types"]):
        yield from checks.one_of(f"log_types[{index}]", kind, LOG_TYPES)
    yield from retention.problems("log_days", args["log_days"], off=False)
    yield from addon.versions_problems("addon_versions", args.get("addon_versions", {}), version, ADDONS)
    if (services := args.get("service_cidr")) is not None:
        yield from addresses.services_problems(services)
    yield from node_role.problems(args.get("node_policy_arns", []), args.get("roles", {}).get("nodes", ""))
    yield from access.problems(args.get("access", {}))
    yield from (problem.under("roles") for problem in roles.problems(args.get("roles", {}), ROLES))


def _own_problems(args: EksClusterArgs) -> Iterator[Problem]:
    """Zones that cannot be right, or too few, and the role that the kubeconfig assumes. A stack checks the zones of its
    network, and the role where its file has it."""
    yield from roles.arn_problems("role_arn", args.get("role_arn"))
    for field in ("private_subnet_ids", "public_subnet_ids"):
        yield from regions.subnet_problems(args, field)
    zones = list(args["private_subnet_ids"])
    if len(zones) < 2:
        yield Problem(
            "private_subnet_ids", zones, "EKS requires subnets in at least two zones",
            "a private subnet in each of two or more zones", "pass `subnet_ids` of the network",
        )  # fmt: skip


def _public(path: str, cidr: str) -> Iterator[Problem]:
    """A network that can reach the public endpoint: EKS refuses private networks such as 10.0.0.0/8 ("not allowed in
    publicAccessCidrs"), but only while it creates the cluster."""
    wrong = list(checks.cidr(path, cidr))
    yield from wrong
    if not wrong and not checks.public(cidr):
        yield Problem(
            path, cidr, "not public addresses: they never reach the public endpoint",
            "the addresses with which people reach the internet",
            "write the address that https://checkip.amazonaws.com shows, followed by /32; the VPC and connected "
            "networks use the private endpoint",
        )  # fmt: skip


def warnings(args: EksClusterArgs, today: date) -> Iterator[str]:
    """Warnings about access, and about the end of the version's support. `today`: in UTC, as EKS counts."""
    yield from access.warnings(args.get("access", {}))
    yield from support.warnings(args["version"], args["support"], today)


class EksCluster(pulumi.ComponentResource):
    """An EKS cluster with API authentication, encrypted secrets, a private endpoint and logs with a retention; no nodes
    yet.

    The role of the control plane has AmazonEKSClusterPolicy and nothing else. The role that creates the cluster is its
    administrator (see `access`). It creates neither node pools (`EksNodePool`) nor storage (`AwsStorage`), and nothing
    inside Kubernetes. Nodes should `depends_on` the whole component.
    """

    cluster_name: pulumi.Output[str]
    """Physical name, known once the API server runs."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""
    certificate_authority: pulumi.Output[str]
    """Certificate of the API server's authority, in base64."""
    service_cidr: pulumi.Output[str]
    """Addresses of the cluster's Services."""
    kubernetes_version: pulumi.Output[str]
    """Minor version of the control plane."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls `aws eks get-token`; secret."""
    connect_command: pulumi.Output[str]
    """The command that configures kubectl for this cluster."""
    node_role_arn: pulumi.Output[str]
    """Role of the nodes."""
    security_group_id: pulumi.Output[str]
    """Security group that EKS puts on the control plane and on every node."""
    oidc_provider_arn: pulumi.Output[str]
    """ARN of the cluster's identity provider in IAM, for roles of service accounts (IRSA) that other stacks create; the
    part after `oidc-provider/` is the issuer. This library itself uses Pod Identity."""

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"EksCluster {name}", EksClusterArgs, args, problems, _own_problems, aws_tags.with_tags,
            # pulumi-eks names the role of the control plane.
            lambda given: component_names.iam_problems(name, "-eks-eksRole-role", naming.IAM_ROLE_LIMIT)
            if not given.get("roles", {}).get("cluster")
            else drivers.name_problems(name, given, {"vpc-cni": ""}),
        )  # fmt: skip
        child_names.claim("EksCluster", name, opts, access.children(name, args.get("access", {})))
        super().__init__("gpuyard:index:EksCluster", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags", {})
        protected = args["deletion_protection"]
        public_cidrs = args.get("public_access_cidrs", [])

        key = aws.kms.Key(
            f"{name}-secrets",
            description=f"Kubernetes secrets of the EKS cluster {args['cluster_name']}",
            enable_key_rotation=True,
            # The longest that KMS offers: without the key a backup of the cluster is unreadable.
            deletion_window_in_days=30,
            tags=tags,
            opts=child,
        )
        aws.kms.Alias(
            f"{name}-secrets-alias",
            name=f"alias/eks/{args['cluster_name']}",
            target_key_id=key.id,
            opts=child,
        )
        # EKS would create it without a retention. While the cluster is deleted, EKS may write a last line and create
        # the group again (terraform-aws-eks#2446): delete that one by hand before you use the name again.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{args['cluster_name']}/cluster",
            retention_in_days=args["log_days"],
            tags=tags,
            # If the cluster is protected, its audit log is protected as well.
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        cluster = eks.Cluster(
            f"{name}-eks",
            name=args["cluster_name"],
            version=args["version"],
            vpc_id=args["network_id"],
            private_subnet_ids=list(args["private_subnet_ids"].values()),
            public_subnet_ids=list(args.get("public_subnet_ids", {}).values()),
            authentication_mode=eks.AuthenticationMode.API,
            endpoint_private_access=True,
            endpoint_public_access=bool(public_cidrs),
            public_access_cidrs=public_cidrs or None,
            encryption_config_key_arn=key.arn,
            enabled_cluster_log_types=args["log_types"],
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type=support.POLICIES[args["support"]]),
            # We create node pools and add-ons; EKS's own security group covers nodes and control plane.
            kubernetes_service_ip_address_range=args.get("service_cidr"),
            skip_default_node_group=True,
            skip_default_security_groups=True,
            use_default_vpc_cni=True,
            bootstrap_self_managed_addons=False,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            # pulumi-eks would connect to the issuer from this machine, for a thumbprint that IAM does not need.
            create_oidc_provider=False,
            create_instance_role=False,
            deletion_protection=protected,
            service_role=self._existing_role(name, args),
            provider_credential_opts=_credentials(args),
            tags=tags,
            # No change of an argument may replace a cluster.
            opts=pulumi.ResourceOptions(parent=self, protect=protected, depends_on=[logs]),
        )
        access.entries(name, args.get("access", {}), cluster, tags, self)
        endpoint_rules = [
            aws.vpc.SecurityGroupIngressRule(
                f"{name}-api-from-{cidr.replace('/', '-')}",
                security_group_id=cluster.eks_cluster.vpc_config.cluster_security_group_id,
                description="API server, private endpoint",
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                tags=tags,
                opts=child,
            ).id
            for cidr in args.get("private_access_cidrs", [])
        ]
        oidc = aws.iam.OpenIdConnectProvider(
            f"{name}-oidc",
            url=cluster.eks_cluster.identities[0].oidcs[0].issuer,
            client_id_lists=["sts.amazonaws.com"],
            tags=tags,
            opts=child,
        )
        node_role_arn = args.get("roles", {}).get("nodes") or node_role.node_role(
            f"{name}-nodes", args["cluster_name"], args.get("node_policy_arns", []), tags, self
        )

        eks_name = cluster.eks_cluster.name

        before_nodes = {**args, "cluster": eks_name, "kubernetes_version": args["version"]}
        EksAddon(f"{name}-kube-proxy", drivers.addon_args("kube-proxy", before_nodes), child)
        EksAddon(f"{name}-pod-identity", drivers.addon_args("eks-pod-identity-agent", before_nodes), child)
        EksAddon(
            f"{name}-vpc-cni",
            {
                **drivers.addon_args("vpc-cni", before_nodes),
                "configuration": {
                    "env": {
                        # Prefix delegation: 110 pods or more on a node, instead of one for each of its addresses.
                        "ENABLE_PREFIX_DELEGATION": "true",
                        "WARM_PREFIX_TARGET": "1",
                        # For the network interfaces that the CNI creates; EC2 creates the node's first one.
                        **({"ADDITIONAL_ENI_TAGS": json.dumps(tags)} if tags else {}),
                    },
                    # Without it, NetworkPolicies are accepted but not enforced. The node agent enforces them; a log on
                    # the node shows what it drops (EKS user guide, "Limit Pod traffic with Kubernetes network
                    # policies").
                    "enableNetworkPolicy": "true",
                    "nodeAgent": {"enablePolicyEventLogs": "true"},
                },
            },
            child,
        )

        self.resource = cluster
        """The cluster of pulumi-eks; its `eks_cluster` is the `aws.eks.Cluster`, as an output."""
        self.cluster_name = eks_name
        self.endpoint = cluster.eks_cluster.endpoint
        self.certificate_authority = cluster.eks_cluster.certificate_authority.data
        self.service_cidr = cluster.eks_cluster.kubernetes_network_config.service_ipv4_cidr
        self.kubernetes_version = cluster.eks_cluster.version
        # Access to the endpoint needs one of these rules: they exist before the kubeconfig is used, and outlive its
        # use.
        known = pulumi.Output.all(cluster.kubeconfig_json, *endpoint_rules)
        self.kubeconfig = pulumi.Output.secret(known.apply(lambda values: _logged_in(values[0], args)))
        region = cluster.eks_cluster.arn.apply(lambda arn: arn.split(":")[3])
        self.connect_command = pulumi.Output.format("aws eks update-kubeconfig --region {} --name {}", region, eks_name)
        self.node_role_arn = pulumi.Output.from_input(node_role_arn)
        self.security_group_id = cluster.eks_cluster.vpc_config.cluster_security_group_id
        self.oidc_provider_arn = oidc.arn
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "certificateAuthority": self.certificate_authority,
                "serviceCidr": self.service_cidr,
                "kubernetesVersion": self.kubernetes_version,
                "kubeconfig": self.kubeconfig,
                "connectCommand": self.connect_command,
                "nodeRoleArn": self.node_role_arn,
                "securityGroupId": self.security_group_id,
                "oidcProviderArn": self.oidc_provider_arn,
            }
        )

    def _existing_role(self, name: str, args: EksClusterArgs) -> aws.iam.Role | None:
        """The control plane's role if it exists already: pulumi-eks takes a role resource, not an ARN."""
        arn = args.get("roles", {}).get("cluster")
        if not arn:
            return None
        return aws.iam.Role.get(f"{name}-role", roles.name_of(arn), opts=pulumi.ResourceOptions(parent=self))


def _credentials(args: EksClusterArgs) -> eks.KubeconfigOptionsArgs | None:
    """The identity with which pulumi-eks logs in."""
    profile, role = args.get("profile", ""), args.get("role_arn", "")
    if not profile and not role:
        return None
    return eks.KubeconfigOptionsArgs(profile_name=profile or None, role_arn=role or None)


def _logged_in(kubeconfig: str, args: EksClusterArgs) -> str:
    """The kubeconfig with the profile. pulumi-eks puts the role into its kubeconfig, but not the profile."""
    profile = args.get("profile", "")
    if not profile:
        return kubeconfig
    document = json.loads(kubeconfig)
    for user in document["users"]:
        user["user"]["exec"]["args"] += ["--profile", profile]
    return json.dumps(document, separators=(",", ":"))
