"""EKS: clusters and node groups."""

from __future__ import annotations

import re
from typing import Any

from sandbox.aws.api import AwsError, from_api, shape_at, to_api
from sandbox.aws.table import Call, Name, Row, Scope, Tags

_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


def eks_tags(arn: str) -> Tags:
    """EKS uses the ARN for tags; `arn` is the path of the ARN in the answer to the row's read."""
    key = {"resourceArn": f"{{{arn}}}"}
    return Tags(
        member="tags",
        write=Call("TagResource", fixed={**key, "tags": {}}),
        remove=Call("UntagResource", fixed={**key, "tagKeys": []}),
        read="tags",
    )


def _shaped(operation: str, member: str, value: Any) -> Any:
    shape = shape_at("eks", operation, member)
    return to_api(shape, value) if shape is not None else value


# -- clusters ---------------------------------------------------------------------------------------------------------

_CLUSTER = {
    "accessConfig": "accessConfig",
    "bootstrapSelfManagedAddons": "bootstrapSelfManagedAddons",
    "computeConfig": "computeConfig",
    "controlPlaneScalingConfig": "controlPlaneScalingConfig",
    "deletionProtection": "deletionProtection",
    "encryptionConfig": "encryptionConfig",
    "kubeApiServerConfig": "kubeApiServerConfig",
    "kubeControllerManagerConfig": "kubeControllerManagerConfig",
    "kubeSchedulerConfig": "kubeSchedulerConfig",
    "kubernetesNetworkConfig": "kubernetesNetworkConfig",
    "outpostConfig": "outpostConfig",
    "remoteNetworkConfig": "remoteNetworkConfig",
    "roleArn": "roleArn",
    "storageConfig": "storageConfig",
    "upgradePolicy": "upgradePolicy",
    "version": "version",
    "vpcConfig": "resourcesVpcConfig",
    "zonalShiftConfig": "zonalShiftConfig",
}
_IN_PLACE = (
    *("accessConfig", "computeConfig", "controlPlaneScalingConfig", "deletionProtection", "kubeApiServerConfig"),
    *("kubeControllerManagerConfig", "kubeSchedulerConfig", "kubernetesNetworkConfig", "remoteNetworkConfig"),
    *("storageConfig", "upgradePolicy", "zonalShiftConfig"),
)


def _logging(inputs: dict[str, Any]) -> dict[str, Any]:
    enabled = inputs.get("enabledClusterLogTypes") or []
    off = [each for each in _LOGS if each not in enabled]
    setups = [{"types": sorted(enabled), "enabled": True}, {"types": off, "enabled": False}]
    return {"clusterLogging": [setup for setup in setups if setup["types"]]}


def _create_cluster(scope: Scope) -> dict[str, Any]:
    params: dict[str, Any] = {"name": scope.inputs["name"]}
    for name, member in _CLUSTER.items():
        value = scope.inputs.get(name)
        if value is not None:
            params[member] = _shaped("CreateCluster", member, value)
    if scope.inputs.get("enabledClusterLogTypes"):
        params["logging"] = _logging(scope.inputs)
    if scope.tags:
        params["tags"] = scope.tags
    return scope.api.call("eks", "CreateCluster", params)["cluster"]


def _update(scope: Scope, operation: str, params: dict[str, Any]) -> None:
    """Requests an update of a cluster and waits until it is complete."""
    update = scope.api.call("eks", operation, params)["update"]
    name = params.get("name") or params["clusterName"]

    def done() -> bool:
        found = scope.api.call("eks", "DescribeUpdate", {"name": name, "updateId": update["id"]})["update"]
        if found["status"] in ("Failed", "Cancelled"):
            reasons = "; ".join(error["errorMessage"] for error in found["errors"])
            raise AwsError("UpdateFailed", f"{found['status']}: {reasons}", operation)
        return found["status"] == "Successful"

    if update["status"] != "Successful":
        scope.api.until(done, scope.timeout, f"update {update['id']} of cluster {name}")


def _change_cluster(scope: Scope) -> None:
    """EKS accepts one kind of change at a time. Deletion protection is removed first."""
    name = scope.id
    if scope.changed("version") and scope.inputs.get("version"):
        _update(scope, "UpdateClusterVersion", {"name": name, "version": scope.inputs["version"]})
    for prop in _IN_PLACE:
        if scope.changed(prop) and scope.inputs.get(prop) is not None:
            value = _shaped("UpdateClusterConfig", prop, scope.inputs[prop])
            if prop == "accessConfig":
                value = {"authenticationMode": value["authenticationMode"]}
            _update(scope, "UpdateClusterConfig", {"name": name, prop: value})
    if scope.changed("enabledClusterLogTypes"):
        _update(scope, "UpdateClusterConfig", {"name": name, "logging": _logging(scope.inputs)})
    if scope.changed("encryptionConfig") and scope.inputs.get("encryptionConfig"):
        value = _shaped("AssociateEncryptionConfig", "encryptionConfig", scope.inputs["encryptionConfig"])
        _update(scope, "AssociateEncryptionConfig", {"clusterName": name, "encryptionConfig": value})
    old, new = scope.olds.get("vpcConfig") or {}, scope.inputs.get("vpcConfig") or {}
    for keys in (
        ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"),
        ("subnetIds", "securityGroupIds"),
    ):
        if any(old.get(key) != new.get(key) for key in keys):
            given = {key: new[key] for key in keys if new.get(key) is not None}
            _update(scope, "UpdateClusterConfig", {"name": name, "resourcesVpcConfig": given})


