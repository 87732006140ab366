"""EKS managed node groups: each is a launch template that EKS owns and an Auto Scaling group over the subnets.

As in the real service, the node group copies the caller's launch template into `eks-<uuid>` and creates the group
`eks-<node group>-<uuid>`; EC2 then runs the instances that the group launches. A node group is CREATING until its
first nodes have joined the control plane and are Ready, and CREATE_FAILED (NodeCreationFailure) if they do not.

Source for the refused combinations: EKS user guide, "Customize managed nodes with launch templates". The Auto Scaling
group's tags: "Cluster Autoscaler auto-discovery" in the same guide and the tags of real groups. Node-group
tags are not copied to the Auto Scaling group, as in AWS.
"""

from __future__ import annotations

import copy
import os
import re
import threading
import time
import uuid
from typing import Any

from sandbox.aws import state
from sandbox.aws.eks import access, network, requests, roles, versions
from sandbox.aws.eks import cluster as clusters
from sandbox.aws.eks.backend import Answer, Backend, EksError, in_use, invalid, not_found, now

MOST_GROUPS = 30
"""Maximum number of managed node groups in a cluster, by the quota of every account (L-6D54EA21)."""

JOIN_TIMEOUT = 180.0
"""Seconds after which the creation fails if nodes do not join (EKS waits about 20 minutes)."""


