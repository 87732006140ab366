"""The Cluster Autoscaler on EKS: its version, its flags, the order of capacity types, and its permissions."""

from __future__ import annotations

import json
import re
from typing import Any

from components import versions
from components.aws.cluster_autoscaler import ClusterAutoscaler
from components.monitoring.prometheus_stack import Monitoring
from recording.recorder import run
from recording.recording import Recording
from tests.component.helm_releases import POOLS, RELEASE, eks_pool, release, stack_of
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, aws_options, pool


def autoscaler(**args: Any) -> Recording:
    """A recorded ClusterAutoscaler of the cluster `train`."""
    defaults = {
        "cluster": "train",
        "kubernetes_version": "1.35",
        "region": "us-east-1",
        "node_pools": POOLS,
    }
    return run(lambda: ClusterAutoscaler("cluster-autoscaler", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def test_the_autoscaler_finds_the_clusters_groups_and_follows_its_version() -> None:
    """seed row S04"""
    values = release(autoscaler())["values"]
    assert values["autoDiscovery"] == {"clusterName": "train"} and values["awsRegion"] == "us-east-1"
    assert values["image"]["tag"] == versions.CLUSTER_AUTOSCALER_IMAGE["1.35"]
    assert values["image"]["tag"].startswith("v1.35.")
    assert values["extraArgs"]["expander"] == "least-waste"


def test_the_expander_prefers_capacity_types_in_their_order() -> None:
    """seed row S04: the first capacity type has the highest priority; each group is in the list once, because the
    autoscaler ignores groups that are not. EKS and the provider generate names such as eks-PREFIX, 26 digits, a
    UUID."""
    ladder = pool(GUIDE_GPU, capacity=["reserved", "spot", "on_demand"], reservation={"id": "cr-0123456789abcdef0"})
    long = "a-pool-with-a-name-of-32-letters"
    pools = {**POOLS, "gpu": ladder, "gpu-2026": GUIDE_GPU, long: pool(GUIDE_CPU, capacity=["spot", "on_demand"])}
    values = release(autoscaler(node_pools=pools))["values"]
    assert values["extraArgs"]["expander"] == "priority,least-waste"

    def priority(prefix: str) -> int:
        name = f"eks-{prefix}20261123201500123400000007-0ac1b2d3-1111-2222-3333-444455556666"
        found = [
            int(rank) for rank, patterns in values["expanderPriorities"].items() for p in patterns if re.search(p, name)
        ]
        assert len(found) == 1, (prefix, found)
        return found[0]

    assert priority("gpu-reserved-") > priority("gpu-spot-") > priority("gpu-") == priority("gpu-2026-")
    assert priority(f"{long}-") == priority("cpu-workers-") < priority("gpu-spot-")
    # A prefix may have 37 characters (63 less the provider's 26), so the rung's name is cut and gets a hash.
    groups = run(lambda: eks_pool(long, pools[long])).all("NodeGroup")
    cut = next(group.inputs["nodeGroupNamePrefix"] for group in groups if "-spot-" in group.name)
    assert len(cut) <= 37 and priority(cut) == priority("gpu-spot-")


def test_the_groups_of_a_capacity_type_are_balanced_across_zones() -> None:
    """field case A4: without these flags, the autoscaler treats a group with nodes and an empty one as different."""
    flags = release(autoscaler())["values"]["extraArgs"]
    assert flags["balance-similar-node-groups"] is True
    labels = {value for flag, value in flags.items() if flag.startswith("balancing-label_")}
    assert labels == {"gpuyard.dev/pool", "gpuyard.dev/capacity"}


def test_the_autoscaler_removes_idle_gpu_nodes_only() -> None:
    """seed row S04: a training run is not moved to consolidate nodes; scratch volumes and system pods do not keep a
    node; a scale-up of one pool does not delay the scale-down of another; the startup taint of a CSI driver counts as
    temporary."""
    flags = release(autoscaler(scale_down_after_minutes=5))["values"]["extraArgs"]
    assert flags["scale-down-gpu-utilization-threshold"] == 0
    assert flags["skip-nodes-with-local-storage"] is False and flags["skip-nodes-with-system-pods"] is False
    assert flags["scale-down-delay-type-local"] is True
    assert flags["scale-down-unneeded-time"] == "5m"
    taints = {value for flag, value in flags.items() if flag.startswith("startup-taint_")}
    assert taints == {f"{driver}.csi.aws.com/agent-not-ready" for driver in ("ebs", "efs", "fsx", "s3")}


def test_prometheus_scrapes_the_autoscaler_without_a_dependency() -> None:
    """seed rows S04 and S18: Prometheus may need a node that only the autoscaler adds."""
    made = stack_of(gpu={"machineTypes": ["g6.2xlarge"], "min": 0, "max": 4})
    autoscaler_, prometheus = made.one(RELEASE, "cluster-autoscaler-release"), made.one(RELEASE, "monitoring-release")
    assert not made.must_outlive(prometheus, autoscaler_)
    (monitor,) = prometheus.inputs["values"]["prometheus"]["additionalServiceMonitors"]
    assert monitor["namespaceSelector"]["matchNames"] == [autoscaler_.inputs["namespace"]]
    labels = monitor["selector"]["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == autoscaler_.inputs["name"]
    # The chart's own name for it: cloud provider and chart.
    assert labels["app.kubernetes.io/name"] == f"{autoscaler_.inputs['values']['cloudProvider']}-cluster-autoscaler"
    alone = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    assert alone["prometheus"]["additionalServiceMonitors"] == []


def test_the_autoscaler_can_read_everything_and_resize_only_this_clusters_groups() -> None:
    """seed rows S02, S03 and S04: the permissions of eksctl's --asg-access, limited to this cluster."""
    made = autoscaler()
    policy = json.loads(made.one("RolePolicy").inputs["policy"])
    actions = {action: found for found in policy["Statement"] for action in found["Action"]}
    for action in ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"):
        condition = actions[action]["Condition"]["StringEquals"]
        assert condition == {"autoscaling:ResourceTag/k8s.io/cluster-autoscaler/train": "owned"}
    writes = {action for action, found in actions.items() if not action.split(":")[1].startswith(("Describe", "Get"))}
    assert writes == {"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"}


def test_the_autoscalers_pod_has_its_role_before_it_starts() -> None:
    """seed row S04"""
    made = autoscaler()
    association = made.one("PodIdentityAssociation")
    assert association.inputs["serviceAccount"] == release(made)["values"]["rbac"]["serviceAccount"]["name"]
    assert association.inputs["namespace"] == release(made)["namespace"]
    for needed in (association, made.one("RolePolicy")):
        assert made.must_outlive(needed, made.one("kubernetes:helm.sh/v3:Release")), needed


def test_the_autoscalers_pod_is_restricted() -> None:
    """security case M15: the values that the chart offers, by the Pod Security Standards."""
    values = release(autoscaler())["values"]
    pod, container = values["securityContext"], values["containerSecurityContext"]
    assert pod["runAsNonRoot"] is True and pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False and container["capabilities"] == {"drop": ["ALL"]}
