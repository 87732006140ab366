"""The dev environment under the real engine, in order: up, up again, reads, changes, demo; then, with objects of users
in it, a plain `pulumi destroy`: nothing with costs is left, data is kept."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.conftest import Project, answers
from tests.engine.workloads import WEB, user


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    """The result of the first `up`."""
    return project.json("up", "--json")


@pytest.fixture(scope="module")
def dev(project: Project, first: dict[str, Any]) -> Project:
    """The project with dev up."""
    return project


def pool(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in status["node_pools"] if found["name"] == name)


def assert_the_guides_environment(up: dict[str, Any], cpu_machine: str, gpu_machine: str, taint: str) -> None:
    """Checks the guide's values, with the machine types and the taint value of each cloud."""
    cpu, gpu = pool(up["status"], "cpu-workers"), pool(up["status"], "gpu-workers")
    assert (cpu["machine_types"], cpu["min"], cpu["max"], cpu["nodes"]) == ([cpu_machine], 2, 20, 2)
    assert (gpu["machine_types"], gpu["min"], gpu["max"], gpu["nodes"]) == ([gpu_machine], 0, 10, 0)
    assert gpu["labels"]["workload"] == "gpu-training"
    assert gpu["taints"] == [{"key": "nvidia.com/gpu", "value": taint, "effect": "NoSchedule"}]
    assert cpu["taints"] == []
    assert {"block", "block-fast", "shared"} <= {found["name"] for found in up["status"]["storage_classes"]}


def test_up_builds_the_guides_environment(first: dict[str, Any]) -> None:
    """Seed rows S01, S02, S03, S07, S24: an EKS cluster with the guide's pools from Pulumi.dev.yaml."""
    assert first["changed"] > 50
    assert first["status"]["stack"]["name"] == "dev" and first["status"]["stack"]["cloud"] == "aws"
    assert_the_guides_environment(first, "m5.2xlarge", "g6.2xlarge", "true")


def test_storage_classes_exist(first: dict[str, Any]) -> None:
    """Seed row S11: EFS shared, EBS for one pod, one default."""
    classes = {found["name"]: found for found in first["status"]["storage_classes"]}
    assert classes["shared"]["provisioner"] == "efs.csi.aws.com"
    assert classes["shared"]["reclaim_policy"] == "Retain"
    assert classes["block"]["provisioner"] == classes["block-fast"]["provisioner"] == "ebs.csi.aws.com"
    assert [name for name, found in classes.items() if found["default"]] == ["block"]


def test_helm_releases_exist_and_stand_ins_are_labelled(first: dict[str, Any]) -> None:
    """Seed rows S04, S05, S18. Whether a chart can be rendered depends on the network; a stand-in is always
    reported."""
    releases = {found["chart"]: found for found in first["status"]["releases"]}
    assert {"nvidia-device-plugin", "cluster-autoscaler", "dcgm-exporter"} <= set(releases)
    assert {found["status"] for found in releases.values()} == {"deployed"}
    for chart, found in releases.items():
        if found["rendered"] == "stand-in":
            assert any(chart in warning for warning in first["warnings"]), f"no warning about {chart}"


def test_second_up_changes_nothing(dev: Project) -> None:
    again = dev.json("up", "--json")
    assert again["changed"] == 0, again["changes"]


def test_a_refresh_finds_no_drift(dev: Project) -> None:
    done = dev.run("shell", "--", "pulumi", "preview", "--stack", "dev", "--refresh", "--expect-no-changes")
    assert "error" not in done.stderr.lower()


def test_kubectl_in_the_shell_lists_nodes_and_classes(dev: Project) -> None:
    nodes = dev.run("shell", "--", "kubectl", "get", "nodes", "-o", "name").stdout.split()
    assert len(nodes) == 2
    classes = dev.run("shell", "--", "kubectl", "get", "storageclasses", "-o", "name").stdout
    assert "storageclass.storage.k8s.io/shared" in classes


