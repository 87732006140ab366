"""EKS clusters: their API, and the real control plane of each.

Creating a cluster starts a real control plane (sandbox/cluster/control_plane.py) in the background, as EKS does:
the cluster is CREATING until its API server answers, and FAILED if it does not. Deleting it stops the control plane.
Like EKS, creation also creates the cluster's own security group and two network interfaces in its subnets.

`$GPUYARD_SANDBOX_NO_CONTROL_PLANE` gives every cluster a made-up endpoint instead; it is for tests of the AWS side.
"""

from __future__ import annotations

import base64
import os
import re
import threading
import uuid
from types import SimpleNamespace
from typing import Any

from sandbox import caller
from sandbox.aws import state
from sandbox.aws.eks import access as entries
from sandbox.aws.eks import network, roles, versions
from sandbox.aws.eks.backend import Answer, Backend, EksError, in_use, invalid, not_found, now

_LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def key(backend: Backend, name: str) -> str:
    """The cluster's name across clouds, which control planes and fleets use."""
    return f"eks-{backend.region_name}-{name}"


def _start_control_plane(cluster_key: str, version: str) -> Any:
    if os.environ.get("GPUYARD_SANDBOX_NO_CONTROL_PLANE"):
        certificate = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nsandbox\n-----END CERTIFICATE-----\n").decode()
        return SimpleNamespace(
            endpoint="https://127.0.0.1:1", ca_data=certificate, oidc_issuer=f"https://127.0.0.1:1/{cluster_key}"
        )
    from sandbox.cluster import control_plane

    return control_plane.start(cluster_key, version)


def _stop_control_plane(cluster_key: str) -> None:
    if not os.environ.get("GPUYARD_SANDBOX_NO_CONTROL_PLANE"):
        from sandbox.cluster import control_plane

        control_plane.stop(cluster_key)


def bring_up(backend: Backend, found: dict[str, Any]) -> None:
    """Starts the control plane, or finds the running one, and stores its address. Runs in a separate thread."""
    cluster = found["cluster"]
    try:
        plane = _start_control_plane(key(backend, cluster["name"]), cluster["version"])
    except Exception as error:
        with state.LOCK:
            cluster["status"] = "FAILED"
            cluster["health"] = {"issues": [{"code": "InternalFailure", "message": str(error), "resourceIds": []}]}
        state.touch()
        return
    with state.LOCK:
        cluster["endpoint"] = plane.endpoint
        cluster["certificateAuthority"] = {"data": plane.ca_data}
        cluster["identity"] = {"oidc": {"issuer": plane.oidc_issuer}}
        if cluster["status"] in ("CREATING", "FAILED"):
            cluster["status"], cluster["health"] = "ACTIVE", {"issues": []}
        deleted = backend.clusters.get(cluster["name"]) is not found
    state.touch()
    if deleted:  # deleted while it was starting
        _stop_control_plane(key(backend, cluster["name"]))


def all_clusters() -> list[tuple[Backend, dict[str, Any]]]:
    return [
        (backend, found)
        for (service, _, _), backend in state.backends().items()
        if service == "eks" and isinstance(backend, Backend)
        for found in list(backend.clusters.values())
    ]


def statuses() -> dict[str, str]:
    """Status by cluster key, for the health page."""
    return {key(backend, found["cluster"]["name"]): found["cluster"]["status"] for backend, found in all_clusters()}


def take_down(backend: Backend, found: dict[str, Any]) -> None:
    cluster = found["cluster"]
    try:
        _stop_control_plane(key(backend, cluster["name"]))
    except Exception as error:
        with state.LOCK:
            cluster["status"] = "FAILED"
            cluster["health"] = {"issues": [{"code": "InternalFailure", "message": str(error), "resourceIds": []}]}
        state.touch()
        return
    with state.LOCK:
        ec2 = backend.other("ec2")
        for interface in found["interfaces"]:
            ec2.enis.pop(interface, None)
        group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        for groups in ec2.groups.values():
            groups.pop(group, None)
        if backend.clusters.get(cluster["name"]) is found:
            del backend.clusters[cluster["name"]]
    state.touch()


