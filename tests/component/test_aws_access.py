"""Access to the API of an EKS cluster."""

from __future__ import annotations

import pytest

from tests.component.eks_cluster import ROLE, cluster, wrong


class TestAccess:
    def test_an_entry_is_not_protected_with_the_cluster(self) -> None:
        """field case A16: an entry must be removable while the cluster is protected."""
        made = cluster(access={"ops": {"principal_arn": ROLE, "level": "admin"}})
        assert made.one("eks:index:Cluster").options["protect"] is True
        for kind in ("AccessEntry", "AccessPolicyAssociation"):
            assert not made.one(kind).options.get("protect"), kind
        old = {alias.spec.name for alias in made.one("AccessEntry").options["aliases"]}
        assert old == {"c-eks-ops"}

    def test_a_changed_namespace_association_is_deleted_before_it_is_recreated(self) -> None:
        """security case M2: for EKS, the old and the new association are the same object; deleting the old one last
        would remove the access (pulumi-aws#4782 is the same for another association)."""
        made = cluster(access={"ops": {"principal_arn": ROLE, "level": "view", "namespaces": ["a"]}})
        assert made.one("AccessPolicyAssociation").options["deleteBeforeReplace"] is True

    @pytest.mark.parametrize("who", ["", "a b", "a/b", "größe", "x" * 64, "a::b"])
    def test_an_invalid_resource_name_is_refused(self, who: str) -> None:
        """reliability case R14."""
        assert set(wrong(access={who: {"principal_arn": ROLE, "level": "view"}})) == {f"access.{who}"}

    @pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov", "aws-iso"])
    def test_a_principal_of_another_partition_is_refused(self, partition: str) -> None:
        """reliability case R14."""
        found = wrong(access={"ops": {"principal_arn": f"arn:{partition}:iam::123456789012:role/ops", "level": "view"}})
        assert set(found) == {"access.ops.principal_arn"} and "another partition" in found["access.ops.principal_arn"]

    def test_access_by_name_creates_entries_with_the_policy_of_the_level(self) -> None:
        made = cluster(access={"ops": {"principal_arn": ROLE, "level": "admin"}})
        association = made.one("AccessPolicyAssociation", "c-access-ops-admin")
        assert association.inputs["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
        assert association.inputs["principalArn"] == ROLE
        assert association.inputs["accessScope"] == {"type": "cluster"}
        # The only possible type: EKS itself creates the entries of nodes.
        assert made.one("AccessEntry").inputs.get("type", "STANDARD") == "STANDARD"

    @pytest.mark.parametrize(
        ("level", "policy"),
        [("admin", "AmazonEKSAdminPolicy"), ("edit", "AmazonEKSEditPolicy"), ("view", "AmazonEKSViewPolicy")],
    )
    def test_namespaces_limit_the_scope_of_a_level(self, level: str, policy: str) -> None:
        access = {"principal_arn": ROLE, "level": level, "namespaces": ["team-a", "dev-*"]}
        association = cluster(access={"team": access}).one("AccessPolicyAssociation")
        assert association.inputs["policyArn"].endswith(f"/{policy}")
        assert association.inputs["accessScope"] == {"type": "namespace", "namespaces": ["team-a", "dev-*"]}

    @pytest.mark.parametrize("namespace", ["Team", "a_b", "-a", "a-", "", "x" * 64])
    def test_an_invalid_namespace_is_refused(self, namespace: str) -> None:
        access = {"principal_arn": ROLE, "level": "view", "namespaces": ["ok", namespace]}
        assert set(wrong(access={"team": access})) == {"access.team.namespaces[1]"}

    @pytest.mark.parametrize(
        ("arn", "words"),
        [
            ("me", "not the ARN of an IAM role or user"),
            ("arn:aws:iam::123456789012:group/ops", "not the ARN of an IAM role or user"),
            ("arn:aws:iam::12345:role/ops", "not the ARN of an IAM role or user"),
            ("arn:aws:iam::123456789012:root", "root user"),
            ("arn:aws:iam::123456789012:role/aws-service-role/eks.amazonaws.com/X", "service-linked role"),
            (
                "arn:aws:sts::123456789012:assumed-role/ops/me@example.com",
                "--role-name ops --query Role.Arn --output text` prints, usually arn:aws:iam::123456789012:role/ops",
            ),
            (
                "arn:aws-us-gov:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/me",
                "--role-name AWSReservedSSO_Admin_0123456789abcdef --query Role.Arn --output text` prints",
            ),
        ],
    )
    def test_a_principal_must_be_a_role_or_a_user(self, arn: str, words: str) -> None:
        found = wrong(access={"ops": {"principal_arn": arn, "level": "admin"}})
        assert set(found) == {"access.ops.principal_arn"} and words in found["access.ops.principal_arn"]
        # The path of a role of IAM Identity Center is not in its session's ARN, so no ARN is guessed.
        assert ("usually" in found["access.ops.principal_arn"]) is ("assumed-role/ops" in arn)

    @pytest.mark.parametrize(
        "arn",
        [
            "arn:aws:iam::210987654321:user/a.b@example.com",
            "arn:aws:iam::123456789012:role/teams/ml/ops",
            "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef",
        ],
    )
    def test_principals_with_paths_or_of_other_accounts_are_accepted(self, arn: str) -> None:
        assert wrong(access={"ops": {"principal_arn": arn, "level": "admin"}}) == {}

    def test_a_principal_is_listed_once(self) -> None:
        """EKS: "The specified access entry resource is already in use on this cluster"."""
        twice = {"ops": {"principal_arn": ROLE, "level": "admin"}, "people": {"principal_arn": ROLE, "level": "view"}}
        found = wrong(access=twice)
        assert set(found) == {"access.people.principal_arn"} and "keep ops or people" in found.popitem()[1]
