"""Kueue's controllers: the order of their objects, their configuration, and what keeps their kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
import yaml

from components import versions
from components.charts import rendered
from components.charts.rendered import Request
from components.sharing.kueue import PODS, Kueue
from recording import charts
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options, gcp_options

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def made(options: Callable[[], pulumi.ResourceOptions] = aws_options, **args: Any) -> Recording:
    return run(lambda: Kueue("kueue", args, options()))  # type: ignore[arg-type]


def asked(**args: Any) -> Request:
    """What is rendered for these arguments."""
    requests = []

    def renderer(request: Request) -> list[rendered.Object]:
        requests.append(request)
        return charts.objects(request)

    with rendered.using(renderer):
        made(**args)
    return requests[0]


def configuration(**args: Any) -> dict[str, Any]:
    return yaml.safe_load(asked(**args).values["managerConfig"]["controllerManagerConfigYaml"])


@pytest.mark.parametrize("options", [aws_options, gcp_options], ids=["eks", "gke"])
def test_it_is_the_same_on_both_clouds(options: Callable[[], pulumi.ResourceOptions]) -> None:
    """seed row S22"""
    found = made(options)
    assert not found.orphans() and not found.without_provider()
    namespace = found.one("kubernetes:core/v1:Namespace").inputs["metadata"]
    assert namespace["name"] == "kueue-system"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    spec = found.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]
    assert spec["priorityClassName"] == "system-cluster-critical"
    assert spec["containers"][0]["image"] == "registry.k8s.io/kueue/kueue:v0.19.2"


def test_definitions_are_kept_protected_and_taken_over() -> None:
    """field cases of charts that lose their kinds: lws#880, xpk#296."""
    crd = made().one(CRD)
    assert crd.options["retainOnDelete"] and crd.options["protect"]
    assert crd.inputs["metadata"]["annotations"] == {
        "pulumi.com/patchFieldManager": "gpuyard",
        "pulumi.com/patchForce": "true",
    }
    assert "description" not in json.dumps(crd.inputs)
    free = made(deletion_protection=False).one(CRD)
    assert free.options["retainOnDelete"] and not free.options.get("protect")


def test_each_object_waits_for_what_it_needs() -> None:
    found = made(visibility=True)
    controller = found.one(DEPLOYMENT)
    before = {resource.type.rpartition(":")[2] for resource in found.dependencies(controller)}
    assert before >= {
        "CustomResourceDefinitionPatch",
        "ServiceAccount",
        "ClusterRoleBinding",
        "ValidatingWebhookConfiguration",
        "ResourceQuota",
        "Namespace",
    }
    assert "Service" not in before, "a Service is ready only once its pods are"
    service = found.one("kubernetes:core/v1:Service").inputs["metadata"]["annotations"]
    assert service["pulumi.com/skipAwait"] == "true"


def test_outputs_are_known_once_the_controllers_run() -> None:
    component = made().one("gpuyard:index:Kueue")
    assert component.outputs == {"namespace": "kueue-system", "version": versions.KUEUE.version}


def test_a_gang_that_does_not_start_gives_its_nodes_back() -> None:
    """karpenter#3138: no autoscaler launches all nodes of a gang or none."""
    given = configuration(pods_ready_minutes=7, recovery_minutes=3, first_retry_seconds=30, longest_retry_minutes=5)
    assert given["waitForPodsReady"] == {
        "timeout": "7m",
        "recoveryTimeout": "3m",
        "blockAdmission": False,
        "requeuingStrategy": {"timestamp": "Eviction", "backoffBaseSeconds": 30, "backoffMaxSeconds": 300},
    }
    assert configuration(retries=4)["waitForPodsReady"]["requeuingStrategy"]["backoffLimitCount"] == 4


def test_only_workloads_with_a_queue_are_managed() -> None:
    """seed row S22"""
    given = configuration()
    assert given["manageJobsWithoutQueueName"] is False
    assert given["managedJobsNamespaceSelector"] == {"matchLabels": {"gpuyard.dev/queues": "true"}}
    assert given["integrations"]["frameworks"] == ["batch/job", "pod", "deployment", "statefulset"]
    assert given["fairSharing"] and "fairSharing" not in configuration(fair_sharing=False)


