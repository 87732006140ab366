"""The sandbox's eks plugin: the same children, options and refusals as pulumi-eks 4.4.0, under the recorder."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pytest
import yaml

from recording.recorder import run
from recording.recording import Recording
from sandbox.plugins import eks_addons, eks_rules

MANAGED: dict[str, Any] = {"skip_default_node_group": True, "authentication_mode": eks.AuthenticationMode.API}


def cluster(preview: bool = False, **args: Any) -> Recording:
    """A recorded stack with one `eks.Cluster` called `c` on an explicit aws provider; outputs are exported."""

    def program() -> None:
        provider = aws.Provider("aws", region="us-east-1")
        args.setdefault("vpc_id", "vpc-1")
        args.setdefault("private_subnet_ids", ["subnet-1", "subnet-2"])
        made = eks.Cluster("c", **args, opts=pulumi.ResourceOptions(providers={"aws": provider}))
        for key in ("kubeconfig", "kubeconfig_json", "node_security_group_id", "oidc_provider_url", "oidc_issuer"):
            pulumi.export(key, getattr(made, key))
        pulumi.export("version", made.eks_cluster.version)
        pulumi.export("asg", made.default_node_group_asg_name)
        pulumi.export("core_endpoint", made.core.endpoint)

    return run(program, preview=preview)


def names(recording: Recording) -> set[str]:
    """Type and name of everything below the component."""
    return {
        f"{found.type.rpartition(':')[2]} {found.name}" for found in recording.children(recording.one("Cluster", "c"))
    }


def refusal(**args: Any) -> dict[str, str]:
    """Property → the reason why these arguments are refused."""
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        cluster(**args)
    return {error["property_path"]: error["reason"] for error in caught.value.errors or []}


def test_a_cluster_has_the_children_of_the_real_component() -> None:
    """seed row S01: roles, security groups with their rules, cluster, Kubernetes provider, kube-proxy and VPC CNI."""
    made = cluster(
        **MANAGED, create_oidc_provider=True, access_entries={"ops": {"principal_arn": "arn:aws:iam::1:role/o"}}
    )
    assert names(made) == {
        "ServiceRole c-eksRole",
        "Role c-eksRole-role",
        "RolePolicyAttachment c-eksRole-4b490823",
        "SecurityGroup c-eksClusterSecurityGroup",
        "SecurityGroupRule c-eksClusterInternetEgressRule",
        "Cluster c-eksCluster",
        "Addon c-kube-proxy",
        "kubernetes c-eks-k8s",
        "AccessEntry c-ops",
        "VpcCniAddon c-vpc-cni",
        "Addon c-vpc-cni",
        "OpenIdConnectProvider c-oidcProvider",
        "SecurityGroup c-nodeSecurityGroup",
        "SecurityGroupRule c-eksNodeIngressRule",
        "SecurityGroupRule c-eksNodeClusterIngressRule",
        "SecurityGroupRule c-eksExtApiServerClusterIngressRule",
        "SecurityGroupRule c-eksNodeInternetEgressRule",
        "SecurityGroupRule c-eksClusterIngressRule",
    }
    assert not made.orphans()


def test_lookups_use_the_clusters_provider() -> None:
    """field case A17: the real component is the parent of its lookups (createCore, `{ parent }`), so a stack can
    disable all default providers and use one identity."""
    made = cluster(**MANAGED, create_oidc_provider=True)
    asked = {call.token for call in made.invokes}
    assert {"aws:index/getPartition:getPartition", "aws:index/getRegion:getRegion"} <= asked
    assert made.without_provider() == []


def test_roles_and_kubeconfig_are_written_as_javascript_writes_json() -> None:
    """field case A17: otherwise a stack that changes from the sandbox to the real component shows them as changed."""
    made = cluster(**MANAGED)
    for text in (
        made.one("Role", "c-eksRole-role").inputs["assumeRolePolicy"],
        made.one("pulumi:providers:kubernetes").inputs["kubeconfig"],
        made.exports["kubeconfig_json"],
    ):
        assert text == json.dumps(json.loads(text), separators=(",", ":"))


def test_the_internal_kubernetes_provider_has_the_version_of_pulumi_eks_sdk() -> None:
    """field case A17: pulumi-eks 4.4.0 is built with @pulumi/kubernetes 4.19.0 (package.json), and the engine requires
    that plugin in addition to the program's, also without downloads."""
    assert cluster(**MANAGED).one("pulumi:providers:kubernetes").options["version"] == "4.19.0"


