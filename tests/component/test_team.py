"""A team's namespace: what limits it, who works in it, and what protects it."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pulumi
import pytest

import components
from components.sharing.team import Team
from recording.recorder import run
from tests.component.stage import aws_options
from tests.component.teams import team, wrong

EDITORS = {"edit": ["group:gpuyard:training:edit", "user:jane@example.com"]}


def test_a_team_without_any_field_is_a_namespace_with_limits_and_no_members() -> None:
    """seed row S22: defaults of a small team. Nothing of a queue or of members exists until it is asked for."""
    made = team()
    kinds = sorted(found.type.rpartition(":")[2] for found in made.resources.values() if found.package)
    assert kinds == [
        "LimitRange", "Namespace", "NetworkPolicy", "ResourceQuota", "ResourceQuota", "ServiceAccount",
        "ServiceAccountPatch", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    ]  # fmt: skip
    assert made.exports == {"namespace": "training", "service_account": "training", "queue": ""}
    assert made.one("ResourceQuota", "training-quota").inputs["spec"]["hard"] == {
        "requests.cpu": "64",
        "requests.memory": "256Gi",
        "requests.nvidia.com/gpu": "8",
        "pods": "500",
        "persistentvolumeclaims": "20",
        "requests.storage": "2000Gi",
        "services.loadbalancers": "0",
        "services.nodeports": "0",
        "count/ingresses.networking.k8s.io": "0",
    }


def test_the_namespace_has_the_level_of_pod_security_and_the_labels_of_the_team() -> None:
    """seed row S22: the labels by which dashboards and Kueue find the namespace of a team."""
    labels = team(pod_security="restricted").one("Namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["gpuyard.dev/team"] == "training" and "gpuyard.dev/queues" not in labels
    labels = team(queue="training").one("Namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline" and labels["gpuyard.dev/queues"] == "true"


def test_only_the_namespace_is_protected() -> None:
    """seed row S22: the namespace's data is not deleted as a side effect, but members can always be removed."""
    made = team(members=EDITORS, queue="training")
    assert [str(found) for found in made.resources.values() if found.options.get("protect")] == [
        "kubernetes:core/v1:Namespace::training-namespace"
    ]
    assert not team(deletion_protection=False).one("Namespace").options.get("protect")
    for found in made.resources.values():
        if found.package and "namespace" in found.inputs["metadata"]:
            assert made.must_outlive(made.one("Namespace"), found), found


def test_with_a_queue_the_quota_leaves_cpu_memory_and_gpus_to_it() -> None:
    """seed row S22: what Kueue starts, the quota must not refuse: it would hold GPUs without running."""
    made = team(queue="gpus-of-training")
    hard = made.one("ResourceQuota", "training-quota").inputs["spec"]["hard"]
    assert not [resource for resource in hard if resource in ("requests.cpu", "requests.memory") or "gpu" in resource]
    own = team(queue="q", quota={"gpus": 16, "cpu": 100}).one("ResourceQuota", "training-quota").inputs["spec"]["hard"]
    assert own["requests.nvidia.com/gpu"] == "16" and own["requests.cpu"] == "100" and "requests.memory" not in own
    queue = made.one("LocalQueue")
    assert queue.inputs["metadata"]["name"] == made.exports["queue"] == "default"
    assert queue.inputs["spec"] == {"clusterQueue": "gpus-of-training"}


