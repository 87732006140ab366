"""IAM: roles, policies, instance profiles, OpenID Connect providers."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.api import AwsError
from sandbox.aws.table import Call, Name, Row, Scope, Tags


def _tags(noun: str, member: str) -> Tags:
    key = {member: "{id}"}
    return Tags(
        member="Tags",
        write=Call(f"Tag{noun}", fixed={**key, "Tags": []}),
        remove=Call(f"Untag{noun}", fixed={**key, "TagKeys": []}),
    )


def check_document(*names: str) -> Any:
    """The real provider refuses a policy that is not JSON before it calls AWS."""

    def check(inputs: dict[str, Any]) -> list[tuple[str, str]]:
        failures = []
        for name in names:
            value = inputs.get(name)
            if not isinstance(value, str):
                continue
            try:
                document = json.loads(value)
            except ValueError as error:
                failures.append((name, f"contains an invalid JSON policy: {error}"))
                continue
            statements = document.get("Statement") if isinstance(document, dict) else None
            for statement in statements if isinstance(statements, list) else [statements]:
                if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
                    failures.append((name, "contains an invalid policy: a Statement needs Effect Allow or Deny"))
                    break
        return failures

    return check


def _inline(scope: Scope) -> None:
    olds = {each["name"]: each["policy"] for each in scope.olds.get("inlinePolicies") or [] if each.get("name")}
    news = {each["name"]: each["policy"] for each in scope.inputs.get("inlinePolicies") or [] if each.get("name")}
    for name in olds.keys() - news.keys():
        scope.api.call("iam", "DeleteRolePolicy", {"RoleName": scope.id, "PolicyName": name})
    for name, policy in news.items():
        if olds.get(name) != policy:
            scope.api.call("iam", "PutRolePolicy", {"RoleName": scope.id, "PolicyName": name, "PolicyDocument": policy})


def _attached(scope: Scope) -> None:
    olds, news = set(scope.olds.get("managedPolicyArns") or []), set(scope.inputs.get("managedPolicyArns") or [])
    for arn in sorted(olds - news):
        scope.api.call("iam", "DetachRolePolicy", {"RoleName": scope.id, "PolicyArn": arn})
    for arn in sorted(news - olds):
        scope.api.call("iam", "AttachRolePolicy", {"RoleName": scope.id, "PolicyArn": arn})


def _boundary(scope: Scope) -> None:
    if scope.changed("permissionsBoundary"):
        if boundary := scope.inputs.get("permissionsBoundary"):
            params = {"RoleName": scope.id, "PermissionsBoundary": boundary}
            scope.api.call("iam", "PutRolePermissionsBoundary", params)
        else:
            scope.api.call("iam", "DeleteRolePermissionsBoundary", {"RoleName": scope.id})


def _describe_role(scope: Scope) -> None:
    if scope.changed("description", "maxSessionDuration"):
        params = {"RoleName": scope.id, "Description": scope.inputs.get("description") or ""}
        if scope.inputs.get("maxSessionDuration"):
            params["MaxSessionDuration"] = int(scope.inputs["maxSessionDuration"])
        scope.api.call("iam", "UpdateRole", params)


def _free_role(scope: Scope) -> None:
    """Removes the role's own policies; those of other resources only with `forceDetachPolicies`."""
    force = bool(scope.inputs.get("forceDetachPolicies"))
    held = scope.api.call("iam", "ListAttachedRolePolicies", {"RoleName": scope.id})["AttachedPolicies"]
    for policy in held:
        if force or policy["PolicyArn"] in (scope.inputs.get("managedPolicyArns") or []):
            scope.api.call("iam", "DetachRolePolicy", {"RoleName": scope.id, "PolicyArn": policy["PolicyArn"]})
    own = {each.get("name") for each in scope.inputs.get("inlinePolicies") or []}
    for name in scope.api.call("iam", "ListRolePolicies", {"RoleName": scope.id})["PolicyNames"]:
        if force or name in own:
            scope.api.call("iam", "DeleteRolePolicy", {"RoleName": scope.id, "PolicyName": name})


def _managed(scope: Scope) -> dict[str, Any]:
    held = scope.api.call("iam", "ListAttachedRolePolicies", {"RoleName": scope.id})["AttachedPolicies"]
    return {"managedPolicyArns": sorted(each["PolicyArn"] for each in held)}


