"""An existing environment changes: the preview, then the change itself, without unexpected replacements."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.engine.conftest import Project
from tests.engine.test_story import pool, steps

GROUP = "aws:eks/nodeGroup:NodeGroup"
RELEASE = "kubernetes:helm.sh/v3:Release"
OLD, NEW = "1.34", "1.35"
ZONES = ["us-east-1a", "us-east-1b"]
THIRD = "us-east-1c"
ENTRIES = """access_entries={
    who: eks.AccessEntryArgs(
        principal_arn=each["principal_arn"],
        access_policies={
            each["level"]: eks.AccessPolicyAssociationArgs(
                policy_arn=access.policy_and_scope(each)[0],
                access_scope=access.policy_and_scope(each)[1],
            )
        },
        tags=tags,
    )
    for who, each in args.get("access", {}).items()
},"""


@pytest.fixture(scope="module")
def deployed(project: Project) -> Project:
    """The development environment on an older Kubernetes, with an additional zone, node and pool, up."""
    config = project.config("dev")
    config["gpuyard:network"]["zones"] = [*ZONES, THIRD]
    config["gpuyard:nodePools"]["cpu-workers"]["min"] = 3
    config["gpuyard:cluster"]["version"] = OLD
    config["gpuyard:deletionProtection"] = True
    config["gpuyard:cluster"]["access"] = {
        who: {"principalArn": f"arn:aws:iam::111122223333:role/{who}", "level": "view"} for who in ("ann", "bob")
    }
    one = {"machineTypes": ["m5.4xlarge"], "min": 0, "max": 2, "zones": ZONES[:1]}
    config["gpuyard:nodePools"]["big"] = one
    with first_version(project, config):
        project.run("up")
    (state,) = (project.home / "state").rglob("dev.json")
    text = state.read_text()
    assert "::big-us-east-1a" in text
    state.write_text(text.replace("::big-us-east-1a", "::big"))
    project.write("dev", config)
    return project


@contextmanager
def first_version(project: Project, config: dict[str, Any]) -> Iterator[None]:
    """gpuyard before 0.1.0, as far as it differs from the current version: default providers of aws and of dynamic
    resources were in use, pulumi-eks created the access entries, and (in the state) a pool of one zone had a group with
    the name of its capacity type."""
    changes = [
        ("stack/aws/wiring.py", "providers=[python],", ""),
        ("components/aws/cluster.py", "skip_default_node_group=True,", f"skip_default_node_group=True, {ENTRIES}"),
        ("components/aws/cluster.py", 'access.entries(name, args.get("access", {}), cluster, tags, self)', ""),
    ]
    today = {name: (project.root / name).read_text() for name, _, _ in changes}
    for name, new, old in changes:
        text = (project.root / name).read_text()
        assert text.count(new) == 1, new
        (project.root / name).write_text(text.replace(new, old))
    project.write("dev", {**config, "pulumi:disable-default-providers": ["kubernetes", "gcp"]})
    try:
        yield
    finally:
        for name, text in today.items():
            (project.root / name).write_text(text)


def groups(*rungs: str) -> set[str]:
    """The node groups of these capacity types, one in each zone."""
    return {f"{GROUP}::{rung}-{zone}" for rung in rungs for zone in ZONES}


@contextmanager
def written(deployed: Project, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Writes a changed config, and restores the old one at the end."""
    path = deployed.root / "Pulumi.dev.yaml"
    before = path.read_bytes()
    config = copy.deepcopy(deployed.config("dev"))
    change(config)
    deployed.write("dev", config)
    try:
        yield
    finally:
        path.write_bytes(before)


def preview(deployed: Project, change: Callable[[dict[str, Any]], None], *words: str) -> set[tuple[str, str]]:
    """(operation, type::name) of every step that a changed config would take, and checks that one warning has these
    words."""
    with written(deployed, change):
        shown = deployed.json("preview", "--json")
    if words:
        assert sum(all(word in message for word in words) for message in shown["warnings"]) == 1, shown["warnings"]
    return steps(shown)


