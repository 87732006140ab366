"""The stand-in autoscaler with the real scheduler: from zero, up to max, back to zero, and its refusals."""

from __future__ import annotations

import pytest

from recording.stacks import recorded
from sandbox.cluster.api import Api, Object
from sandbox.cluster.cloud import Group
from sandbox.cluster.controller import Controller
from sandbox.cluster.interruption import interrupt
from sandbox.cluster.nodes import machine_id
from sandbox.tests.cluster.conftest import Pods, wait
from sandbox.tests.cluster.fake_fleet import FakeFleet, cpu_group, gpu_group, shape
from sandbox.tests.cluster.test_nodes import ready_nodes
from sandbox.tests.eks_nodes import groups
from sandbox.workload import training_job, training_spec

NOTICE = "aws-node-termination-handler/spot-itn"


def desired(fleet: FakeFleet, group: str = "asg-gpu") -> int:
    return next(g.desired for g in fleet.groups() if g.id == group)


def test_a_training_pod_scales_the_gpu_pool_from_zero_to_one_and_back(
    api: Api, fleet: FakeFleet, pods: Pods, release: None
) -> None:
    """seed rows S03, S04: pending → 0 to 1 → running on the new node → idle → 0; only one node, although its GPU
    is advertised late."""
    pods.make("train", training_spec())
    node = pods.running("train", 30)["spec"]["nodeName"]
    assert node in ready_nodes(api, "gpu-workers")
    assert fleet.asked == [("asg-gpu", 1)]
    assert pods.events("train", "TriggeredScaleUp") == ["pod triggered scale-up: [{asg-gpu 0->1 (max: 10)}]"]
    api.delete(f"{pods.path}/train")
    wait(lambda: desired(fleet) == 0 and not ready_nodes(api, "gpu-workers"), "the pool back at 0")
    assert desired(fleet, "asg-cpu") == 2