def test_core_has_the_outputs_of_the_real_component() -> None:
    """field case A17: the key, the role of Auto Mode, and access entries in the order of their names."""
    entries = {who: {"principal_arn": f"arn:aws:iam::1:role/{who}"} for who in ("zoe", "ann", "mia")}
    made = cluster(**MANAGED, encryption_config_key_arn="arn:aws:kms:us-east-1:1:key/k", access_entries=entries)
    core = made.one("eks:index:Cluster").outputs["core"]
    assert core["encryptionConfig"] == {
        "provider": {"keyArn": "arn:aws:kms:us-east-1:1:key/k"},
        "resources": ["secrets"],
    }
    assert core["autoModeNodeRoleName"] == ""
    assert [entry["principalArn"][-3:] for entry in core["accessEntries"]] == ["ann", "mia", "zoe"]


def test_the_cluster_waits_for_its_role_and_the_policies() -> None:
    made = cluster(**MANAGED)
    control_plane = made.one("aws:eks/cluster:Cluster")
    assert made.must_outlive(made.one("Role", "c-eksRole-role"), control_plane)
    assert made.must_outlive(made.one("RolePolicyAttachment"), control_plane)


def test_the_kubeconfig_names_the_cluster_and_its_region_and_logs_in_by_the_aws_cli() -> None:
    made = cluster(**MANAGED, name="train")
    user = made.exports["kubeconfig"]["users"][0]["user"]["exec"]
    assert user["command"] == "aws"
    assert " ".join(user["args"]) == "--region us-east-1 eks get-token --cluster-name train --output json"
    assert json.loads(made.exports["kubeconfig_json"]) == made.exports["kubeconfig"]
    provider = made.one("pulumi:providers:kubernetes")
    assert json.loads(provider.inputs["kubeconfig"]) == made.exports["kubeconfig"]


def test_credential_options_go_into_the_kubeconfig_and_the_profile_only_into_the_providers() -> None:
    options = {"role_arn": "arn:aws:iam::1:role/admin", "profile_name": "work"}
    made = cluster(**MANAGED, provider_credential_opts=options)
    args = made.exports["kubeconfig"]["users"][0]["user"]["exec"]["args"]
    assert args[-2:] == ["--role", "arn:aws:iam::1:role/admin"]
    assert "--profile" not in args
    assert '"--profile","work"' in made.one("pulumi:providers:kubernetes").inputs["kubeconfig"]


def test_a_preview_of_a_new_cluster_knows_its_children_and_no_ids() -> None:
    made = cluster(preview=True, **MANAGED)
    assert names(made) == names(cluster(**MANAGED))
    assert repr(made.exports["kubeconfig"]) == "<unknown>"


def test_without_security_groups_the_outputs_name_the_group_that_eks_makes() -> None:
    made = cluster(**MANAGED, skip_default_security_groups=True)
    assert not made.all("SecurityGroup") and not made.all("SecurityGroupRule")
    assert made.exports["node_security_group_id"] == "sg-made-by-eks"
    assert "securityGroupIds" not in made.one("aws:eks/cluster:Cluster").inputs["vpcConfig"]


def test_encryption_endpoint_and_deletion_protection_reach_the_cluster() -> None:
    made = cluster(
        **MANAGED,
        encryption_config_key_arn="arn:aws:kms:us-east-1:1:key/k",
        endpoint_private_access=True,
        endpoint_public_access=True,
        public_access_cidrs=["203.0.113.0/24"],
        deletion_protection=True,
        tags={"team": "ml"},
        cluster_tags={"cost": "gpu"},
    )
    inputs = made.one("aws:eks/cluster:Cluster").inputs
    assert inputs["encryptionConfig"] == {
        "provider": {"keyArn": "arn:aws:kms:us-east-1:1:key/k"},
        "resources": ["secrets"],
    }
    assert inputs["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert inputs["deletionProtection"] is True
    assert inputs["tags"] == {"Name": "c-eksCluster", "cost": "gpu", "team": "ml"}
    assert inputs["accessConfig"] == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True}


