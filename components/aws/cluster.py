"""The EKS cluster: API server and its logs, the key that encrypts its secrets, the role of its nodes, and the add-ons
without which no node becomes ready."""

import difflib
import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem
from ..versions import EKS_ADDONS, EKS_SUPPORT
from . import access, node_role, retention, roles
from .access import Access
from .addon import EksAddon, EksAddonArgs, version_problems
from .roles import Roles

# EKS API reference, KubernetesNetworkConfigRequest.
_PRIVATE = [ipaddress.IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
VERSIONS = tuple(EKS_SUPPORT)
# EKS's quota of ranges for the public endpoint, which cannot be raised (EKS user guide, "Service quotas"); a security
# group holds 60 rules in each direction (VPC quota), some of which others need.
MOST_CIDRS = 40
# What EKS does when standard support of the version ends: upgrade the cluster, or bill extended support.
SUPPORT = {"standard": "STANDARD", "extended": "EXTENDED"}
# From when on `warnings` names the end of a version's support; EKS announces it 60 days before.
NOTICE = timedelta(days=60)


class EksClusterArgs(TypedDict):
    """`cluster_name`: physical name. `version`: Kubernetes minor. `support`: what EKS does when that version leaves
    standard support: `standard` (default) upgrades the cluster to the next one, `extended` keeps it and bills more per
    hour. `public_access_cidrs`: who reaches the API endpoint from the internet, up to 40 networks; empty (default)
    leaves it private. `private_access_cidrs`: who reaches the private endpoint from the VPC and from what is connected
    to it, beside the cluster's own nodes: a rule for each in the cluster's security group, up to 40 (default: nobody).
    `access`: by name, beside whoever creates the cluster. `log_types`: control-plane logs to CloudWatch (default api,
    audit, authenticator), kept for `log_days` days (default 90; what CloudWatch has, 1 to 3653). `addon_versions`:
    exact versions by add-on name. `service_cidr`: addresses of the cluster's Services, a private /12 to /24 that is not
    in the VPC nor in what it reaches; fixed when the cluster is made (default: EKS's choice, 10.100.0.0/16 or
    172.20.0.0/16). `node_policy_arns`: further IAM policies of the nodes' role, up to eight. `deletion_protection`: EKS
    refuses to delete the cluster, Pulumi refuses to try (default true). `profile`, `role_arn`: the AWS profile and the
    role as which the kubeconfig logs in, where the provider does; empty (default) is the environment's identity.
    `roles`: ready-made ones (`cluster`, `nodes`, `vpc_cni`)."""

    cluster_name: str
    version: str
    network_id: pulumi.Input[str]
    private_subnet_ids: pulumi.Input[list[pulumi.Input[str]]]
    public_subnet_ids: pulumi.Input[list[pulumi.Input[str]]]
    support: NotRequired[str]
    public_access_cidrs: NotRequired[list[str]]
    private_access_cidrs: NotRequired[list[str]]
    access: NotRequired[dict[str, Access]]
    log_types: NotRequired[list[str]]
    log_days: NotRequired[int]
    addon_versions: NotRequired[dict[str, str]]
    service_cidr: NotRequired[str]
    node_policy_arns: NotRequired[list[str]]
    deletion_protection: NotRequired[bool]
    profile: NotRequired[str]
    role_arn: NotRequired[str]
    roles: NotRequired[Roles]
    tags: NotRequired[dict[str, str]]


def problems(args: EksClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with a cluster's arguments, seen without asking AWS."""
    name, version = args["cluster_name"], args["version"]
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]{0,99}", name):
        allowed = "1 to 100 letters, digits and '-' of ASCII, '-' not first"
        yield Problem("name", name, "not a valid EKS cluster name", allowed, "rename it")
    yield from checks.one_of("version", version, VERSIONS)
    yield from checks.one_of("support", args.get("support", "standard"), SUPPORT)
    for index, cidr in enumerate(args.get("public_access_cidrs", [])):
        yield from _public(f"public_access_cidrs[{index}]", cidr)
    for index, cidr in enumerate(args.get("private_access_cidrs", [])):
        yield from checks.cidr(f"private_access_cidrs[{index}]", cidr)
    yield from checks.listed("public_access_cidrs", args.get("public_access_cidrs", []), MOST_CIDRS)
    yield from checks.listed("private_access_cidrs", args.get("private_access_cidrs", []), MOST_CIDRS)
    for index, kind in enumerate(args.get("log_types", [])):
        yield from checks.one_of(f"log_types[{index}]", kind, LOG_TYPES)
    yield from retention.problems("log_days", int(args.get("log_days", 90)), off=False)
    for addon, wanted in args.get("addon_versions", {}).items():
        if addon not in EKS_ADDONS:
            near = difflib.get_close_matches(addon, EKS_ADDONS, n=3, cutoff=0.4)
            yield Problem(
                f"addon_versions.{addon}", wanted, "no add-on that is installed here", ", ".join(EKS_ADDONS),
                f"write {' or '.join(near)}" if near else "remove it",
            )  # fmt: skip
        elif version in VERSIONS:
            yield from version_problems(f"addon_versions.{addon}", addon, wanted, version)
    if (services := args.get("service_cidr")) is not None:
        yield from _services(services)
    yield from node_role.problems(args.get("node_policy_arns", []), args.get("roles", {}).get("nodes", ""))
    yield from access.problems(args.get("access", {}))
    yield from (problem.under("roles") for problem in roles.problems(args.get("roles", {})))


def _services(cidr: str) -> Iterator[Problem]:
    wrong = list(checks.cidr("service_cidr", cidr, 12, 24))
    yield from wrong
    if not wrong and not any(ipaddress.IPv4Network(cidr).subnet_of(each) for each in _PRIVATE):
        yield Problem(
            "service_cidr", cidr, "EKS takes private networks only", "in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            "write 172.20.0.0/16",
        )  # fmt: skip


def _public(path: str, cidr: str) -> Iterator[Problem]:
    """A network that can reach the public endpoint: EKS refuses 10.0.0.0/8 and the like ("not allowed in
    publicAccessCidrs"), but only once the cluster is being made."""
    wrong = list(checks.cidr(path, cidr))
    yield from wrong
    if not wrong and not checks.public(cidr):
        yield Problem(
            path, cidr, "no public addresses: nobody comes to the endpoint from there",
            "the networks from which people reach the internet",
            "write the address that https://checkip.amazonaws.com shows, and /32; from inside the VPC and what is "
            "connected to it the private endpoint serves",
        )  # fmt: skip


def warnings(args: EksClusterArgs, today: date) -> Iterator[str]:
    """What works but deserves a look: who comes in, and the end of the version's support. `today`: in UTC, as EKS
    counts."""
    yield from access.warnings(args.get("access", {}))
    version, extended = args["version"], args.get("support", "standard") == "extended"
    support = EKS_SUPPORT.get(version)
    if support is None or today < support.standard_until - NOTICE:
        return
    later = VERSIONS[VERSIONS.index(version) + 1 :]
    move = f"set version to {later[0]}" if later else "look for a newer gpuyard, which knows the next version"
    until, last = support.standard_until, support.extended_until
    if today >= last:
        yield f"version: EKS has dropped Kubernetes {version} on {last} and upgrades the cluster by itself; {move}"
    elif today >= until and extended:
        yield (
            f"version: Kubernetes {version} left standard support on {until}; every hour costs more, and on {last} EKS "
            f"upgrades the cluster; {move}"
        )
    elif today >= until:
        yield (
            f"version: Kubernetes {version} left standard support on {until}; with support = standard EKS upgrades the "
            f"cluster by itself, and a cluster that is in extended support already stays there; {move}, or support to "
            f"extended (costs more per hour, until {last})"
        )
    else:
        then = "costs more per hour" if extended else "is upgraded by EKS"
        yield f"version: on {until} Kubernetes {version} leaves standard support and the cluster {then}; before, {move}"


class EksCluster(pulumi.ComponentResource):
    """An EKS cluster with API authentication, encrypted secrets, a private endpoint and logs that end; no nodes yet.

    Its own role has AmazonEKSClusterPolicy and nothing else. Whoever creates it is its administrator (see `Access`).
    Does not: make node pools (`EksNodePool`), storage (`AwsStorage`) or anything inside Kubernetes.
    """

    cluster_name: pulumi.Output[str]
    """Physical name. Whoever uses it waits for the API server; nodes `depends_on` the whole component."""
    endpoint: pulumi.Output[str]
    """Address of the API server."""
    certificate_authority: pulumi.Output[str]
    """Certificate of the API server's authority, in base64."""
    service_cidr: pulumi.Output[str]
    """Addresses of the cluster's Services."""
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
    oidc_provider_arn: pulumi.Output[str]
    """The cluster as an identity provider in IAM, for roles of service accounts (IRSA) that other stacks make; what
    comes after `oidc-provider/` is the issuer. The library itself uses Pod Identity."""

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
        aws.kms.Alias(
            f"{name}-secrets-alias",
            name=f"alias/eks/{args['cluster_name']}",
            target_key_id=key.id,
            opts=child,
        )
        # EKS would make it by itself, with no end to its logs. While the cluster goes, EKS may write a last line and
        # make the group anew (terraform-aws-eks#2446): delete that one by hand before the name is used again.
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{args['cluster_name']}/cluster",
            retention_in_days=int(args.get("log_days", 90)),
            tags=tags,
            # The audit log says who did what in a cluster that is to be kept.
            opts=pulumi.ResourceOptions(parent=self, protect=protected),
        )
        cluster = eks.Cluster(
            f"{name}-eks",
            name=args["cluster_name"],
            version=args["version"],
            vpc_id=args["network_id"],
            private_subnet_ids=args["private_subnet_ids"],
            public_subnet_ids=args["public_subnet_ids"],
            authentication_mode=eks.AuthenticationMode.API,
            endpoint_private_access=True,
            endpoint_public_access=bool(public_cidrs),
            public_access_cidrs=public_cidrs or None,
            encryption_config_key_arn=key.arn,
            enabled_cluster_log_types=args.get("log_types", list(LOG_TYPES[:3])),
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type=SUPPORT[args.get("support", "standard")]),
            # Node pools, add-ons and security groups are ours: EKS's own group covers nodes and control plane.
            kubernetes_service_ip_address_range=args.get("service_cidr"),
            skip_default_node_group=True,
            skip_default_security_groups=True,
            use_default_vpc_cni=True,
            bootstrap_self_managed_addons=False,
            kube_proxy_addon_options=eks.KubeProxyAddonOptionsArgs(enabled=False),
            coredns_addon_options=eks.CoreDnsAddonOptionsArgs(enabled=False),
            # Its own would connect from the deploying machine to the issuer for a thumbprint that IAM does not need.
            create_oidc_provider=False,
            create_instance_role=False,
            deletion_protection=protected,
            service_role=self._ready_role(name, args),
            provider_credential_opts=_credentials(args),
            tags=tags,
            # A cluster is replaced by no edit of this file; see docs/upgrades.md.
            opts=pulumi.ResourceOptions(parent=self, protect=protected, depends_on=[logs]),
        )
        access.entries(name, args.get("access", {}), cluster, tags, self)
        ways_in = [
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
                "policy_arns": roles.policy_arns("vpc_cni"),
                "role_arn": args.get("roles", {}).get("vpc_cni", ""),
                "configuration": {
                    "env": {
                        # Prefix delegation: 110 pods and more on a node instead of what its addresses allow.
                        "ENABLE_PREFIX_DELEGATION": "true",
                        "WARM_PREFIX_TARGET": "1",
                        # On the network interfaces that it makes; the node's first one is EC2's.
                        **({"ADDITIONAL_ENI_TAGS": json.dumps(tags)} if tags else {}),
                    },
                    # Without it NetworkPolicies are taken and nobody enforces them. The node agent beside the plug-in
                    # does; what it drops stands in a log on the node (EKS user guide, "Limit Pod traffic with
                    # Kubernetes network policies").
                    "enableNetworkPolicy": "true",
                    "nodeAgent": {"enablePolicyEventLogs": "true"},
                },
            },
            child,
        )

        self.cluster_name = eks_name
        self.endpoint = cluster.eks_cluster.endpoint
        self.certificate_authority = cluster.eks_cluster.certificate_authority.data
        self.service_cidr = cluster.eks_cluster.kubernetes_network_config.service_ipv4_cidr
        self.kubernetes_version = cluster.eks_cluster.version
        # Whoever uses it comes through one of these rules, on the way up and on the way down.
        known = pulumi.Output.all(cluster.kubeconfig_json, *ways_in)
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

    def _ready_role(self, name: str, args: EksClusterArgs) -> aws.iam.Role | None:
        """The control plane's role where it is there already: pulumi-eks takes the role itself and no ARN."""
        ready = args.get("roles", {}).get("cluster")
        if not ready:
            return None
        return aws.iam.Role.get(f"{name}-role", roles.name_of(ready), opts=pulumi.ResourceOptions(parent=self))


def _credentials(args: EksClusterArgs) -> eks.KubeconfigOptionsArgs | None:
    """As whom pulumi-eks logs in."""
    profile, role = args.get("profile", ""), args.get("role_arn", "")
    if not profile and not role:
        return None
    return eks.KubeconfigOptionsArgs(profile_name=profile or None, role_arn=role or None)


def _logged_in(kubeconfig: str, args: EksClusterArgs) -> str:
    """The kubeconfig with the profile, which pulumi-eks leaves out of the one that it hands on; the role is in it."""
    profile = args.get("profile", "")
    if not profile:
        return kubeconfig
    document = json.loads(kubeconfig)
    for user in document["users"]:
        user["user"]["exec"]["args"] += ["--profile", profile]
    return json.dumps(document, separators=(",", ":"))