def test_no_pod_of_a_team_has_a_priority_of_the_clusters_own_components() -> None:
    """Such a pod would evict those of every other team, and EKS lets anyone create one."""
    spec = team(queue="q").one("ResourceQuota", "training-system-pods").inputs["spec"]
    assert spec["hard"] == {"pods": "0"}
    (scope,) = spec["scopeSelector"]["matchExpressions"]
    assert (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
    assert set(scope["values"]) == {"system-cluster-critical", "system-node-critical"}


def test_the_policy_of_a_team_applies_to_its_namespace_only() -> None:
    made = team(namespace="ml")
    spec = made.one("ValidatingAdmissionPolicyBinding", "training-policy-binding").inputs["spec"]
    assert spec["matchResources"]["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "ml"}}
    assert spec["validationActions"] == ["Deny"] and spec["policyName"] == "gpuyard-team-training"


def test_load_balancers_have_node_ports_and_ingresses_count_as_well() -> None:
    hard = team(quota={"load_balancers": 2}).one("ResourceQuota", "training-quota").inputs["spec"]["hard"]
    assert hard["services.loadbalancers"] == hard["count/ingresses.networking.k8s.io"] == "2"
    assert hard["services.nodeports"] == "10"


def test_a_container_without_requests_gets_those_of_the_limits() -> None:
    """seed row S08: every container has requests, and no container can take the whole memory of a node."""
    container, claim = team().one("LimitRange").inputs["spec"]["limits"]
    assert container["defaultRequest"] == {"cpu": "500m", "memory": "2Gi"}
    assert container["default"] == {"memory": "2Gi"} and "max" not in container
    assert claim == {"type": "PersistentVolumeClaim", "max": {"storage": "500Gi"}}
    container, _ = team(limits={"max_cpu": 48, "max_memory_gib": 512}).one("LimitRange").inputs["spec"]["limits"]
    assert container["max"] == {"cpu": "48", "memory": "512Gi"} and container["default"]["cpu"] == "48"


def test_members_of_each_level_are_bound_to_a_role_of_the_namespace() -> None:
    """seed row S22: groups and users as Kubernetes knows them."""
    made = team(members={**EDITORS, "view": ["serviceAccount:ci@p.iam.gserviceaccount.com"]})
    assert {found.inputs["metadata"]["name"] for found in made.all("Role")} == {"team-edit", "team-view"}
    binding = made.one("RoleBinding", "training-edit-members").inputs
    assert binding["roleRef"]["name"] == "team-edit" and binding["metadata"]["namespace"] == "training"
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [
        ("Group", "gpuyard:training:edit"), ("User", "jane@example.com"),
    ]  # fmt: skip
    viewer = made.one("RoleBinding", "training-view-members").inputs["subjects"]
    assert [(each["kind"], each["name"]) for each in viewer] == [("User", "ci@p.iam.gserviceaccount.com")]
    everybody = made.one("ClusterRoleBinding").inputs
    assert len(everybody["subjects"]) == 3 and everybody["roleRef"]["name"] == "gpuyard-team-training"


def test_pods_have_no_token_unless_they_may_call_the_api() -> None:
    """seed row S22: the token of the default account is never mounted."""
    made = team(service_account="trainer")
    assert made.one("ServiceAccountPatch").inputs["automountServiceAccountToken"] is False
    assert made.one("ServiceAccountPatch").inputs["metadata"]["name"] == "default"
    assert made.one("ServiceAccount").inputs["automountServiceAccountToken"] is False
    assert made.exports["service_account"] == "trainer" and not made.all("Role")
    made = team(network={"api_server": True}, api_server_cidrs=["10.100.0.1/32"])
    assert made.one("ServiceAccount").inputs["automountServiceAccountToken"] is True
    assert made.one("Role").inputs["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]
    assert made.one("ServiceAccountPatch").inputs["automountServiceAccountToken"] is False


def test_two_teams_of_one_program_do_not_collide() -> None:
    def program() -> None:
        options = aws_options()
        for name in ("a", "a-edit"):
            given: Any = {"team": name, "members": EDITORS, "queue": name}
            Team(name, given, pulumi.ResourceOptions.merge(options, None))

    made = run(program)
    assert made.failures == [] and len(made.all("RoleBinding")) == 2
    assert made.orphans() == [] and made.without_provider() == []


@pytest.mark.parametrize(
    ("args", "path", "words"),
    [
        ({"namespace": "kube-system"}, "namespace", "cluster's own components"),
        ({"namespace": "monitoring"}, "namespace", "cluster's own components"),
        ({"namespace": "gke-managed-cim"}, "namespace", "cluster's own components"),
        ({"namespace": "Team_A"}, "namespace", "not a valid Kubernetes namespace"),
        ({"pod_security": "strict"}, "pod_security", "restricted, baseline, privileged"),
        ({"quota": {"gpus": -1}}, "quota.gpus", "0 to 100000"),
        ({"quota": {"pods": 0}}, "quota.pods", "1 to 100000"),
        ({"limits": {"memory_mib": 4096, "max_memory_gib": 2}}, "limits.memory_mib", "up to 2048"),
        ({"limits": {"max_cpu": 8}, "quota": {"cpu": 4}}, "limits.max_cpu", "more than the team's quota, 4"),
        ({"network": {"egress_cidrs": ["0.0.0.0/0"]}}, "network.egress_cidrs[0]", "internet: true"),
        ({"network": {"egress_cidrs": ["169.254.169.254/32"]}}, "network.egress_cidrs[0]", "metadata servers"),
        ({"network": {"ingress_cidrs": ["10.0.0.1/8"]}}, "network.ingress_cidrs[0]", "write 10.0.0.0/8"),
        ({"network": {"ingress_namespaces": ["A"]}}, "network.ingress_namespaces[0]", "namespace"),
        ({"network": {"api_server": True}}, "api_server_cidrs", "missing"),
        ({"service_account": "default"}, "service_account", "pods that name none"),
        ({"members": {"edit": ["jane@example.com"]}}, "members.edit[0]", "group:NAME"),
        ({"members": {"edit": ["group:system:masters"]}}, "members.edit[0]", "Kubernetes itself"),
        ({"members": {"edit": ["user:a"], "view": ["user:a"]}}, "members.view[0]", "the same as edit[0]"),
        ({"cloud": "azure"}, "cloud", "aws, gcp"),
        ({"namespace": ""}, "namespace", "remove it for training"),
        ({"limits": {"max_cpu": 0}}, "limits.max_cpu", "1 to 1000"),
        ({"queue": ""}, "queue", "not the name of a ClusterQueue"),
        ({"queue": "Vision"}, "queue", "not the name of a ClusterQueue"),
        ({"network": {"api_server": True}, "api_server_cidrs": []}, "api_server_cidrs", "missing"),
        ({"api_server_cidrs": ["10.0.0.2"]}, "api_server_cidrs[0]", "write 10.0.0.2/32"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_error(args: dict[str, Any], path: str, words: str) -> None:
    found = wrong(**args)
    assert set(found) == {path} and words in found[path]


@pytest.mark.parametrize("name", ["", "Training", "a" * 63, "kube-team"])
def test_a_name_that_cannot_be_a_namespace_is_refused(name: str) -> None:
    assert set(wrong(name)) == {"team"}


def test_a_team_cannot_have_the_account_that_every_namespace_has() -> None:
    """The service account is named after the team, and Kubernetes has already created that one."""
    found = wrong("default", namespace="training")
    assert set(found) == {"service_account"} and "pods that name none" in found["service_account"]
    assert wrong("default", namespace="training", service_account="trainer") == {}


def test_no_team_can_have_a_namespace_of_the_library() -> None:
    """Two owners of one namespace: the removal of the team would delete the controllers."""
    modules = [importlib.import_module(each.name) for each in pkgutil.walk_packages(components.__path__, "components.")]
    found = {name for each in modules if isinstance(name := getattr(each, "NAMESPACE", None), str)}
    assert {"cert-manager", "gpuyard-headroom", "kueue-system", "monitoring", "stalled-jobs"} <= found
    assert {name for name in found if "namespace" not in wrong(namespace=name)} == set()
