"""Launch templates, placement groups and the tags of Auto Scaling groups."""

from __future__ import annotations

from typing import Any

from sandbox.aws.api import AwsError, from_api, shape_at, to_api
from sandbox.aws.rows.network import arn, ec2_tags
from sandbox.aws.table import Call, Name, Row, Scope

# property -> member of LaunchTemplateData; structures below them are converted by their shape.
_DATA = {
    "blockDeviceMappings": "BlockDeviceMappings",
    "capacityReservationSpecification": "CapacityReservationSpecification",
    "cpuOptions": "CpuOptions",
    "creditSpecification": "CreditSpecification",
    "disableApiStop": "DisableApiStop",
    "disableApiTermination": "DisableApiTermination",
    "ebsOptimized": "EbsOptimized",
    "enclaveOptions": "EnclaveOptions",
    "hibernationOptions": "HibernationOptions",
    "iamInstanceProfile": "IamInstanceProfile",
    "imageId": "ImageId",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "instanceMarketOptions": "InstanceMarketOptions",
    "instanceRequirements": "InstanceRequirements",
    "instanceType": "InstanceType",
    "kernelId": "KernelId",
    "keyName": "KeyName",
    "licenseSpecifications": "LicenseSpecifications",
    "maintenanceOptions": "MaintenanceOptions",
    "metadataOptions": "MetadataOptions",
    "monitoring": "Monitoring",
    "networkInterfaces": "NetworkInterfaces",
    "networkPerformanceOptions": "NetworkPerformanceOptions",
    "placement": "Placement",
    "privateDnsNameOptions": "PrivateDnsNameOptions",
    "ramDiskId": "RamDiskId",
    "secondaryInterfaces": "SecondaryInterfaces",
    "securityGroupNames": "SecurityGroups",
    "tagSpecifications": "TagSpecifications",
    "userData": "UserData",
    "vpcSecurityGroupIds": "SecurityGroupIds",
}


def data(inputs: dict[str, Any]) -> dict[str, Any]:
    """The template's data for the API."""
    found = {}
    for name, member in _DATA.items():
        value = inputs.get(name)
        if value in (None, [], ""):
            continue
        shape = shape_at("ec2", "CreateLaunchTemplate", f"LaunchTemplateData.{member}")
        found[member] = to_api(shape, value) if shape is not None else value
    return found


def _create(scope: Scope) -> dict[str, Any]:
    params: dict[str, Any] = {"LaunchTemplateName": scope.inputs["name"], "LaunchTemplateData": data(scope.inputs)}
    if scope.inputs.get("description"):
        params["VersionDescription"] = scope.inputs["description"]
    if scope.tags:
        pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
        params["TagSpecifications"] = [{"ResourceType": "launch-template", "Tags": pairs}]
    return scope.api.call("ec2", "CreateLaunchTemplate", params)["LaunchTemplate"]


def _change(scope: Scope) -> None:
    """A changed template gets a new version; `updateDefaultVersion` makes that the default."""
    latest = None
    if scope.changed(*_DATA, "description"):
        params: dict[str, Any] = {"LaunchTemplateId": scope.id, "LaunchTemplateData": data(scope.inputs)}
        if scope.inputs.get("description"):
            params["VersionDescription"] = scope.inputs["description"]
        answer = scope.api.call("ec2", "CreateLaunchTemplateVersion", params)
        latest = answer["LaunchTemplateVersion"]["VersionNumber"]
    default = None
    if scope.inputs.get("updateDefaultVersion"):
        default = latest or _describe(scope)["LatestVersionNumber"]
    elif scope.changed("defaultVersion") and scope.inputs.get("defaultVersion"):
        default = int(scope.inputs["defaultVersion"])
    if default is not None:
        scope.api.call("ec2", "ModifyLaunchTemplate", {"LaunchTemplateId": scope.id, "DefaultVersion": str(default)})


def _describe(scope: Scope) -> dict[str, Any]:
    return scope.api.call("ec2", "DescribeLaunchTemplates", {"LaunchTemplateIds": [scope.id]})["LaunchTemplates"][0]