def test_an_environment_of_the_first_version_continues_without_replacement(deployed: Project) -> None:
    """field cases A4, A16 and A17: the replacement of a ClusterCleanup would delete the contents of a cluster in use,
    an access entry that is created a second time is refused, and a renamed group keeps its nodes. Only providers are
    created and deleted; nothing else changes."""
    contents = [found for found in deployed.state("dev") if found["type"].endswith(":ClusterContents")]
    assert "::default::" in contents[0]["provider"], "the environment is not that of the first version"
    found = [(step["operation"], step["type"]) for step in deployed.json("preview", "--json")["steps"]]
    assert not [step for step in found if not step[1].startswith("pulumi:") and step[0] != "same"], found
    assert not [step for step in found if "replace" in step[0]], found
    deployed.run("up")
    after = [found for found in deployed.state("dev") if found["type"].endswith(":ClusterContents")]
    assert [each["created"] for each in after] == [each["created"] for each in contents]
    assert "::python::" in after[0]["provider"]
    assert [each["urn"] for each in deployed.state("dev") if each["urn"].endswith("::big-us-east-1a")]
    assert deployed.json("up", "--json")["changed"] == 0


def test_access_can_be_removed_while_the_cluster_is_protected(deployed: Project) -> None:
    """field case A16: removing an entry and lowering the level of another work while protection is on."""
    config = deployed.config("dev")
    del config["gpuyard:cluster"]["access"]["bob"]
    config["gpuyard:cluster"]["access"]["ann"]["level"] = "edit"
    deployed.write("dev", config)
    assert deployed.json("up", "--json")["changes"]["delete"] >= 2
    left = [found["inputs"] for found in deployed.state("dev") if found["type"] == "aws:eks/accessEntry:AccessEntry"]
    assert [each["principalArn"][-3:] for each in left] == ["ann"]
    protected = {found["type"] for found in deployed.state("dev") if found.get("protect")}
    assert "aws:eks/cluster:Cluster" in protected, "the environment is not protected"


def test_immutable_fields_are_refused_in_one_error(deployed: Project) -> None:
    """Reliability cases R1, R2, R3, R4 and R5, in the one error that lists them all."""

    def change(config: dict[str, Any]) -> None:
        config["gpuyard:network"] |= {"cidr": "10.8.0.0/16", "zones": ZONES}
        config["gpuyard:cluster"] |= {"name": "other", "version": "1.33"}
        config["gpuyard:nodePools"]["cpu-workers"] |= {"min": 1, "max": 1}

    before = deployed.state("dev")
    with written(deployed, change):
        done = deployed.run("up", code=1)
    for path, words in {
        "network.cidr": "the range of a VPC cannot change; this environment has 10.0.0.0/16",
        "network.zones": f"{THIRD} is no longer in the file, but it has nodes of cpu-workers",
        "cluster.name": "a cluster cannot be renamed; this environment has gpuyard-dev",
        "cluster.version": f"the control plane runs {OLD}, and EKS never downgrades it",
        "nodePools.cpu-workers.max": "has 1 node at the moment, and its share is 0",
    }.items():
        (line,) = (each for each in done.stderr.splitlines() if f"gpuyard:{path} = " in each)
        assert words in line, line
    assert "nothing was changed" in done.stderr and "create a new environment" in done.stderr
    assert sorted(each["urn"] for each in deployed.state("dev")) == sorted(each["urn"] for each in before)


SERVE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "serve"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "serve"}},
        "template": {
            "metadata": {"labels": {"app": "serve"}},
            "spec": {
                "containers": [{"name": "m", "image": "example.org/serve:1"}],
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "topology.kubernetes.io/zone",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app": "serve"}},
                    }
                ],
            },
        },
    },
}
"""One pod in each zone that has nodes."""


def zones_of_serve(deployed: Project) -> list[str]:
    """Zones of its pods, once all three run."""
    deployed.run("kubectl", "--", "rollout", "status", "deployment/serve", "--timeout=120s")
    kubectl = ("kubectl", "--", "get", "--output=json")
    nodes = {each["metadata"]["name"]: each for each in deployed.json(*kubectl, "nodes")["items"]}
    homes = [
        nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for pod in deployed.json(*kubectl, "pods", "--selector=app=serve")["items"]
        if not pod["metadata"].get("deletionTimestamp")
    ]
    assert len(homes) == 3
    return sorted(homes)


