"""The resource graph of every stack in this repository, as in the engine's state."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from components import arguments
from components.aws import EksNodePoolSpec
from components.gcp import GkeNodePoolSpec
from components.pools import resolve_all
from recording.recording import Recording, Resource
from recording.stacks import ALL, EKS, GKE, record, recorded, settings
from sandbox.paths import ROOT
from stack.deployed import SETTINGS

CLUSTERS = {"aws": "aws:eks/cluster:Cluster", "gcp": "gcp:container/cluster:Cluster"}
POOLS = {"aws": "aws:eks/nodeGroup:NodeGroup", "gcp": "gcp:container/nodePool:NodePool"}
RELEASE = "kubernetes:helm.sh/v3:Release"
CONTENTS = "pulumi-python:dynamic/gpuyard:ClusterContents"


def cloud(stack: str) -> str:
    return settings(stack)["gpuyard:cloud"]


def control_plane(made: Recording, stack: str) -> Resource:
    return made.one(CLUSTERS[cloud(stack)])


def pools(made: Recording, stack: str) -> dict[str, Resource]:
    """Pool name → one of its node groups."""
    groups = made.all(POOLS[cloud(stack)])
    return {re.sub(r"(-(reserved|flex|spot))?(-[a-z]+-[a-z]+-\d[a-z])?$", "", found.name): found for found in groups}


@pytest.mark.parametrize("stack", ALL)
def test_urns_equal_those_of_the_last_release(stack, golden) -> None:
    """seed row S24: one file per environment. A URN that changes replaces a resource: it needs an alias."""
    golden(f"urns-{stack}", recorded(stack).tree())


@pytest.mark.parametrize("stack", ALL)
def test_the_first_preview_shows_all_resources_of_the_update(stack: str) -> None:
    assert recorded(stack, preview=True).tree() == recorded(stack).tree()


@pytest.mark.parametrize("stack", ALL)
def test_every_resource_has_a_parent(stack: str) -> None:
    assert [str(found) for found in recorded(stack).orphans()] == []


@pytest.mark.parametrize("stack", ALL)
def test_nothing_uses_a_default_provider(stack: str) -> None:
    """field case A17: all resources use the same identity. Dynamic resources have an explicit provider as well."""
    assert recorded(stack).without_provider() == []
    assert settings(stack)["pulumi:disable-default-providers"] == ["*"]


@pytest.mark.parametrize("stack", ALL)
def test_the_kubeconfig_is_secret_everywhere(stack: str) -> None:
    made = recorded(stack)
    assert "kubeconfig" in made.secret_exports
    provider = made.one("pulumi:providers:kubernetes", "kubernetes")
    assert "kubeconfig" in provider.secrets
    plain = {key: value for key, value in made.exports.items() if key not in made.secret_exports}
    assert "certificate-authority-data" not in str(plain)


@pytest.mark.parametrize("stack", ALL)
def test_node_pools_are_deleted_before_the_control_plane_and_it_before_the_network(stack: str) -> None:
    """seed row S01: a destroy leaves nothing behind that a later step still needs."""
    made = recorded(stack)
    cluster = control_plane(made, stack)
    for pool in pools(made, stack).values():
        assert made.must_outlive(cluster, pool), pool
    network = [found for found in made.all("Subnet") + made.all("Subnetwork") + made.all("Vpc") + made.all("Network")]
    assert network
    for found in network:
        assert made.must_outlive(found, cluster), found


@pytest.mark.parametrize("stack", ALL)
def test_kubernetes_objects_are_deleted_before_the_control_plane_and_its_provider(stack: str) -> None:
    made = recorded(stack)
    cluster, provider = control_plane(made, stack), made.one("pulumi:providers:kubernetes", "kubernetes")
    inside = [found for found in made.resources.values() if found.package == "kubernetes"]
    assert inside
    for found in inside:
        assert found.provider == provider.urn, found
        assert made.must_outlive(cluster, found), found


@pytest.mark.parametrize("stack", EKS)
def test_no_value_of_a_chart_is_null_or_an_empty_list(stack: str) -> None:
    """pulumi-kubernetes#2731, #2034: such a value is dropped, and the chart's default applies."""
    releases = recorded(stack).all("Release")
    assert releases
    for release in releases:
        assert lost(release.inputs["values"]) == [], release


def lost(values: Any, path: str = "values") -> list[str]:
    if isinstance(values, dict):
        return [found for key, value in values.items() for found in lost(value, f"{path}.{key}")]
    if isinstance(values, list) and values:
        return [found for index, value in enumerate(values) for found in lost(value, f"{path}[{index}]")]
    return [path] if values is None or values == [] else []


