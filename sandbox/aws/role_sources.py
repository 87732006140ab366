"""The data sources of pulumi-aws about IAM roles, answered from the sandbox's server."""

from __future__ import annotations

import json

from sandbox.aws.api import Api, AwsError, Props, from_api
from sandbox.plugins.provider import ProviderError


def role(api: Api, args: Props) -> Props:
    """A role by its name."""
    try:
        found = api.call("iam", "GetRole", {"RoleName": args["name"]})["Role"]
    except AwsError as error:
        raise ProviderError(f"reading IAM Role ({args['name']}): {error}") from None
    document = found["AssumeRolePolicyDocument"]
    return {
        "id": found["RoleName"],
        "arn": found["Arn"],
        "assumeRolePolicy": document if isinstance(document, str) else json.dumps(document),
        "createDate": str(found["CreateDate"]),
        "description": found.get("Description", ""),
        "maxSessionDuration": found.get("MaxSessionDuration", 3600),
        "path": found["Path"],
        "permissionsBoundary": (found.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
        "roleLastUseds": [],
        "tags": from_api(found.get("Tags") or []) or {},
        "uniqueId": found["RoleId"],
    }


def attached_policies(api: Api, args: Props) -> Props:
    """The managed policies of a role, AWS's own and the account's."""
    held = api.call("iam", "ListAttachedRolePolicies", {"RoleName": args["roleName"]})["AttachedPolicies"]
    return {"attachedPolicies": [{"policyArn": each["PolicyArn"], "policyName": each["PolicyName"]} for each in held]}


def inline_policies(api: Api, args: Props) -> Props:
    """Names of a role's inline policies."""
    return {"policyNames": api.call("iam", "ListRolePolicies", {"RoleName": args["roleName"]})["PolicyNames"]}