def create_cluster(backend: Backend, params: dict[str, Any]) -> Answer:
    name = params["name"]
    if name in backend.clusters:
        raise in_use(f"Cluster already exists with name: {name}")
    if not re.fullmatch(r"[0-9A-Za-z][A-Za-z0-9_-]*", name):
        raise invalid(f"The cluster name {name} does not match ^[0-9A-Za-z][A-Za-z0-9\\-_]*$")
    version = versions.known(params.get("version") or versions.DEFAULT)
    roles.check_role(backend, params["roleArn"])
    vpc = network.vpc_config(backend, params["resourcesVpcConfig"])
    access = {
        "authenticationMode": "CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
        **(params.get("accessConfig") or {}),
    }
    services = network.service_network(backend, params.get("kubernetesNetworkConfig") or {}, vpc["vpcId"])
    group, interfaces = network.make_parts(backend, name, vpc)
    vpc["clusterSecurityGroupId"] = group
    cluster = {
        "name": name,
        "arn": backend.arn(f"cluster/{name}"),
        "createdAt": now(),
        "version": version,
        "roleArn": params["roleArn"],
        "resourcesVpcConfig": vpc,
        "kubernetesNetworkConfig": services,
        "logging": _logging(params.get("logging")),
        "status": "CREATING",
        "platformVersion": "eks.3",
        "tags": dict(params.get("tags") or {}),
        "health": {"issues": []},
        "accessConfig": access,
        "upgradePolicy": {"supportType": "EXTENDED", **(params.get("upgradePolicy") or {})},
        "deletionProtection": bool(params.get("deletionProtection")),
        "controlPlaneScalingConfig": params.get("controlPlaneScalingConfig") or {"tier": "standard"},
    }
    for optional in (
        "encryptionConfig",
        "zonalShiftConfig",
        "remoteNetworkConfig",
        "computeConfig",
        "storageConfig",
        "kubeApiServerConfig",
        "kubeSchedulerConfig",
        "kubeControllerManagerConfig",
    ):
        if params.get(optional):
            cluster[optional] = params[optional]
    found: dict[str, Any] = {"cluster": cluster, "interfaces": interfaces}
    found.update({kind: {} for kind in ("nodegroups", "addons", "entries", "associations", "updates")})
    creator = caller.principal(caller.load().arn) or f"arn:{backend.partition}:iam::{backend.account_id}:root"
    if access["authenticationMode"] != "CONFIG_MAP" and access["bootstrapClusterCreatorAdminPermissions"]:
        entry = entries.new_entry(backend, name, {"principalArn": creator})
        scope = {"type": "cluster", "namespaces": []}
        dates = {"associatedAt": now(), "modifiedAt": now()}
        entry["policies"] = {_ADMIN: {"policyArn": _ADMIN, "accessScope": scope, **dates}}
        found["entries"][creator] = entry
    backend.clusters[name] = found
    _log_group(backend, cluster)
    threading.Thread(target=bring_up, args=(backend, found), daemon=True).start()
    return {"cluster": cluster}


def _logging(given: dict[str, Any] | None) -> dict[str, Any]:
    enabled = {
        each for setup in (given or {}).get("clusterLogging") or [] if setup.get("enabled") for each in setup["types"]
    }
    if unknown := enabled - set(_LOG_TYPES):
        raise invalid(f"Invalid log type {', '.join(sorted(unknown))}")
    split = [(True, [t for t in _LOG_TYPES if t in enabled]), (False, [t for t in _LOG_TYPES if t not in enabled])]
    return {"clusterLogging": [{"types": types, "enabled": on} for on, types in split if types]}


def _log_group(backend: Backend, cluster: dict[str, Any]) -> None:
    """EKS creates the log group of a control plane that writes logs. The group remains when the cluster is deleted."""
    name, logs = f"/aws/eks/{cluster['name']}/cluster", backend.other("logs")
    if any(each["enabled"] for each in cluster["logging"]["clusterLogging"]) and name not in logs.groups:
        logs.create_log_group(name, {})


def describe_cluster(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"cluster": backend.find(params["name"])["cluster"]}


def list_clusters(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"clusters": sorted(backend.clusters)}