def _group(found: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    if params["nodegroupName"] not in found["nodegroups"]:
        raise not_found(f"No node group found for name: {params['nodegroupName']}.")
    return found["nodegroups"][params["nodegroupName"]]


def create_nodegroup(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    cluster, name = found["cluster"], params["nodegroupName"]
    if name in found["nodegroups"]:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster['name']}")
    if len(found["nodegroups"]) >= MOST_GROUPS:
        raise EksError("ResourceLimitExceededException", f"NodeGroup limit exceeded for cluster {cluster['name']}.")
    if not re.fullmatch(r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}", name):
        raise invalid(
            f"nodegroupName {name} must be 1 to 63 letters, digits, '-' or '_' and start with a letter or digit"
        )
    roles.check_role(backend, params["nodeRole"])
    subnets = network.subnets(backend, params["subnets"])
    if not subnets or subnets[0].vpc_id != cluster["resourcesVpcConfig"]["vpcId"]:
        raise invalid("Subnets are not in the same VPC as the cluster's subnets")
    scaling = requests.scaling({"minSize": 1, "maxSize": 2, "desiredSize": 2, **(params.get("scalingConfig") or {})})
    requests.check_labels(params.get("labels") or {})
    requests.check_taints(params.get("taints") or [])
    template, data = requests.template(backend, params.get("launchTemplate"))
    types = requests.instance_types(params, data)
    ami_type = requests.ami_type(params, data, types)
    version = params.get("version") or cluster["version"]
    requests.check_version(version, cluster["version"])
    release = requests.release(params.get("releaseVersion"), version, ami_type, data)
    if template and params.get("diskSize"):
        raise invalid("Disk size must be specified within the launch template.")
    if template and params.get("remoteAccess"):
        raise invalid("Remote access configuration cannot be specified with a launch template.")
    identity = str(uuid.uuid4())
    group = {
        "nodegroupName": name,
        "nodegroupArn": backend.arn(f"nodegroup/{cluster['name']}/{name}/{identity}"),
        "clusterName": cluster["name"],
        "version": version,
        "releaseVersion": release,
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "CREATING",
        "capacityType": params.get("capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "subnets": [each.id for each in subnets],
        "amiType": ami_type,
        "nodeRole": params["nodeRole"],
        "labels": dict(params.get("labels") or {}),
        "taints": list(params.get("taints") or []),
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{identity}"}]},
        "health": {"issues": []},
        "updateConfig": params.get("updateConfig") or {"maxUnavailable": 1},
        "tags": dict(params.get("tags") or {}),
    }
    if not data.get("InstanceType"):
        group["instanceTypes"] = types
    if template:
        group["launchTemplate"] = template
    else:
        group["diskSize"] = params.get("diskSize") or 20
    for optional in ("nodeRepairConfig", "warmPoolConfig", "remoteAccess"):
        if params.get(optional):
            group[optional] = params[optional]
    _make_autoscaling_group(backend, group, _copy(backend, group, data, types, identity), types, identity)
    found["nodegroups"][name] = group
    role = params["nodeRole"]
    if cluster["accessConfig"]["authenticationMode"] != "CONFIG_MAP" and role not in found["entries"]:
        # EKS creates the access entry of a managed node group's role automatically.
        found["entries"][role] = access.new_entry(backend, cluster["name"], {"principalArn": role, "type": "EC2_LINUX"})
    threading.Thread(target=_await_nodes, args=(backend, found, group), daemon=True).start()
    return {"nodegroup": group}


def _copy(backend: Backend, group: dict[str, Any], data: dict[str, Any], types: list[str], identity: str) -> Any:
    """EKS's own launch template: the caller's data plus image, instance type, profile and EKS's tags."""
    copied = copy.deepcopy(data)
    copied["InstanceType"] = types[0]
    # Of the caller's tags, EKS copies those of instances and volumes (containers-roadmap#1496).
    specs = copied.get("TagSpecifications") or []
    copied["TagSpecifications"] = [each for each in specs if each["ResourceType"] in ("instance", "volume")]
    region, cluster_name = backend.region_name, group["clusterName"]
    copied.setdefault("ImageId", versions.image(region, group["amiType"], group["releaseVersion"]))
    copied["IamInstanceProfile"] = {"Name": f"eks-{identity}"}
    found = backend.find(cluster_name)["cluster"]["resourcesVpcConfig"]
    has_groups = copied.get("SecurityGroupIds") or any(i.get("Groups") for i in copied.get("NetworkInterfaces") or [])
    if not has_groups:
        copied["SecurityGroupIds"] = [found["clusterSecurityGroupId"]]
    if not data.get("BlockDeviceMappings"):
        size = group.get("diskSize", 20)
        disk = {"VolumeSize": size, "VolumeType": "gp3", "DeleteOnTermination": True}
        copied["BlockDeviceMappings"] = [{"DeviceName": "/dev/xvda", "Ebs": disk}]
    tags = {"eks:cluster-name": cluster_name, "eks:nodegroup-name": group["nodegroupName"]}
    return backend.other("ec2").create_launch_template(f"eks-{identity}", "", copied, {"launch-template": tags})


def _make_autoscaling_group(
    backend: Backend, group: dict[str, Any], template: Any, types: list[str], identity: str
) -> None:
    name = group["resources"]["autoScalingGroups"][0]["name"]
    cluster_name, spot = group["clusterName"], group["capacityType"] == "SPOT"
    tags = {
        "eks:cluster-name": cluster_name,
        "eks:nodegroup-name": group["nodegroupName"],
        f"kubernetes.io/cluster/{cluster_name}": "owned",
        "k8s.io/cluster-autoscaler/enabled": "true",
        f"k8s.io/cluster-autoscaler/{cluster_name}": "owned",
    }
    launch = {"LaunchTemplateId": template.id, "Version": "1"}
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": dict(launch),
            "Overrides": [{"InstanceType": each} for each in types],
        },
        "InstancesDistribution": {
            "OnDemandAllocationStrategy": "prioritized",
            "OnDemandBaseCapacity": 0,
            "OnDemandPercentageAboveBaseCapacity": 0 if spot else 100,
            "SpotAllocationStrategy": "price-capacity-optimized",
        },
    }
    single = len(types) == 1 and not spot
    scaling = group["scalingConfig"]
    backend.other("autoscaling").create_auto_scaling_group(
        name=name,
        availability_zones=[],
        desired_capacity=scaling["desiredSize"],
        max_size=scaling["maxSize"],
        min_size=scaling["minSize"],
        launch_config_name="",
        launch_template=launch if single else {},
        mixed_instances_policy=None if single else mixed,
        vpc_zone_identifier=",".join(group["subnets"]),
        default_cooldown=300,
        health_check_period=15,
        health_check_type="EC2",
        load_balancers=[],
        target_group_arns=[],
        placement_group=None,
        termination_policies=["AllocationStrategy", "OldestLaunchTemplate", "OldestInstance"],
        tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in tags.items()],
        capacity_rebalance=True,
    )


