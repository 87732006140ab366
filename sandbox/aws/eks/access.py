"""Access to an EKS cluster: access entries with their policies, and Pod Identity associations."""

from __future__ import annotations

import re
import uuid
from typing import Any

from sandbox.aws.eks import roles
from sandbox.aws.eks.backend import Answer, Backend, EksError, in_use, invalid, not_found, now

_POLICIES = [
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
]
_TYPES = ["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"]


def _policy_arn(backend: Backend, name: str) -> str:
    return f"arn:{backend.partition}:eks::aws:cluster-access-policy/{name}"


def new_entry(backend: Backend, cluster: str, params: dict[str, Any]) -> dict[str, Any]:
    """An access entry as the API returns it, and its policies under `policies`."""
    principal = params["principalArn"]
    kind, _, tail = principal.rpartition(":")[2].partition("/")
    session = (
        f"arn:{backend.partition}:sts::{backend.account_id}:assumed-role/{tail.rpartition('/')[2]}/{{{{SessionName}}}}"
    )
    return {
        "clusterName": cluster,
        "principalArn": principal,
        "kubernetesGroups": list(params.get("kubernetesGroups") or []),
        "accessEntryArn": backend.arn(
            f"access-entry/{cluster}/{kind}/{backend.account_id}/{tail or 'root'}/{uuid.uuid4()}"
        ),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(params.get("tags") or {}),
        "username": params.get("username") or (session if kind == "role" else principal),
        "type": params.get("type", "STANDARD"),
        "policies": {},
    }


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "policies"}


def _entries(backend: Backend, name: str) -> dict[str, Any]:
    found = backend.active(name)
    if found["cluster"]["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise EksError(
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
        )
    return found["entries"]


def _entry(backend: Backend, params: dict[str, Any]) -> dict[str, Any]:
    entries = _entries(backend, params["clusterName"])
    if params["principalArn"] not in entries:
        raise not_found(
            f"The specified principalArn could not be found. You can view your available access entries with "
            f"'list-access-entries': {params['principalArn']}"
        )
    return entries[params["principalArn"]]


def create_entry(backend: Backend, params: dict[str, Any]) -> Answer:
    entries = _entries(backend, params["clusterName"])
    principal, kind = params["principalArn"], params.get("type", "STANDARD")
    if principal in entries:
        raise in_use("The specified access entry resource is already in use on this cluster.")
    match = re.fullmatch(r"arn:[^:]+:iam::(\d{12}):(root|role/.+|user/.+)", principal)
    if not match:
        raise invalid(f"The principalArn parameter format is not valid: {principal}")
    if match[1] == backend.account_id and match[2].startswith("role/"):
        roles = backend.other("iam", backend.partition).roles.values()
        if not any(role.arn == principal for role in roles):
            raise invalid(f"The specified principalArn is invalid: invalid principal: {principal}")
    if kind not in _TYPES:
        raise invalid(f"The specified access entry type is not valid: {kind}. Allowed: {', '.join(_TYPES)}")
    if kind != "STANDARD" and (params.get("username") or params.get("kubernetesGroups")):
        raise invalid(f"Username and kubernetesGroups cannot be set on an access entry of type {kind}.")
    for group in params.get("kubernetesGroups") or []:
        if group.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
            raise invalid(
                f"The kubernetes group name {group} is invalid, it cannot start with [system:, eks:, aws:, amazon:, "
                "iam:]"
            )
    entries[principal] = new_entry(backend, params["clusterName"], params)
    return {"accessEntry": _shown(entries[principal])}


def describe_entry(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"accessEntry": _shown(_entry(backend, params))}


def list_entries(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"accessEntries": sorted(_entries(backend, params["clusterName"]))}


def update_entry(backend: Backend, params: dict[str, Any]) -> Answer:
    entry = _entry(backend, params)
    if "kubernetesGroups" in params:
        entry["kubernetesGroups"] = list(params["kubernetesGroups"])
    if params.get("username"):
        entry["username"] = params["username"]
    entry["modifiedAt"] = now()
    return {"accessEntry": _shown(entry)}


def delete_entry(backend: Backend, params: dict[str, Any]) -> Answer:
    entry = _entry(backend, params)
    del _entries(backend, params["clusterName"])[entry["principalArn"]]
    return {}


