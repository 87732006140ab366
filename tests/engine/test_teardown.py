"""A plain `pulumi destroy` of a cluster in which people have worked: nothing is left that costs money, data stays."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml

from tests.engine.conftest import Project

_LOOK = """
import boto3, json
ask = lambda service: boto3.client(service, region_name="us-east-1")
tags = lambda thing: {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}
volumes = ask("ec2").describe_volumes()["Volumes"]
balancers = ask("elb").describe_load_balancers()["LoadBalancerDescriptions"]
print(json.dumps({
    "balancers": [each["LoadBalancerName"] for each in balancers],
    "vpcs": [each["VpcId"] for each in ask("ec2").describe_vpcs()["Vpcs"] if not each["IsDefault"]],
    "groups": [each["GroupName"] for each in ask("ec2").describe_security_groups()["SecurityGroups"]],
    "volumes": {tags(each).get("kubernetes.io/created-for/pvc/name", "-"): each["VolumeId"] for each in volumes},
}))
"""


def user(name: str, storage_class: str) -> list[dict[str, Any]]:
    """A claim, and a pod that uses it."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "20Gi"}},
        },
    }
    container = {"name": "main", "image": "a", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "volumes": volumes},
    }
    return [claim, pod]


WEB = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def look(project: Project) -> dict[str, Any]:
    """What the simulated account has, by AWS's own API."""
    return json.loads(project.run("shell", "--", sys.executable, "-c", _LOOK).stdout)


@pytest.fixture(scope="module")
def before(project: Project) -> dict[str, Any]:
    """dev with a Service, a scratch volume and a data set; what the account has then."""
    project.run("up")
    wanted = project.root / "work.yaml"
    wanted.write_text(yaml.safe_dump_all([WEB, *user("scratch", "block"), *user("dataset", "block-fast")]))
    project.run("kubectl", "--", "apply", "-f", str(wanted))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look(project)
        if found["balancers"] and {"scratch", "dataset"} <= set(found["volumes"]):
            pods = project.run("kubectl", "--", "get", "pods", "-o", "jsonpath={.items[*].status.phase}").stdout
            if pods.split() == ["Running", "Running"]:
                return found
        time.sleep(1)
    pytest.fail(f"not everything came: {look(project)}")


@pytest.fixture(scope="module")
def destroyed(project: Project, before: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return project.run("shell", "--", "pulumi", "destroy", "--yes", "--stack", "dev", code=None)


@pytest.fixture(scope="module")
def after(project: Project, destroyed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return look(project)


def test_a_destroy_takes_load_balancers_and_volumes_along(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S01: the network goes, which a load balancer's interfaces would hold."""
    assert before["vpcs"] and any(group.startswith("k8s-elb-") for group in before["groups"])
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert (after["balancers"], after["vpcs"]) == ([], [])
    assert "scratch" not in after["volumes"]
    assert not [group for group in after["groups"] if group.startswith("k8s-elb-")]


def test_data_outlives_the_destroy_and_is_named(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S11: the class block-fast keeps its volumes."""
    assert after["volumes"]["dataset"] == before["volumes"]["dataset"]
    line = next(line for line in destroyed.stdout.splitlines() if before["volumes"]["dataset"] in line)
    assert "claim default/dataset" in line and "20Gi" in line


def test_down_says_what_is_kept_and_is_no_failure(project: Project, after: dict[str, Any]) -> None:
    done = project.run("down")
    assert after["volumes"]["dataset"] in done.stdout + done.stderr
    assert not project.home.exists()
