"""The API of EKS add-ons: the installed add-ons with their versions, configuration and identities.

The catalog contains the add-ons that this project uses, each with EKS's default and newer versions that were seen for a
Kubernetes version. Another version is accepted if it has the right form, since AWS adds versions weekly. Versions that
cannot exist are refused: kube-proxy newer than the cluster or more than three minors older, a build 0. Add-ons run no
pods here: a CSI driver or the Pod Identity agent has nothing to do on simulated nodes.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from sandbox.aws.eks import access, roles, versions
from sandbox.aws.eks import cluster as clusters
from sandbox.aws.eks.backend import Answer, Backend, in_use, invalid, not_found, now

# name: (type, namespace, IAM permissions needed, versions). The first version is EKS's default, newer ones follow;
# by Kubernetes version if they differ. Read in public records of describe-addon-versions, 2026-08 to -10.
_CATALOGUE: dict[str, tuple[str, str, bool, list[str] | dict[str, list[str]]]] = {
    "vpc-cni": ("networking", "kube-system", True, ["v1.22.4-eksbuild.3", "v1.23.1-eksbuild.1", "v1.23.2-eksbuild.1"]),
    "coredns": (
        "networking",
        "kube-system",
        False,
        {
            "1.31": ["v1.11.4-eksbuild.60"],
            "1.32": ["v1.11.4-eksbuild.60"],
            "1.33": ["v1.12.4-eksbuild.38", "v1.13.2-eksbuild.31"],
            "1.34": ["v1.12.4-eksbuild.38", "v1.13.2-eksbuild.31"],
            "1.35": ["v1.13.2-eksbuild.31", "v1.14.6-eksbuild.4"],
        },
    ),
    "kube-proxy": (
        "networking",
        "kube-system",
        False,
        {
            "1.31": ["v1.31.14-eksbuild.9"],
            "1.32": ["v1.32.13-eksbuild.32"],
            "1.33": ["v1.33.10-eksbuild.29"],
            "1.34": ["v1.34.6-eksbuild.29"],
            "1.35": ["v1.35.3-eksbuild.29"],
        },
    ),
    "eks-pod-identity-agent": ("security", "kube-system", False, ["v1.3.10-eksbuild.3", "v1.4.0-eksbuild.2"]),
    "aws-ebs-csi-driver": ("storage", "kube-system", True, ["v1.66.0-eksbuild.1"]),
    "aws-efs-csi-driver": ("storage", "kube-system", True, ["v3.4.2-eksbuild.1"]),
    "aws-fsx-csi-driver": ("storage", "kube-system", True, ["v1.9.0-eksbuild.1", "v1.10.0-eksbuild.1"]),
    "aws-mountpoint-s3-csi-driver": ("storage", "kube-system", True, ["v2.7.0-eksbuild.1"]),
    "snapshot-controller": ("storage", "kube-system", False, ["v8.6.0-eksbuild.6", "v8.6.0-eksbuild.8"]),
    "metrics-server": ("observability", "kube-system", False, ["v0.9.0-eksbuild.11"]),
    "eks-node-monitoring-agent": (
        "observability",
        "kube-system",
        False,
        ["v1.7.0-eksbuild.1", "v1.7.2-eksbuild.1"],
    ),
    "amazon-cloudwatch-observability": ("observability", "amazon-cloudwatch", True, ["v6.6.0-eksbuild.1"]),
    "cert-manager": ("security", "cert-manager", False, ["v1.20.2-eksbuild.3"]),
}
_FORM = re.compile(r"v\d+\.(\d+)\.\d+-eksbuild\.[1-9]\d*")


def _versions(name: str, kubernetes: str) -> list[str]:
    """The versions that EKS offers, its default first."""
    found = _CATALOGUE[name][3]
    return found[kubernetes] if isinstance(found, dict) else found


def describe_addon_versions(backend: Backend, params: dict[str, Any]) -> Answer:
    name, kubernetes = params.get("addonName"), params.get("kubernetesVersion")
    if name and name not in _CATALOGUE:
        raise not_found(f"No addon versions found for addon {name}")
    wanted = [versions.known(kubernetes)] if kubernetes else list(versions._CALENDAR)
    addons = []
    for each, (kind, namespace, needs_iam, _) in _CATALOGUE.items():
        if name not in (None, each) or (params.get("types") and kind not in params["types"]):
            continue
        offered: dict[str, list[str]] = {}
        for version in sorted(wanted, reverse=True):
            for number in reversed(_versions(each, version)):
                offered.setdefault(number, []).append(version)
        addons.append(
            {
                "addonName": each,
                "type": kind,
                "publisher": "eks",
                "owner": "aws",
                "defaultNamespace": namespace,
                "addonVersions": [
                    {
                        "addonVersion": number,
                        "architecture": ["amd64", "arm64"],
                        "computeTypes": ["ec2", "auto", "hybrid"],
                        "requiresConfiguration": False,
                        "requiresIamPermissions": needs_iam,
                        "compatibilities": [
                            {
                                "clusterVersion": version,
                                "platformVersions": ["*"],
                                "defaultVersion": number == _versions(each, version)[0],
                            }
                            for version in covered
                        ],
                    }
                    for number, covered in offered.items()
                ],
            }
        )
    return {"addons": addons}


def _check(name: str, kubernetes: str, params: dict[str, Any]) -> str:
    if name not in _CATALOGUE:
        raise invalid(f"Addon {name} specified is not supported in {kubernetes} kubernetes version")
    number = params.get("addonVersion") or _versions(name, kubernetes)[0]
    form = _FORM.fullmatch(number)
    # Kubernetes' version skew policy
    skewed = name == "kube-proxy" and form and not 0 <= versions.minor(kubernetes) - int(form[1]) <= 3
    if not form or skewed:
        raise invalid(f"Addon version specified is not supported: {name} {number} on Kubernetes {kubernetes}")
    values = params.get("configurationValues")
    if values:
        try:
            parsed = json.loads(values)
        except ValueError:
            import yaml

            try:
                parsed = yaml.safe_load(values)
            except yaml.YAMLError:
                parsed = None
        if not isinstance(parsed, dict):
            raise invalid(f"ConfigurationValue provided in request is not supported: {name}: not a JSON or YAML object")
    return number


def _find(found: dict[str, Any], name: str) -> dict[str, Any]:
    if name not in found["addons"]:
        raise not_found(f"No addon: {name} found in cluster: {found['cluster']['name']}")
    return found["addons"][name]


def _identities(backend: Backend, found: dict[str, Any], addon: dict[str, Any], wanted: list[dict[str, str]]) -> None:
    """Creates the Pod Identity associations that an add-on names; the add-on owns them."""
    for arn in addon.get("podIdentityAssociations", []):
        found["associations"] = {k: a for k, a in found["associations"].items() if a["associationArn"] != arn}
    namespace = (addon.get("namespaceConfig") or {}).get("namespace") or _CATALOGUE[addon["addonName"]][1]
    made = []
    for each in wanted:
        request = {"clusterName": addon["clusterName"], "namespace": namespace, **each}
        association = access.create_association(backend, request)["association"]
        association["ownerArn"] = addon["addonArn"]
        made.append(association["associationArn"])
    addon["podIdentityAssociations"] = made


def create_addon(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    cluster, name = found["cluster"], params["addonName"]
    if name in found["addons"]:
        raise in_use(f"Addon already exists with name {name} in cluster {cluster['name']}")
    number = _check(name, cluster["version"], params)
    if params.get("serviceAccountRoleArn"):
        roles.check_role(backend, params["serviceAccountRoleArn"])
    addon = {
        "addonName": name,
        "clusterName": cluster["name"],
        "status": "ACTIVE",
        "addonVersion": number,
        "health": {"issues": []},
        "addonArn": backend.arn(f"addon/{cluster['name']}/{name}/{uuid.uuid4()}"),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(params.get("tags") or {}),
        "publisher": "eks",
        "owner": "aws",
    }
    for optional in ("serviceAccountRoleArn", "configurationValues", "namespaceConfig"):
        if params.get(optional):
            addon[optional] = params[optional]
    _identities(backend, found, addon, params.get("podIdentityAssociations") or [])
    found["addons"][name] = addon
    return {"addon": addon}


def describe_addon(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"addon": _find(backend.find(params["clusterName"]), params["addonName"])}


def list_addons(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"addons": sorted(backend.find(params["clusterName"])["addons"])}


def update_addon(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.active(params["clusterName"])
    addon = _find(found, params["addonName"])
    number = _check(addon["addonName"], found["cluster"]["version"], {"addonVersion": addon["addonVersion"], **params})
    if params.get("serviceAccountRoleArn"):
        roles.check_role(backend, params["serviceAccountRoleArn"])
        addon["serviceAccountRoleArn"] = params["serviceAccountRoleArn"]
    if "configurationValues" in params:
        addon["configurationValues"] = params["configurationValues"]
    if "podIdentityAssociations" in params:
        _identities(backend, found, addon, params["podIdentityAssociations"])
    addon["addonVersion"], addon["modifiedAt"] = number, now()
    return clusters.new_update(found, "AddonUpdate", {"AddonVersion": number})


def delete_addon(backend: Backend, params: dict[str, Any]) -> Answer:
    found = backend.find(params["clusterName"])
    addon = _find(found, params["addonName"])
    _identities(backend, found, addon, [])
    del found["addons"][addon["addonName"]]
    return {"addon": {**addon, "status": "DELETING"}}


OPERATIONS = {
    "DescribeAddonVersions": describe_addon_versions,
    "CreateAddon": create_addon,
    "DescribeAddon": describe_addon,
    "ListAddons": list_addons,
    "UpdateAddon": update_addon,
    "DeleteAddon": delete_addon,
}
