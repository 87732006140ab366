"""Teams in the stacks of both clouds: what exists, who is mapped to what, and in which order it is deleted."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from recording.recording import Recording
from recording.stacks import record, recorded, settings
from tests.graph.test_stacks import CONTENTS, control_plane

ROLE = "arn:aws:iam::111122223333:role"
NETWORK = {"internet": True, "apiServer": True}
FILES: dict[str, dict[str, Any]] = {
    "dev": {
        "gpuyard:storage": {"buckets": {"data": {"bucket": "acme-data", "namespace": "training", "writable": True}}},
        "gpuyard:teams": {
            "training": {
                "members": {"edit": [f"{ROLE}/ops", f"{ROLE}/ml/research"]},
                "role": {"buckets": ["data"], "policyArns": ["arn:aws:iam::aws:policy/AmazonBedrockReadOnly"]},
                "network": NETWORK,
            },
            "inference": {"members": {"view": [f"{ROLE}/ml/research"]}},
        },
    },
    "dev-gke": {
        "gpuyard:storage": {
            "buckets": {
                "data": {"bucket": "acme-data", "namespace": "training", "serviceAccount": "training"},
                "more": {"bucket": "acme-more", "namespace": "elsewhere", "prefix": "a/", "writable": True},
            }
        },
        "gpuyard:teams": {
            "training": {
                "members": {"edit": ["group:ml@example.com"]},
                "role": {"buckets": ["data", "more"], "roles": ["roles/pubsub.subscriber"]},
                "network": NETWORK,
            },
            "inference": {"members": {"view": ["group:ml@example.com", "user:ann@example.com"]}},
        },
    },
}
STACKS = list(FILES)


def with_teams(stack: str, **changes: Any) -> Recording:
    config = {**settings(stack), **copy.deepcopy(FILES[stack]), **changes}
    if stack == "dev-gke":
        config["gpuyard:cluster"]["groupsDomain"] = "example.com"
    else:
        config["gpuyard:cluster"]["access"] = {
            "ops": {"principalArn": f"{ROLE}/ops", "level": "view"},
            "ci": {"principalArn": f"{ROLE}/ci", "level": "view"},
        }
    return record(config, stack)


@pytest.mark.parametrize("stack", STACKS)
def test_every_resource_of_a_team_has_a_parent_and_an_explicit_provider(stack: str) -> None:
    """seed row S22."""
    made = with_teams(stack)
    assert made.failures == [] and made.orphans() == [] and made.without_provider() == []
    assert len(made.all("NetworkPolicy")) == len(made.all("LimitRange")) == 2


@pytest.mark.parametrize("stack", STACKS)
def test_without_teams_nothing_of_them_exists(stack: str) -> None:
    made = recorded(stack)
    assert not [found for found in made.resources.values() if "eam" in found.type or found.type.endswith("LimitRange")]
    assert made.exports["teams"] == {}


@pytest.mark.parametrize("stack", STACKS)
def test_the_output_tells_each_team_its_namespace_and_how_to_connect(stack: str) -> None:
    """seed row S22: the same keys on both clouds."""
    teams = with_teams(stack).exports["teams"]
    assert set(teams) == {"training", "inference"}
    for name, team in teams.items():
        assert set(team) == {"namespace", "queue", "serviceAccount", "identity", "connect"}
        assert team["namespace"] == team["serviceAccount"] == name
        assert team["connect"].endswith(f" && kubectl config set-context --current --namespace {name}")
    assert teams["training"]["identity"] and not teams["inference"]["identity"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_cluster_is_emptied_before_a_teams_namespace_is_deleted(stack: str) -> None:
    """seed row S22: with volumes in it, the deletion of a namespace would wait for drivers that are deleted as well."""
    made = with_teams(stack)
    for found in [each for each in made.resources.values() if each.type.endswith(":Team")]:
        for child in made.children(found):
            assert made.must_outlive(child, made.one(CONTENTS)), child
            assert made.must_outlive(control_plane(made, stack), child), child


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("environment", "team"), [(True, True), (True, False), (False, True)])
def test_the_engine_protects_a_namespace_if_the_environment_and_the_team_are_protected(
    stack: str, environment: bool, team: bool
) -> None:
    """seed row S22: a destroy of an unprotected environment does not need a step for each team."""
    teams = {"training": {"deletionProtection": team}}
    made = with_teams(stack, **{"gpuyard:deletionProtection": environment, "gpuyard:teams": teams})
    assert bool(made.one("Namespace", "training-namespace").options.get("protect")) is (environment and team)


def test_a_role_in_two_teams_has_one_access_entry_with_both_groups() -> None:
    """seed row S22: EKS refuses a second entry of a principal. One of `cluster.access` has the groups of its teams, and
    never an empty list, with which EKS would keep those of a former team."""
    entries = {found.inputs["principalArn"]: found for found in with_teams("dev").all("AccessEntry")}
    groups = {arn.rpartition("/")[2]: found.inputs["kubernetesGroups"] for arn, found in entries.items()}
    assert groups == {
        "ops": ["gpuyard:training:edit"],
        "ci": ["gpuyard:no-team"],
        "research": ["gpuyard:inference:view", "gpuyard:training:edit"],
    }
    assert {found.name for found in entries.values()} == {
        "cluster-access-ops", "cluster-access-ci", "team-access-111122223333:role/ml/research",
    }  # fmt: skip
    assert len(with_teams("dev").all("AccessEntry")) == 3
    without = with_teams("dev", **{"gpuyard:teams": {}}).all("AccessEntry")
    assert ["kubernetesGroups" in found.inputs for found in without] == [False, False]


def test_the_groups_of_the_entries_are_those_that_the_roles_are_bound_to() -> None:
    made = with_teams("dev")
    bound = {found.name: found.inputs["subjects"] for found in made.all("RoleBinding")}
    assert bound["training-edit-members"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "gpuyard:training:edit"}
    ]
    granted = {group for found in made.all("AccessEntry") for group in found.inputs["kubernetesGroups"]}
    names = {subject["name"] for subjects in bound.values() for subject in subjects if subject["kind"] == "Group"}
    assert names == granted - {"gpuyard:no-team"}


def test_a_member_of_two_teams_gets_the_role_in_the_project_once() -> None:
    """seed row S22: two grants of one role to one member are the same object; deleting one would delete both."""
    grants = [
        found.inputs["member"]
        for found in with_teams("dev-gke").all("gcp:projects/iAMMember:IAMMember")
        if found.inputs["role"] == "roles/container.clusterViewer"
    ]
    assert sorted(grants) == ["group:ml@example.com", "user:ann@example.com"]


def test_on_eks_the_service_account_gets_a_role_for_its_buckets_and_policies() -> None:
    """seed row S22: for this service account of this cluster, and nothing but the buckets that the team names."""
    made = with_teams("dev")
    association = made.one("PodIdentityAssociation", "training-association").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("training", "training")
    (listing, objects) = json.loads(made.one("RolePolicy", "training-policy").inputs["policy"])["Statement"]
    assert listing["Resource"] == "arn:aws:s3:::acme-data" and objects["Resource"] == "arn:aws:s3:::acme-data/*"
    assert "s3:PutObject" in objects["Action"]
    attached = made.one("RolePolicyAttachment", "training-AmazonBedrockReadOnly").inputs
    assert attached["policyArn"].endswith("/AmazonBedrockReadOnly")


def test_on_gke_no_grant_exists_twice() -> None:
    """seed row S22: the volume `data` already gives its bucket to the team's service account."""
    made = with_teams("dev-gke")
    grants = {found.name: found.inputs for found in made.all("BucketIAMMember")}
    assert set(grants) == {"buckets-data", "buckets-more", "training-more"}
    assert grants["training-more"]["role"] == "roles/storage.objectUser"
    assert "objects/a/" in grants["training-more"]["condition"]["expression"]
    principals = [each["member"] for each in grants.values()]
    assert principals[0] == principals[2] and principals[0].endswith("/subject/ns/training/sa/training")
    keys = [(each["bucket"], each["role"], each["member"]) for each in grants.values()]
    assert len(set(keys)) == len(keys)
    roles = {found.inputs["role"]: found.inputs["member"] for found in made.all("gcp:projects/iAMMember:IAMMember")}
    assert roles["roles/pubsub.subscriber"] == principals[0]


@pytest.mark.parametrize(
    ("stack", "addresses"), [("dev", ["10.100.0.1/32", "10.0.0.0/16"]), ("dev-gke", ["10.0.0.2/32"])]
)
def test_pods_that_may_call_the_api_server_reach_its_addresses(stack: str, addresses: list[str]) -> None:
    """seed row S22: its Service and its interfaces in the VPC on EKS, its private endpoint on GKE."""
    (rule,) = [
        rule
        for rule in with_teams(stack).one("NetworkPolicy", "training-network").inputs["spec"]["egress"]
        if rule.get("ports") == [{"protocol": "TCP", "port": 443}]
    ]
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == addresses
