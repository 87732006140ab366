"""An existing dev-gke changes and is destroyed: no unexpected replacement, and a plain `pulumi destroy` deletes
everything that GKE itself created. The tests share one environment and run in order."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.engine.conftest import Project
from tests.engine.test_story import assert_the_guides_environment, pool
from tests.engine.workloads import WEB, user

STACK = "dev-gke"
POOLS = "gpuyard:nodePools"
CLUSTER = "gcp:container/cluster:Cluster::cluster-gke"
POOL = "gcp:container/nodePool:NodePool::"
CLASS = "kubernetes:cloud.google.com/v1:ComputeClass::"
OLD, NEW = "1.34", "1.35"
INTERNAL = {"networking.gke.io/load-balancer-type": "Internal"}

_LOOK = """
import json
from sandbox.gcp import store
objects = {}
for collection, name, _ in store.Store().select():
    objects.setdefault(collection.partition(".")[2], []).append(name.rsplit("/", 1)[-1])
print(json.dumps({"objects": objects, "leftovers": store.leftovers(), "kept": store.kept()}))
"""

Config = dict[str, Any]
Steps = set[tuple[str, str, tuple[str, ...]]]


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    """The result of the first `up` of dev-gke, with an older Kubernetes and two additional pools."""
    config = project.config(STACK)
    config["gpuyard:cluster"]["version"] = OLD
    config[POOLS]["big"] = {"machineTypes": ["n2-standard-16"], "min": 0, "max": 2}
    config[POOLS]["held"] = {
        "machineTypes": ["n2-standard-4"],
        "zones": ["us-central1-a"],
        "min": 1,
        "max": 1,
        "capacity": ["reserved"],
        "reservation": {"name": "small"},
    }
    project.write(STACK, config)
    return project.json("up", "--stack", STACK, "--json")


@pytest.fixture(scope="module")
def deployed(project: Project, first: dict[str, Any]) -> Project:
    """The project with dev-gke up."""
    return project


def preview(deployed: Project, change: Callable[[Config], None]) -> list[tuple[str, str, tuple[str, ...]]]:
    """(operation, type::name, changed properties) of what a changed config would do to custom resources, in the
    engine's order; the config is put back."""
    path = deployed.root / f"Pulumi.{STACK}.yaml"
    before = path.read_bytes()
    config = copy.deepcopy(deployed.config(STACK))
    change(config)
    deployed.write(STACK, config)
    try:
        found = deployed.json("preview", "--stack", STACK, "--json")["steps"]
    finally:
        path.write_bytes(before)
    return [
        (step["operation"], f"{step['type']}::{step['urn'].rsplit('::', 1)[-1]}", tuple(sorted(step["properties"])))
        for step in found
        if not step["type"].startswith(("pulumi:", "gpuyard:"))
    ]


def nodes(status: Config, name: str) -> set[str]:
    return {node["name"] for node in status["nodes"] if node["pool"] == name}


def to_new_version(config: Config) -> None:
    config["gpuyard:cluster"]["version"] = NEW


def test_up_creates_the_guides_pools_and_the_demo_runs(deployed: Project, first: dict[str, Any]) -> None:
    """Seed rows S01, S02, S03, S07, S11, S24."""
    assert_the_guides_environment(first, "n2-standard-8", "g2-standard-8", "present")
    assert not [warning for warning in first["warnings"] if "withdrawn" in warning]
    assert deployed.json("up", "--stack", STACK, "--json")["changed"] == 0
    assert deployed.json("demo", "--stack", STACK, "--json")["ok"] is True


def test_a_new_kubernetes_upgrades_the_control_plane_in_place_and_nothing_else(deployed: Project) -> None:
    """seed row S01: nodes are upgraded in a maintenance window."""
    assert preview(deployed, to_new_version) == [("update", CLUSTER, ("minMasterVersion",))]