def _new_policy_version(scope: Scope) -> None:
    """IAM keeps five versions of a policy: the oldest that is not the default is deleted."""
    if not scope.changed("policy"):
        return
    versions = scope.api.call("iam", "ListPolicyVersions", {"PolicyArn": scope.id})["Versions"]
    if len(versions) >= 5:
        oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
        params = {"PolicyArn": scope.id, "VersionId": oldest["VersionId"]}
        scope.api.call("iam", "DeletePolicyVersion", params)
    params = {"PolicyArn": scope.id, "PolicyDocument": scope.inputs["policy"], "SetAsDefault": True}
    scope.api.call("iam", "CreatePolicyVersion", params)


def _drop_policy_versions(scope: Scope) -> None:
    for version in scope.api.call("iam", "ListPolicyVersions", {"PolicyArn": scope.id})["Versions"]:
        if not version["IsDefaultVersion"]:
            params = {"PolicyArn": scope.id, "VersionId": version["VersionId"]}
            scope.api.call("iam", "DeletePolicyVersion", params)


def _policy_document(scope: Scope) -> dict[str, Any]:
    policy = scope.api.call("iam", "GetPolicy", {"PolicyArn": scope.id})["Policy"]
    params = {"PolicyArn": scope.id, "VersionId": policy["DefaultVersionId"]}
    document = scope.api.call("iam", "GetPolicyVersion", params)["PolicyVersion"]["Document"]
    return {"policy": document if isinstance(document, str) else json.dumps(document)}


def _profile_role(scope: Scope) -> None:
    old, new = scope.olds.get("role"), scope.inputs.get("role")
    if old and old != new:
        scope.api.call("iam", "RemoveRoleFromInstanceProfile", {"InstanceProfileName": scope.id, "RoleName": old})
    if new and old != new:
        scope.api.call("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": scope.id, "RoleName": new})


def _empty_profile(scope: Scope) -> None:
    profile = scope.api.call("iam", "GetInstanceProfile", {"InstanceProfileName": scope.id})["InstanceProfile"]
    for role in profile["Roles"]:
        params = {"InstanceProfileName": scope.id, "RoleName": role["RoleName"]}
        scope.api.call("iam", "RemoveRoleFromInstanceProfile", params)


def _read_attachment(scope: Scope) -> dict[str, Any] | None:
    role, _, arn = scope.id.partition("/")
    try:
        held = scope.api.call("iam", "ListAttachedRolePolicies", {"RoleName": role})["AttachedPolicies"]
    except AwsError as error:
        if error.gone:
            return None
        raise
    found = any(each["PolicyArn"] == arn for each in held)
    return {"role": role, "policyArn": arn} if found else None


def _clients(scope: Scope) -> None:
    """Client ids are added and removed one by one."""
    olds, news = set(scope.olds.get("clientIdLists") or []), set(scope.inputs.get("clientIdLists") or [])
    key = {"OpenIDConnectProviderArn": scope.id}
    for client in sorted(olds - news):
        scope.api.call("iam", "RemoveClientIDFromOpenIDConnectProvider", {**key, "ClientID": client})
    for client in sorted(news - olds):
        scope.api.call("iam", "AddClientIDToOpenIDConnectProvider", {**key, "ClientID": client})


_ROLE = {"RoleName": "{id}"}

