"""The node groups and machines of one EKS cluster, as the Cluster Autoscaler and the kubelets see them.

All data comes from AWS's API (boto3 on the sandbox's server), and none from the program or its state.

`Group.template` is the node that the real Cluster Autoscaler builds for a group (its AWS provider,
buildNodeFromTemplate): cpu, memory and GPUs of the instance type, 110 pods, no ephemeral storage unless a tag sets
it; labels, taints and resources of the Auto Scaling group's `k8s.io/cluster-autoscaler/node-template/…` tags; and
the values of DescribeNodegroup, but only until this process has seen a machine in the group.

`Machine.node` is the node that joins: the kubelet's labels, the node group's labels and taints, the resources that
EKS's images reserve for the system (nodeadm and Bottlerocket: the same kube-reserved formulas), the disk for pods
(AL2023: the root volume; Bottlerocket: the second one; either may use the local NVMe disks instead) and as many
pods as the VPC CNI has addresses for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from sandbox.aws import node_shape, session
from sandbox.cluster.cloud import Group, Machine, NodeShape

_POOL = "gpuyard.dev/pool"
_KEPT = 3.0
"""Seconds for which `groups` keeps the answers of DescribeNodegroup, one call for each group. The real Cluster
Autoscaler keeps them longer. A machine that joins has today's."""


