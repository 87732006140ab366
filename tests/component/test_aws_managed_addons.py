"""Add-ons that EKS manages: their versions, their roles."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest

from components import versions
from components.aws import addon as addons
from components.aws.cluster import EksCluster
from components.aws.identity import PodIdentity
from recording.recorder import run
from tests.component.eks_cluster import addon, cluster, cluster_args, wrong
from tests.component.stage import aws_options


class TestAddons:
    def test_the_clusters_add_ons_have_the_versions_pinned_for_its_kubernetes(self) -> None:
        for minor in versions.EKS_SUPPORT:
            made = cluster(version=minor)
            installed = {f.inputs["addonName"]: f.inputs["addonVersion"] for f in made.all("aws:eks/addon:Addon")}
            assert installed == {name: versions.EKS_ADDONS[name][minor] for name in installed}
            assert not [call for call in made.invokes if call.token.endswith("getAddonVersion")]

    def test_the_callers_version_overrides_the_pin(self) -> None:
        made = cluster(addon_versions={"vpc-cni": "v1.23.2-eksbuild.1"})
        assert made.one("aws:eks/addon:Addon", "c-vpc-cni").inputs["addonVersion"] == "v1.23.2-eksbuild.1"

    @pytest.mark.parametrize(("name", "minor"), [("cert-manager", "1.35"), ("snapshot-controller", "1.33")])
    def test_an_add_on_without_a_pin_gets_the_default_of_eks(self, name: str, minor: str) -> None:
        made = addon(name, kubernetes_version=minor)
        (asked,) = made.invokes
        assert asked.args == {"addonName": name, "kubernetesVersion": minor}
        assert made.one("aws:eks/addon:Addon").inputs["addonVersion"] == "v1.0.0-eksbuild.1"

    def test_every_pin_is_an_eks_build_for_a_known_kubernetes(self) -> None:
        for name, pins in versions.EKS_ADDONS.items():
            assert set(pins) <= set(versions.EKS_SUPPORT) and versions.EKS_VERSION in pins, name
            for minor, version in pins.items():
                assert list(addons.version_problems("x", name, version, minor)) == []
        for minor, version in versions.EKS_ADDONS["kube-proxy"].items():
            assert version.startswith(f"v{minor}.")

    def test_the_cni_version_has_the_network_policy_fix(self) -> None:
        """CVE-2026-86831: fixed in v1.22.4."""
        for version in versions.EKS_ADDONS["vpc-cni"].values():
            assert tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= (1, 22, 4)

    @pytest.mark.parametrize(
        ("name", "version", "words"),
        [
            ("vpc-cnii", "v1.22.4-eksbuild.3", "write vpc-cni"),
            ("ebs-csi-driver", "v1.66.0-eksbuild.1", "aws-ebs-csi-driver"),
            ("nvidia-device-plugin", "0.20.0", "not an add-on that is installed here"),
            ("aws-ebs-csi-driver", "2.64.0", "vX.Y.Z-eksbuild.N"),
            ("coredns", "v1.13.2", "vX.Y.Z-eksbuild.N"),
            ("coredns", "latest", "--addon-name coredns --kubernetes-version 1.35"),
            ("kube-proxy", "v1.36.0-eksbuild.25", "newer than the cluster's Kubernetes 1.35"),
        ],
    )
    def test_a_wrong_name_or_version_of_an_add_on_is_refused(self, name: str, version: str, words: str) -> None:
        (found,) = addons.versions_problems("x", {name: version}, "1.35")
        assert found.path == f"x.{name}" and words in str(found)

    def test_a_component_refuses_what_another_one_installs(self) -> None:
        """Versions and roles that would have no effect."""
        arn = "arn:aws:iam::123456789012:role/a"
        found = wrong(addon_versions={"coredns": "v1.13.2-eksbuild.31"}, roles={"ebs_csi": arn})
        assert set(found) == {"addon_versions.coredns", "roles.ebs_csi"}
        assert "vpc-cni, kube-proxy, eks-pod-identity-agent" in found["addon_versions.coredns"]
        assert "cluster, nodes, vpc_cni" in found["roles.ebs_csi"]

    def test_an_invalid_kubernetes_version_is_reported_once(self) -> None:
        assert set(wrong(version="one", addon_versions={"kube-proxy": "v1.36.0-eksbuild.25"})) == {"version"}

    def test_an_add_on_checks_its_arguments(self) -> None:
        with pytest.raises(pulumi.RunError, match=r"  version = '1\.13'"):
            addon(version="1.13")
        with pytest.raises(pulumi.RunError, match="would belong to no service account"):
            addon(policy_arns=["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"])


class TestIdentity:
    def test_a_role_is_for_one_service_account_of_one_cluster(self) -> None:
        args: Any = {
            "cluster": "train",
            "namespace": "ml",
            "service_account": "trainer",
            "policy": {"Version": "2012-10-17", "Statement": []},
        }
        made = run(lambda: PodIdentity("p", args, aws_options()))
        (statement,) = json.loads(made.one("Role").inputs["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert set(statement["Action"]) == {"sts:AssumeRole", "sts:TagSession"}
        assert statement["Condition"] == {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:us-east-1:123456789012:cluster/train",
                "aws:RequestTag/kubernetes-namespace": "ml",
                "aws:RequestTag/kubernetes-service-account": "trainer",
            }
        }
        association = made.one("PodIdentityAssociation").inputs
        assert (association["namespace"], association["serviceAccount"]) == ("ml", "trainer")

    def test_an_add_on_depends_on_its_role(self) -> None:
        made = addon(
            "vpc-cni", service_account="aws-node", policy_arns=["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"]
        )
        installed = made.one("aws:eks/addon:Addon")
        assert installed.inputs["podIdentityAssociations"] == [
            {"roleArn": made.one("Role").outputs["arn"], "serviceAccount": "aws-node"}
        ]
        assert not made.all("PodIdentityAssociation")
        assert made.must_outlive(made.one("RolePolicyAttachment"), installed)

    def test_the_cluster_argument_can_be_an_output(self) -> None:
        """The cluster's name is in the trust policy, the description and the association."""

        def program() -> None:
            options = aws_options()
            made = EksCluster("c", cluster_args(), options)
            PodIdentity("p", {"cluster": made.cluster_name, "namespace": "ml", "service_account": "t"}, options)

        made = run(program)
        role, association = made.one("Role", "p-role"), made.one("PodIdentityAssociation")
        assert role.inputs["description"] == "ml/t in the EKS cluster train"
        assert ":cluster/train" in role.inputs["assumeRolePolicy"]
        assert association.inputs["clusterName"] == "train"
        for found in (role, association):
            assert made.must_outlive(made.one("aws:eks/cluster:Cluster"), found)

    def test_a_policy_can_be_an_output(self) -> None:
        def program() -> None:
            cluster_name = pulumi.Output.from_input("train")
            document = cluster_name.apply(lambda name: {"Version": "2012-10-17", "Statement": [{"Sid": name}]})
            PodIdentity(
                "p",
                {"cluster": cluster_name, "namespace": "ml", "service_account": "t", "policy": document},
                aws_options(),
            )

        assert json.loads(run(program).one("RolePolicy").inputs["policy"])["Statement"] == [{"Sid": "train"}]

    def test_an_add_on_outside_kube_system_has_its_service_account_there(self) -> None:
        made = addon(
            "amazon-cloudwatch-observability",
            namespace="amazon-cloudwatch",
            service_account="cloudwatch-agent",
            policy={"Version": "2012-10-17", "Statement": []},
        )
        (statement,) = json.loads(made.one("Role").inputs["assumeRolePolicy"])["Statement"]
        assert statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == "amazon-cloudwatch"
        assert json.loads(made.one("RolePolicy").inputs["policy"])["Statement"] == []

    def test_nothing_is_attached_to_an_existing_role(self) -> None:
        arn = "arn:aws:iam::123456789012:role/cni"
        made = addon("vpc-cni", service_account="aws-node", role_arn=arn)
        assert made.one("aws:eks/addon:Addon").inputs["podIdentityAssociations"] == [
            {"roleArn": arn, "serviceAccount": "aws-node"}
        ]
        assert not made.all("Role") and not made.all("RolePolicyAttachment")