def associate_policy(backend: Backend, params: dict[str, Any]) -> Answer:
    entry, arn, scope = _entry(backend, params), params["policyArn"], params["accessScope"]
    if arn not in [_policy_arn(backend, name) for name in _POLICIES]:
        raise invalid(f"The policyArn parameter format is not valid: {arn}")
    if entry["type"] != "STANDARD":
        raise EksError(
            "InvalidRequestException", f"Access policies cannot be associated with entries of type {entry['type']}"
        )
    if (scope.get("type") == "namespace") != bool(scope.get("namespaces")):
        raise invalid("Namespaces must be given exactly when the access scope's type is namespace.")
    old = entry["policies"].get(arn, {})
    made = {
        "policyArn": arn,
        "accessScope": {"type": scope["type"], "namespaces": list(scope.get("namespaces") or [])},
        "associatedAt": old.get("associatedAt", now()),
        "modifiedAt": now(),
    }
    entry["policies"][arn] = made
    return {
        "clusterName": params["clusterName"],
        "principalArn": params["principalArn"],
        "associatedAccessPolicy": made,
    }


def disassociate_policy(backend: Backend, params: dict[str, Any]) -> Answer:
    entry = _entry(backend, params)
    if entry["policies"].pop(params["policyArn"], None) is None:
        raise not_found(f"The specified policy is not associated: {params['policyArn']}")
    return {}


def list_policies(backend: Backend, params: dict[str, Any]) -> Answer:
    entry = _entry(backend, params)
    return {
        "clusterName": params["clusterName"],
        "principalArn": params["principalArn"],
        "associatedAccessPolicies": list(entry["policies"].values()),
    }


def list_access_policies(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"accessPolicies": [{"name": name, "arn": _policy_arn(backend, name)} for name in _POLICIES]}


def create_association(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    cluster, wanted = params["clusterName"], (params["namespace"], params["serviceAccount"])
    if any((a["namespace"], a["serviceAccount"]) == wanted for a in found["associations"].values()):
        raise in_use(
            f"Association already exists: cluster {cluster}, namespace {wanted[0]}, service account {wanted[1]}"
        )
    roles.check_role(backend, params["roleArn"])
    identity = "a-" + uuid.uuid4().hex[:17]
    association = {
        "clusterName": cluster,
        "namespace": wanted[0],
        "serviceAccount": wanted[1],
        "roleArn": params["roleArn"],
        "associationArn": backend.arn(f"podidentityassociation/{cluster}/{identity}"),
        "associationId": identity,
        "tags": dict(params.get("tags") or {}),
        "createdAt": now(),
        "modifiedAt": now(),
        "disableSessionTags": bool(params.get("disableSessionTags")),
    }
    if params.get("targetRoleArn"):
        association["targetRoleArn"], association["externalId"] = params["targetRoleArn"], str(uuid.uuid4())
    if params.get("policy"):
        association["policy"] = params["policy"]
    found["associations"][identity] = association
    return {"association": association}


def _association(backend: Backend, params: dict[str, Any]) -> dict[str, Any]:
    found = backend.find(params["clusterName"])["associations"]
    if params["associationId"] not in found:
        raise not_found(f"Association {params['associationId']} could not be found in cluster {params['clusterName']}.")
    return found[params["associationId"]]


def describe_association(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"association": _association(backend, params)}


def list_associations(backend: Backend, params: dict[str, Any]) -> Answer:
    keys = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    return {
        "associations": [
            {key: each[key] for key in keys if key in each}
            for each in backend.find(params["clusterName"])["associations"].values()
            if all(params.get(key) in (None, each[key]) for key in ("namespace", "serviceAccount"))
        ]
    }


def update_association(backend: Backend, params: dict[str, Any]) -> Answer:
    association = _association(backend, params)
    if params.get("roleArn"):
        roles.check_role(backend, params["roleArn"])
    for key in ("roleArn", "disableSessionTags", "targetRoleArn", "policy"):
        if key in params:
            association[key] = params[key]
    association["modifiedAt"] = now()
    return {"association": association}


def delete_association(backend: Backend, params: dict[str, Any]) -> Answer:
    association = _association(backend, params)
    if association.get("ownerArn"):
        raise EksError(
            "InvalidRequestException", f"The association is owned by {association['ownerArn']}; delete it there."
        )
    del backend.find(params["clusterName"])["associations"][association["associationId"]]
    return {"association": association}


OPERATIONS = {
    "CreateAccessEntry": create_entry,
    "DescribeAccessEntry": describe_entry,
    "ListAccessEntries": list_entries,
    "UpdateAccessEntry": update_entry,
    "DeleteAccessEntry": delete_entry,
    "AssociateAccessPolicy": associate_policy,
    "DisassociateAccessPolicy": disassociate_policy,
    "ListAssociatedAccessPolicies": list_policies,
    "ListAccessPolicies": list_access_policies,
    "CreatePodIdentityAssociation": create_association,
    "DescribePodIdentityAssociation": describe_association,
    "ListPodIdentityAssociations": list_associations,
    "UpdatePodIdentityAssociation": update_association,
    "DeletePodIdentityAssociation": delete_association,
}