def test_zones_disks_labels_and_limits_change_in_place(deployed: Project) -> None:
    """Seed rows S01, S02, S03: an added zone applies to the cluster and to pools without zones; a larger disk changes
    the pool in place. The class `shared` names the networks that can mount (security case M12) and is replaced: classes
    are immutable in Kubernetes."""

    def change(config: Config) -> None:
        config["gpuyard:network"]["zones"].append("us-central1-c")
        config["gpuyard:network"]["cidr"] = "10.0.0.0/19"
        config[POOLS]["cpu-workers"] |= {"zones": ["us-central1-a"], "diskGib": 150}
        config[POOLS]["gpu-workers"] |= {"labels": {"workload": "gpu-training", "team": "vision"}, "max": 12}

    found = set(preview(deployed, change))
    classes = {step for step in found if step[1].startswith("kubernetes:storage.k8s.io/v1:StorageClass::")}
    assert {step[1].rpartition("::")[2] for step in classes} == {"storage-shared"}
    assert found - classes == {
        ("update", "gcp:compute/subnetwork:Subnetwork::network-nodes", ("ipCidrRange",)),
        ("update", CLUSTER, ("nodeLocations",)),
        ("update", f"{POOL}cpu-workers", ("nodeConfig", "nodeLocations")),
        ("update", f"{POOL}gpu-workers-spot", ("autoscaling", "nodeConfig", "nodeLocations")),
        ("update", f"{POOL}big", ("nodeLocations",)),
    }


def test_a_capacity_type_adds_a_pool_and_a_removed_pool_deletes_only_itself(deployed: Project) -> None:
    """seed row S12: the existing node pool gets label and taint of the compute class."""

    def change(config: Config) -> None:
        config[POOLS]["gpu-workers"]["capacity"] = ["spot", "on_demand"]
        del config[POOLS]["big"]

    assert set(preview(deployed, change)) == {
        ("create", f"{POOL}gpu-workers", ()),
        ("create", f"{CLASS}gpu-workers-class", ()),
        ("update", f"{POOL}gpu-workers-spot", ("nodeConfig",)),
        ("delete", f"{POOL}big", ()),
    }


def test_an_upgrade_and_a_larger_maximum_keep_every_node(deployed: Project) -> None:
    """Seed rows S01, S03, S04: including those that the autoscaler has added; a second `up` changes nothing."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train"},
        "spec": {
            "containers": [
                {"name": "m", "image": "example.org/train:1", "resources": {"limits": {"nvidia.com/gpu": 1}}}
            ],
        },
    }
    (deployed.root / "pod.json").write_text(json.dumps(pod))
    deployed.run("kubectl", "--stack", STACK, "--", "apply", "-f", "pod.json")
    deadline = time.monotonic() + 120
    while not nodes(before := deployed.json("status", "--stack", STACK, "--json"), "gpu-workers"):
        assert time.monotonic() < deadline, "no node for the pod"
        time.sleep(1)
    config = deployed.config(STACK)
    to_new_version(config)
    config[POOLS]["gpu-workers"]["max"] = 12
    deployed.write(STACK, config)
    done = deployed.json("up", "--stack", STACK, "--json")
    assert (done["changes"].get("update"), done["changed"]) == (2, 2), done["changes"]
    after = done["status"]
    assert after["stack"]["outputs"]["kubernetesVersion"].startswith(NEW)
    assert (pool(after, "gpu-workers")["max"], pool(after, "gpu-workers")["nodes"]) == (12, 1)
    for name, count in {"cpu-workers": 2, "gpu-workers": 1}.items():
        assert nodes(after, name) == nodes(before, name) and len(nodes(after, name)) == count
    again = deployed.json("up", "--stack", STACK, "--json")
    assert again["changed"] == 0, again["changes"]
    deployed.run("kubectl", "--stack", STACK, "--", "delete", "pod", "train")


def test_a_machine_type_changes_in_place_and_a_gpu_count_creates_the_new_pool_first(deployed: Project) -> None:
    """For changes that GKE cannot make in place, the new pool is created before the old one is deleted."""

    def change(config: Config) -> None:
        config[POOLS]["cpu-workers"]["machineTypes"] = ["n2-standard-16"]
        config[POOLS]["gpu-workers"]["machineTypes"] = ["g2-standard-24"]

    found = preview(deployed, change)
    assert {name for _, name, _ in found} == {f"{POOL}cpu-workers", f"{POOL}gpu-workers-spot"}
    assert [operation for operation, name, _ in found if name == f"{POOL}cpu-workers"] == ["update"]
    order = [operation for operation, name, _ in found if name == f"{POOL}gpu-workers-spot"]
    assert order.index("create-replacement") < order.index("delete-replaced")
    config = deployed.config(STACK)
    change(config)
    deployed.write(STACK, config)
    status = deployed.json("up", "--stack", STACK, "--json")["status"]
    machines = {name: pool(status, name)["machine_types"] for name in ("cpu-workers", "gpu-workers")}
    assert machines == {"cpu-workers": ["n2-standard-16"], "gpu-workers": ["g2-standard-24"]}
    assert pool(status, "cpu-workers")["nodes"] == 2


def test_a_replaced_reserved_pool_is_deleted_first(deployed: Project) -> None:
    """field case G6: its reservation has one machine, and the simulated Google Cloud does not provide a second one."""
    config = deployed.config(STACK)
    config[POOLS]["held"]["maxRunSeconds"] = 86400
    deployed.write(STACK, config)
    done = deployed.json("up", "--stack", STACK, "--json")
    assert done["changes"].get("replace") == 1, done["changes"]
    assert pool(done["status"], "held")["nodes"] == 1


def look(project: Project) -> dict[str, Any]:
    """The objects of the simulated Google Cloud."""
    return json.loads(project.run("shell", "--stack", STACK, "--", sys.executable, "-c", _LOOK).stdout)


@pytest.fixture(scope="module")
def before(deployed: Project) -> dict[str, Any]:
    """Creates a public and an internal Service, a scratch volume and a data set; returns the project's objects."""
    inner = {**WEB, "metadata": {"name": "inner", "annotations": INTERNAL}}
    wanted = [WEB, inner, *user("scratch", "block"), *user("dataset", "block-fast"), user("files", "shared")[0]]
    (deployed.root / "work.yaml").write_text(yaml.safe_dump_all(wanted))
    deployed.run("kubectl", "--stack", STACK, "--", "apply", "-f", "work.yaml")
    names = ("kubectl", "--stack", STACK, "--", "get", "pods", "scratch", "dataset", "-o")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look(deployed)
        objects = found["objects"]
        files = [name for name in objects.get("instances", []) if name.startswith("pvc-")]
        if len(objects.get("forwardingRules", [])) == len(objects.get("disks", [])) == 2 and files:
            phases = deployed.run(*names, "jsonpath={.items[*].status.phase}").stdout
            if phases.split() == ["Running", "Running"]:
                return found
        time.sleep(1)
    pytest.fail(f"some objects were not created: {look(deployed)}")


