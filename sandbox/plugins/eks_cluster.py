"""The component `eks:index:Cluster` of pulumi-eks 4.4.0: the same children, names, types, parents and outputs.

Purpose: a stack that later switches to the real component finds the same URNs. Inputs are already checked (`eks.py`).
Does not create Fargate profiles (refused by `eks_rules.py`) or the TLS connection to the OIDC issuer (no network; the
thumbprint, which IAM ignores, is derived from the issuer's address).
Source of facts: pulumi-eks 4.4.0, nodejs/eks/cluster (August 2026); children seen in a run of the real component.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import Output, ResourceOptions

from sandbox.aws import reach
from sandbox.cluster import key as keys

from . import eks_access, eks_addons, eks_nodes, eks_rules, faults
from .eks_role import ServiceRole

KUBERNETES = "4.19.0"
"""Version of the Kubernetes SDK in pulumi-eks 4.4.0; its provider uses the plugin of this version (package.json)."""

# 60 attempts, with one second for each answer and five seconds between attempts.
_HEALTH_SECONDS = 360

CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
AUTO_MODE_POLICIES = (
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")
AUTO_NODE_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


def _tags(*layers: Any) -> Output[dict[str, str]]:
    """Merges tag maps; later ones take precedence. Each may be missing or an output."""
    return Output.all(*layers).apply(lambda maps: {k: v for tags in maps for k, v in (tags or {}).items()})


class Cluster(eks_nodes.ClusterParts):
    """An EKS cluster with all resources that pulumi-eks adds to it; `state` holds the component's outputs."""

    state: dict[str, Any]

    def __init__(self, name: str, args: Mapping[str, Any], opts: ResourceOptions | None = None) -> None:
        super().__init__("eks:index:Cluster", name, None, opts)
        self.label = name
        self.args = args
        self.tags = args.get("tags")
        self.child = ResourceOptions(parent=self)
        self.asked = pulumi.InvokeOptions(parent=self)  # lookups use the component's own aws provider
        found = aws.get_partition_output(opts=self.asked)
        self.partition, self.dns_suffix = found.partition, found.dns_suffix
        self.vpc_id, self.subnet_ids = self._network()
        self.security_group = self._security_group()
        self.auto_node_role = self._auto_node_role()
        self.role, attached = self._role()
        self.cluster = self._cluster(attached)
        self._kube_proxy()
        self.endpoint = Output.all(self.cluster.endpoint, self.cluster.arn).apply(self._answering)
        self.kubeconfig = self._kubeconfig(profile=False)
        self.provider = kubernetes.Provider(
            f"{name}-eks-k8s",
            kubeconfig=self._kubeconfig(profile=True).apply(eks_access.to_json),
            # This input's name on the wire differs from the SDK's only in case.
            enable_config_map_mutable=args.get("enableConfigMapMutable"),
            # The SDK that the real component is built with; the engine requires a plugin of exactly this version.
            opts=ResourceOptions(parent=self, version=KUBERNETES),
        )
        self.instance_roles, node_role, self.instance_profile = self._instance_roles()
        self.node_access = self._node_access()
        self.entries = self._access_entries(node_role)
        granted = [*self.entries, *([self.node_access] if self.node_access else [])]
        self.storage_classes = self._storage_classes(granted)
        self.cni = self._cni(granted)
        self._coredns()
        self.oidc_provider = self._oidc_provider()
        self.node_security_group, self.ingress_rule = self._node_security_group()
        self.node_group = eks_nodes.default_group(self) if eks_rules.has_default_node_group(args) else None
        self.state = self._state()
        self.register_outputs(self.state)

    def _network(self) -> tuple[Any, Any]:
        """The VPC and the subnets of the control plane. Without a VPC, those of the account's default VPC."""
        args = self.args
        vpc_id, subnets = args.get("vpcId"), None
        if not vpc_id:
            opts = pulumi.InvokeOutputOptions(parent=self)
            vpc_id = aws.ec2.get_vpc_output(default=True, opts=opts).id
            of_it: Any = [{"name": "vpc-id", "values": [vpc_id]}]
            subnets = aws.ec2.get_subnets_output(filters=of_it, opts=opts).ids
        if args.get("subnetIds"):
            subnets = args["subnetIds"]
        elif args.get("publicSubnetIds") or args.get("privateSubnetIds"):
            both = Output.all(args.get("publicSubnetIds") or [], args.get("privateSubnetIds") or [])
            subnets = both.apply(lambda lists: [*lists[0], *lists[1]])
        return vpc_id, subnets or []

    def _role(self) -> tuple[Any, list[pulumi.Resource]]:
        if self.args.get("serviceRole"):
            return self.args["serviceRole"], []
        auto = eks_rules.auto_mode(self.args)
        made = ServiceRole(
            f"{self.label}-eksRole",
            "eks.amazonaws.com",
            [*CLUSTER_POLICIES, *(AUTO_MODE_POLICIES if auto else ())],
            self.partition,
            self.tags,
            self.child,
            "Allows EKS to manage clusters on your behalf.",
            ["sts:AssumeRole", "sts:TagSession"],
        )
        return made.role, made.attached

    def _auto_node_role(self) -> ServiceRole | None:
        auto = self.args.get("autoMode") or {}
        if not auto.get("enabled") or auto.get("createNodeRole") is False:
            return None
        return ServiceRole(
            f"{self.label}-nodeRole", "ec2.amazonaws.com", AUTO_NODE_POLICIES, self.partition, self.tags, self.child
        )

    @property
    def _skips_security_groups(self) -> bool:
        skip = self.args.get("skipDefaultSecurityGroups")
        return bool(skip) if skip is not None else eks_rules.auto_mode(self.args)

    def _security_group(self) -> Any:
        args = self.args
        if args.get("clusterSecurityGroup"):
            return args["clusterSecurityGroup"]
        if self._skips_security_groups:
            return None
        tags = _tags(args.get("clusterSecurityGroupTags"), self.tags)
        return eks_nodes.control_plane_group(self.label, self.vpc_id, tags, self.child)

    def _cluster(self, attached: list[pulumi.Resource]) -> aws.eks.Cluster:
        args, auto = self.args, eks_rules.auto_mode(self.args)
        name = f"{self.label}-eksCluster"
        mode, key = args.get("authenticationMode"), args.get("encryptionConfigKeyArn")
        network: Any = None
        if auto or args.get("kubernetesServiceIpAddressRange") or args.get("ipFamily"):
            network = Output.all(args.get("kubernetesServiceIpAddressRange"), args.get("ipFamily")).apply(
                lambda known: {
                    "ip_family": known[1] or "ipv4",
                    # A service range can be set for IPv4 only.
                    **({"service_ipv4_cidr": known[0]} if known[0] and known[1] in (None, "ipv4") else {}),
                    **({"elastic_load_balancing": {"enabled": True}} if auto else {}),
                }
            )
        compute: Any = None
        if auto:
            role_arn = self.auto_node_role.role.arn if self.auto_node_role else None
            compute = Output.all(args["autoMode"].get("computeConfig"), role_arn).apply(
                lambda known: {
                    "enabled": True,
                    "nodePools": ["general-purpose", "system"],
                    **({"nodeRoleArn": known[1]} if known[1] else {}),
                    **(known[0] or {}),
                }
            )
        if self.auto_node_role:
            attached = [*attached, *self.auto_node_role.attached]
        return aws.eks.Cluster(
            name,
            name=args.get("name"),
            role_arn=Output.from_input(self.role).apply(lambda role: role.arn),
            compute_config=compute,
            storage_config=(
                aws.eks.ClusterStorageConfigArgs(
                    block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True)
                )
                if auto
                else None
            ),
            kubernetes_network_config=network,
            bootstrap_self_managed_addons=False if auto else args.get("bootstrapSelfManagedAddons", True),
            vpc_config=aws.eks.ClusterVpcConfigArgs(
                security_group_ids=[self._group_id(self.security_group)] if self.security_group else None,
                subnet_ids=self.subnet_ids,
                endpoint_private_access=args.get("endpointPrivateAccess"),
                endpoint_public_access=args.get("endpointPublicAccess"),
                public_access_cidrs=args.get("publicAccessCidrs"),
            ),
            version=args.get("version"),
            enabled_cluster_log_types=args.get("enabledClusterLogTypes"),
            tags=_tags({"Name": name}, args.get("clusterTags"), self.tags),
            encryption_config=(
                aws.eks.ClusterEncryptionConfigArgs(
                    provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key), resources=["secrets"]
                )
                if key
                else None
            ),
            access_config=(
                aws.eks.ClusterAccessConfigArgs(
                    authentication_mode=mode, bootstrap_cluster_creator_admin_permissions=True
                )
                if mode
                else None
            ),
            upgrade_policy=args.get("upgradePolicy"),
            deletion_protection=args.get("deletionProtection"),
            opts=ResourceOptions(
                parent=self,
                depends_on=attached,
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"],
            ),
        )

    @staticmethod
    def _group_id(group: Any) -> Output[str]:
        return Output.from_input(group).apply(lambda known: known.id)

    def _kube_proxy(self) -> None:
        options = self.args.get("kubeProxyAddonOptions") or {}
        if options.get("enabled", not eks_rules.auto_mode(self.args)):
            eks_addons.managed(self.label, "kube-proxy", options, self.cluster, self.tags, self)

    def _coredns(self) -> None:
        """CoreDNS needs nodes: it is added with a default node group or Auto Mode, or on request."""
        args, options = self.args, self.args.get("corednsAddonOptions") or {}
        asked_for = options.get("enabled") is True or options.get("configurationValues")
        by_default = not args.get("skipDefaultNodeGroup") or eks_rules.auto_mode(args)
        if asked_for or (by_default and options.get("enabled", True)):
            eks_addons.managed(self.label, "coredns", options, self.cluster, self.tags, self)

    def _cni(self, granted: list[pulumi.Resource]) -> eks_addons.VpcCniAddon | None:
        unmanaged = self.args.get("useDefaultVpcCni")
        if unmanaged if unmanaged is not None else eks_rules.auto_mode(self.args):
            return None
        return eks_addons.VpcCniAddon(
            f"{self.label}-vpc-cni",
            self.args.get("vpcCniOptions") or {},
            self.cluster,
            self.tags,
            ResourceOptions(parent=self, depends_on=granted, providers={"kubernetes": self.provider}),
        )

    def _kubeconfig(self, profile: bool) -> Output[dict[str, Any]]:
        credentials = self.args.get("providerCredentialOpts")
        name = os.environ.get("AWS_PROFILE") or pulumi.Config("aws").get("profile")
        if credentials is None and name:
            credentials = {"profileName": name}
        cluster = self.cluster
        ca_data = cluster.certificate_authority.data
        return eks_access.kubeconfig(cluster.name, self.endpoint, ca_data, cluster.arn, credentials, profile)

    async def _answering(self, known: list[Any]) -> str:
        """The endpoint. If it is public, every `up` checks for up to six minutes that it answers from here."""
        endpoint, arn = known
        if pulumi.runtime.is_dry_run() or not self.args.get("endpointPublicAccess"):
            return endpoint
        _, _, _, region, _, name = arn.split(":", 5)
        if reach.blocked(keys.eks(region, name.partition("/")[2])):
            pulumi.log.info("Waiting up to (300) more seconds for cluster readiness...", self.cluster)
            await asyncio.sleep(faults.time_scale() * _HEALTH_SECONDS)
        return endpoint

    def _instance_roles(self) -> tuple[Any, Any, Any]:
        """(roles of the nodes, the role of the default nodes, their instance profile's name)."""
        args = self.args
        options = args.get("nodeGroupOptions") or {}
        profile = args.get("instanceProfileName") or options.get("instanceProfileName")
        if args.get("instanceRoles"):
            return args["instanceRoles"], None, profile
        if args.get("instanceRole"):
            role = args["instanceRole"]
            if not eks_rules.has_default_node_group(args):
                return [role], role, profile
            name = Output.from_input(role).apply(lambda known: known.name)
            return [role], role, self._instance_profile(profile, name)
        if not eks_rules.makes_instance_role(args):
            return [], None, profile
        made = ServiceRole(
            f"{self.label}-instanceRole", "ec2.amazonaws.com", NODE_POLICIES, self.partition, self.tags, self.child
        )
        # Nodes that join before the policies are attached fail, so every resource that uses the role waits for them.
        role = Output.all(*[part.urn for part in made.attached]).apply(lambda _: made.role)
        return [role], role, self._instance_profile(profile, role.apply(lambda known: known.name))

    def _instance_profile(self, existing: Any, role_name: Any) -> Output[str]:
        name = f"{self.label}-instanceProfile"
        if existing:
            return aws.iam.InstanceProfile.get(name, existing, opts=self.child).name
        return aws.iam.InstanceProfile(name, role=role_name, opts=self.child).name

    def _node_access(self) -> kubernetes.core.v1.ConfigMap | None:
        """The aws-auth ConfigMap, if the authentication mode uses it."""
        if not eks_rules.uses_config_map(self.args.get("authenticationMode")):
            return None
        opts = ResourceOptions(parent=self, provider=self.provider)
        return eks_access.config_map(f"{self.label}-nodeAccess", self.instance_roles, self.args, opts)

    def _access_entries(self, node_role: Any) -> list[pulumi.Resource]:
        if not eks_rules.uses_access_entries(self.args.get("authenticationMode")):
            return []
        wanted: dict[str, Mapping[str, Any]] = {}
        if node_role:
            arn = Output.from_input(node_role).apply(lambda role: role.arn)
            wanted["defaultNodeGroupInstanceRole"] = {"principalArn": arn, "type": "EC2_LINUX"}
        # Sorted by name: maps on the wire have no order, and Node.js reads them sorted.
        wanted.update(sorted((self.args.get("accessEntries") or {}).items()))
        return eks_access.entries(self.label, wanted, self.cluster, self)

    def _storage_classes(self, granted: list[pulumi.Resource]) -> dict[str, pulumi.Resource]:
        wanted = self.args.get("storageClasses") or {}
        if isinstance(wanted, str):
            wanted = {wanted: {"type": wanted, "default": True}}
        opts = ResourceOptions(parent=self, provider=self.provider, depends_on=granted)
        return {key: eks_nodes.storage_class(f"{self.label.lower()}-{key}", spec, opts) for key, spec in wanted.items()}

    def _oidc_provider(self) -> aws.iam.OpenIdConnectProvider | None:
        if not self.args.get("createOidcProvider"):
            return None
        address = Output.format(
            "https://oidc.eks.{0}.{1}", aws.get_region_output(opts=self.asked).region, self.dns_suffix
        )
        return aws.iam.OpenIdConnectProvider(
            f"{self.label}-oidcProvider",
            client_id_lists=["sts.amazonaws.com"],
            url=self.cluster.identities[0].oidcs[0].issuer,
            thumbprint_lists=[address.apply(lambda known: hashlib.sha1(known.encode()).hexdigest())],
            opts=self.child,
        )

    def _node_security_group(self) -> tuple[Any, Any]:
        if self._skips_security_groups:
            return None, None
        tags = _tags(self.args.get("nodeSecurityGroupTags"), self.tags)
        cluster_group = self._group_id(self.security_group)
        return eks_nodes.security_group(self.label, self.vpc_id, cluster_group, self.cluster, tags, self.child)

    def _state(self) -> dict[str, Any]:
        """The outputs of the SDK's `eks.Cluster` that the real component sets (all except awsProvider)."""
        args, cluster, key = self.args, self.cluster, self.args.get("encryptionConfigKeyArn")
        auto_node_role = self.auto_node_role.role.name if self.auto_node_role else ""
        issuer: Output[str] = cluster.identities.apply(
            lambda ids: (ids[0].oidcs[0].issuer or "") if ids and ids[0].oidcs else ""
        )
        own_group = cluster.vpc_config.cluster_security_group_id
        core = {
            "cluster": cluster,
            "vpcId": self.vpc_id,
            "subnetIds": self.subnet_ids,
            "publicSubnetIds": args.get("publicSubnetIds"),
            "privateSubnetIds": args.get("privateSubnetIds"),
            "endpoint": self.endpoint,
            "clusterSecurityGroup": self.security_group,
            "provider": self.provider,
            "instanceRoles": self.instance_roles,
            "nodeGroupOptions": eks_nodes.options(args),
            "eksNodeAccess": self.node_access,
            "storageClasses": self.storage_classes,
            "kubeconfig": self.kubeconfig,
            "vpcCni": self.cni,
            "tags": self.tags,
            "nodeSecurityGroupTags": args.get("nodeSecurityGroupTags"),
            "oidcProvider": self.oidc_provider,
            "encryptionConfig": {"provider": {"keyArn": key}, "resources": ["secrets"]} if key else None,
            "clusterIamRole": self.role,
            "accessEntries": [entry for _, entry in sorted((args.get("accessEntries") or {}).items())],
            "autoModeNodeRoleName": auto_node_role,
        }
        group = self.node_group
        return {
            "kubeconfig": self.kubeconfig,
            "kubeconfigJson": self.kubeconfig.apply(eks_access.to_json),
            "clusterSecurityGroup": self.security_group,
            "instanceRoles": self.instance_roles,
            "nodeSecurityGroup": self.node_security_group,
            "eksClusterIngressRule": self.ingress_rule,
            "defaultNodeGroup": group,
            "eksCluster": cluster,
            "core": {key: value for key, value in core.items() if value is not None},
            # If the component creates no security groups, it returns the one that EKS creates.
            "clusterSecurityGroupId": self._group_id(self.security_group) if self.security_group else own_group,
            "nodeSecurityGroupId": self.node_security_group.id if self.node_security_group else own_group,
            "clusterIngressRuleId": self.ingress_rule.security_group_rule_id if self.ingress_rule else "",
            "defaultNodeGroupAsgName": group["autoScalingGroup"].name if group else "",
            "fargateProfileId": "",
            "fargateProfileStatus": "",
            "oidcProviderArn": self.oidc_provider.arn if self.oidc_provider else "",
            "oidcProviderUrl": issuer,
            "oidcIssuer": issuer.apply(lambda url: url.replace("https://", "")),
            "autoModeNodeRoleName": auto_node_role,
        }