EXISTING = {"service_account": "agent", "role_arn": "arn:aws:iam::123456789012:role/agent"}


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"name": "core dns"}, "addon"),
        ({"kubernetes_version": "1.35.2"}, "kubernetes_version"),
        ({"service_account": "Agent"}, "service_account"),
        ({"service_account": "agent", "namespace": "Team"}, "namespace"),
        ({"namespace": "amazon-cloudwatch"}, "service_account"),
        ({"role_arn": "arn:aws:iam::123456789012:role/cni"}, "service_account"),
        ({"service_account": "agent", "role_arn": ""}, "role_arn"),
        ({**EXISTING, "policy_arns": ["arn:aws:iam::aws:policy/X"]}, "policy_arns"),
        ({**EXISTING, "policy": {"Version": "2012-10-17", "Statement": []}}, "policy"),
    ],
)
def test_a_wrong_argument_of_an_add_on_is_refused_with_its_path(args: dict[str, Any], path: str) -> None:
    with pytest.raises(pulumi.RunError, match=rf"EksAddon a: one value cannot work(.|\n)*  {path} = "):
        addon(**args)


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"namespace": ""}, "namespace"),
        ({"service_account": "a b"}, "service_account"),
        ({"role_arn": ""}, "role_arn"),
        ({**EXISTING, "policy_arns": ["arn:aws:iam::aws:policy/X"]}, "policy_arns"),
    ],
)
def test_a_wrong_argument_of_an_identity_is_refused_with_its_path(args: dict[str, Any], path: str) -> None:
    given: Any = {"cluster": "train", "namespace": "ml", "service_account": "trainer", **args}
    with pytest.raises(pulumi.RunError, match=rf"PodIdentity p: one value cannot work(.|\n)*  {path} = "):
        run(lambda: PodIdentity("p", given, aws_options()))