def test_access_entries_become_entries_with_their_policies_below_them() -> None:
    policy = {
        "policy_arn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "access_scope": {"type": "cluster"},
    }
    entry = {
        "principal_arn": "arn:aws:iam::1:role/ops",
        "access_policies": {"view": policy},
        "kubernetes_groups": ["g"],
    }
    made = cluster(**MANAGED, access_entries={"ops": entry})
    access, association = made.one("AccessEntry"), made.one("AccessPolicyAssociation", "c-ops-view")
    assert access.inputs["kubernetesGroups"] == ["g"]
    assert association.parent == access.urn
    assert association.inputs["policyArn"] == policy["policy_arn"]
    assert association.inputs["accessScope"] == {"type": "cluster"}


def test_without_an_authentication_mode_access_is_by_the_config_map() -> None:
    made = cluster(
        skip_default_node_group=True,
        create_instance_role=True,
        role_mappings=[{"role_arn": "arn:aws:iam::1:role/dev", "username": "dev", "groups": ["g"]}],
    )
    data = made.one("ConfigMap", "c-nodeAccess").inputs["data"]
    mapped = yaml.safe_load(data["mapRoles"])
    assert mapped[0] == {"rolearn": "arn:aws:iam::1:role/dev", "username": "dev", "groups": ["g"]}
    assert mapped[1]["groups"] == ["system:bootstrappers", "system:nodes"]
    assert not made.all("AccessEntry")


def test_the_default_node_group_has_role_profile_template_and_scaling_group() -> None:
    made = cluster(authentication_mode=eks.AuthenticationMode.API, instance_type="m5.large", min_size=2, max_size=5)
    group = made.one("aws:autoscaling/group:Group", "c")
    assert (group.inputs["minSize"], group.inputs["maxSize"], group.inputs["desiredCapacity"]) == (2, 5, 2)
    template = made.one("LaunchTemplate", "c-launchTemplate")
    assert template.inputs["instanceType"] == "m5.large"
    assert "NodeConfig" in base64.b64decode(template.inputs["userData"]).decode()
    assert made.one("AccessEntry", "c-defaultNodeGroupInstanceRole").inputs["type"] == "EC2_LINUX"
    assert made.one("Addon", "c-coredns").inputs["addonName"] == "coredns"
    assert made.exports["asg"].startswith("c-")
    assert made.must_outlive(made.one("SecurityGroupRule", "c-eksClusterIngressRule"), group)


def test_coredns_is_left_out_without_nodes_unless_it_is_asked_for() -> None:
    assert not cluster(**MANAGED).all("Addon", "c-coredns")
    assert cluster(**MANAGED, coredns_addon_options={"enabled": True, "version": "v1"}).one("Addon", "c-coredns")


def test_add_ons_can_be_switched_off_and_pinned() -> None:
    made = cluster(**MANAGED, use_default_vpc_cni=True, kube_proxy_addon_options={"enabled": False})
    assert not made.all("Addon")
    pinned = cluster(**MANAGED, kube_proxy_addon_options={"version": "v1.35.0-eksbuild.2"})
    assert pinned.one("Addon", "c-kube-proxy").inputs["addonVersion"] == "v1.35.0-eksbuild.2"