def test_a_zone_is_removed_after_the_pools_have_left_it(deployed: Project) -> None:
    """Reliability case R2: in the order that the error names; the pods of the zone continue in the others. Reliability
    case R4: two zones share the `min` of three, and a group's size is raised with its share."""
    (deployed.root / "serve.json").write_text(json.dumps(SERVE))
    deployed.run("kubectl", "--", "apply", "-f", "serve.json")
    assert zones_of_serve(deployed) == [*ZONES, THIRD]
    config = deployed.config("dev")
    for name in ("cpu-workers", "gpu-workers"):
        config["gpuyard:nodePools"][name]["zones"] = ZONES
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    message = [each for each in done["warnings"] if each.startswith("nodePools")]
    assert "nodePools.cpu-workers.zones: us-east-1c is removed, with 1 node there and everything on them" in message
    assert f"nodePools: the group cpu-workers-{ZONES[0]} immediately grows from 1 to its new min of 2 nodes" in message
    assert {node["zone"] for node in done["status"]["nodes"]} == {*ZONES}
    assert {*zones_of_serve(deployed)} == {*ZONES}
    config["gpuyard:network"]["zones"] = ZONES
    for name in ("cpu-workers", "gpu-workers"):
        del config["gpuyard:nodePools"][name]["zones"]
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    assert {*done["changes"]} <= {"same", "update", "delete"}, done["changes"]
    assert not [each["urn"] for each in deployed.state("dev") if THIRD in each["urn"]]
    assert {*zones_of_serve(deployed)} == {*ZONES}
    deployed.run("kubectl", "--", "delete", "-f", "serve.json", "--wait=false")


def to_new_version(config: dict[str, Any]) -> None:
    config["gpuyard:cluster"]["version"] = NEW


def test_a_new_kubernetes_updates_control_plane_nodes_add_ons_and_autoscaler_in_place(deployed: Project) -> None:
    """seed row S01: the cluster, its groups' images, the add-ons whose version follows Kubernetes; nothing else."""
    message = (f"cpu-workers: cluster.version {OLD} → {NEW}", "nodes are replaced (3 nodes at the moment")
    found = preview(deployed, to_new_version, *message)
    assert {operation for operation, _ in found} == {"update"}, found
    assert {name for _, name in found} == {
        "aws:eks/cluster:Cluster::cluster-eks-eksCluster",
        *groups("cpu-workers", "gpu-workers-spot"),
        f"{GROUP}::big-us-east-1a",
        *(f"aws:eks/addon:Addon::{name}" for name in ("cluster-kube-proxy", "coredns")),
        f"{RELEASE}::cluster-autoscaler-release",
    }


def test_an_added_zone_replaces_neither_cluster_nor_pool(deployed: Project) -> None:
    def change(config: dict[str, Any]) -> None:
        config["gpuyard:network"]["zones"].append("us-east-1c")

    found = preview(deployed, change)
    # The gateway endpoint gets the new zone's route table, and the shares of the pools' maximum become smaller.
    assert {step for step in found if step[0] != "create"} == {
        ("update", name)
        for name in ("aws:ec2/vpcEndpoint:VpcEndpoint::network-s3", *groups("cpu-workers", "gpu-workers-spot"))
    }
    made = {name.partition("::")[2] for operation, name in found if operation == "create"}
    assert made and all("us-east-1c" in name for name in made), made


def test_a_chart_a_capacity_type_a_disk_and_a_removed_pool_change_only_their_resources(deployed: Project) -> None:
    """Four changes in one preview, each of different resources. Seed row S05: a chart's version, one line in
    versions.py, updates its release. Seed row S12: an additional capacity type (on demand after spot) creates groups,
    replaces none and reaches the autoscaler. A larger disk replaces the nodes of the same groups. A removed pool
    deletes only its resources."""

    def change(config: dict[str, Any]) -> None:
        pools = config["gpuyard:nodePools"]
        pools["gpu-workers"]["capacity"] = ["spot", "on_demand"]
        pools["cpu-workers"]["diskGib"] = 150
        del pools["big"]

    path = deployed.root / "components" / "versions.py"
    before = path.read_text()
    path.write_text(re.sub(r'(k8s-device-plugin", )"[\d.]+"', r'\1"0.19.3"', before))
    assert path.read_text() != before
    try:
        found = preview(deployed, change, "cpu-workers: diskGib 100 → 150: nodes are replaced (3 nodes at the moment)")
    finally:
        path.write_text(before)
    done = {operation: {name for each, name in found if each == operation} for operation, _ in found}
    assert done["update"] == {
        f"{RELEASE}::nvidia-device-plugin-release",
        f"{RELEASE}::cluster-autoscaler-release",
        "kubernetes:monitoring.coreos.com/v1:PrometheusRule::alerts-rules",  # with the price of each pool's nodes
        "aws:ec2/launchTemplate:LaunchTemplate::cpu-workers-template",
        *groups("cpu-workers"),
        *(f"aws:autoscaling/tag:Tag::cpu-workers-{zone}-resource-ephemeral-storage" for zone in ZONES),
    }
    assert groups("gpu-workers") <= done["create"]
    assert {name.partition("::")[2].startswith("gpu-workers-") for name in done["create"]} == {True}
    assert f"{GROUP}::big-us-east-1a" in done["delete"]
    assert {name.partition("::")[2].startswith("big") for name in done["delete"]} == {True}
    assert {*done} == {"update", "create", "delete"}