ROWS = [
    Row(
        token="aws:iam/role:Role",
        service="iam",
        id="{name}",
        create=(
            Call(
                "CreateRole",
                {
                    "name": "RoleName",
                    "assumeRolePolicy": "AssumeRolePolicyDocument",
                    "description": "Description",
                    "path": "Path",
                    "maxSessionDuration": "MaxSessionDuration",
                    "permissionsBoundary": "PermissionsBoundary",
                },
                answer="Role",
            ),
            _inline,
            _attached,
        ),
        read=(
            Call(
                "GetRole",
                fixed=_ROLE,
                answer="Role",
                gives={
                    "arn": "Arn",
                    "uniqueId": "RoleId",
                    "createDate": "CreateDate",
                    "assumeRolePolicy": "AssumeRolePolicyDocument",
                    "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
                },
            ),
            _managed,
        ),
        update=(
            Call("UpdateAssumeRolePolicy", {"assumeRolePolicy": "PolicyDocument"}, _ROLE),
            _describe_role,
            _boundary,
            _inline,
            _attached,
        ),
        delete=(_free_role, Call("DeleteRole", fixed=_ROLE)),
        replaces=frozenset({"name", "namePrefix", "path"}),
        defaults={"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": False},
        name=Name(longest=64),
        tags=_tags("Role", "RoleName"),
        also=frozenset({"forceDetachPolicies"}),
        json=frozenset({"assumeRolePolicy"}),
        check=check_document("assumeRolePolicy"),
    ),
    Row(
        token="aws:iam/rolePolicy:RolePolicy",
        service="iam",
        id="{role}:{name}",
        create=(Call("PutRolePolicy", {"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"}),),
        read=(
            Call(
                "GetRolePolicy",
                {"role": "RoleName", "name": "PolicyName"},
                gives={"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
            ),
        ),
        update=(
            Call(
                "PutRolePolicy",
                {"role": "RoleName", "name": "PolicyName", "policy": "PolicyDocument"},
                when=("policy",),
            ),
        ),
        delete=(Call("DeleteRolePolicy", {"role": "RoleName", "name": "PolicyName"}),),
        replaces=frozenset({"role", "name", "namePrefix"}),
        name=Name(longest=128),
        json=frozenset({"policy"}),
        check=check_document("policy"),
    ),
    Row(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        service="iam",
        id="{role}/{policyArn}",
        create=(Call("AttachRolePolicy", {"role": "RoleName", "policyArn": "PolicyArn"}),),
        read=(_read_attachment,),
        delete=(Call("DetachRolePolicy", {"role": "RoleName", "policyArn": "PolicyArn"}),),
        replaces=frozenset({"role", "policyArn"}),
    ),
    Row(
        token="aws:iam/policy:Policy",
        service="iam",
        id="{Arn}",
        create=(
            Call(
                "CreatePolicy",
                {"name": "PolicyName", "policy": "PolicyDocument", "description": "Description", "path": "Path"},
                answer="Policy",
            ),
        ),
        read=(
            Call(
                "GetPolicy",
                fixed={"PolicyArn": "{id}"},
                answer="Policy",
                gives={"arn": "Arn", "policyId": "PolicyId", "attachmentCount": "AttachmentCount"},
            ),
            _policy_document,
        ),
        update=(_new_policy_version,),
        delete=(_drop_policy_versions, Call("DeletePolicy", fixed={"PolicyArn": "{id}"})),
        replaces=frozenset({"name", "namePrefix", "path", "description"}),
        defaults={"path": "/"},
        name=Name(longest=128),
        tags=_tags("Policy", "PolicyArn"),
        also=frozenset({"delayAfterPolicyCreationInMs"}),
        json=frozenset({"policy"}),
        check=check_document("policy"),
    ),
    Row(
        token="aws:iam/instanceProfile:InstanceProfile",
        service="iam",
        id="{name}",
        create=(
            Call("CreateInstanceProfile", {"name": "InstanceProfileName", "path": "Path"}, answer="InstanceProfile"),
            _profile_role,
        ),
        read=(
            Call(
                "GetInstanceProfile",
                fixed={"InstanceProfileName": "{id}"},
                answer="InstanceProfile",
                gives={
                    "arn": "Arn",
                    "uniqueId": "InstanceProfileId",
                    "createDate": "CreateDate",
                    "role": "Roles[0].RoleName",
                },
            ),
        ),
        update=(_profile_role,),
        delete=(_empty_profile, Call("DeleteInstanceProfile", fixed={"InstanceProfileName": "{id}"})),
        replaces=frozenset({"name", "namePrefix", "path"}),
        defaults={"path": "/"},
        name=Name(longest=128),
        tags=_tags("InstanceProfile", "InstanceProfileName"),
    ),
    Row(
        token="aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        service="iam",
        id="{OpenIDConnectProviderArn}",
        create=(
            Call(
                "CreateOpenIDConnectProvider",
                {"url": "Url", "clientIdLists": "ClientIDList", "thumbprintLists": "ThumbprintList"},
            ),
        ),
        read=(
            Call(
                "GetOpenIDConnectProvider",
                fixed={"OpenIDConnectProviderArn": "{id}"},
                gives={
                    "arn": "'{id}'",
                    "url": "join('', ['https://', Url])",
                    "clientIdLists": "ClientIDList",
                    "thumbprintLists": "ThumbprintList",
                },
            ),
        ),
        update=(
            _clients,
            Call(
                "UpdateOpenIDConnectProviderThumbprint",
                {"thumbprintLists": "ThumbprintList"},
                {"OpenIDConnectProviderArn": "{id}"},
            ),
        ),
        delete=(Call("DeleteOpenIDConnectProvider", fixed={"OpenIDConnectProviderArn": "{id}"}),),
        replaces=frozenset({"url"}),
        tags=_tags("OpenIDConnectProvider", "OpenIDConnectProviderArn"),
    ),
]
