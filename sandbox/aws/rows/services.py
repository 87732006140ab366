"""KMS keys and aliases, CloudWatch log groups."""

from __future__ import annotations

from typing import Any

from sandbox.aws.table import Call, Name, Row, Scope, Tags

_KEY = {"KeyId": "{id}"}


def _rotation(scope: Scope) -> None:
    if scope.changed("enableKeyRotation"):
        on = bool(scope.inputs.get("enableKeyRotation"))
        if on or scope.olds:
            scope.api.call("kms", "EnableKeyRotation" if on else "DisableKeyRotation", {"KeyId": scope.id})


def _enabled(scope: Scope) -> None:
    on = scope.inputs.get("isEnabled", True)
    if scope.changed("isEnabled") and (scope.olds or not on):
        scope.api.call("kms", "EnableKey" if on else "DisableKey", {"KeyId": scope.id})


def _shown_key(scope: Scope) -> dict[str, Any]:
    policy = scope.api.call("kms", "GetKeyPolicy", {"KeyId": scope.id, "PolicyName": "default"})["Policy"]
    rotation = scope.api.call("kms", "GetKeyRotationStatus", {"KeyId": scope.id})["KeyRotationEnabled"]
    tags = scope.api.call("kms", "ListResourceTags", {"KeyId": scope.id})["Tags"]
    shown = {each["TagKey"]: each["TagValue"] for each in tags}
    return {"policy": policy, "enableKeyRotation": rotation, "tagsAll": shown}


def _read_alias(scope: Scope) -> dict[str, Any] | None:
    for each in scope.api.call("kms", "ListAliases", {})["Aliases"]:
        if each["AliasName"] == scope.id:
            key = scope.api.call("kms", "DescribeKey", {"KeyId": each["TargetKeyId"]})["KeyMetadata"]
            target = scope.inputs.get("targetKeyId")
            same = target in (key["KeyId"], key["Arn"])
            return {
                "name": scope.id,
                "arn": each["AliasArn"],
                "targetKeyId": target if same else key["KeyId"],
                "targetKeyArn": key["Arn"],
            }
    return None


def _retention(scope: Scope) -> None:
    if scope.changed("retentionInDays"):
        group, days = {"logGroupName": scope.id}, int(scope.inputs.get("retentionInDays") or 0)
        if days:
            scope.api.call("logs", "PutRetentionPolicy", {**group, "retentionInDays": days})
        elif scope.olds.get("retentionInDays"):
            scope.api.call("logs", "DeleteRetentionPolicy", group)


# The values that the real provider accepts before it calls AWS (its schema's validation); 0 means forever.
_RETENTIONS = (
    *(0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def _check_log_group(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    days = inputs.get("retentionInDays")
    if isinstance(days, (int, float)) and days not in _RETENTIONS:
        wanted = " ".join(str(each) for each in _RETENTIONS)
        return [("retentionInDays", f"expected retention_in_days to be one of [{wanted}], got {days:g}")]
    return []


def _read_log_group(scope: Scope) -> dict[str, Any] | None:
    for each in scope.api.call("logs", "DescribeLogGroups", {"logGroupNamePrefix": scope.id})["logGroups"]:
        if each["logGroupName"] == scope.id:
            arn = each["arn"].removesuffix(":*")
            scope.extra["logGroupArn"] = arn
            tags = scope.api.call("logs", "ListTagsForResource", {"resourceArn": arn})["tags"]
            outputs = {"name": scope.id, "arn": arn, "retentionInDays": each.get("retentionInDays", 0), "tagsAll": tags}
            return {**outputs, "kmsKeyId": each["kmsKeyId"]} if each.get("kmsKeyId") else outputs
    return None


def _delete_log_group(scope: Scope) -> None:
    if not scope.inputs.get("skipDestroy"):
        scope.api.call("logs", "DeleteLogGroup", {"logGroupName": scope.id})


ROWS = [
    Row(
        token="aws:kms/key:Key",
        service="kms",
        id="{KeyId}",
        create=(
            Call(
                "CreateKey",
                {
                    "description": "Description",
                    "keyUsage": "KeyUsage",
                    "customerMasterKeySpec": "KeySpec",
                    "policy": "Policy",
                    "multiRegion": "MultiRegion",
                    "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
                },
                answer="KeyMetadata",
            ),
            _rotation,
            _enabled,
        ),
        read=(
            Call(
                "DescribeKey",
                fixed=_KEY,
                # For the program, a key with a pending deletion does not exist.
                answer="KeyMetadata.[@][?KeyState!='PendingDeletion'] | [0]",
                gives={"arn": "Arn", "keyId": "KeyId", "isEnabled": "Enabled", "description": "Description"},
            ),
            _shown_key,
        ),
        update=(
            Call("UpdateKeyDescription", {"description": "Description"}, _KEY),
            Call("PutKeyPolicy", {"policy": "Policy"}, {**_KEY, "PolicyName": "default"}),
            _rotation,
            _enabled,
        ),
        delete=(Call("ScheduleKeyDeletion", {"deletionWindowInDays": "PendingWindowInDays"}, _KEY),),
        replaces=frozenset({"keyUsage", "customerMasterKeySpec", "multiRegion", "customKeyStoreId", "xksKeyId"}),
        defaults={"isEnabled": True, "enableKeyRotation": False},
        tags=Tags(
            member="Tags",
            write=Call("TagResource", fixed={**_KEY, "Tags": []}),
            remove=Call("UntagResource", fixed={**_KEY, "TagKeys": []}),
        ),
        json=frozenset({"policy"}),
    ),
    Row(
        token="aws:kms/alias:Alias",
        service="kms",
        id="{name}",
        create=(Call("CreateAlias", {"name": "AliasName", "targetKeyId": "TargetKeyId"}),),
        read=(_read_alias,),
        update=(Call("UpdateAlias", {"name": "AliasName", "targetKeyId": "TargetKeyId"}, when=("targetKeyId",)),),
        delete=(Call("DeleteAlias", {"name": "AliasName"}),),
        replaces=frozenset({"name", "namePrefix"}),
        name=Name(longest=256, before="alias/"),
    ),
    Row(
        token="aws:cloudwatch/logGroup:LogGroup",
        service="logs",
        id="{name}",
        create=(
            Call("CreateLogGroup", {"name": "logGroupName", "kmsKeyId": "kmsKeyId", "logGroupClass": "logGroupClass"}),
            _retention,
        ),
        read=(_read_log_group,),
        update=(_retention,),
        delete=(_delete_log_group,),
        replaces=frozenset({"name", "namePrefix", "logGroupClass"}),
        defaults={"skipDestroy": False},
        also=frozenset({"skipDestroy"}),
        name=Name(longest=512),
        check=_check_log_group,
        tags=Tags(
            member="tags",
            write=Call("TagResource", fixed={"resourceArn": "{logGroupArn}", "tags": {}}),
            remove=Call("UntagResource", fixed={"resourceArn": "{logGroupArn}", "tagKeys": []}),
        ),
    ),
]