def test_webhooks_answer_while_a_node_is_replaced() -> None:
    """Its webhooks have the failure policy Fail: without a pod, no team could create jobs."""
    given = asked().values["controllerManager"]
    assert given["replicas"] == 2 and given["podDisruptionBudget"] == {"enabled": True, "minAvailable": 1}
    (spread,) = given["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname" and spread["labelSelector"] == {"matchLabels": PODS}
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway", "a cluster may have one node without GPUs"
    assert configuration()["leaderElection"]["leaderElect"] is True, "one of them decides"


def test_one_replica_does_not_keep_its_node_from_being_drained() -> None:
    given = asked(replicas=1).values["controllerManager"]
    assert given["replicas"] == 1 and given["podDisruptionBudget"]["enabled"] is False
    with pytest.raises(pulumi.RunError, match=r"replicas = 0: out of range(.|\n)*write 1"):
        made(replicas=0)


def test_reasons_for_waiting_are_reported() -> None:
    """kueue#5039: "why is my job not running"."""
    gates = asked(feature_gates={"ConcurrentAdmission": True}).values["controllerManager"]["featureGates"]
    on = {gate["name"]: gate["enabled"] for gate in gates}
    assert on == {"ConcurrentAdmission": True, "UnadmittedWorkloadsObservability": True, "VisibilityOnDemand": False}


def test_the_visibility_api_and_roles_of_other_kinds_are_dropped() -> None:
    """Without its server, a part of the API keeps every namespace from being deleted."""
    kinds = {"APIService": ["v1beta2.visibility.kueue.x-k8s.io"], "ClusterRole": []}
    kinds["ClusterRole"] = [
        f"kueue-{kind}-editor-role" for kind in ("job", "rayjob", "clusterqueue", "sparkapplication")
    ]

    spec = {
        "group": "visibility.kueue.x-k8s.io",
        "groupPriorityMinimum": 100,
        "version": "v1beta2",
        "versionPriority": 1,
    }

    def renderer(request: Request) -> list[rendered.Object]:
        more = [charts._object("rbac.authorization.k8s.io/v1", "ClusterRole", name) for name in kinds["ClusterRole"]]
        api = charts._object("apiregistration.k8s.io/v1", "APIService", kinds["APIService"][0], spec=spec)
        return [*charts.objects(request), *more, api]

    with rendered.using(renderer):
        found, visible = made(), made(visibility=True)
    roles = {role.inputs["metadata"]["name"] for role in found.all("ClusterRole")}
    assert roles == {"kueue", "kueue-job-editor-role", "kueue-clusterqueue-editor-role"}
    assert not found.all("APIService")
    (api,) = visible.all("APIService")
    assert visible.one(DEPLOYMENT) in visible.dependencies(api), "the server comes first"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"integrations": ["batch/jobs"]}, "integrations[0] = 'batch/jobs': unknown value"),
        ({"integrations": ["batch/job", "deployment"]}, "`pod` is not in the list"),
        ({"pods_ready_minutes": 0}, "pods_ready_minutes = 0: out of range\n    allowed: 1 to 1440\n    fix: write 1"),
        ({"feature_gates": {"Concurrent": True}}, "feature_gates.Concurrent = 'Concurrent': unknown value"),
        ({"feature_gates": {"VisibilityOnDemand": True}}, "come with `visibility` only"),
        ({"first_retry_seconds": 120, "longest_retry_minutes": 1}, "shorter than `first_retry_seconds`, 120"),
        ({"pools": {"gpu": {"gpus": -1}}}, "pools.gpu.gpus = -1: must not be negative"),
        ({"pools": {"gpu": {"gpus": 8}}}, "every pool has GPUs: the controllers have no node to run on"),
        ({"charts": {"mirror": "http://charts"}}, "charts.mirror = 'http://charts': http:"),
        ({"images": {"digests": {"kueue:1": "sha256:" + "0" * 64}}}, "not an image that is pulled here"),
    ],
)
def test_a_wrong_value_is_one_error(args: dict[str, Any], error: str) -> None:
    with pytest.raises(pulumi.RunError) as raised:
        made(**args)
    assert str(raised.value).startswith("Kueue kueue: one value cannot work") and error in str(raised.value)