def _autoscaling(backend: Backend, group: dict[str, Any]) -> Any:
    name = group["resources"]["autoScalingGroups"][0]["name"]
    return backend.other("autoscaling").autoscaling_groups.get(name)


def _await_nodes(backend: Backend, found: dict[str, Any], group: dict[str, Any]) -> None:
    """Waits for the first nodes to be Ready in the control plane, then sets the group's status."""
    deadline = time.monotonic() + JOIN_TIMEOUT
    missing: list[str] = []
    while not os.environ.get("GPUYARD_SANDBOX_NO_CONTROL_PLANE"):
        with state.LOCK:
            if found["nodegroups"].get(group["nodegroupName"]) is not group or group["status"] != "CREATING":
                return
            scaled = _autoscaling(backend, group)
            names = {i.instance.private_dns_name: i.instance.id for i in scaled.instance_states} if scaled else {}
        try:
            ready = _ready_nodes(clusters.key(backend, group["clusterName"])) if names else set()
        except Exception:  # the API server may be busy; only the deadline for the nodes matters
            ready = set()
        missing = [machine for name, machine in names.items() if name not in ready]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    with state.LOCK:
        if missing:
            group["status"] = "CREATE_FAILED"
            message = "Instances failed to join the kubernetes cluster"
            group["health"] = {"issues": [{"code": "NodeCreationFailure", "message": message, "resourceIds": missing}]}
        elif group["status"] == "CREATING":
            group["status"] = "ACTIVE"
    state.touch()


def _ready_nodes(cluster_key: str) -> set[str]:
    from sandbox.cluster import control_plane
    from sandbox.cluster.nodes import is_ready

    plane = control_plane.get(cluster_key)
    nodes = plane.api().list("/api/v1/nodes") if plane else []
    return {node["metadata"]["name"] for node in nodes if is_ready(node)}


def resume(backend: Backend, found: dict[str, Any]) -> None:
    """After a restart: continues to wait for the nodes of groups that were being created."""
    for group in found["nodegroups"].values():
        if group["status"] == "CREATING":
            threading.Thread(target=_await_nodes, args=(backend, found, group), daemon=True).start()


def describe_nodegroup(backend: Backend, params: dict[str, Any]) -> Answer:
    group = _group(backend.find(params["clusterName"]), params)
    scaled = _autoscaling(backend, group)
    if scaled:  # an autoscaler changes the desired size of the Auto Scaling group; EKS reports the current one
        group["scalingConfig"]["desiredSize"] = scaled.desired_capacity
    return {"nodegroup": group}


def list_nodegroups(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"nodegroups": sorted(backend.find(params["clusterName"])["nodegroups"])}