def test_kubeconfigs_are_secret(dev: Project) -> None:
    """In the outputs, and in the state of all resources of the library. (pulumi-eks keeps one in plain text; it has no
    credential, only the command that gets one.)"""
    shown = dev.run("shell", "--", "pulumi", "stack", "output", "--stack", "dev", "--json").stdout
    assert '"kubeconfig": "[secret]"' in shown
    state = json.loads((dev.home / "state" / ".pulumi" / "stacks" / "gpuyard" / "dev.json").read_text())
    kept = {
        resource["urn"].rsplit("::", 2)[-2]: values["kubeconfig"]
        for resource in state["checkpoint"]["latest"]["resources"]
        for values in (resource.get("inputs") or {}, resource.get("outputs") or {})
        if "kubeconfig" in values and "$eks:index:Cluster" not in resource["urn"]
    }
    assert {"pulumi:pulumi:Stack", "gpuyard:index:EksCluster", "pulumi:providers:kubernetes"} <= set(kept)
    for owner, value in kept.items():
        assert isinstance(value, dict) and "ciphertext" in value, f"{owner} stores its kubeconfig in plain text"


def test_the_tracked_stack_file_is_not_changed(dev: Project) -> None:
    """After up, preview, shell and plain pulumi."""
    from sandbox.paths import ROOT

    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        ours, theirs = (ROOT / name).read_bytes(), (dev.root / name).read_bytes()
        assert hashlib.sha256(ours).digest() == hashlib.sha256(theirs).digest(), name


def steps(preview: dict[str, Any]) -> set[tuple[str, str]]:
    """(operation, type::name) of what a preview would do to custom resources, without providers."""
    found = {(step["operation"], f"{step['type']}::{step['urn'].rsplit('::', 1)[-1]}") for step in preview["steps"]}
    return {step for step in found if "pulumi:" not in step[1] and not step[1].startswith("gpuyard:")}


def changed(dev: Project, change: Any) -> dict[str, Any]:
    """The preview of dev with a changed config; the file is then restored."""
    path = dev.root / "Pulumi.dev.yaml"
    before = path.read_bytes()
    config = copy.deepcopy(dev.config("dev"))
    change(config)
    dev.write("dev", config)
    try:
        return dev.json("preview", "--json")
    finally:
        path.write_bytes(before)


def test_labels_and_sizes_change_in_place_and_a_new_pool_changes_no_other(dev: Project) -> None:
    def change(config: dict[str, Any]) -> None:
        pools = config["gpuyard:nodePools"]
        pools["gpu-workers"]["labels"]["team"] = "vision"
        pools["gpu-workers"]["max"] = 12
        pools["big"] = {"machineTypes": ["m5.4xlarge"], "min": 0, "max": 2}

    found = steps(changed(dev, change))
    of_big = {step for step in found if step[1].partition("::")[2].startswith("big")}
    assert of_big and {operation for operation, _ in of_big} == {"create"}
    assert found - of_big == {
        step
        for zone in ("us-east-1a", "us-east-1b")
        for step in (
            ("update", f"aws:eks/nodeGroup:NodeGroup::gpu-workers-spot-{zone}"),
            ("create", f"aws:autoscaling/tag:Tag::gpu-workers-spot-{zone}-label-team"),
        )
    }


def test_a_machine_type_change_creates_the_new_group_first(dev: Project) -> None:
    """Reliability case R6a: one line of the preview explains the replacement."""

    def change(config: dict[str, Any]) -> None:
        config["gpuyard:nodePools"]["gpu-workers"]["machineTypes"] = ["g5.2xlarge"]

    preview = changed(dev, change)
    message = (
        "gpu-workers: machineTypes [g6.2xlarge] → [g5.2xlarge]: new nodes are added, then the old ones are deleted (0"
    )
    assert [each for each in preview["warnings"] if message in each], preview["warnings"]
    done = [s["operation"] for s in preview["steps"] if s["urn"].endswith("NodeGroup::gpu-workers-spot-us-east-1b")]
    assert done.index("create-replacement") < done.index("delete-replaced")
    others = {name for _, name in steps(preview) if "NodeGroup" in name or "Cluster" in name}
    assert others == {f"aws:eks/nodeGroup:NodeGroup::gpu-workers-spot-us-east-1{letter}" for letter in "ab"}


