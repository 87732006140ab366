"""Add-ons that EKS manages: their versions, their roles."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest

from components import versions
from components.aws import addon as addons
from components.aws.identity import PodIdentity
from recording.recorder import run
from tests.component.eks_cluster import addon, cluster, wrong
from tests.component.stage import aws_options


class TestAddons:
    def test_what_the_cluster_installs_has_the_version_that_is_pinned_for_its_kubernetes(self) -> None:
        for minor in versions.EKS_SUPPORT:
            made = cluster(version=minor)
            installed = {f.inputs["addonName"]: f.inputs["addonVersion"] for f in made.all("aws:eks/addon:Addon")}
            assert installed == {name: versions.EKS_ADDONS[name][minor] for name in installed}
            assert not [call for call in made.invokes if call.token.endswith("getAddonVersion")]

    def test_a_version_of_the_callers_goes_before_the_pin(self) -> None:
        made = cluster(addon_versions={"vpc-cni": "v1.23.2-eksbuild.1"})
        assert made.one("aws:eks/addon:Addon", "c-vpc-cni").inputs["addonVersion"] == "v1.23.2-eksbuild.1"

    @pytest.mark.parametrize(("name", "minor"), [("cert-manager", "1.35"), ("snapshot-controller", "1.33")])
    def test_an_add_on_without_a_pin_gets_ekss_own_default(self, name: str, minor: str) -> None:
        made = addon(name, kubernetes_version=minor)
        (asked,) = made.invokes
        assert asked.args == {"addonName": name, "kubernetesVersion": minor}
        assert made.one("aws:eks/addon:Addon").inputs["addonVersion"] == "v1.0.0-eksbuild.1"

    def test_every_pin_is_of_an_eks_build_and_of_a_known_kubernetes(self) -> None:
        for name, pins in versions.EKS_ADDONS.items():
            assert set(pins) <= set(versions.EKS_SUPPORT) and versions.EKS_VERSION in pins, name
            for minor, version in pins.items():
                assert list(addons.version_problems("x", name, version, minor)) == []
        for minor, version in versions.EKS_ADDONS["kube-proxy"].items():
            assert version.startswith(f"v{minor}.")

    def test_the_cni_is_none_in_which_a_pod_slips_through_a_network_policy(self) -> None:
        """CVE-2026-86831: fixed in v1.22.4."""
        for version in versions.EKS_ADDONS["vpc-cni"].values():
            assert tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= (1, 22, 4)

    @pytest.mark.parametrize(
        ("name", "version", "words"),
        [
            ("vpc-cnii", "v1.22.4-eksbuild.3", "write vpc-cni"),
            ("ebs-csi-driver", "v1.66.0-eksbuild.1", "aws-ebs-csi-driver"),
            ("nvidia-device-plugin", "0.20.0", "no add-on that is installed here"),
            ("aws-ebs-csi-driver", "2.64.0", "vX.Y.Z-eksbuild.N"),
            ("coredns", "v1.13.2", "vX.Y.Z-eksbuild.N"),
            ("coredns", "latest", "--addon-name coredns --kubernetes-version 1.35"),
            ("kube-proxy", "v1.36.0-eksbuild.25", "newer than the cluster's Kubernetes 1.35"),
        ],
    )
    def test_a_wrong_name_or_version_of_an_add_on_is_refused(self, name: str, version: str, words: str) -> None:
        found = wrong(addon_versions={name: version})
        assert set(found) == {f"addon_versions.{name}"} and words in found.popitem()[1]

    def test_of_a_wrong_kubernetes_version_the_add_ons_are_no_second_mistake(self) -> None:
        assert set(wrong(version="one", addon_versions={"kube-proxy": "v1.36.0-eksbuild.25"})) == {"version"}

    def test_an_add_on_checks_its_own_arguments(self) -> None:
        with pytest.raises(pulumi.RunError, match=r"versions\.coredns = '1\.13'"):
            addon(versions={"coredns": "1.13"})
        with pytest.raises(pulumi.RunError, match="nobody would have the permissions"):
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

    def test_an_add_ons_role_is_made_before_the_add_on_which_makes_the_association(self) -> None:
        made = addon(
            "vpc-cni", service_account="aws-node", policy_arns=["arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy"]
        )
        installed = made.one("aws:eks/addon:Addon")
        assert installed.inputs["podIdentityAssociations"] == [
            {"roleArn": made.one("Role").outputs["arn"], "serviceAccount": "aws-node"}
        ]
        assert not made.all("PodIdentityAssociation")
        assert made.must_outlive(made.one("RolePolicyAttachment"), installed)
