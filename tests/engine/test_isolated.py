"""An environment without any way out of its network: everything that its nodes pull comes from one registry."""

from __future__ import annotations

import json

from components import versions
from tests.config.sources import CLOSED, ECR
from tests.engine.conftest import Project


def test_an_environment_without_nat_comes_up_from_its_own_registry(project: Project) -> None:
    """field case A10: the sandbox's nodes pull nothing from the internet there, so a chart whose image still points
    there would wait in ImagePullBackOff until its release times out."""
    config = {**project.config("dev"), **CLOSED, "gpuyard:images": {"registry": ECR}}
    project.write("dev", {**config, "gpuyard:images": {}})
    refused = project.run("preview", code=None)
    assert refused.returncode and "gpuyard:images.registry" in refused.stdout + refused.stderr

    project.write("dev", config)
    project.json("up", "--json")
    kubectl = ("kubectl", "--stack", "dev", "--")
    pods = json.loads(project.run(*kubectl, "get", "pods", "-A", "-o", "json").stdout)["items"]
    pulled = {container["image"] for pod in pods for container in pod["spec"]["containers"]}
    tag = versions.CLUSTER_AUTOSCALER_IMAGE[versions.EKS_VERSION]
    assert f"{ECR}/registry.k8s.io/autoscaling/cluster-autoscaler:{tag}" in pulled
    assert [image for image in pulled if not image.startswith(f"{ECR}/")] == []
    project.run(*kubectl, "run", "outside", "--image=quay.io/prometheus/busybox:latest")
    reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff"
    project.run(*kubectl, "wait", "pod/outside", f"--for={reason}", "--timeout=60s")
    project.run("down")
    assert project.processes() == []