def _shown_cluster(scope: Scope) -> dict[str, Any] | None:
    try:
        found = scope.api.call("eks", "DescribeCluster", {"name": scope.id})["cluster"]
    except AwsError as error:
        if error.gone:
            return None
        raise
    outputs = from_api({name: found.get(member) for name, member in _CLUSTER.items() if found.get(member) is not None})
    if isinstance(outputs.get("encryptionConfig"), list):
        outputs["encryptionConfig"] = (outputs["encryptionConfig"] or [None])[0]
    setups = found.get("logging", {}).get("clusterLogging", [])
    log_types = sorted(each for setup in setups if setup["enabled"] for each in setup["types"])
    issuer = found.get("identity", {}).get("oidc", {}).get("issuer")
    return {
        **outputs,
        "status": found["status"],
        "health": found.get("health", {}),
        "arn": found["arn"],
        "name": found["name"],
        "createdAt": from_api(found["createdAt"]),
        "endpoint": found.get("endpoint"),
        "certificateAuthority": {"data": found.get("certificateAuthority", {}).get("data")},
        "certificateAuthorities": [{"data": found.get("certificateAuthority", {}).get("data")}],
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "platformVersion": found.get("platformVersion"),
        "enabledClusterLogTypes": log_types or None,
        "tagsAll": found.get("tags", {}),
    }


# -- node groups ------------------------------------------------------------------------------------------------------


def _nodegroup_label_change(scope: Scope) -> dict[str, Any]:
    old, new = scope.olds.get("labels") or {}, scope.inputs.get("labels") or {}
    change: dict[str, Any] = {}
    if added := {key: value for key, value in new.items() if old.get(key) != value}:
        change["addOrUpdateLabels"] = added
    if removed := sorted(set(old) - set(new)):
        change["removeLabels"] = removed
    return change


def _nodegroup_taint_change(scope: Scope) -> dict[str, Any]:
    def keyed(taints: list[dict[str, str]] | None) -> dict[tuple[str, str], dict[str, str]]:
        return {(taint["key"], taint["effect"]): taint for taint in taints or []}

    old, new = keyed(scope.olds.get("taints")), keyed(scope.inputs.get("taints"))
    change: dict[str, Any] = {}
    if added := [taint for key, taint in new.items() if old.get(key) != taint]:
        change["addOrUpdateTaints"] = added
    if removed := [taint for key, taint in old.items() if key not in new]:
        change["removeTaints"] = removed
    return change


def _change_nodegroup(scope: Scope) -> None:
    cluster, name = scope.id.split(":", 1)
    key = {"clusterName": cluster, "nodegroupName": name}
    template, olds = scope.inputs.get("launchTemplate") or {}, scope.olds.get("launchTemplate") or {}
    if scope.changed("version", "releaseVersion") or template.get("version") != olds.get("version"):
        params: dict[str, Any] = {**key, "force": bool(scope.inputs.get("forceUpdateVersion"))}
        for prop in ("version", "releaseVersion"):
            if scope.changed(prop) and scope.inputs.get(prop):
                params[prop] = scope.inputs[prop]
        if template.get("version") != olds.get("version"):
            given = {"id": template["id"]} if template.get("id") else {"name": template["name"]}
            params["launchTemplate"] = {**given, "version": str(template["version"])}
        _nodegroup_update(scope, "UpdateNodegroupVersion", params)
    params = {}
    if labels := _nodegroup_label_change(scope):
        params["labels"] = labels
    if taints := _nodegroup_taint_change(scope):
        params["taints"] = taints
    for prop in ("scalingConfig", "updateConfig", "nodeRepairConfig", "warmPoolConfig"):
        if scope.changed(prop) and scope.inputs.get(prop):
            params[prop] = _shaped("UpdateNodegroupConfig", prop, scope.inputs[prop])
    if params:
        _nodegroup_update(scope, "UpdateNodegroupConfig", {**key, **params})


def _nodegroup_update(scope: Scope, operation: str, params: dict[str, Any]) -> None:
    scope.api.call("eks", operation, params)