@pytest.mark.parametrize("stack", EKS)
def test_releases_are_deleted_before_the_nodes_that_run_them(stack: str) -> None:
    """Otherwise a destroy waits for pods that no node can drain (pulumi-eks#1226)."""
    made = recorded(stack)
    groups = pools(made, stack)
    homes = {
        "nvidia-device-plugin-release": "gpu-workers",
        "dcgm-exporter-release": "gpu-workers",
        "efa-device-plugin-release": "train-h100",
    }
    for release in made.all(RELEASE):
        assert made.must_outlive(groups[homes.get(release.name, "cpu-workers")], release), release


@pytest.mark.parametrize("stack", EKS)
def test_users_objects_are_deleted_while_drivers_and_nodes_run(stack: str) -> None:
    """For load balancers and volumes of Kubernetes: drivers, DNS, nodes, routes and permissions outlive them."""
    made = recorded(stack)
    contents = made.one(CONTENTS)
    longer = [control_plane(made, stack), *pools(made, stack).values(), made.one("aws:eks/addon:Addon", "coredns")]
    longer += made.all("StorageClass") + made.all("Subnet") + made.all("Route") + made.all("NatGateway")
    longer += [found for found in made.all("aws:eks/addon:Addon") if "csi" in found.name or "cni" in found.name]
    longer += [found for found in made.all("PodIdentityAssociation") if "csi" in found.name]
    assert len(longer) > 12
    for found in longer:
        assert made.must_outlive(found, contents), found
    waiting = [found for found in made.resources.values() if made.must_outlive(contents, found)]
    assert waiting == [], "no resource waits for it during `up`"


@pytest.mark.parametrize("stack", GKE)
def test_users_objects_are_deleted_while_nodes_and_network_exist(stack: str) -> None:
    """On GKE, drivers and load balancer controllers run in the control plane; nodes detach the volumes."""
    made = recorded(stack)
    contents = made.one(CONTENTS)
    longer = [control_plane(made, stack), *made.all(POOLS["gcp"]), *made.all("StorageClass")]
    for kind in ("Network", "Subnetwork", "RouterNat"):
        longer += made.all(kind)
    assert len(longer) >= 9
    for found in longer:
        assert made.must_outlive(found, contents), found
    waiting = [found for found in made.resources.values() if made.must_outlive(contents, found)]
    assert waiting == [], "no resource waits for it during `up`"


@pytest.mark.parametrize("stack", EKS)
def test_the_autoscaler_is_deleted_before_every_pool(stack: str) -> None:
    """seed row S04: otherwise it would resize groups that are being deleted."""
    made = recorded(stack)
    for pool in pools(made, stack).values():
        assert made.must_outlive(pool, made.one(RELEASE, "cluster-autoscaler-release")), pool


@pytest.mark.parametrize("stack", EKS)
def test_add_ons_that_need_a_node_wait_for_the_cpu_pool(stack: str) -> None:
    made = recorded(stack)
    cpu = pools(made, stack)["cpu-workers"]
    for addon in made.all("aws:eks/addon:Addon"):
        if addon.inputs["addonName"] in ("coredns", "metrics-server", "aws-ebs-csi-driver", "aws-efs-csi-driver"):
            assert made.must_outlive(cpu, addon), addon
        if addon.inputs["addonName"] in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
            assert made.must_outlive(addon, cpu), addon


@pytest.mark.parametrize("stack", EKS)
def test_the_exporter_waits_for_the_kinds_of_the_prometheus_operator(stack: str) -> None:
    """seed row S18: its ServiceMonitor is refused if the kind does not exist."""
    made = recorded(stack)
    operator, exporter = made.one(RELEASE, "monitoring-release"), made.one(RELEASE, "dcgm-exporter-release")
    assert made.must_outlive(operator, exporter)
    assert exporter.inputs["values"]["serviceMonitor"]["enabled"] is True


@pytest.mark.parametrize("stack", GKE)
def test_gpu_pools_on_gke_follow_a_cpu_pool(stack: str) -> None:
    """GKE taints a GPU pool only when another pool exists already."""
    made = recorded(stack)
    assert made.must_outlive(pools(made, stack)["cpu-workers"], pools(made, stack)["gpu-workers"])


@pytest.mark.parametrize("stack", GKE)
def test_google_apis_are_enabled_before_anything_is_created(stack: str) -> None:
    made = recorded(stack)
    for service in made.all("gcp:projects/service:Service"):
        assert service.inputs["disableOnDestroy"] is False
        for found in (made.one("Network"), control_plane(made, stack)):
            assert made.must_outlive(service, found), (service, found)