def test_without_an_autoscaler_in_the_cluster_nothing_scales(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed row S04: a group does not scale on its own; on GKE the cloud's autoscaler works without any pod."""
    pods.make("train", training_spec())
    pods.unschedulable("train")
    assert not pods.events("train", "NotTriggerScaleUp")
    assert fleet.asked == []
    fleet.own_autoscaler = True
    wait(lambda: fleet.asked == [("asg-gpu", 1)], "the order of a node")


def test_a_cloud_with_a_built_in_plugin_and_autoscaler_adds_one_node(
    fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed rows S03, S04: as on GKE, where the GPU is advertised at once and the node is not ready for a moment."""
    fleet.own_autoscaler, fleet.gpu_ready_by = True, "cloud"
    pods.make("train", training_spec())
    pods.running("train", 30)
    assert fleet.asked == [("asg-gpu", 1)]


def volume_in(api: Api, name: str, zone: str, namespace: str) -> Object:
    """A pod whose claim is bound to an EBS volume in a zone, as after a restart from zero."""
    volume = {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "block",
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": f"vol-{name}"},
        # The driver's answer to CreateVolume (aws-ebs-csi-driver v1.33 on, pkg/driver/controller.go).
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}
                ]
            }
        },
    }
    api.create("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
    claim = {
        "storageClassName": "block",
        "volumeName": name,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "10Gi"}},
    }
    api.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": claim})
    return {**training_spec(), "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}


def test_a_claim_scales_the_group_of_its_zone_from_zero(api: Api, fleet: FakeFleet, pods: Pods, release: None) -> None:
    """field case A4: with the groups of the program's dev stack, as the autoscaler sees them; a pool with one group
    over both zones has no node for the claim in the second zone."""
    made = [group for group in groups(recorded("dev")) if group.pool == "gpu-workers"]
    assert {group.zone for group in made} == {"us-east-1a", "us-east-1b"}
    empty = [Group(group.name, group.pool, 0, 5, 0, True, group.expected()) for group in made]
    fleet.replace_groups("asg-gpu", *empty)
    for group in made:
        pods.make(group.zone, volume_in(api, f"claim-{group.zone}", group.zone, pods.namespace))
    for group in made:
        node = api.request("GET", f"/api/v1/nodes/{pods.running(group.zone, 40)['spec']['nodeName']}")
        assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == group.zone
    assert sorted(fleet.asked) == sorted((group.name, 1) for group in made)
    for group in made:
        api.delete(f"{pods.path}/{group.zone}")
        api.delete(f"/api/v1/namespaces/{pods.namespace}/persistentvolumeclaims/claim-{group.zone}")
        api.delete(f"/api/v1/persistentvolumes/claim-{group.zone}")


@pytest.mark.parametrize(
    ("forgotten", "reason"),
    [
        ("label", "node(s) didn't match Pod's node affinity/selector"),
        ("gpu", "Insufficient nvidia.com/gpu"),
        ("tags", "not known to the autoscaler"),
    ],
)
def test_a_group_that_the_autoscaler_cannot_see_never_scales_and_the_pods_event_says_why(
    api: Api, fleet: FakeFleet, pods: Pods, release: None, forgotten: str, reason: str
) -> None:
    """seed row S04: labels, resources and discovery tags must be written where the autoscaler reads them."""
    template = gpu_group().template
    if forgotten == "label":
        fleet.change("asg-gpu", template=shape("g6.2xlarge", 8, "31Gi", {}, template.taints, 1))
    elif forgotten == "gpu":
        fleet.change("asg-gpu", template=shape("g6.2xlarge", 8, "31Gi", template.labels, template.taints))
    else:
        fleet.change("asg-gpu", autoscaled=False)
    pods.make("train", training_spec())
    events = wait(lambda: pods.events("train", "NotTriggerScaleUp"), "the reason")
    assert f"gpu-workers (g6.2xlarge): {reason}" in events[0]
    assert fleet.asked == []
    status = api.request("GET", "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status")
    assert reason in status["data"]["status"]


def test_several_pods_share_a_node_and_the_maximum_holds(fleet: FakeFleet, pods: Pods, release: None) -> None:
    """seed row S03: four pods that each need half a node use two nodes; a group never exceeds its max."""
    half = {"requests": {"cpu": "3"}}
    spec = {"containers": [{"name": "a", "image": "a", "resources": half}], "nodeSelector": {"tier": "extra"}}
    extra = cpu_group(min=0, max=2, desired=0, template=shape("m5.2xlarge", 8, "31Gi", {"tier": "extra"}))
    fleet._groups["asg-extra"] = extra.__class__(**{**vars(extra), "id": "asg-extra", "pool": "extra"})
    for number in range(5):
        pods.make(f"half-{number}", spec)
    wait(lambda: desired(fleet, "asg-extra") == 2, "two nodes")
    events = wait(lambda: [e for n in range(5) for e in pods.events(f"half-{n}", "NotTriggerScaleUp")], "a refusal")
    assert "extra (m5.2xlarge): max node group size reached (2)" in events[0]

    def running() -> bool:
        found = [pod["status"].get("phase") for pod in pods.api.list(pods.path) if "half" in pod["metadata"]["name"]]
        return found.count("Running") == 4

    wait(running, "four of the five")
    assert max(size for group, size in fleet.asked if group == "asg-extra") == 2


def test_without_the_accelerator_label_a_second_node_is_added(fleet: FakeFleet, pods: Pods, release: None) -> None:
    """seed row S04: GPU nodes have the label because the node exists before its GPU, while the pod still waits."""
    fleet.change("asg-gpu", template=gpu_group(accelerator=False).template)
    # Its plugin never runs: the node lacks the label that the DaemonSet selects.
    fleet.node_labels["asg-gpu"] = {"gpuyard.dev/pool": "gpu-workers", "workload": "gpu-training"}
    pods.make("train", training_spec())
    wait(lambda: ("asg-gpu", 2) in fleet.asked, "the second node")


def test_the_next_rung_is_tried_when_a_group_has_no_capacity(fleet: FakeFleet, pods: Pods, release: None) -> None:
    """seed row S12: spot is first; if its machines do not start, the order is cancelled and on-demand is tried."""
    spot = gpu_group(priority=10)
    fleet._groups["asg-spot"] = spot.__class__(**{**vars(spot), "id": "asg-spot"})
    fleet.capacity["asg-spot"] = 0
    pods.make("train", training_spec())
    pods.running("train", 40)
    assert fleet.asked[:3] == [("asg-spot", 1), ("asg-spot", 0), ("asg-gpu", 1)]


def test_an_idle_node_with_a_keep_annotation_is_not_removed(
    api: Api, fleet: FakeFleet, pods: Pods, release: None
) -> None:
    """The annotations of the real autoscaler are respected."""
    fleet.change("asg-gpu", desired=1)
    node = wait(lambda: next(iter(ready_nodes(api, "gpu-workers")), None), "a GPU node")
    stay = {"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": stay}})
    fleet.change("asg-cpu", desired=3)
    wait(lambda: ("asg-cpu" and desired(fleet, "asg-cpu")) == 2, "the idle CPU node to go")
    assert node in ready_nodes(api, "gpu-workers")
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": dict.fromkeys(stay)}})
    wait(lambda: desired(fleet) == 0, "the GPU node to go")


def test_a_job_restarts_after_an_interruption_without_counting_a_failure(
    api: Api, fleet: FakeFleet, pods: Pods, release: None
) -> None:
    """seed rows S12, S13: spot reclaims the node; the Job's pod restarts on another one and completes, the interruption
    is not counted as a failure, and one machine replaces the other."""
    jobs = f"/apis/batch/v1/namespaces/{pods.namespace}/jobs"
    api.request("POST", jobs, training_job("training", run_seconds=6))

    def runs() -> dict[str, str]:
        found = api.list(pods.path, labelSelector="app=training")
        return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in found if p["status"]["phase"] == "Running"}

    first = wait(runs, "the first run")
    (name, node), *_ = first.items()
    machine = machine_id(api.request("GET", f"/api/v1/nodes/{node}"))
    assert f"{pods.namespace}/{name}" in interrupt(api, fleet, node, NOTICE, notice=5)
    assert machine not in [m.id for m in fleet.machines()]
    second = wait(lambda: {n: at for n, at in runs().items() if n != name}, "the second run")
    assert [machine_id(api.request("GET", f"/api/v1/nodes/{at}")) for at in second.values()] != [machine]
    job = wait(lambda: (j := api.request("GET", f"{jobs}/training"))["status"].get("succeeded") and j, "the Job's end")
    assert not job["status"].get("failed")
    assert max(size for group, size in fleet.asked if group == "asg-gpu") == 1
    wait(lambda: desired(fleet) == 0, "the pool back at 0")