class Fleet:
    """The fleet of one EKS cluster (the protocol of sandbox/cluster/cloud.py)."""

    def __init__(self, region: str, cluster: str) -> None:
        self.region = region
        self.cluster = cluster
        self._types: dict[str, dict[str, Any]] = {}
        self._versions: dict[tuple[str, str], dict[str, Any]] = {}
        self._nodegroups: dict[str, dict[str, Any]] = {}
        self._asked = float("-inf")
        self._seen: set[str] = set()
        self._pods: dict[str, int] = {}

    def groups(self) -> list[Group]:
        found = []
        if time.monotonic() - self._asked > _KEPT:
            self._nodegroups, self._asked = {}, time.monotonic()
        for asg in self._autoscaling_groups():
            name, tags = asg["AutoScalingGroupName"], {tag["Key"]: tag["Value"] for tag in asg["Tags"]}
            if name not in self._nodegroups:
                self._nodegroups[name] = self._nodegroup(tags)
            nodegroup = self._nodegroups[name]
            if asg["Instances"]:
                self._seen.add(name)
            discovery = {"k8s.io/cluster-autoscaler/enabled", f"k8s.io/cluster-autoscaler/{self.cluster}"}
            found.append(
                Group(
                    id=name,
                    pool=_pool(nodegroup, tags, name),
                    min=asg["MinSize"],
                    max=asg["MaxSize"],
                    desired=asg["DesiredCapacity"],
                    autoscaled=discovery <= tags.keys(),
                    template=self._template(asg, tags, nodegroup),
                    details={
                        "nodegroup": nodegroup.get("nodegroupName", ""),
                        "capacity": nodegroup.get("capacityType", "ON_DEMAND"),
                        "status": nodegroup.get("status", ""),
                        "taints": [vars(taint) for taint in node_shape.taints_of(nodegroup)],
                        "labels": nodegroup.get("labels", {}),
                    },
                )
            )
        return found

    def machines(self) -> list[Machine]:
        filters = [
            {"Name": f"tag:kubernetes.io/cluster/{self.cluster}", "Values": ["owned"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        pages = self._client("ec2").get_paginator("describe_instances").paginate(Filters=filters)
        found, nodegroups = [], {}
        for instance in (i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]):
            tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
            group = tags.get("aws:autoscaling:groupName")
            if group is None:
                continue
            if group not in nodegroups:
                nodegroups[group] = self._nodegroup(tags)
            data = self._launch_data(tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"])
            boots = node_shape.boots(nodegroups[group], instance["InstanceType"])
            if boots and node_shape.joins(nodegroups[group], data):
                found.append(self._machine(instance, tags, group, nodegroups[group], data))
        return found

    def set_desired(self, group_id: str, size: int, zones: Mapping[str, int] | None = None) -> None:
        self._client("autoscaling").set_desired_capacity(
            AutoScalingGroupName=group_id, DesiredCapacity=size, HonorCooldown=False
        )

    def remove(self, machine_id: str) -> None:
        self._client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=machine_id, ShouldDecrementDesiredCapacity=True
        )

    def reclaim(self, machine_id: str) -> None:
        self._client("ec2").terminate_instances(InstanceIds=[machine_id])

    def may_act(self) -> bool:
        return False

    # -- AWS's answers
    # --------------------------------------------------------------------------------------------------

    def _client(self, service: str) -> Any:
        return session.client(service, self.region)

    def _autoscaling_groups(self) -> list[dict[str, Any]]:
        wanted = [{"Name": f"tag:kubernetes.io/cluster/{self.cluster}", "Values": ["owned"]}]
        pages = self._client("autoscaling").get_paginator("describe_auto_scaling_groups").paginate(Filters=wanted)
        return [group for page in pages for group in page["AutoScalingGroups"]]

    def _nodegroup(self, tags: dict[str, str]) -> dict[str, Any]:
        """DescribeNodegroup for the group in the tags; empty for a self-managed or deleted one."""
        eks, name = self._client("eks"), tags.get("eks:nodegroup-name")
        if name is None:
            return {}
        try:
            return eks.describe_nodegroup(clusterName=self.cluster, nodegroupName=name)["nodegroup"]
        except eks.exceptions.ResourceNotFoundException:
            return {}

    def _type(self, name: str) -> dict[str, Any]:
        if name not in self._types:
            found = self._client("ec2").describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
            self._types[name] = found[0]
        return self._types[name]

    def _launch_data(self, template: str, version: str) -> dict[str, Any]:
        key = (template, version)
        if key not in self._versions:
            answer = self._client("ec2").describe_launch_template_versions(
                LaunchTemplateId=template, Versions=[version]
            )
            self._versions[key] = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return self._versions[key]

    # -- the expected node
    # -----------------------------------------------------------------------------------------------

    def _template(self, asg: dict[str, Any], tags: dict[str, str], nodegroup: dict[str, Any]) -> NodeShape:
        known = nodegroup if asg["AutoScalingGroupName"] not in self._seen else {}
        facts = self._type(self._group_type(asg))
        return node_shape.template(facts, self.region, asg["AvailabilityZones"][0], tags, known)

    def _group_type(self, asg: dict[str, Any]) -> str:
        mixed = asg.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        if overrides := [each["InstanceType"] for each in mixed.get("Overrides", []) if each.get("InstanceType")]:
            return overrides[0]
        template = asg.get("LaunchTemplate") or mixed["LaunchTemplateSpecification"]
        return self._launch_data(template["LaunchTemplateId"], template.get("Version", "$Default"))["InstanceType"]

    # -- the node that joins ------------------------------------------------------------------------------------------

    def _machine(
        self,
        instance: dict[str, Any],
        tags: dict[str, str],
        group: str,
        nodegroup: dict[str, Any],
        data: dict[str, Any],
    ) -> Machine:
        zone, identity = instance["Placement"]["AvailabilityZone"], instance["InstanceId"]
        facts, name = self._type(instance["InstanceType"]), instance["PrivateDnsName"]
        if identity not in self._pods:  # a kubelet keeps its initial number
            self._pods[identity] = node_shape.kubelet_pods(facts, nodegroup, data, self._prefix_delegation())
        return Machine(
            id=identity,
            group=group,
            pool=_pool(nodegroup, tags, group),
            node_name=name,
            provider_id=f"aws:///{zone}/{identity}",
            node=node_shape.joined(facts, self.region, zone, name, nodegroup, data, self._pods[identity]),
            gpus=node_shape.gpu_resources(facts, nodegroup, data),
            gpu_ready_by="image" if node_shape.is_bottlerocket(nodegroup, data) else "device-plugin",
            spot=instance.get("InstanceLifecycle") == "spot",
            efa=node_shape.interfaces(data),
            device_lists=node_shape.device_lists(nodegroup, data),
            kubelet=node_shape.kubelet(nodegroup),
            pins_cpus=node_shape.pins_cpus(data),
        )

    def _prefix_delegation(self) -> bool:
        """Whether the cluster's VPC CNI uses prefix delegation (its add-on's settings)."""
        eks = self._client("eks")
        try:
            addon = eks.describe_addon(clusterName=self.cluster, addonName="vpc-cni")["addon"]
        except eks.exceptions.ResourceNotFoundException:
            return False
        settings = json.loads(addon.get("configurationValues") or "{}")
        return settings.get("env", {}).get("ENABLE_PREFIX_DELEGATION") == "true"


def _pool(nodegroup: dict[str, Any], tags: dict[str, str], fallback: str) -> str:
    for held in (nodegroup.get("labels", {}), nodegroup.get("tags", {}), tags):
        if held.get(_POOL):
            return held[_POOL]
    return nodegroup.get("nodegroupName") or fallback