@pytest.mark.parametrize("stack", GKE)
def test_gke_installs_neither_a_device_plugin_nor_an_autoscaler_nor_an_exporter(stack: str) -> None:
    """seed rows S04, S05 and S18: Google provides them there, and a second exporter would count every GPU twice."""
    assert recorded(stack).all(RELEASE) == []


@pytest.mark.parametrize("stack", EKS)
def test_there_are_no_unnecessary_dependencies(stack: str) -> None:
    made = recorded(stack)
    groups, storage = pools(made, stack), made.one("aws:efs/fileSystem:FileSystem")
    independent = [
        (groups["gpu-workers"], groups["cpu-workers"]),
        (groups["cpu-workers"], groups["gpu-workers"]),
        (made.one(RELEASE, "nvidia-device-plugin-release"), groups["cpu-workers"]),
        (made.one(RELEASE, "nvidia-device-plugin-release"), made.one(RELEASE, "cluster-autoscaler-release")),
        (made.one("StorageClass", "storage-block"), groups["gpu-workers"]),
        (made.one("StorageClass", "storage-block"), storage),
        (made.one("aws:eks/addon:Addon", "coredns"), groups["gpu-workers"]),
        (control_plane(made, stack), made.one("Role", "cluster-nodes")),
    ]
    for later, earlier in independent:
        assert not made.must_outlive(earlier, later), f"{later} waits for {earlier}"


@pytest.mark.parametrize("stack", ALL)
def test_deletion_protection_applies_to_cloud_and_pulumi(stack: str) -> None:
    for wanted in (True, False):
        made = record({**settings(stack), "gpuyard:deletionProtection": wanted}, stack)
        assert control_plane(made, stack).inputs["deletionProtection"] is wanted
        protected = {found.type for found in made.resources.values() if found.options.get("protect")}
        assert bool(protected) is wanted
        if wanted and cloud(stack) == "aws":
            assert {"eks:index:Cluster", "aws:efs/fileSystem:FileSystem", CONTENTS} <= protected


@pytest.mark.parametrize("stack", ALL)
def test_everything_has_the_stacks_name(stack: str) -> None:
    made = recorded(stack)
    provider = made.one(f"pulumi:providers:{cloud(stack)}")
    # A provider's own nested inputs are sent as JSON text.
    key = "defaultTags" if cloud(stack) == "aws" else "defaultLabels"
    tags = json.loads(provider.inputs[key])
    tags = tags.get("tags", tags)
    assert tags["gpuyard-stack"] == f"gpuyard-{stack}"


@pytest.mark.parametrize("stack", EKS)
def test_adding_a_pool_changes_only_resources_that_depend_on_all_pools(stack: str) -> None:
    """A second GPU pool changes nothing of the pools, the cluster or the network."""
    config = settings(stack)
    more = {**config["gpuyard:nodePools"], "a-first-by-name": {"machineTypes": ["g5.xlarge"], "min": 0, "max": 2}}
    before, after = recorded(stack), record({**config, "gpuyard:nodePools": more}, stack)
    changed = {
        str(found)
        for urn, found in before.resources.items()
        if urn not in after.resources or after.resources[urn].inputs != found.inputs
    }
    following = ("dcgm-exporter", "nvidia-device-plugin", "cluster-autoscaler")
    # Rules have the price of each pool's nodes, queues have a quota of each pool.
    following_objects = ("PrometheusRule::", "ClusterRules::", "Cohort::", "ClusterQueue::")
    changed = {each for each in changed if not any(kind in each for kind in following_objects)}
    assert changed <= {f"{RELEASE}::{name}-release" for name in following}