def _read(scope: Scope) -> dict[str, Any] | None:
    try:
        template = scope.api.call("ec2", "DescribeLaunchTemplates", {"LaunchTemplateIds": [scope.id]})[
            "LaunchTemplates"
        ]
    except AwsError as error:
        if error.gone:
            return None
        raise
    if not template:
        return None
    (template,) = template
    params = {"LaunchTemplateId": scope.id, "Versions": ["$Latest"]}
    (version,) = scope.api.call("ec2", "DescribeLaunchTemplateVersions", params)["LaunchTemplateVersions"]
    held = version["LaunchTemplateData"]
    outputs = {name: from_api(held[member]) for name, member in _DATA.items() if held.get(member) not in (None, [], {})}
    # moto also keeps the template's own tags in the tag specifications; they are not the instances'.
    specs = [each for each in outputs.pop("tagSpecifications", []) if each["resourceType"] != "launch-template"]
    if specs:
        outputs["tagSpecifications"] = [{**each, "tags": each.get("tags") or {}} for each in specs]
    return {
        **outputs,
        "name": template["LaunchTemplateName"],
        "latestVersion": template["LatestVersionNumber"],
        "defaultVersion": template["DefaultVersionNumber"],
        "description": version.get("VersionDescription") or None,
        "arn": scope.text(arn("launch-template")).strip("'"),
        "tagsAll": from_api(template.get("Tags") or []) or {},
    }


def _check(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    failures = []
    if inputs.get("vpcSecurityGroupIds") and any(
        i.get("securityGroups") for i in inputs.get("networkInterfaces") or []
    ):
        failures.append(("vpcSecurityGroupIds", "conflicts with security groups in networkInterfaces"))
    if inputs.get("defaultVersion") and inputs.get("updateDefaultVersion"):
        failures.append(("defaultVersion", "conflicts with updateDefaultVersion"))
    return failures


def _asg_tag(scope: Scope) -> dict[str, Any]:
    tag = scope.inputs["tag"]
    made = {
        "ResourceId": scope.inputs["autoscalingGroupName"],
        "ResourceType": "auto-scaling-group",
        "Key": tag["key"],
        "Value": tag["value"],
        "PropagateAtLaunch": bool(tag["propagateAtLaunch"]),
    }
    scope.api.call("autoscaling", "CreateOrUpdateTags", {"Tags": [made]})
    return {"key": tag["key"]}


def _read_asg_tag(scope: Scope) -> dict[str, Any] | None:
    group, _, key = scope.id.partition(",")
    found = scope.api.call("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": [group]})
    for each in found["AutoScalingGroups"]:
        for tag in each["Tags"]:
            if tag["Key"] == key:
                shown = {"key": key, "value": tag["Value"], "propagateAtLaunch": tag["PropagateAtLaunch"]}
                return {"autoscalingGroupName": group, "tag": shown}
    return None


def _delete_asg_tag(scope: Scope) -> None:
    group, _, key = scope.id.partition(",")
    if _read_asg_tag(scope):
        tag = {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key}
        scope.api.call("autoscaling", "DeleteTags", {"Tags": [tag]})


ROWS = [
    Row(
        token="aws:ec2/launchTemplate:LaunchTemplate",
        service="ec2",
        id="{LaunchTemplateId}",
        create=(_create,),
        read=(_read,),
        update=(_change,),
        delete=(Call("DeleteLaunchTemplate", fixed={"LaunchTemplateId": "{id}"}),),
        replaces=frozenset({"name", "namePrefix"}),
        name=Name(longest=125),
        tags=ec2_tags("launch-template"),
        check=_check,
        also=frozenset({"defaultVersion", "updateDefaultVersion"}),
        ordered=frozenset({"blockDeviceMappings", "networkInterfaces", "tagSpecifications"}),
    ),
    Row(
        token="aws:ec2/placementGroup:PlacementGroup",
        service="ec2",
        id="{name}",
        create=(
            Call(
                "CreatePlacementGroup",
                {
                    "name": "GroupName",
                    "strategy": "Strategy",
                    "partitionCount": "PartitionCount",
                    "spreadLevel": "SpreadLevel",
                },
                answer="PlacementGroup",
            ),
        ),
        read=(
            Call(
                "DescribePlacementGroups",
                fixed={"GroupNames": ["{id}"]},
                answer="PlacementGroups[0]",
                gives={"arn": "GroupArn", "placementGroupId": "GroupId", "name": "GroupName"},
            ),
        ),
        delete=(Call("DeletePlacementGroup", fixed={"GroupName": "{id}"}),),
        replaces=frozenset({"name", "strategy", "partitionCount", "spreadLevel"}),
        name=Name(prefix=""),
        tags=ec2_tags("placement-group"),
    ),
    Row(
        token="aws:autoscaling/tag:Tag",
        service="autoscaling",
        id="{autoscalingGroupName},{key}",
        create=(_asg_tag,),
        read=(_read_asg_tag,),
        update=(_asg_tag,),
        delete=(_delete_asg_tag,),
        replaces=frozenset({"autoscalingGroupName", "tag.key"}),
    ),
]