def _check_nodegroup(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """Inputs that the real provider refuses before any call (its schema's validation)."""
    failures = []
    for position, taint in enumerate(inputs.get("taints") or []):
        effect = taint.get("effect")
        if isinstance(effect, str) and effect not in ("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"):
            wanted = '["NO_SCHEDULE" "NO_EXECUTE" "PREFER_NO_SCHEDULE"]'
            failures.append((f"taints[{position}].effect", f"expected effect to be one of {wanted}, got {effect}"))
    scaling = inputs.get("scalingConfig") or {}
    if isinstance(scaling.get("maxSize"), (int, float)) and scaling["maxSize"] < 1:
        failures.append(("scalingConfig.maxSize", f"expected max_size to be at least (1), got {scaling['maxSize']:g}"))
    for name in ("minSize", "desiredSize"):
        if isinstance(scaling.get(name), (int, float)) and scaling[name] < 0:
            failures.append((f"scalingConfig.{name}", f"expected {name} to be at least (0), got {scaling[name]:g}"))
    template = inputs.get("launchTemplate") or {}
    if template.get("id") and template.get("name"):
        failures.append(("launchTemplate.id", "conflicts with launchTemplate.name"))
    if inputs.get("nodeGroupNamePrefix") and len(str(inputs["nodeGroupNamePrefix"])) > 37:
        failures.append(("nodeGroupNamePrefix", "expected length to be in the range (0 - 37)"))
    return failures


def _check_cluster(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    name = inputs.get("name")
    if isinstance(name, str) and not re.fullmatch(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}", name):
        return [("name", f"invalid value {name!r}: use letters, digits, '-', '_', with a letter or digit first")]
    return []


ROWS = [
    Row(
        token="aws:eks/cluster:Cluster",
        service="eks",
        id="{name}",
        create=(_create_cluster,),
        read=(_shown_cluster,),
        update=(_change_cluster,),
        delete=(Call("DeleteCluster", fixed={"name": "{id}"}),),
        replaces=frozenset(
            {
                *("name", "roleArn", "bootstrapSelfManagedAddons", "outpostConfig", "kubernetesNetworkConfig.ipFamily"),
                *("kubernetesNetworkConfig.serviceIpv4Cidr", "accessConfig.bootstrapClusterCreatorAdminPermissions"),
            }
        ),
        cannot_go=frozenset({"encryptionConfig"}),
        computed=frozenset(
            {
                *("vpcConfig.clusterSecurityGroupId", "vpcConfig.vpcId"),
                *("kubernetesNetworkConfig.serviceIpv4Cidr", "kubernetesNetworkConfig.serviceIpv6Cidr"),
            }
        ),
        name=Name(prefix="", longest=100),
        tags=eks_tags("arn"),
        ready=("status", ("ACTIVE",), ("FAILED", "DELETING")),
        await_gone=True,
        also=frozenset({"forceUpdateVersion"}),
        check=_check_cluster,
    ),
    Row(
        token="aws:eks/nodeGroup:NodeGroup",
        service="eks",
        id="{clusterName}:{nodeGroupName}",
        create=(
            Call(
                "CreateNodegroup",
                {
                    "clusterName": "clusterName",
                    "nodeGroupName": "nodegroupName",
                    "nodeRoleArn": "nodeRole",
                    "subnetIds": "subnets",
                    "scalingConfig": "scalingConfig",
                    "amiType": "amiType",
                    "capacityType": "capacityType",
                    "diskSize": "diskSize",
                    "instanceTypes": "instanceTypes",
                    "labels": "labels",
                    "launchTemplate": "launchTemplate",
                    "nodeRepairConfig": "nodeRepairConfig",
                    "releaseVersion": "releaseVersion",
                    "remoteAccess": "remoteAccess",
                    "taints": "taints",
                    "updateConfig": "updateConfig",
                    "version": "version",
                    "warmPoolConfig": "warmPoolConfig",
                },
                answer="nodegroup",
            ),
        ),
        read=(
            Call(
                "DescribeNodegroup",
                {"clusterName": "clusterName", "nodeGroupName": "nodegroupName"},
                answer="nodegroup",
                gives={
                    "arn": "nodegroupArn",
                    "status": "status",
                    "resources": "[{autoscalingGroups: resources.autoScalingGroups}]",
                    "labels": "labels",
                    "taints": "taints",
                },
            ),
        ),
        update=(_change_nodegroup,),
        delete=(Call("DeleteNodegroup", {"clusterName": "clusterName", "nodeGroupName": "nodegroupName"}),),
        replaces=frozenset(
            {
                *("amiType", "capacityType", "clusterName", "diskSize", "instanceTypes", "nodeGroupName"),
                *("nodeGroupNamePrefix", "nodeRoleArn", "remoteAccess", "subnetIds", "launchTemplate.id"),
                "launchTemplate.name",
            }
        ),
        name=Name("nodeGroupName", "nodeGroupNamePrefix", longest=63),
        tags=eks_tags("nodegroupArn"),
        ready=("status", ("ACTIVE",), ("CREATE_FAILED", "DELETING")),
        await_gone=True,
        also=frozenset({"forceUpdateVersion"}),
        check=_check_nodegroup,
        ordered=frozenset({"instanceTypes"}),
    ),
]
