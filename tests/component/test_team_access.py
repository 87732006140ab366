"""Members of teams on clusters that gpuyard did not create: access entries on EKS, a role on GKE, and the warning about
NetworkPolicies that nothing enforces."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws import EksTeamAccess, EksTeamIdentity
from components.aws import team_access as on_eks
from components.gcp import GkeTeamAccess, GkeTeamIdentity
from components.gcp import team_access as on_gke
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options, gcp_options
from tests.failing_lookup import LookupFailed

ANN, BOB = (f"arn:aws:iam::123456789012:{who}" for who in ("role/ml/ann", "user/bob"))
ADDON, CLUSTER = "aws:eks/getAddon:getAddon", "gcp:container/getCluster:getCluster"


def eks(teams: Any, outputs: dict[str, Any] | None = None, **more: Any) -> Recording:
    def program() -> None:
        made = EksTeamAccess("access", {"cluster": "train", "teams": teams, **more}, aws_options())  # type: ignore[typeddict-item]
        pulumi.export("groups", made.groups)

    return run(program, outputs=outputs)


def gke(teams: Any, outputs: dict[str, Any] | None = None, **more: Any) -> Recording:
    place = {"project": "my-project", "cluster": "train", "location": "us-central1"}

    def program() -> None:
        made = GkeTeamAccess("access", {**place, "teams": teams, **more}, gcp_options())  # type: ignore[typeddict-item]
        pulumi.export("members", made.members)

    return run(program, outputs=outputs)


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reported: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: reported.append(text))
    return reported


def test_on_eks_each_principal_has_one_entry_with_the_groups_of_its_teams() -> None:
    """seed row S22."""
    teams = {"red": {"admin": [ANN], "view": [BOB]}, "blue": {"edit": [ANN]}}
    made = eks(teams)
    found = {entry.inputs["principalArn"]: entry.inputs["kubernetesGroups"] for entry in made.all("AccessEntry")}
    assert found == {ANN: ["gpuyard:blue:edit", "gpuyard:red:admin"], BOB: ["gpuyard:red:view"]}
    assert made.exports["groups"] == found
    assert on_eks.rbac_members("red", teams["red"]) == {
        "admin": ["group:gpuyard:red:admin"], "view": ["group:gpuyard:red:view"],
    }  # fmt: skip
    # A member that leaves one of two teams keeps its entry.
    assert {entry.name for entry in eks({"blue": {"edit": [ANN]}}).all("AccessEntry")} <= {
        entry.name for entry in made.all("AccessEntry")
    }


def test_on_eks_a_principal_with_an_entry_gets_no_second_one() -> None:
    made = eks({"red": {"edit": [ANN, BOB]}}, existing_entries=[ANN])
    assert [entry.inputs["principalArn"] for entry in made.all("AccessEntry")] == [BOB]
    assert made.exports["groups"][ANN] == ["gpuyard:red:edit"], "for the existing entry"


@pytest.mark.parametrize(
    ("configuration", "enforced"),
    [
        ('{"enableNetworkPolicy": "true"}', True),
        ('{"enableNetworkPolicy": true, "env": {}}', True),
        ('{"enableNetworkPolicy": "false"}', False),
        ("{}", False),
        ("", False),
        ("env: {}", False),
    ],
)
def test_on_eks_policies_that_nothing_enforces_are_a_warning(
    warned: list[str], configuration: str, enforced: bool
) -> None:
    """seed row S22 and security case H4: at preview, for a cluster that another program created."""
    eks({"red": {"edit": [ANN]}}, {ADDON: {"configurationValues": configuration}})
    assert bool(warned) is not enforced
    for each in warned:
        assert each.startswith("NetworkPolicies may not be enforced") and "enableNetworkPolicy" in each


def test_a_cluster_that_cannot_be_asked_is_a_warning_and_no_error(warned: list[str]) -> None:
    """A self-managed CNI is no add-on, and a preview may have no permission to ask."""

    def refused(_: Any) -> Any:
        raise LookupFailed("ResourceNotFoundException: No addon: vpc-cni found")

    eks({"red": {"edit": [ANN]}}, {ADDON: refused})
    gke({"red": {"edit": ["user:ann@example.com"]}}, {CLUSTER: refused})
    assert ["No addon: vpc-cni found" in each for each in warned] == [True, True]


def test_a_cluster_of_the_same_program_is_not_asked(warned: list[str]) -> None:
    """It may not exist yet, and `EksCluster` and `GkeCluster` enforce policies."""
    made = run(
        lambda: EksTeamAccess("access", {"cluster": pulumi.Output.from_input("train"), "teams": {}}, aws_options())
    )
    assert made.invokes == [] and warned == []


@pytest.mark.parametrize(
    ("datapath", "calico", "enforced"),
    [("ADVANCED_DATAPATH", False, True), ("LEGACY_DATAPATH", True, True), ("LEGACY_DATAPATH", False, False)],
)
def test_on_gke_policies_that_nothing_enforces_are_a_warning(
    warned: list[str], datapath: str, calico: bool, enforced: bool
) -> None:
    """seed row S22 and security case H4."""
    answer = {"datapathProvider": datapath, "networkPolicies": [{"enabled": calico, "provider": "CALICO"}]}
    gke({"red": {"edit": ["user:ann@example.com"]}}, {CLUSTER: answer})
    assert bool(warned) is not enforced
    for each in warned:
        assert "Dataplane V2" in each


def test_on_gke_each_member_gets_one_role_in_the_project() -> None:
    """seed row S22."""
    made = gke({"red": {"edit": ["group:ml@example.com"]}, "blue": {"view": ["group:ml@example.com"]}})
    (grant,) = made.all("IAMMember")
    assert grant.inputs["member"] == "group:ml@example.com" and grant.inputs["role"] == "roles/container.clusterViewer"
    assert made.exports["members"] == ["group:ml@example.com"]
    made = gke({"red": {"edit": ["user:ann@example.com"]}}, role="projects/my-project/roles/connect")
    assert made.one("IAMMember").inputs["role"] == "projects/my-project/roles/connect"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: eks({"red": {"edit": ["me"]}}), ["teams.red.edit[0]", "not the ARN"]),
        (lambda: eks({"Red": {"edit": [ANN]}}), ["teams.Red", "rename the team"]),
        (lambda: eks({"red": {"edit": [ANN], "view": [ANN]}}), ["teams.red.view[0]", "the same as edit[0]"]),
        (lambda: eks({}, existing_entries=["x"]), ["existing_entries[0]", "not the ARN"]),
        (lambda: gke({"red": {"edit": ["ml@example.com"]}}), ["teams.red.edit[0]", "group:NAME"]),
        (lambda: gke({"red": {"edit": ["group:ml"]}}), ["teams.red.edit[0]", "group:NAME@DOMAIN"]),
        (lambda: gke({}, role="viewer"), ["role", "roles/SERVICE.NAME"]),
    ],
)
def test_a_wrong_member_is_one_error(make: Any, words: list[str]) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        make()
    assert "one value cannot work" in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_on_eks_an_identity_is_a_role_of_one_service_account() -> None:
    """seed row S22: for a cluster that another program created."""
    args: Any = {"cluster": "train", "namespace": "red", "service_account": "trainer"}
    bucket = {"bucket": "acme-data", "prefix": "a/", "namespace": "red"}
    made = run(lambda: EksTeamIdentity("red", {**args, "buckets": {"data": bucket}}, aws_options()))
    assert "arn:aws:s3:::acme-data/a/*" in made.one("RolePolicy").inputs["policy"]
    assert "PutObject" not in made.one("RolePolicy").inputs["policy"]
    assert made.one("PodIdentityAssociation").inputs["serviceAccount"] == "trainer"
    assert not run(lambda: EksTeamIdentity("red", args, aws_options())).all("RolePolicy")


def test_on_gke_an_identity_is_grants_to_one_service_account() -> None:
    args: Any = {"project": "my-project", "cluster": "train", "namespace": "red", "service_account": "trainer"}
    bucket = {"bucket": "acme-data", "namespace": "red"}
    made = run(lambda: GkeTeamIdentity("red", {**args, "buckets": {"data": bucket}}, gcp_options()))
    grant = made.one("BucketIAMMember").inputs
    assert grant["role"] == "roles/storage.objectViewer" and grant["member"].endswith("/subject/ns/red/sa/trainer")


def test_a_member_has_the_same_form_in_both_checks() -> None:
    assert list(on_gke.member_problems({"edit": ["serviceAccount:ci@my-project.iam.gserviceaccount.com"]})) == []
    assert not on_gke.has_groups({"red": {"edit": ["user:a@b.com"]}})
    assert on_gke.has_groups({"red": {"edit": ["group:a@b.com"]}})
