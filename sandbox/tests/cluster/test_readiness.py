"""The kubernetes provider waits until an object is ready, and reports why an object does not become ready."""

from __future__ import annotations

import threading

import pytest

from sandbox.cluster.api import Api
from sandbox.cluster.controller import Controller
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.provider import ProviderError
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.objects import (
    CLAIM,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    SERVICE,
    STORAGE_CLASS,
    checked,
    deployment,
    made,
    urn,
)


def test_a_deployment_is_awaited(
    provider: KubernetesProvider, controllers: Controller, namespace: str, lines: list[str]
) -> None:
    id, inputs, outputs = made(provider, DEPLOYMENT, deployment(namespace, replicas=2))
    assert outputs["status"]["availableReplicas"] == 2
    assert any("replicas are" in line for line in lines)
    found = provider.read(DEPLOYMENT, urn(DEPLOYMENT), id, inputs, outputs)
    assert found is not None and found[1] == inputs, "the server's 1 for 1000m is no drift"

    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    _, _, service_outputs = made(provider, SERVICE, service)
    assert service_outputs["spec"]["clusterIP"].startswith("10.")

    news = deployment(namespace, replicas=2)
    news["spec"]["template"]["spec"]["containers"][0]["image"] = "example.org/web:2"
    outputs = provider.update(DEPLOYMENT, urn(DEPLOYMENT), id, inputs, outputs, news, False, 60)
    assert outputs["status"]["updatedReplicas"] == 2
    provider.delete(DEPLOYMENT, urn(DEPLOYMENT), id, news, outputs, 60)


def test_a_deployment_that_does_not_become_ready_is_kept_and_explained(
    provider: KubernetesProvider, namespace: str
) -> None:
    inputs = checked(provider, DEPLOYMENT, deployment(namespace, nodeSelector={"no": "such-node"}))
    with pytest.raises(ProviderError, match=r"failed to fully initialize(.|\n)*\[Pod .*no nodes available") as caught:
        provider.create(DEPLOYMENT, urn(DEPLOYMENT), inputs, False, 3)
    assert caught.value.partial is not None
    id, outputs = caught.value.partial
    assert id == f"{namespace}/web" and outputs["metadata"]["uid"]
    skipped = {**inputs, "metadata": {**inputs["metadata"], "annotations": {"pulumi.com/skipAwait": "true"}}}
    provider.update(DEPLOYMENT, urn(DEPLOYMENT), id, inputs, outputs, skipped, False, 3)
    provider.delete(DEPLOYMENT, urn(DEPLOYMENT), id, inputs, outputs, 60)


def test_cancelling_ends_a_wait_at_once(provider: KubernetesProvider, namespace: str) -> None:
    inputs = checked(provider, DEPLOYMENT, deployment(namespace, nodeSelector={"no": "such-node"}))
    threading.Timer(1, provider.cancel).start()
    with pytest.raises(ProviderError, match="cancelled while waiting") as caught:
        provider.create(DEPLOYMENT, urn(DEPLOYMENT), inputs, False, 600)
    assert caught.value.partial is not None


def test_a_daemon_set_is_ready_on_every_node_that_it_selects(
    provider: KubernetesProvider, controllers: Controller, api: Api, namespace: str
) -> None:
    wait(lambda: len(api.list("/api/v1/nodes")) == 2, "two nodes")
    labels = {"app": "agent"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "example.org/a:1"}]}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    _, _, outputs = made(provider, DAEMON_SET, body)
    assert outputs["status"]["numberAvailable"] == outputs["status"]["desiredNumberScheduled"] == 2


def test_a_job_is_awaited_and_a_failed_one_is_an_error(
    provider: KubernetesProvider, controllers: Controller, namespace: str
) -> None:
    spec = {"restartPolicy": "Never", "containers": [{"name": "a", "image": "example.org/a:1"}]}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": namespace},
        "spec": {"template": {"spec": spec}, "backoffLimit": 0, "activeDeadlineSeconds": 1},
    }
    # A pod of the sandbox runs until it is stopped, so the deadline is reached.
    with pytest.raises(ProviderError, match="the Job failed: DeadlineExceeded") as caught:
        made(provider, JOB, body)
    assert caught.value.partial is not None
    body["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    id, inputs, outputs = made(provider, JOB, body, name="other")
    changed = {**inputs, "spec": {**inputs["spec"], "parallelism": 2}}
    assert provider.diff(JOB, urn(JOB), id, inputs, outputs, changed).replaces == ["spec.parallelism"]


def test_a_claim_waits_for_its_volume_unless_its_class_waits_for_a_pod(
    provider: KubernetesProvider, controllers: Controller, namespace: str
) -> None:
    for name, mode in (("t-now", "Immediate"), ("t-later", "WaitForFirstConsumer")):
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "efs.csi.aws.com" if name == "t-now" else "ebs.csi.aws.com",
            "volumeBindingMode": mode,
        }
        class_id, class_inputs, class_outputs = made(provider, STORAGE_CLASS, storage_class)
        assert class_id == name
        slower = {**class_inputs, "parameters": {"type": "gp2"}}
        diff = provider.diff(STORAGE_CLASS, urn(STORAGE_CLASS), class_id, class_inputs, class_outputs, slower)
        assert diff.replaces == ["parameters"] and diff.delete_before_replace
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": namespace},
            "spec": {
                "storageClassName": name,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        id, inputs, outputs = made(provider, CLAIM, claim, name=name)
        assert outputs["status"]["phase"] == ("Bound" if mode == "Immediate" else "Pending")
        provider.delete(CLAIM, urn(CLAIM), id, inputs, outputs, 60)
        provider.delete(STORAGE_CLASS, urn(STORAGE_CLASS), class_id, class_inputs, class_outputs, 60)
