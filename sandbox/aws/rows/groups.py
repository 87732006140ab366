"""Security groups and their rules, in the three forms of the real provider."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sandbox.aws.rows.network import arn, ec2_tags
from sandbox.aws.table import Call, Name, Row, Scope

Rule = dict[str, Any]
_ALL_OUT: Rule = {"protocol": "-1", "cidrBlocks": ["0.0.0.0/0"]}


def _port(rule: Rule, name: str) -> int | None:
    value = rule.get(name)
    return None if value is None else int(value)


def _permissions(rule: Rule, group: str) -> list[dict[str, Any]]:
    """One inline rule or SecurityGroupRule as EC2's IpPermissions."""
    protocol = str(rule.get("protocol", "-1"))
    permission: dict[str, Any] = {"IpProtocol": "-1" if protocol == "all" else protocol}
    if permission["IpProtocol"] != "-1":
        permission["FromPort"], permission["ToPort"] = _port(rule, "fromPort"), _port(rule, "toPort")
    text = {"Description": rule["description"]} if rule.get("description") else {}
    if rule.get("cidrBlocks"):
        permission["IpRanges"] = [{"CidrIp": each, **text} for each in rule["cidrBlocks"]]
    if rule.get("ipv6CidrBlocks"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": each, **text} for each in rule["ipv6CidrBlocks"]]
    if rule.get("prefixListIds"):
        permission["PrefixListIds"] = [{"PrefixListId": each, **text} for each in rule["prefixListIds"]]
    sources = [*(rule.get("securityGroups") or [])]
    if rule.get("sourceSecurityGroupId"):
        sources.append(rule["sourceSecurityGroupId"])
    if rule.get("self"):
        sources.append(group)
    if sources:
        permission["UserIdGroupPairs"] = [{"GroupId": each, **text} for each in sources]
    return [permission]


def _authorize(scope: Scope, direction: str, group: str, rule: Rule) -> None:
    operation = f"AuthorizeSecurityGroup{direction.capitalize()}"
    scope.api.call("ec2", operation, {"GroupId": group, "IpPermissions": _permissions(rule, group)})


def _revoke(scope: Scope, direction: str, group: str, rule: Rule) -> None:
    operation = f"RevokeSecurityGroup{direction.capitalize()}"
    scope.api.call("ec2", operation, {"GroupId": group, "IpPermissions": _permissions(rule, group)})


def _apply(scope: Scope) -> None:
    """Changes inline rules from the old inputs to the new; a direction that is not set is not managed."""
    for direction in ("ingress", "egress"):
        if scope.inputs.get(direction) is None:
            continue
        olds, news = scope.olds.get(direction) or [], scope.inputs[direction]
        for rule in olds:
            if rule not in news:
                _revoke(scope, direction, scope.id, rule)
        for rule in news:
            if rule not in olds:
                _authorize(scope, direction, scope.id, rule)


def _without_default_egress(scope: Scope) -> None:
    """The real provider removes the allow-all rule that EC2 gives a new group."""
    _revoke(scope, "egress", scope.id, _ALL_OUT)


def _shown(permissions: list[dict[str, Any]], group: str) -> list[Rule]:
    rules = []
    for permission in permissions:
        rule: Rule = {
            "protocol": permission["IpProtocol"],
            "fromPort": permission.get("FromPort", 0) if permission["IpProtocol"] != "-1" else 0,
            "toPort": permission.get("ToPort", 0) if permission["IpProtocol"] != "-1" else 0,
        }
        if ranges := permission.get("IpRanges"):
            rule["cidrBlocks"] = [each["CidrIp"] for each in ranges]
        if ranges := permission.get("Ipv6Ranges"):
            rule["ipv6CidrBlocks"] = [each["CidrIpv6"] for each in ranges]
        if lists := permission.get("PrefixListIds"):
            rule["prefixListIds"] = [each["PrefixListId"] for each in lists]
        sources = [each["GroupId"] for each in permission.get("UserIdGroupPairs", [])]
        if others := [each for each in sources if each != group]:
            rule["securityGroups"] = others
        if group in sources:
            rule["self"] = True
        texts = {
            each.get("Description")
            for kind in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
            for each in permission.get(kind, [])
        } - {None, ""}
        if len(texts) == 1:
            rule["description"] = texts.pop()
        rules.append(rule)
    return rules


def _rules_of(scope: Scope) -> dict[str, Any]:
    found = scope.api.call("ec2", "DescribeSecurityGroups", {"GroupIds": [scope.id]})["SecurityGroups"][0]
    return {
        "ingress": _shown(found.get("IpPermissions", []), scope.id),
        "egress": _shown(found.get("IpPermissionsEgress", []), scope.id),
    }


_READ = Call(
    "DescribeSecurityGroups",
    fixed={"GroupIds": ["{id}"]},
    answer="SecurityGroups[0]",
    gives={
        "arn": arn("security-group"),
        "ownerId": "OwnerId",
        "name": "GroupName",
        "description": "Description",
        "vpcId": "VpcId",
    },
)


def _adopt_default(scope: Scope) -> dict[str, str]:
    """The default group already exists: it is adopted, together with its rules."""
    filters = [
        {"Name": "vpc-id", "Values": [scope.inputs["vpcId"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    group = scope.api.call("ec2", "DescribeSecurityGroups", {"Filters": filters})["SecurityGroups"][0]
    for direction, member in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        if group.get(member):
            params = {"GroupId": group["GroupId"], "IpPermissions": group[member]}
            scope.api.call("ec2", f"RevokeSecurityGroup{direction}", params)
    if scope.tags:
        pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
        scope.api.call("ec2", "CreateTags", {"Resources": [group["GroupId"]], "Tags": pairs})
    return {"GroupId": group["GroupId"]}


# -- aws.ec2.SecurityGroupRule: one rule with several sources, without an id from EC2 --------------------------------


def _create_rule(scope: Scope) -> dict[str, str]:
    inputs = scope.inputs
    _authorize(scope, inputs["type"], inputs["securityGroupId"], inputs)
    text = json.dumps({key: inputs[key] for key in sorted(inputs) if key != "description"}, default=str)
    return {"hash": str(int(hashlib.sha256(text.encode()).hexdigest()[:8], 16))}


def _ranges(rule: Rule, group: str) -> set[str]:
    (permission,) = _permissions(rule, group)
    return {
        str(each.get("CidrIp") or each.get("CidrIpv6") or each.get("PrefixListId") or each.get("GroupId"))
        for kind in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
        for each in permission.get(kind, [])
    }


def _read_rule(scope: Scope) -> dict[str, Any] | None:
    group = scope.inputs["securityGroupId"]
    filters = [{"Name": "group-id", "Values": [group]}]
    rules = scope.api.call("ec2", "DescribeSecurityGroupRules", {"Filters": filters})["SecurityGroupRules"]
    (wanted,) = _permissions(scope.inputs, group)
    missing = _ranges(scope.inputs, group)
    identity = ""
    for rule in rules:
        same = (
            rule["IsEgress"] == (scope.inputs["type"] == "egress")
            and rule["IpProtocol"] == wanted["IpProtocol"]
            and (wanted["IpProtocol"] == "-1" or rule.get("FromPort") == wanted["FromPort"])
            and (wanted["IpProtocol"] == "-1" or rule.get("ToPort") == wanted["ToPort"])
        )
        source = rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId")
        source = source or rule.get("ReferencedGroupInfo", {}).get("GroupId")
        if same and source in missing:
            missing.discard(source)
            identity = rule["SecurityGroupRuleId"]
    return None if missing else {"securityGroupRuleId": identity}


def _delete_rule(scope: Scope) -> None:
    _revoke(scope, scope.inputs["type"], scope.inputs["securityGroupId"], scope.inputs)


# -- aws.vpc.SecurityGroup{Ingress,Egress}Rule: one rule, one source, an id from EC2 ---------------------------------

_SOURCES = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _check_single(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    given = [name for name in _SOURCES if inputs.get(name) is not None]
    return (
        []
        if len(given) == 1
        else [("", f"exactly one of {', '.join(_SOURCES)} is needed; got {', '.join(given) or 'none'}")]
    )


def _single(inputs: dict[str, Any]) -> Rule:
    return {
        "protocol": inputs["ipProtocol"],
        "fromPort": inputs.get("fromPort"),
        "toPort": inputs.get("toPort"),
        "description": inputs.get("description"),
        "cidrBlocks": [inputs["cidrIpv4"]] if inputs.get("cidrIpv4") else None,
        "ipv6CidrBlocks": [inputs["cidrIpv6"]] if inputs.get("cidrIpv6") else None,
        "prefixListIds": [inputs["prefixListId"]] if inputs.get("prefixListId") else None,
        "sourceSecurityGroupId": inputs.get("referencedSecurityGroupId"),
    }


def _single_row(direction: str) -> Row:
    operation = direction.capitalize()

    def create(scope: Scope) -> dict[str, str]:
        group = scope.inputs["securityGroupId"]
        params: dict[str, Any] = {"GroupId": group, "IpPermissions": _permissions(_single(scope.inputs), group)}
        if scope.tags:
            pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
            params["TagSpecifications"] = [{"ResourceType": "security-group-rule", "Tags": pairs}]
        answer = scope.api.call("ec2", f"AuthorizeSecurityGroup{operation}", params)
        return {"SecurityGroupRuleId": answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]}

    def change(scope: Scope) -> None:
        rule: dict[str, Any] = {"IpProtocol": scope.inputs["ipProtocol"]}
        for name, member in (
            ("cidrIpv4", "CidrIpv4"),
            ("cidrIpv6", "CidrIpv6"),
            ("prefixListId", "PrefixListId"),
            ("referencedSecurityGroupId", "ReferencedGroupId"),
            ("description", "Description"),
        ):
            if scope.inputs.get(name) is not None:
                rule[member] = scope.inputs[name]
        for name, member in (("fromPort", "FromPort"), ("toPort", "ToPort")):
            # ports mean nothing with protocol -1, but moto requires some
            rule[member] = int(scope.inputs.get(name, -1))
        params = {"SecurityGroupRuleId": scope.id, "SecurityGroupRule": rule}
        group = scope.inputs["securityGroupId"]
        scope.api.call("ec2", "ModifySecurityGroupRules", {"GroupId": group, "SecurityGroupRules": [params]})

    def remove(scope: Scope) -> None:
        params = {"GroupId": scope.inputs["securityGroupId"], "SecurityGroupRuleIds": [scope.id]}
        scope.api.call("ec2", f"RevokeSecurityGroup{operation}", params)

    return Row(
        token=f"aws:vpc/securityGroup{operation}Rule:SecurityGroup{operation}Rule",
        service="ec2",
        id="{SecurityGroupRuleId}",
        create=(create,),
        read=(
            Call(
                "DescribeSecurityGroupRules",
                fixed={"Filters": [{"Name": "security-group-rule-id", "Values": ["{id}"]}]},
                answer="SecurityGroupRules[0]",
                gives={
                    "arn": arn("security-group-rule"),
                    "securityGroupRuleId": "SecurityGroupRuleId",
                    "securityGroupId": "GroupId",
                    "ipProtocol": "IpProtocol",
                    "cidrIpv4": "CidrIpv4",
                    "cidrIpv6": "CidrIpv6",
                    "prefixListId": "PrefixListId",
                    "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId",
                    "description": "Description",
                },
            ),
        ),
        update=(change,),
        delete=(remove,),
        replaces=frozenset({"securityGroupId"}),
        tags=ec2_tags("security-group-rule"),
        check=_check_single,
    )


ROWS = [
    Row(
        token="aws:ec2/securityGroup:SecurityGroup",
        service="ec2",
        id="{GroupId}",
        create=(
            Call("CreateSecurityGroup", {"name": "GroupName", "description": "Description", "vpcId": "VpcId"}),
            _without_default_egress,
            _apply,
        ),
        read=(_READ, _rules_of),
        update=(_apply,),
        delete=(Call("DeleteSecurityGroup", fixed={"GroupId": "{id}"}),),
        replaces=frozenset({"name", "namePrefix", "description", "vpcId"}),
        defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
        name=Name(longest=255),
        also=frozenset({"revokeRulesOnDelete"}),  # EC2 deletes a group's own rules with it
        tags=ec2_tags("security-group"),
    ),
    Row(
        token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        service="ec2",
        id="{GroupId}",
        create=(_adopt_default, _apply),
        read=(_READ, _rules_of),
        update=(_apply,),
        delete=(),  # it can only be deleted with its VPC
        also=frozenset({"revokeRulesOnDelete"}),
        replaces=frozenset({"vpcId"}),
        tags=ec2_tags("security-group"),
    ),
    Row(
        token="aws:ec2/securityGroupRule:SecurityGroupRule",
        service="ec2",
        id="sgrule-{hash}",
        create=(_create_rule,),
        read=(_read_rule,),
        delete=(_delete_rule,),
        replaces=frozenset(
            {
                *("type", "securityGroupId", "protocol", "fromPort", "toPort", "cidrBlocks", "ipv6CidrBlocks"),
                *("prefixListIds", "sourceSecurityGroupId", "self", "description"),
            }
        ),
        delete_first=True,
    ),
    _single_row("ingress"),
    _single_row("egress"),
]
