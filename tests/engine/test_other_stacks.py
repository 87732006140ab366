"""The production environments: each comes up, runs the demo and is destroyed."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.engine.conftest import Project
from tests.engine.workloads import WEB

CONTROLLERS = ("kueue",)


def assert_production_pools(up: dict[str, Any]) -> None:
    """Checks that both clouds have the same sizes and capacity types."""
    pools = {pool["name"]: pool for pool in up["status"]["node_pools"]}
    assert {name: (pool["min"], pool["max"], pool["capacity"]) for name, pool in pools.items()} == {
        "cpu-workers": (3, 30, ["on_demand"]),
        "inference": (0, 20, ["on_demand"]),
        "gpu-workers": (0, 16, ["spot", "on_demand"]),
        "train-h100": (0, 8, ["reserved", "spot", "on_demand"]),
    }
    assert pools["cpu-workers"]["nodes"] == 3


def call_from(project: Project, address: str) -> None:
    """Sets the address from which the sandbox's calls come."""
    project.home.mkdir(exist_ok=True)
    (project.home / "caller.json").write_text(json.dumps({"address": address}))


def test_the_production_environment_comes_up_and_is_destroyed(project: Project) -> None:
    """Seed rows S06, S11, S12, S24: several capacity types, EFA, Lustre and buckets, behind a private endpoint; `down`
    deletes what deletion protection keeps in a real destroy. Field case A3: the endpoint is unreachable from the
    internet, and the run continues from inside the network."""
    call_from(project, "198.51.100.7")
    outside = project.run("up", "--stack", "prod", code=1)
    assert "i/o timeout (the sandbox calls from 198.51.100.7)" in outside.stderr
    assert "cluster.privateAccessCidrs" in outside.stderr.partition("Fix: ")[2]
    made = {found["type"] for found in project.state("prod")}
    assert "aws:eks/cluster:Cluster" in made and not [type for type in made if type.startswith("kubernetes:")]
    call_from(project, "10.0.7.7")
    up: dict[str, Any] = project.json("up", "--stack", "prod", "--json")
    assert_production_pools(up)
    volumes = project.run("kubectl", "--stack", "prod", "--", "get", "persistentvolumes", "-o", "name").stdout.split()
    assert {f"persistentvolume/{name}" for name in ("lustre", "datasets", "checkpoints")} <= set(volumes)
    releases = {release["chart"] for release in up["status"]["releases"]}
    assert {"aws-efa-k8s-device-plugin", "nvidia-device-plugin", "dcgm-exporter"} <= releases
    assert project.json("up", "--stack", "prod", "--json")["changed"] == 0
    assert project.json("demo", "--stack", "prod", "--json")["ok"] is True
    project.run("down")
    assert project.processes() == []
    assert not project.home.exists()


def test_the_production_environment_on_gke_comes_up_and_is_destroyed(project: Project) -> None:
    """Seed rows S06, S11, S12, S24: several capacity types, GPUDirect, Filestore and buckets, behind private endpoints;
    kubectl and the cleanup use the DNS endpoint."""
    up: dict[str, Any] = project.json("up", "--stack", "prod-gke", "--json")
    assert_production_pools(up)
    kubectl = ("kubectl", "--stack", "prod-gke", "--", "get", "-o", "name")
    volumes = project.run(*kubectl, "persistentvolumes").stdout.split()
    assert {f"persistentvolume/{name}" for name in ("filestore", "datasets", "checkpoints")} <= set(volumes)
    classes = project.run(*kubectl, "computeclasses.cloud.google.com").stdout.split()
    assert {name.rpartition("/")[2] for name in classes} == {"gpu-workers", "train-h100"}
    assert project.json("up", "--stack", "prod-gke", "--json")["changed"] == 0
    assert project.json("demo", "--stack", "prod-gke", "--json")["ok"] is True
    (project.root / "web.yaml").write_text(yaml.safe_dump(WEB))
    project.run("kubectl", "--stack", "prod-gke", "--", "apply", "-f", "web.yaml")
    waiting = ("wait", "service/web", "--for=jsonpath={.status.loadBalancer.ingress}", "--timeout=60s")
    project.run("kubectl", "--stack", "prod-gke", "--", *waiting)
    project.run("down")
    assert project.processes() == []
    assert not project.home.exists()


def test_gke_installs_nothing_twice(project: Project) -> None:
    """Seed rows S04, S05, S18 on GKE: device plugin, autoscaler and DCGM are Google's own."""
    preview = project.json("preview", "--stack", "guide-gke", "--json")
    assert sum(step["type"] == "gcp:container/nodePool:NodePool" for step in preview["steps"]) == 2
    assert [step["urn"] for step in preview["steps"] if "helm.sh" in step["type"]] == []