def test_auto_mode_sets_its_three_fields_and_creates_no_add_ons() -> None:
    made = cluster(authentication_mode=eks.AuthenticationMode.API, auto_mode={"enabled": True})
    inputs = made.one("aws:eks/cluster:Cluster").inputs
    assert inputs["computeConfig"]["enabled"] and inputs["computeConfig"]["nodePools"] == ["general-purpose", "system"]
    assert inputs["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert inputs["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert [addon.name for addon in made.all("aws:eks/addon:Addon")] == ["c-coredns"]
    assert made.one("Role", "c-nodeRole-role") and not made.all("SecurityGroup")


def test_storage_classes_of_the_component_are_made_in_the_cluster() -> None:
    made = cluster(
        **MANAGED, storage_classes={"fast": eks.StorageClassArgs(type="io1", iops_per_gb=10, encrypted=True)}
    )
    storage = made.one("StorageClass", "c-fast")
    assert storage.inputs["parameters"] == {"type": "io1", "iopsPerGb": "10", "encrypted": "true"}
    assert storage.provider == made.one("pulumi:providers:kubernetes").urn


def test_cni_options_become_environment_variables_that_the_caller_can_override() -> None:
    config = eks_addons.configuration(
        {
            "enablePrefixDelegation": True,
            "warmPrefixTarget": 2.0,
            "configurationValues": {"env": {"WARM_ENI_TARGET": "7"}, "resources": {"limits": {"cpu": "1"}}},
        }
    )
    assert config["env"]["ENABLE_PREFIX_DELEGATION"] == "true"
    assert config["env"]["WARM_PREFIX_TARGET"] == "2"
    assert config["env"]["WARM_ENI_TARGET"] == "7"
    assert config["init"] == {"env": {"DISABLE_TCP_EARLY_DEMUX": "false"}}
    assert config["resources"] == {"limits": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("property", "args"),
    [
        ("vpcCniOptions.enablePrefixDelegatoin", {"vpc_cni_options": {"enablePrefixDelegatoin": True}}),
        ("version", {"version": 1.35}),
        ("accessEntries.ops.principalArn", {"access_entries": {"ops": {"type": "STANDARD"}}}),
        (
            "kubeProxyAddonOptions.resolveConflictsOnCreate",
            {"kube_proxy_addon_options": {"resolveConflictsOnCreate": "NO"}},
        ),
    ],
)
def test_an_argument_that_pulumi_eks_does_not_have_is_refused_by_its_path(property: str, args: dict[str, Any]) -> None:
    assert set(refusal(**MANAGED, **args)) == {property}


@pytest.mark.parametrize(
    ("property", "args"),
    [
        ("accessEntries", {"accessEntries": {"ops": {"principalArn": "a"}}}),
        ("accessEntries", {"authenticationMode": "CONFIG_MAP", "accessEntries": {"ops": {"principalArn": "a"}}}),
        ("authenticationMode", {"authenticationMode": "IAM"}),
        ("roleMappings", {"authenticationMode": "API", "roleMappings": [{"roleArn": "a"}]}),
        ("autoMode", {"autoMode": {"enabled": True}}),
        ("instanceRole", {"instanceRole": "a", "instanceRoles": ["b"]}),
        ("subnetIds", {"subnetIds": ["a"], "privateSubnetIds": ["b"]}),
        ("publicAccessCidrs", {"publicAccessCidrs": ["203.0.113.0/24"], "endpointPublicAccess": False}),
        ("creationRoleProvider", {"creationRoleProvider": {"role": "r", "provider": "p"}}),
        ("vpcCniOptions", {"vpcCniOptions": {"cniExternalSnat": True, "externalSnat": True}}),
        ("nodeGroupOptions", {"nodeGroupOptions": {"gpu": True}, "instanceType": "m5.large"}),
        ("instanceProfileName", {"createInstanceRole": False, "skipDefaultNodeGroup": False}),
        ("amiId", {"nodeAmiId": "ami-1", "gpu": True, "skipDefaultNodeGroup": False}),
        ("nodeRootVolumeIops", {"nodeGroupOptions": {"nodeRootVolumeIops": 1}, "skipDefaultNodeGroup": False}),
        ("fargate", {"fargate": True}),
    ],
)
def test_conflicting_arguments_are_refused_at_the_one_to_change(property: str, args: dict[str, Any]) -> None:
    failures = eks_rules.conflicts({"skipDefaultNodeGroup": True, **args})
    assert [failure.property for failure in failures] == [property]


def test_an_unsupported_component_is_refused_with_an_alternative() -> None:
    with pytest.raises(pulumi.InputPropertiesError) as caught:
        from sandbox.plugins.eks import EksProvider

        EksProvider().construct("pool", "eks:index:ManagedNodeGroup", {})
    assert "aws.eks.NodeGroup" in (caught.value.errors or [])[0]["reason"]


def test_a_refusal_reaches_the_program_as_the_engine_would_send_it() -> None:
    assert set(refusal(**MANAGED, subnet_ids=["subnet-3"])) == {"subnetIds"}