def destroy(deployed: Project) -> subprocess.CompletedProcess[str]:
    return deployed.run("shell", "--stack", STACK, "--", "pulumi", "destroy", "--yes", "--stack", STACK, code=None)


@pytest.fixture(scope="module")
def stopped(deployed: Project, before: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The destroy while a Filestore instance is retained."""
    return destroy(deployed)


@pytest.fixture(scope="module")
def destroyed(deployed: Project, stopped: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The next destroy, after the steps in the error."""
    volume = re.search(r"volume (pvc-[\w-]+)", stopped.stdout + stopped.stderr)
    assert volume, stopped.stdout + stopped.stderr
    patch = json.dumps({"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    deployed.run("kubectl", "--stack", STACK, "--", "patch", "pv", volume[1], "-p", patch)
    return destroy(deployed)


@pytest.fixture(scope="module")
def after(deployed: Project, destroyed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return look(deployed)


def test_a_retained_file_system_stops_the_destroy_before_any_deletion(
    deployed: Project, before: dict[str, Any], stopped: subprocess.CompletedProcess[str]
) -> None:
    """field case G8: Filestore is peered with the VPC, so Google does not delete the VPC first."""
    printed = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0 and "are in the network that" in printed and "Nothing was deleted" in printed
    assert "modeInstance/us-central1-a/pvc-" in printed and "persistentVolumeReclaimPolicy" in printed
    assert look(deployed)["objects"].keys() == before["objects"].keys()


def test_a_destroy_deletes_load_balancers_firewall_rules_and_endpoint_groups(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S01: all of it blocks the deletion of the network, and nothing else would delete it."""
    there = before["objects"]
    assert {name[:7] for name in there["firewalls"]} >= {"k8s-fw-", "gke-gpu"} and len(there["firewalls"]) == 8
    assert there["networkEndpointGroups"] and there["targetPools"] and there["regionBackendServices"]
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert after["leftovers"] == []
    assert set(after["objects"]) <= {"disks", "services", "identities"}, "the project's APIs stay enabled"


def test_data_is_kept_after_the_destroy_and_named(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S11: the class block-fast keeps its disks, block does not."""
    assert len(before["objects"]["disks"]) == 2
    (disk,) = after["objects"]["disks"]
    assert [entry.rsplit("/", 1)[-1] for entry in after["kept"]] == [disk]
    line = next(line for line in destroyed.stdout.splitlines() if f"disks/{disk}" in line)
    assert "claim default/dataset" in line and "20Gi" in line


def test_down_lists_what_is_kept_and_succeeds(deployed: Project, after: dict[str, Any]) -> None:
    done = deployed.run("down")
    assert after["objects"]["disks"][0] in done.stdout + done.stderr
    assert deployed.processes() == [] and not deployed.home.exists()
