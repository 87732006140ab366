"""EKS: add-ons, access entries and policies, Pod Identity associations."""

from __future__ import annotations

from typing import Any

from sandbox.aws.api import AwsError, from_api
from sandbox.aws.rows.eks import eks_tags
from sandbox.aws.table import Call, Row, Scope

_ENTRY = {"clusterName": "clusterName", "principalArn": "principalArn"}
_ASSOCIATION = {"associationId": "{id}"}


def _create_addon(scope: Scope) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for prop in (
        "clusterName",
        "addonName",
        "addonVersion",
        "configurationValues",
        "serviceAccountRoleArn",
        "namespaceConfig",
    ):
        if scope.inputs.get(prop) is not None:
            params[prop] = scope.inputs[prop]
    if scope.inputs.get("podIdentityAssociations"):
        params["podIdentityAssociations"] = scope.inputs["podIdentityAssociations"]
    if scope.inputs.get("resolveConflictsOnCreate"):
        params["resolveConflicts"] = scope.inputs["resolveConflictsOnCreate"]
    if scope.tags:
        params["tags"] = scope.tags
    scope.api.call("eks", "CreateAddon", params)
    return {}


def _change_addon(scope: Scope) -> None:
    params: dict[str, Any] = {"clusterName": scope.inputs["clusterName"], "addonName": scope.inputs["addonName"]}
    for prop in ("addonVersion", "configurationValues", "serviceAccountRoleArn"):
        if scope.changed(prop) and scope.inputs.get(prop) is not None:
            params[prop] = scope.inputs[prop]
    if scope.changed("podIdentityAssociations"):
        params["podIdentityAssociations"] = scope.inputs.get("podIdentityAssociations") or []
    if len(params) > 2:
        if scope.inputs.get("resolveConflictsOnUpdate"):
            params["resolveConflicts"] = scope.inputs["resolveConflictsOnUpdate"]
        scope.api.call("eks", "UpdateAddon", params)


def _addon_identities(scope: Scope) -> dict[str, Any]:
    """The API returns the ARNs of an add-on's associations; the property contains their service accounts and roles."""
    key = {"clusterName": scope.inputs["clusterName"]}
    addon = scope.api.call("eks", "DescribeAddon", {**key, "addonName": scope.inputs["addonName"]})["addon"]
    shown = []
    for arn in addon.get("podIdentityAssociations") or []:
        params = {**key, "associationId": arn.rpartition("/")[2]}
        found = scope.api.call("eks", "DescribePodIdentityAssociation", params)["association"]
        shown.append({"roleArn": found["roleArn"], "serviceAccount": found["serviceAccount"]})
    return {"podIdentityAssociations": shown} if shown else {}


def _read_policy(scope: Scope) -> dict[str, Any] | None:
    key = {name: scope.inputs[name] for name in _ENTRY}
    try:
        found = scope.api.call("eks", "ListAssociatedAccessPolicies", key)["associatedAccessPolicies"]
    except AwsError as error:
        if error.gone:
            return None
        raise
    for each in found:
        if each["policyArn"] == scope.inputs["policyArn"]:
            dates = {name: from_api(each[name]) for name in ("associatedAt", "modifiedAt") if name in each}
            return {"policyArn": each["policyArn"], "accessScope": each["accessScope"], **dates}
    return None


ROWS = [
    Row(
        token="aws:eks/addon:Addon",
        service="eks",
        id="{clusterName}:{addonName}",
        create=(_create_addon,),
        read=(
            Call(
                "DescribeAddon",
                {"clusterName": "clusterName", "addonName": "addonName"},
                answer="addon",
                gives={
                    "arn": "addonArn",
                    "createdAt": "createdAt",
                    "modifiedAt": "modifiedAt",
                    "addonVersion": "addonVersion",
                    "configurationValues": "configurationValues",
                    "serviceAccountRoleArn": "serviceAccountRoleArn",
                },
            ),
            _addon_identities,
        ),
        update=(_change_addon,),
        delete=(Call("DeleteAddon", {"clusterName": "clusterName", "addonName": "addonName", "preserve": "preserve"}),),
        replaces=frozenset({"clusterName", "addonName", "namespaceConfig"}),
        tags=eks_tags("addonArn"),
        ready=("status", ("ACTIVE",), ("CREATE_FAILED", "DEGRADED")),
        also=frozenset({"resolveConflictsOnUpdate"}),
        await_gone=True,
    ),
    Row(
        token="aws:eks/accessEntry:AccessEntry",
        service="eks",
        id="{clusterName}:{principalArn}",
        create=(
            Call(
                "CreateAccessEntry",
                {**_ENTRY, "kubernetesGroups": "kubernetesGroups", "type": "type", "userName": "username"},
                answer="accessEntry",
            ),
        ),
        read=(
            Call(
                "DescribeAccessEntry",
                _ENTRY,
                answer="accessEntry",
                gives={
                    "accessEntryArn": "accessEntryArn",
                    "createdAt": "createdAt",
                    "modifiedAt": "modifiedAt",
                    "userName": "username",
                },
            ),
        ),
        update=(
            Call(
                "UpdateAccessEntry",
                {**_ENTRY, "kubernetesGroups": "kubernetesGroups", "userName": "username"},
                when=("kubernetesGroups", "userName"),
            ),
        ),
        delete=(Call("DeleteAccessEntry", _ENTRY),),
        replaces=frozenset({"clusterName", "principalArn", "type"}),
        defaults={"type": "STANDARD"},
        tags=eks_tags("accessEntryArn"),
    ),
    Row(
        token="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        service="eks",
        id="{clusterName}#{principalArn}#{policyArn}",
        create=(Call("AssociateAccessPolicy", {**_ENTRY, "policyArn": "policyArn", "accessScope": "accessScope"}),),
        read=(_read_policy,),
        delete=(Call("DisassociateAccessPolicy", {**_ENTRY, "policyArn": "policyArn"}),),
        replaces=frozenset({"clusterName", "principalArn", "policyArn", "accessScope"}),
        delete_first=True,
    ),
    Row(
        token="aws:eks/podIdentityAssociation:PodIdentityAssociation",
        service="eks",
        id="{associationId}",
        create=(
            Call(
                "CreatePodIdentityAssociation",
                {
                    "clusterName": "clusterName",
                    "namespace": "namespace",
                    "serviceAccount": "serviceAccount",
                    "roleArn": "roleArn",
                    "disableSessionTags": "disableSessionTags",
                    "targetRoleArn": "targetRoleArn",
                    "policy": "policy",
                },
                answer="association",
            ),
        ),
        read=(
            Call(
                "DescribePodIdentityAssociation",
                {"clusterName": "clusterName"},
                _ASSOCIATION,
                answer="association",
                gives={
                    "associationArn": "associationArn",
                    "associationId": "associationId",
                    "externalId": "externalId",
                },
            ),
        ),
        update=(
            Call(
                "UpdatePodIdentityAssociation",
                {
                    "clusterName": "clusterName",
                    "roleArn": "roleArn",
                    "disableSessionTags": "disableSessionTags",
                    "targetRoleArn": "targetRoleArn",
                    "policy": "policy",
                },
                _ASSOCIATION,
                when=("roleArn", "disableSessionTags", "targetRoleArn", "policy"),
            ),
        ),
        delete=(Call("DeletePodIdentityAssociation", {"clusterName": "clusterName"}, _ASSOCIATION),),
        replaces=frozenset({"clusterName", "namespace", "serviceAccount"}),
        tags=eks_tags("associationArn"),
    ),
]