def test_the_guides_environment_has_its_exact_pools() -> None:
    """seed rows S02, S03, S07 and S24: m5.2xlarge 2..20 and p3.2xlarge 0..10, label and taint."""
    made = recorded("guide")
    cpu, gpu = (pools(made, "guide")[name].inputs for name in ("cpu-workers", "gpu-workers"))

    def size(pool: str) -> tuple[int, int]:
        sizes = [found.inputs["scalingConfig"] for found in made.all("NodeGroup") if found.name.startswith(pool)]
        return sum(each["minSize"] for each in sizes), sum(each["maxSize"] for each in sizes)

    assert cpu["instanceTypes"] == ["m5.2xlarge"] and size("cpu-workers") == (2, 20)
    assert gpu["instanceTypes"] == ["p3.2xlarge"] and size("gpu-workers") == (0, 10)
    assert gpu["labels"]["workload"] == "gpu-training"
    assert gpu["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_the_guides_environment_on_google_cloud_has_equivalent_machines() -> None:
    """seed rows S02, S03, S07 and S24: n1-standard-8 with a V100 is the guide's p3.2xlarge."""
    groups = pools(recorded("guide-gke"), "guide-gke")
    cpu, gpu = groups["cpu-workers"].inputs, groups["gpu-workers"].inputs
    assert cpu["nodeConfig"]["machineType"] == "n2-standard-8"
    assert (cpu["autoscaling"]["totalMinNodeCount"], cpu["autoscaling"]["totalMaxNodeCount"]) == (2, 20)
    assert gpu["nodeConfig"]["machineType"] == "n1-standard-8"
    (accelerator,) = gpu["nodeConfig"]["guestAccelerators"]
    assert (accelerator["type"], accelerator["count"]) == ("nvidia-tesla-v100", 1)
    assert (gpu["autoscaling"]["totalMinNodeCount"], gpu["autoscaling"]["totalMaxNodeCount"]) == (0, 10)
    assert gpu["nodeConfig"]["labels"]["workload"] == "gpu-training"
    assert gpu["nodeConfig"]["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]


@pytest.mark.parametrize("stack", ["dev-gke", "guide-gke"])
def test_a_compute_class_is_deleted_before_its_pools(stack: str) -> None:
    """seed row S12: a single capacity type has no class, and adding one changes neither cluster nor other pools."""
    config = settings(stack)
    assert recorded(stack).all("kubernetes:cloud.google.com/v1:ComputeClass") == []
    config["gpuyard:nodePools"]["gpu-workers"]["capacity"] = ["reserved", "spot", "on_demand"]
    made = record(config, stack)
    order = made.one("kubernetes:cloud.google.com/v1:ComputeClass", "gpu-workers-class")
    rungs = [made.one(POOLS["gcp"], name) for name in ("gpu-workers-reserved", "gpu-workers-spot", "gpu-workers")]
    assert [rule["nodepools"] for rule in order.inputs["spec"]["priorities"]] == [[r.outputs["name"]] for r in rungs]
    for found in rungs:
        assert made.must_outlive(found, order), found
    before = recorded(stack)
    changed = {str(each) for urn, each in before.resources.items() if made.resources[urn].inputs != each.inputs}
    assert changed <= {f"{POOLS['gcp']}::gpu-workers-spot"}


@pytest.mark.parametrize("stack", ["dev", "dev-gke", "guide-gke"])
def test_the_development_stacks_have_the_guides_shape(stack: str) -> None:
    """seed rows S02, S03 and S24: the guide's pools with a GPU type that can be bought today."""
    exported = recorded(stack).exports["nodePools"]
    assert (exported["cpu-workers"]["min"], exported["cpu-workers"]["max"]) == (2, 20)
    assert (exported["gpu-workers"]["min"], exported["gpu-workers"]["max"]) == (0, 10)
    assert exported["gpu-workers"]["gpusPerNode"] == 1
    assert exported["gpu-workers"]["labels"]["workload"] == "gpu-training"


@pytest.mark.parametrize("stack", ALL)
def test_other_programs_get_the_pools_as_the_library_takes_them(stack: str) -> None:
    """Components accept these specs, and the same pools follow from them."""
    specs, pools = (recorded(stack).exports[name] for name in ("nodePoolSpecs", "nodePools"))
    declared = {"aws": EksNodePoolSpec, "gcp": GkeNodePoolSpec}[cloud(stack)]
    assert [each for spec in specs.values() for each in arguments.problems(declared, spec)] == []
    found = resolve_all(cloud(stack), specs)
    assert {name: (pool.labels, pool.gpus) for name, pool in found.items()} == {
        name: (pool["labels"], pool["gpusPerNode"]) for name, pool in pools.items()
    }


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_the_readme_names_every_output(stack: str) -> None:
    sentence = re.search(r"by its outputs: (.+?)\.\s", (ROOT / "README.md").read_text(), re.DOTALL)
    assert sentence and {*re.findall(r"`(\w+)`", sentence[1]), SETTINGS} == set(recorded(stack).exports)


def test_settings_of_nodes_are_in_no_plain_output() -> None:
    """They may have the password of a registry."""
    config = settings("dev")
    config["gpuyard:nodePools"]["cpu-workers"]["nodeSettings"] = {"containerd": {"config": "a password"}}
    exports = record(config, "dev").exports
    assert "a password" in json.dumps(exports.pop(SETTINGS))
    assert "a password" not in json.dumps(exports)


def test_pools_with_an_encrypted_value_are_secret_outputs() -> None:
    made = record(settings("dev"), "dev", secret_keys=["gpuyard:nodePools"])
    assert {"nodePools", "nodePoolSpecs"} <= made.secret_exports
    assert not {"nodePools", "nodePoolSpecs"} & recorded("dev").secret_exports