def delete_cluster(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.find(params["name"])
    cluster = found["cluster"]
    if found["nodegroups"]:
        raise EksError(
            "ResourceInUseException",
            "Cluster has nodegroups attached",
            clusterName=cluster["name"],
            nodegroupName=",".join(sorted(found["nodegroups"])),
        )
    if cluster.get("deletionProtection"):
        raise EksError(
            "InvalidRequestException",
            f"Cannot delete cluster {cluster['name']} because deletion protection is enabled. Disable it with "
            "UpdateClusterConfig first.",
        )
    if cluster["status"] == "CREATING":
        raise in_use(f"Cluster {cluster['name']} is not in a valid state to be deleted: CREATING")
    cluster["status"] = "DELETING"
    threading.Thread(target=take_down, args=(backend, found), daemon=True).start()
    return {"cluster": cluster}


def new_update(found: dict[str, Any], kind: str, params: dict[str, Any]) -> Answer:
    """An update that is complete when its id is returned: the sandbox applies it at once."""
    update = {
        "id": str(uuid.uuid4()),
        "status": "Successful",
        "type": kind,
        "params": [{"type": name, "value": str(value)} for name, value in params.items()],
        "createdAt": now(),
        "errors": [],
    }
    found["updates"][update["id"]] = update
    return {"update": update}


def update_cluster_config(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["name"])
    cluster = found["cluster"]
    given = {k: v for k, v in params.items() if k not in ("name", "clientRequestToken")}
    if len(given) != 1:
        raise invalid("Only one type of update can be allowed.")
    (what, value), *_ = given.items()
    if what == "resourcesVpcConfig":
        merged = {**cluster["resourcesVpcConfig"], **value}
        checked = network.vpc_config(backend, merged)
        if checked["vpcId"] != cluster["resourcesVpcConfig"]["vpcId"]:
            raise invalid("Provided subnets belong to a different VPC than the cluster's.")
        checked["clusterSecurityGroupId"] = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        cluster["resourcesVpcConfig"] = checked
        moved = "subnetIds" in value or "securityGroupIds" in value
        return new_update(found, "VpcConfigUpdate" if moved else "EndpointAccessUpdate", {})
    if what == "logging":
        cluster["logging"] = _logging(value)
        _log_group(backend, cluster)
        return new_update(found, "LoggingUpdate", {"ClusterLogging": value})
    if what == "accessConfig":
        order = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"]
        mode, old = value["authenticationMode"], cluster["accessConfig"]["authenticationMode"]
        if order.index(mode) < order.index(old):
            raise EksError("InvalidRequestException", f"Unsupported authentication mode update from {old} to {mode}")
        cluster["accessConfig"]["authenticationMode"] = mode
        return new_update(found, "AccessConfigUpdate", {"AuthenticationMode": mode})
    if what == "upgradePolicy" and value.get("supportType") == "STANDARD":
        _check_standard(cluster)
    kinds = {
        "upgradePolicy": "UpgradePolicyUpdate",
        "zonalShiftConfig": "ZonalShiftConfigUpdate",
        "computeConfig": "AutoModeUpdate",
        "storageConfig": "AutoModeUpdate",
        "remoteNetworkConfig": "RemoteNetworkConfigUpdate",
        "deletionProtection": "DeletionProtectionUpdate",
        "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
    }
    if what == "kubernetesNetworkConfig":
        cluster[what]["elasticLoadBalancing"] = value.get("elasticLoadBalancing", {"enabled": False})
    elif isinstance(value, dict):
        cluster[what] = {**(cluster.get(what) or {}), **value}
    else:
        cluster[what] = value
    return new_update(found, kinds.get(what, "ConfigUpdate"), {})


def _check_standard(cluster: dict[str, Any]) -> None:
    """EKS user guide: extended support cannot be disabled once a cluster has entered it."""
    if versions.status(cluster["version"]) != versions.STANDARD_SUPPORT:
        message = f"Cannot disable extended support: Kubernetes {cluster['version']} has left standard support."
        raise EksError("InvalidRequestException", message)


def update_cluster_version(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["name"])
    cluster = found["cluster"]
    version = versions.known(params["version"])
    if versions.minor(version) != versions.minor(cluster["version"]) + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {cluster['version']} to {version}")
    cluster["version"] = version
    return new_update(found, "VersionUpdate", {"Version": version, "PlatformVersion": cluster["platformVersion"]})


def associate_encryption_config(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    if found["cluster"].get("encryptionConfig"):
        raise invalid("Cluster already has encryption configuration enabled")
    found["cluster"]["encryptionConfig"] = params["encryptionConfig"]
    return new_update(found, "AssociateEncryptionConfig", {"EncryptionConfig": params["encryptionConfig"]})


def describe_update(backend: Backend, params: dict[str, Any]) -> Answer:
    update = backend.find(params["name"])["updates"].get(params["updateId"])
    if update is None:
        raise not_found(f"No update found for ID: {params['updateId']}")
    return {"update": update}


def list_updates(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"updateIds": sorted(backend.find(params["name"])["updates"])}


OPERATIONS = {
    "CreateCluster": create_cluster,
    "DescribeCluster": describe_cluster,
    "ListClusters": list_clusters,
    "DeleteCluster": delete_cluster,
    "UpdateClusterConfig": update_cluster_config,
    "UpdateClusterVersion": update_cluster_version,
    "AssociateEncryptionConfig": associate_encryption_config,
    "DescribeUpdate": describe_update,
    "ListUpdates": list_updates,
    "DescribeClusterVersions": versions.describe_cluster_versions,
}