def test_a_larger_maximum_keeps_the_nodes_of_the_autoscaler(deployed: Project) -> None:
    """seed rows S03 and S04: the engine uses the current size, and not that of its last update."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train"},
        "spec": {
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [
                {"name": "m", "image": "example.org/train:1", "resources": {"limits": {"nvidia.com/gpu": 1}}}
            ],
        },
    }
    (deployed.root / "pod.json").write_text(json.dumps(pod))
    deployed.run("kubectl", "--", "apply", "-f", "pod.json")
    deadline = time.monotonic() + 120
    while pool(deployed.json("status", "--json"), "gpu-workers")["nodes"] != 1:
        assert time.monotonic() < deadline, "no node for the pod"
        time.sleep(1)
    config = deployed.config("dev")
    config["gpuyard:nodePools"]["gpu-workers"]["max"] = 12
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    assert done["changes"].get("update") == len(ZONES), done["changes"]
    found = pool(done["status"], "gpu-workers")
    assert (found["max"], found["nodes"]) == (12, 1)
    deployed.run("kubectl", "--", "delete", "pod", "train", "--wait=false")


def test_the_upgrade_keeps_the_nodes(deployed: Project) -> None:
    """seed row S01: the update equals the preview, and a second `up` changes nothing. Reliability case R6a: the nodes
    are of the new version."""
    before = deployed.json("status", "--json")
    config = deployed.config("dev")
    to_new_version(config)
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    assert set(done["changes"]) <= {"update", "same"}, done["changes"]
    after = done["status"]
    assert pool(after, "cpu-workers")["nodes"] == pool(before, "cpu-workers")["nodes"] == 3
    nodes = deployed.json("kubectl", "--", "get", "nodes", "--output=json")["items"]
    assert {each["status"]["nodeInfo"]["kubeletVersion"][:5] for each in nodes} == {f"v{NEW}"}
    assert deployed.json("up", "--json")["changed"] == 0


def test_a_changed_machine_type_creates_the_new_group_before_the_old_one_is_deleted(deployed: Project) -> None:
    """So the pods of the old nodes can move."""
    config = deployed.config("dev")
    config["gpuyard:nodePools"]["cpu-workers"]["machineTypes"] = ["m6i.2xlarge"]
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    assert pool(done["status"], "cpu-workers")["machine_types"] == ["m6i.2xlarge"]
    assert pool(done["status"], "cpu-workers")["nodes"] == 3
    assert {operation for operation, _ in steps(deployed.json("preview", "--json"))} <= {"same"}


def test_a_renamed_pool_keeps_its_nodes(deployed: Project) -> None:
    """Reliability case R6: without `was`, a preview shows in capitals what is deleted; with it, no node is deleted."""

    def change(config: dict[str, Any]) -> None:
        pools = config["gpuyard:nodePools"]
        pools["trainers"] = pools.pop("gpu-workers")
        pools["general"] = pools.pop("cpu-workers")

    deleted = {name for operation, name in preview(deployed, change, "A GPU POOL IS DELETED", "`was: gpu-workers`")
               if operation == "delete"}  # fmt: skip
    assert groups("cpu-workers", "gpu-workers-spot") <= deleted
    config = deployed.config("dev")
    change(config)
    for name, was in (("trainers", "gpu-workers"), ("general", "cpu-workers")):
        config["gpuyard:nodePools"][name]["was"] = was
    before = {node["name"] for node in deployed.json("status", "--json")["nodes"]}
    deployed.write("dev", config)
    done = deployed.json("up", "--json")
    assert not [each for each in done["warnings"] if each.startswith("nodePools") and "delete" in each.lower()]
    assert {node["name"] for node in done["status"]["nodes"]} == before
    assert pool(done["status"], "general")["nodes"] == 3
    assert deployed.json("up", "--json")["changed"] == 0