def update_nodegroup_config(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    group = describe_nodegroup(backend, params)["nodegroup"]
    if group["status"] not in ("ACTIVE", "DEGRADED"):
        raise in_use(f"Nodegroup {group['nodegroupName']} is in status {group['status']} and cannot be updated")
    labels = dict(group["labels"])
    given = params.get("labels") or {}
    requests.check_labels(given.get("addOrUpdateLabels") or {})
    labels.update(given.get("addOrUpdateLabels") or {})
    for key in given.get("removeLabels") or []:
        labels.pop(key, None)
    taints = {(t["key"], t.get("effect")): t for t in group["taints"]}
    given = params.get("taints") or {}
    for taint in given.get("removeTaints") or []:
        if taints.pop((taint["key"], taint.get("effect")), None) is None:
            raise invalid(f"Taint {taint['key']} with effect {taint.get('effect')} does not exist on the node group")
    requests.check_taints(given.get("addOrUpdateTaints") or [])
    taints.update({(t["key"], t.get("effect")): t for t in given.get("addOrUpdateTaints") or []})
    scaled = _autoscaling(backend, group)
    if params.get("scalingConfig"):
        scaling = requests.scaling({**group["scalingConfig"], **params["scalingConfig"]})
        group["scalingConfig"] = scaling
        scaled.min_size, scaled.max_size = scaling["minSize"], scaling["maxSize"]
        scaled.set_desired_capacity(scaling["desiredSize"])
    group["labels"], group["taints"] = labels, list(taints.values())
    for key in ("updateConfig", "nodeRepairConfig", "warmPoolConfig"):
        if params.get(key):
            group[key] = params[key]
    group["modifiedAt"] = now()
    return clusters.new_update(found, "ConfigUpdate", {})


def update_nodegroup_version(backend: Backend, params: dict[str, Any]) -> Answer:
    """A new release, Kubernetes version or template version: the nodes are replaced, and the balance of the zones
    is kept."""
    found = backend.active(params["clusterName"])
    cluster, group = found["cluster"], _group(found, params)
    given = params.get("launchTemplate")
    if given and (
        "launchTemplate" not in group or group["launchTemplate"]["id"] != given.get("id", group["launchTemplate"]["id"])
    ):
        raise invalid("The launch template of a node group cannot be exchanged, only its version.")
    wanted = given or group.get("launchTemplate")
    if wanted:
        wanted = (
            {"id": wanted["id"], "version": wanted.get("version", "$Default")} if wanted.get("id") else dict(wanted)
        )
    template, data = requests.template(backend, wanted)
    custom = group["amiType"] == "CUSTOM"
    if bool(data.get("ImageId")) != custom:
        raise invalid("A node group cannot change between an image of EKS and one of the launch template.")
    if data.get("InstanceType") and group.get("instanceTypes"):
        raise invalid("Cannot specify instance types in launch template and API request")
    if not custom:
        version = params.get("version") or (
            cluster["version"] if not params.get("releaseVersion") and not given else group["version"]
        )
        requests.check_version(version, cluster["version"])
        if versions.minor(version) < versions.minor(group["version"]):
            raise invalid(f"Nodegroup version cannot be lowered from {group['version']} to {version}")
        if not given or params.get("version") or params.get("releaseVersion"):
            group["releaseVersion"] = requests.release(params.get("releaseVersion"), version, group["amiType"], {})
        group["version"] = version
    else:
        group["releaseVersion"] = data["ImageId"]
    _check_room(backend, group, data)
    if template:
        group["launchTemplate"] = template
    types = group.get("instanceTypes") or [data["InstanceType"]]
    scaled = _autoscaling(backend, group)
    ec2 = backend.other("ec2")
    old = scaled.ec2_launch_template
    fresh = _copy(backend, group, data, types, str(uuid.uuid4()))
    scaled.ec2_launch_template = fresh
    ec2.delete_launch_template(old.name, None)
    machines = [each.instance.id for each in scaled.instance_states]
    if machines:
        ec2.terminate_instances(machines)
        backend.other("autoscaling").notify_terminate_instances(machines)
    group["modifiedAt"] = now()
    return clusters.new_update(
        found, "VersionUpdate", {"Version": group["version"], "ReleaseVersion": group["releaseVersion"]}
    )


def _check_room(backend: Backend, group: dict[str, Any], data: dict[str, Any]) -> None:
    """By default, EKS starts new nodes before it terminates old ones, which fails if the reservation is used up. The
    simulated reservation has as many machines as the group's maximum."""
    target = (data.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget") or {}
    scaled = _autoscaling(backend, group)
    full = bool(target) and scaled and len(scaled.instance_states) >= scaled.max_size
    if full and group["updateConfig"].get("updateStrategy", "DEFAULT") == "DEFAULT":
        raise EksError(
            "AsgInstanceLaunchFailures",
            "Could not launch On-Demand Instances. ReservationCapacityExceeded - The requested capacity exceeds what "
            f"{', '.join(map(str, target.values()))} has. Launching EC2 instance failed.",
        )


def delete_nodegroup(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.find(params["clusterName"])
    group = _group(found, params)
    scaled = _autoscaling(backend, group)
    if scaled:
        template = scaled.ec2_launch_template
        scaled.min_size = 0
        backend.other("autoscaling").delete_auto_scaling_group(scaled.name)
        backend.other("ec2").delete_launch_template(template.name, None)
    del found["nodegroups"][group["nodegroupName"]]
    return {"nodegroup": {**group, "status": "DELETING"}}


OPERATIONS = {
    "CreateNodegroup": create_nodegroup,
    "DescribeNodegroup": describe_nodegroup,
    "ListNodegroups": list_nodegroups,
    "UpdateNodegroupConfig": update_nodegroup_config,
    "UpdateNodegroupVersion": update_nodegroup_version,
    "DeleteNodegroup": delete_nodegroup,
}
