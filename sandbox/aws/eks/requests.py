"""Invalid requests for a managed node group, refused with AWS's messages where they are known.

Source: EKS user guide, "Customize managed nodes with launch templates", and the API reference of CreateNodegroup.
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.exceptions import ServiceException

from sandbox.aws import machine_types
from sandbox.aws.eks import versions
from sandbox.aws.eks.backend import Backend, EksError, invalid

_RESERVED = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


def scaling(given: dict[str, Any]) -> dict[str, int]:
    least, most, wanted = given["minSize"], given["maxSize"], given["desiredSize"]
    if least > most:
        raise invalid(f"Minimum capacity {least} can't be greater than maximum size {most}")
    if wanted < least:
        raise invalid(f"Minimum capacity {least} can't be greater than desired size {wanted}")
    if wanted > most:
        raise invalid(f"desired capacity {wanted} can't be greater than max size {most}")
    return {"minSize": least, "maxSize": most, "desiredSize": wanted}


def check_labels(labels: dict[str, str]) -> None:
    for label, value in labels.items():
        if label.startswith(_RESERVED):
            raise invalid(f"Label cannot contain reserved prefixes [{', '.join(_RESERVED)}]: {label}")
        if not _LABEL_KEY.fullmatch(label) or not _LABEL_VALUE.fullmatch(value):
            raise invalid(f"Label {label}={value} is not a valid Kubernetes label")
        _check_length("labelKey", label)


def _check_length(shape: str, text: str) -> None:
    """The API model's `max`, which boto3 does not check."""
    if len(text) > 63:
        raise invalid(f"Value '{text}' failed to satisfy constraint: {shape} must have length less than or equal to 63")


def check_taints(taints: list[dict[str, str]]) -> None:
    if len(taints) > 50:
        raise invalid(f"A node group takes 50 taints at most, got {len(taints)}")
    seen = set()
    for taint in taints:
        if not _LABEL_KEY.fullmatch(taint.get("key", "")) or not _LABEL_VALUE.fullmatch(taint.get("value", "")):
            raise invalid(f"Taint {taint.get('key')}={taint.get('value')} is not a valid Kubernetes taint")
        _check_length("taintKey", taint["key"])
        identity = (taint["key"], taint.get("effect"))
        if identity in seen:
            raise invalid(f"Duplicate taint {taint['key']} with effect {taint.get('effect')}")
        seen.add(identity)


def template(backend: Backend, given: dict[str, str] | None) -> tuple[dict[str, str] | None, dict[str, Any]]:
    """The launch template as DescribeNodegroup returns it, and the data of its version."""
    if not given:
        return None, {}
    if bool(given.get("id")) == bool(given.get("name")):
        raise invalid("Either the id or the name of the launch template must be specified, not both.")
    ec2 = backend.other("ec2")
    try:
        found = (
            ec2.get_launch_template(given["id"]) if given.get("id") else ec2.get_launch_template_by_name(given["name"])
        )
        chosen = found.get_version(given.get("version") or "$Default")
    except ServiceException as error:
        raise EksError("InvalidRequestException", str(error.message)) from None
    data = chosen.data
    if data.get("IamInstanceProfile"):
        raise invalid(
            "Launch template should not specify an instance profile. The noderole in your request will be used to "
            "construct an instance profile."
        )
    for interface in data.get("NetworkInterfaces") or []:
        if interface.get("SubnetId"):
            raise invalid("Launch template should not specify a subnet in its network interfaces.")
    return {"id": found.id, "name": found.name, "version": str(chosen.number)}, data


def instance_types(params: dict[str, Any], data: dict[str, Any]) -> list[str]:
    named = list(params.get("instanceTypes") or [])
    if named and data.get("InstanceType"):
        raise invalid("Cannot specify instance types in launch template and API request")
    types = named or [data.get("InstanceType") or "t3.medium"]
    unknown = [each for each in types if not machine_types.find(each)]
    if unknown:
        raise invalid(f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    capacity, market = params.get("capacityType", "ON_DEMAND"), data.get("InstanceMarketOptions") or {}
    if capacity == "CAPACITY_BLOCK":
        if market.get("MarketType") != "capacity-block" or not data.get("InstanceType"):
            raise invalid(
                "CAPACITY_BLOCK needs a launch template with market type capacity-block and an instance type."
            )
    elif market:
        raise invalid("Launch template should not specify instance market options; use the capacity type instead.")
    if len(types) > 20:
        raise invalid("At most 20 instance types can be specified.")
    return types


def ami_type(params: dict[str, Any], data: dict[str, Any], types: list[str]) -> str:
    given = params.get("amiType")
    if data.get("ImageId"):
        if given and given != "CUSTOM":
            raise invalid(
                "You cannot specify an AMI Type other than CUSTOM, when specifying an image id in your launch template."
            )
        return "CUSTOM"
    if given == "CUSTOM":
        raise invalid("You must specify an image id within the launch template, when specifying an AMI Type of CUSTOM.")
    arm = {"arm64" in machine_types.find(each)["ProcessorInfo"]["SupportedArchitectures"] for each in types}  # type: ignore[index]
    if len(arm) > 1:
        raise invalid("Instance types of one node group must have the same architecture.")
    ami_type = given or ("AL2023_ARM_64_STANDARD" if True in arm else "AL2023_x86_64_STANDARD")
    if ("ARM_64" in ami_type) != (True in arm):
        raise invalid(f"[{', '.join(types)}] is not a valid instance type for requested amiType {ami_type}")
    return ami_type


def check_version(version: str, cluster_version: str) -> None:
    versions.known(version)
    behind = versions.minor(cluster_version) - versions.minor(version)
    if not 0 <= behind <= 3:
        raise invalid(
            f"Nodegroup Kubernetes version {version} should be equal to the cluster's version {cluster_version} or up "
            "to three minor versions older."
        )


def release(given: str | None, version: str, ami_type: str, data: dict[str, Any]) -> str:
    if ami_type == "CUSTOM":
        if given:
            raise invalid("Release version cannot be specified with a custom image.")
        return data["ImageId"]
    if given is None:
        return versions.release(version)
    form = (
        r"\d+\.\d+\.\d+-[0-9a-f]{8}" if ami_type.startswith("BOTTLEROCKET") else rf"{re.escape(version)}\.\d+-\d{{8}}"
    )
    if not re.fullmatch(form, given):
        raise invalid(f"Requested release version {given} is not valid for kubernetes version {version}.")
    return given