def known(dev: Project) -> dict[str, str]:
    """The resources in the state, with the time of their last change."""
    return {each["urn"]: each["modified"] for each in dev.state("dev")}


def test_a_wrong_value_is_one_error_and_changes_nothing(dev: Project) -> None:
    path = dev.root / "Pulumi.dev.yaml"
    before = path.read_bytes()
    state = known(dev)
    config = dev.config("dev")
    config["gpuyard:nodePools"]["gpu-workers"]["min"] = 11
    dev.write("dev", config)
    try:
        done = dev.run("up", code=1)
    finally:
        path.write_bytes(before)
    assert "gpuyard:nodePools.gpu-workers.min = 11: greater than max = 10" in done.stderr
    assert done.stderr.count("greater than max") == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert known(dev) == state


def test_demo_shows_every_step(dev: Project) -> None:
    """Seed rows S04, S05, S07, S08, S09, S10, S12: a pending pod, a new node, a run on a tainted node, an interruption,
    a second run, and scale-down to zero."""
    report = dev.json("demo", "--json")
    assert report["ok"] is True
    assert all(step["ok"] for step in report["steps"])
    names = [step["name"] for step in report["steps"]]
    assert names.index("pending") < names.index("running") < names.index("reclaimed") < names.index("back to zero")
    status = dev.json("status", "--json")
    assert pool(status, "gpu-workers")["nodes"] == 0
    assert dev.json("up", "--json")["changed"] == 0, "the autoscaler's work is not drift"


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


def look(dev: Project) -> dict[str, Any]:
    """The objects of the simulated account, from the API of AWS."""
    return json.loads(dev.run("shell", "--", sys.executable, "-c", _LOOK).stdout)


@pytest.fixture(scope="module")
def before(dev: Project) -> dict[str, Any]:
    """Creates a Service, a scratch volume and a data set; returns the objects of the account and the open ports."""
    wanted = dev.root / "work.yaml"
    wanted.write_text(yaml.safe_dump_all([WEB, *user("scratch", "block"), *user("dataset", "block-fast")]))
    dev.run("kubectl", "--", "apply", "-f", str(wanted))
    phases = "jsonpath={.items[*].status.phase}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look(dev)
        running = dev.run("kubectl", "--", "get", "pods", "scratch", "dataset", "-o", phases).stdout.split()
        if found["balancers"] and {"scratch", "dataset"} <= {*found["volumes"]} and running == ["Running"] * 2:
            return {**found, "ports": dev.ports("dev")}
        time.sleep(1)
    pytest.fail(f"some objects were not created: {look(dev)}")


@pytest.fixture(scope="module")
def destroyed(dev: Project, before: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return dev.run("shell", "--", "pulumi", "destroy", "--yes", "--stack", "dev", code=None)


@pytest.fixture(scope="module")
def after(dev: Project, destroyed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return look(dev)


def test_a_destroy_deletes_load_balancers_and_volumes(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S01: the network is deleted, which the interfaces of a load balancer would prevent."""
    assert before["vpcs"] and any(group.startswith("k8s-elb-") for group in before["groups"])
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert (after["balancers"], after["vpcs"]) == ([], [])
    assert "scratch" not in after["volumes"]
    assert not [group for group in after["groups"] if group.startswith("k8s-elb-")]


def test_data_is_kept_after_the_destroy_and_named(
    before: dict[str, Any], destroyed: subprocess.CompletedProcess[str], after: dict[str, Any]
) -> None:
    """seed row S11: the class block-fast keeps its volumes."""
    assert after["volumes"]["dataset"] == before["volumes"]["dataset"]
    line = next(line for line in destroyed.stdout.splitlines() if before["volumes"]["dataset"] in line)
    assert "claim default/dataset" in line and "20Gi" in line


def test_down_lists_what_is_kept_and_stops_all_processes(
    dev: Project, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert before["ports"] and dev.processes()
    done = dev.run("down")
    assert after["volumes"]["dataset"] in done.stdout + done.stderr
    assert dev.processes() == []
    assert not Path(dev.home).exists()
    assert not any(map(answers, before["ports"]))
    dev.run("down")  # no output is valid
