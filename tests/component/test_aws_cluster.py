"""The EKS cluster, its logs and the support of its version: the inputs that the SDK gets."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components import versions
from components.aws.cluster import EksCluster
from components.aws.identity import PodIdentity
from recording.recorder import run
from recording.stacks import record, recorded, settings
from tests.component.eks_cluster import ROLE, cluster, cluster_args, warned, wrong
from tests.component.stage import aws_options


class TestCluster:
    def test_the_cluster_uses_access_entries_encrypts_secrets_and_is_private_by_default(self) -> None:
        """seed row S01: an EKS cluster from a component."""
        inputs = cluster().one("aws:eks/cluster:Cluster").inputs
        assert inputs["name"] == "train" and inputs["version"] == "1.35"
        assert inputs["accessConfig"]["authenticationMode"] == "API"
        assert inputs["encryptionConfig"]["resources"] == ["secrets"]
        assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
        assert inputs["vpcConfig"]["endpointPublicAccess"] is False
        assert set(inputs["vpcConfig"]["subnetIds"]) == {"subnet-1", "subnet-2", "subnet-3", "subnet-4"}

    def test_the_endpoint_is_public_only_for_the_configured_networks(self) -> None:
        config = cluster(public_access_cidrs=["8.8.8.0/24"]).one("aws:eks/cluster:Cluster").inputs["vpcConfig"]
        assert config["endpointPublicAccess"] is True and config["publicAccessCidrs"] == ["8.8.8.0/24"]

    @pytest.mark.parametrize("cidr", ["10.0.0.0/8", "192.168.1.0/24", "100.64.0.0/10", "203.0.113.0/24"])
    def test_a_private_network_does_not_make_the_endpoint_public(self, cidr: str) -> None:
        """EKS: "The following CIDRs are not allowed in publicAccessCidrs"."""
        assert set(wrong(public_access_cidrs=["0.0.0.0/0", cidr])) == {"public_access_cidrs[1]"}

    def test_private_access_has_a_rule_that_is_deleted_after_everything_that_uses_the_kubeconfig(self) -> None:
        """field case A3: without a rule EKS lets only nodes into the control plane's security group."""

        def program() -> None:
            args = cluster_args(private_access_cidrs=["10.0.0.0/16", "192.168.0.0/24"])
            made = EksCluster("c", args, aws_options())
            kubernetes.Provider("inside", kubeconfig=made.kubeconfig)

        made = run(program)
        rules = {found.inputs["cidrIpv4"]: found for found in made.all("SecurityGroupIngressRule")}
        assert set(rules) == {"10.0.0.0/16", "192.168.0.0/24"}
        group = made.one("aws:eks/cluster:Cluster").outputs["vpcConfig"]["clusterSecurityGroupId"]
        for rule in rules.values():
            assert (rule.inputs["ipProtocol"], rule.inputs["fromPort"], rule.inputs["toPort"]) == ("tcp", 443, 443)
            assert rule.inputs["securityGroupId"] == group
            assert made.must_outlive(rule, made.one("pulumi:providers:kubernetes", "inside"))
        assert cluster().all("SecurityGroupIngressRule") == []

    @pytest.mark.parametrize("field", ["public_access_cidrs", "private_access_cidrs"])
    def test_access_networks_are_unique_cidrs_within_the_limit_of_eks(self, field: str) -> None:
        """reliability case R12."""
        many = [f"8.8.{index}.0/24" for index in range(41)]
        assert set(wrong(**{field: many})) == {field} and wrong(**{field: many[:40]}) == {}
        assert set(wrong(**{field: ["8.8.8.0/24", "8.8.4.0/24", "8.8.8.0/24"]})) == {f"{field}[2]"}
        for text in ("8.8.8.8", "8.8.8.0/255.255.255.0", "8.8.8.0/", "everybody"):
            assert set(wrong(**{field: [text]})) == {f"{field}[0]"}, text

    @pytest.mark.parametrize(
        ("args", "path"),
        [({"private_subnet_ids": {"us-east-1a": "subnet-1"}}, "private_subnet_ids"), ({"role_arn": ""}, "role_arn")],
    )
    def test_one_zone_and_an_empty_role_are_refused(self, args: dict[str, Any], path: str) -> None:
        with pytest.raises(pulumi.RunError, match=rf"EksCluster c: one value cannot work(.|\n)*  {path} = "):
            cluster(**args)

    def test_network_policies_are_enforced(self) -> None:
        """security case H4: the VPC CNI ignores them unless a setting enables them."""
        addon = cluster().one("aws:eks/addon:Addon", "c-vpc-cni")
        assert json.loads(addon.inputs["configurationValues"])["enableNetworkPolicy"] == "true"

    def test_deletion_protection_is_set_on_the_cluster_and_in_pulumi(self) -> None:
        made = cluster()
        assert made.one("aws:eks/cluster:Cluster").inputs["deletionProtection"] is True
        assert made.one("eks:index:Cluster").options["protect"] is True
        assert made.one("LogGroup").options["protect"] is True
        lifted = cluster(deletion_protection=False)
        assert lifted.one("aws:eks/cluster:Cluster").inputs["deletionProtection"] is False
        assert not any(found.options.get("protect") for found in lifted.resources.values())

    def test_the_kubeconfig_is_a_secret(self) -> None:
        made = cluster()
        assert "kubeconfig" in made.secret_exports
        assert made.exports["connect_command"] == "aws eks update-kubeconfig --region us-east-1 --name train"

    def test_dependants_of_the_cluster_wait_for_the_add_ons_that_nodes_need(self) -> None:
        def program() -> None:
            options = aws_options()
            made = EksCluster("c", cluster_args(), options)
            identity = {
                "cluster": made.cluster_name,
                "namespace": "n",
                "service_account": "s",
            }
            after = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[made]))
            PodIdentity("user", identity, after)  # type: ignore[arg-type]

        made = run(program)
        user = made.one("PodIdentityAssociation", "user-association")
        needed = {found.inputs["addonName"]: found for found in made.all("aws:eks/addon:Addon")}
        for needed_addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
            assert made.must_outlive(needed[needed_addon], user), needed_addon

    def test_nodes_can_only_register_and_pull_images(self) -> None:
        made = cluster()
        role = made.one("Role", "c-nodes")
        policies = {
            found.inputs["policyArn"] for found in made.all("RolePolicyAttachment") if found.inputs["role"] == role.id
        }
        assert policies == {
            "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
            "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
        }

    def test_the_service_network_is_the_configured_one(self) -> None:
        """field case A15: otherwise EKS chooses, and may choose a range that the company uses."""
        inputs = cluster(service_cidr="172.31.0.0/16").one("aws:eks/cluster:Cluster").inputs
        assert inputs["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.31.0.0/16"
        assert not cluster().one("aws:eks/cluster:Cluster").inputs.get("kubernetesNetworkConfig")

    def test_nodes_get_the_configured_additional_policies(self) -> None:
        """field case A15: a shell by SSM is one of AWS's policies."""
        ssm = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        made = cluster(node_policy_arns=[ssm])
        attached = {found.inputs["policyArn"] for found in made.all("RolePolicyAttachment") if "nodes" in found.name}
        assert ssm in attached and len(attached) == 3

    def test_an_account_policy_can_have_the_name_of_an_aws_policy(self) -> None:
        """field case A15"""
        own = [f"arn:aws:iam::{owner}:policy/ReadOnlyAccess" for owner in ("aws", "123456789012")]
        made = cluster(node_policy_arns=own)
        assert {*own} <= {found.inputs["policyArn"] for found in made.all("RolePolicyAttachment")}

    def test_the_interfaces_of_pods_have_the_tags(self) -> None:
        """field case A8"""
        (cni,) = [found for found in cluster(tags={"team": "ml"}).all("Addon") if "vpc-cni" in found.name]
        env = json.loads(cni.inputs["configurationValues"])["env"]
        assert json.loads(env["ADDITIONAL_ENI_TAGS"]) == {"team": "ml"}

    def test_the_control_planes_role_has_only_the_policies_that_eks_requires(self) -> None:
        made = cluster()
        role = made.one("Role", "c-eks-eksRole-role")
        attached = [found for found in made.all("RolePolicyAttachment") if found.inputs["role"] == role.id]
        assert [found.inputs["policyArn"] for found in attached] == ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"]
        assert made.must_outlive(attached[0], made.one("aws:eks/cluster:Cluster"))

    def test_every_taggable_resource_has_the_callers_tags(self) -> None:
        made = cluster(tags={"team": "ml"}, access={"ops": {"principal_arn": ROLE, "level": "admin"}})
        bare = ("Alias", "RolePolicyAttachment", "AccessPolicyAssociation")
        tagged = [
            found for found in made.resources.values() if found.package == "aws" and not found.type.endswith(bare)
        ]
        assert {found.type.rpartition(":")[2] for found in tagged} == {
            *("Key", "LogGroup", "Cluster", "Role", "Addon", "AccessEntry", "OpenIdConnectProvider"),
        }
        for found in tagged:
            assert found.inputs.get("tags", {}).get("team") == "ml", found

    def test_the_secrets_key_is_rotated_and_has_an_alias_with_the_clusters_name(self) -> None:
        made = cluster()
        key, alias = made.one("aws:kms/key:Key"), made.one("aws:kms/alias:Alias")
        assert key.inputs["enableKeyRotation"] is True and key.inputs["deletionWindowInDays"] == 30
        assert "policy" not in key.inputs, "the default leaves the key to the account's IAM policies"
        assert alias.inputs == {"name": "alias/eks/train", "targetKeyId": key.id}

    def test_service_accounts_of_other_stacks_can_get_roles_from_the_clusters_issuer(self) -> None:
        made = cluster()
        provider = made.one("OpenIdConnectProvider")
        issuer = made.one("aws:eks/cluster:Cluster").outputs["identities"][0]["oidcs"][0]["issuer"]
        assert provider.inputs == {"url": issuer, "clientIdLists": ["sts.amazonaws.com"], "tags": {}}
        assert made.exports["oidc_provider_arn"] == provider.outputs["arn"]


class TestLogs:
    def test_the_log_group_outlives_the_cluster_and_has_a_retention(self) -> None:
        """EKS would create it automatically, without a retention."""
        made = cluster()
        group = made.one("LogGroup")
        assert (group.inputs["name"], group.inputs["retentionInDays"]) == ("/aws/eks/train/cluster", 90)
        assert made.must_outlive(group, made.one("aws:eks/cluster:Cluster"))
        assert made.one("aws:eks/cluster:Cluster").inputs["enabledClusterLogTypes"] == ["api", "audit", "authenticator"]

    def test_disabling_the_logs_keeps_the_log_group(self) -> None:
        made = cluster(log_types=[], log_days=365)
        assert made.one("LogGroup").inputs["retentionInDays"] == 365
        assert made.one("aws:eks/cluster:Cluster").inputs["enabledClusterLogTypes"] == []

    @pytest.mark.parametrize(("days", "fix"), [(91, "write 120"), (0, "forever"), (4000, "write 3653"), (-1, "3653")])
    def test_an_unsupported_retention_is_refused_with_the_next_longer_one(self, days: int, fix: str) -> None:
        assert fix in wrong(log_days=days)["log_days"]


class TestSupport:
    def test_extended_support_is_an_option(self) -> None:
        """The default of EKS is extended support, which costs more."""
        assert cluster().one("aws:eks/cluster:Cluster").inputs["upgradePolicy"] == {"supportType": "STANDARD"}
        longer = cluster(support="extended").one("aws:eks/cluster:Cluster")
        assert longer.inputs["upgradePolicy"] == {"supportType": "EXTENDED"}
        assert "write standard" in wrong(support="Standard")["support"]

    def test_a_supported_version_gives_no_warning(self) -> None:
        assert warned("2026-11-23") == ""
        assert warned("2026-10-02", version="1.34") == ""

    def test_sixty_days_before_the_end_of_support_the_next_version_is_named(self) -> None:
        assert warned("2026-10-03", version="1.34") == (
            "version: on 2026-12-02 Kubernetes 1.34 leaves standard support and the cluster is upgraded by EKS; "
            "before, set version to 1.35"
        )
        assert "costs more per hour" in warned("2026-12-01", version="1.34", support="extended")

    def test_support_has_ended_on_the_day_of_its_end(self) -> None:
        """EKS charges for extended support from the beginning of that day, in UTC."""
        message = warned("2026-12-02", version="1.34")
        assert "left standard support on 2026-12-02" in message and "support to extended" in message
        assert "on 2027-12-02 EKS upgrades" in warned("2026-12-02", version="1.34", support="extended")
        assert "has dropped Kubernetes 1.34 on 2027-12-02" in warned("2027-12-02", version="1.34", support="extended")

    def test_an_unsupported_version_is_a_warning_and_not_an_error(self) -> None:
        """A stack does not stop working when support ends."""
        assert warned("2026-11-23", version="1.33").endswith("(costs more per hour, until 2027-07-29)")
        assert "set version to 1.34" in warned("2026-11-23", version="1.33")
        assert wrong(version="1.33") == {}

    def test_after_the_last_known_version_a_newer_gpuyard_is_recommended(self) -> None:
        last = list(versions.EKS_SUPPORT)[-1]
        assert "newer gpuyard" in warned("2099-01-01", version=last)

    def test_an_unknown_version_gives_no_additional_warning(self) -> None:
        assert warned("2026-11-23", version="1.12") == ""


class TestStack:
    """What the stack creates from its file."""

    def test_the_settings_of_the_file_reach_the_cluster(self) -> None:
        chosen = {
            "support": "extended",
            "logDays": 30,
            "access": {"team": {"principalArn": ROLE, "level": "edit", "namespaces": ["team-a"]}},
            "addonVersions": {"metrics-server": "v0.9.1-eksbuild.1"},
        }
        made = record({**settings("dev"), "gpuyard:cluster": chosen}, "dev")
        assert made.one("aws:eks/cluster:Cluster").inputs["upgradePolicy"] == {"supportType": "EXTENDED"}
        assert made.one("LogGroup", "cluster-logs").inputs["retentionInDays"] == 30
        scope = {"type": "namespace", "namespaces": ["team-a"]}
        assert made.one("AccessPolicyAssociation").inputs["accessScope"] == scope
        versions_of = {f.inputs["addonName"]: f.inputs["addonVersion"] for f in made.all("aws:eks/addon:Addon")}
        assert versions_of["metrics-server"] == "v0.9.1-eksbuild.1"
        assert versions_of["coredns"] == versions.EKS_ADDONS["coredns"][versions.EKS_VERSION]

    def test_every_add_on_of_the_stack_has_a_pinned_version(self) -> None:
        assert not [call for call in recorded("dev").invokes if call.token.endswith("getAddonVersion")]

    def test_the_node_monitor_runs_on_tainted_nodes(self) -> None:
        """Otherwise it reports DCGMError there, and node repair replaces healthy nodes (containers-roadmap#2555)."""
        config = settings("dev")
        pools = config["gpuyard:nodePools"]
        pools["gpu-workers"]["taints"] = [{"key": "team", "value": "vision", "effect": "NoExecute"}]
        monitor = record(config, "dev").one("aws:eks/addon:Addon", "eks-node-monitoring-agent")
        assert json.loads(monitor.inputs["configurationValues"]) == {
            "dcgmAgent": {
                "tolerations": [
                    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                    {"key": "team", "operator": "Exists", "effect": "NoExecute"},
                ]
            }
        }
        del pools["gpu-workers"]
        monitor = record(config, "dev").one("aws:eks/addon:Addon", "eks-node-monitoring-agent")
        assert "configurationValues" not in monitor.inputs

    @pytest.mark.parametrize(
        ("cluster_config", "expected"),
        [
            ({}, {"10.0.0.0/16"}),
            ({"publicAccessCidrs": ["8.8.8.0/24"]}, set()),
            ({"privateAccessCidrs": ["192.168.0.0/16"]}, {"192.168.0.0/16"}),
            ({"publicAccessCidrs": ["8.8.8.0/24"], "privateAccessCidrs": ["10.0.0.0/16"]}, {"10.0.0.0/16"}),
            ({"privateAccessCidrs": []}, set()),
        ],
    )
    def test_without_a_public_endpoint_the_vpc_has_access(
        self, cluster_config: dict[str, Any], expected: set[str]
    ) -> None:
        """field case A3: without a public endpoint, a VPN, bastion or runner in the VPC has access by default."""
        made = record({**settings("dev"), "gpuyard:cluster": cluster_config}, "dev")
        rules = [found.inputs["cidrIpv4"] for found in made.all("SecurityGroupIngressRule") if "api-from" in found.name]
        assert set(rules) == expected

    def test_every_role_has_the_boundary_and_the_path(self) -> None:
        """security case M6: an organization refuses roles without its boundary."""
        iam = {"permissionsBoundary": "arn:aws:iam::123456789012:policy/limits", "path": "/ml/"}
        config = {**settings("dev"), "gpuyard:cluster": {**settings("dev")["gpuyard:cluster"], "iam": iam}}
        roles = record(config, "dev").all("aws:iam/role:Role")
        assert "cluster-eks-eksRole-role" in {found.name for found in roles} and len(roles) >= 5
        for found in roles:
            assert found.inputs["permissionsBoundary"] == iam["permissionsBoundary"], found
            assert found.inputs["path"] == "/ml/" and "path" in found.options["ignoreChanges"], found
        for found in recorded("dev").all("aws:iam/role:Role"):
            assert "permissionsBoundary" not in found.inputs and "path" not in found.inputs, found
