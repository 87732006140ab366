"""Combinations of `eks.Cluster` arguments that pulumi-eks refuses, as a pure function of the wire's camelCase inputs.

Purpose: a program that sets two mutually exclusive arguments fails here as it does with the real component, under the
name of the argument. Does not check for unknown or misspelled arguments (`schema.py`).
An unknown value (a Pulumi `Output`) counts as set.
Source of facts: pulumi-eks 4.4.0, nodejs/eks (cluster, authenticationMode, nodegroup), read August 2026.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .provider import CheckFailure

MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")

SINGULAR_NODE_OPTIONS = (
    "nodeSubnetIds",
    "nodeAssociatePublicIpAddress",
    "instanceType",
    "instanceProfileName",
    "nodePublicKey",
    "nodeRootVolumeSize",
    "nodeUserData",
    "minSize",
    "maxSize",
    "desiredCapacity",
    "nodeAmiId",
    "gpu",
)
"""Cluster arguments that each describe one property of the default node group; `nodeGroupOptions` replaces them all."""


def uses_config_map(mode: str | None) -> bool:
    """Whether this authentication mode uses the aws-auth ConfigMap; so does EKS' default without a mode."""
    return mode in (None, "CONFIG_MAP", "API_AND_CONFIG_MAP")


def uses_access_entries(mode: str | None) -> bool:
    """Whether this authentication mode uses access entries."""
    return mode in ("API", "API_AND_CONFIG_MAP")


def auto_mode(args: Mapping[str, Any]) -> bool:
    """Whether EKS Auto Mode is enabled."""
    return bool((args.get("autoMode") or {}).get("enabled"))


def has_default_node_group(args: Mapping[str, Any]) -> bool:
    """Whether the component creates a default node group."""
    return not (args.get("skipDefaultNodeGroup") or args.get("fargate") or auto_mode(args))


def makes_instance_role(args: Mapping[str, Any]) -> bool:
    """Whether the component creates the nodes' role: on request, or because the default node group needs it."""
    if args.get("instanceRoles") or args.get("instanceRole"):
        return False
    wanted = args.get("createInstanceRole")
    return bool(wanted) if wanted is not None else not args.get("skipDefaultNodeGroup")


def conflicts(args: Mapping[str, Any]) -> list[CheckFailure]:
    """Every combination in `args` that the real component refuses, each under the argument to change."""
    return [CheckFailure(name, reason) for name, reason in (*_cluster(args), *_node_group(args))]


def _cluster(args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    mode = args.get("authenticationMode")
    if mode is not None and mode not in MODES:
        yield "authenticationMode", f"{mode!r} is not an authentication mode; allowed: {', '.join(MODES)}."
        return
    if not uses_config_map(mode):
        for name in ("roleMappings", "userMappings", "instanceRoles"):
            if args.get(name):
                yield name, f"{name} must be empty when authenticationMode is {mode}."
    if args.get("accessEntries") and not uses_access_entries(mode):
        state = f"{mode}" if mode else "not set"
        yield "accessEntries", f"accessEntries is not supported when authenticationMode is {state}."
    if auto_mode(args) and not uses_access_entries(mode):
        yield "autoMode", "EKS Auto Mode needs access entries: set authenticationMode to API or API_AND_CONFIG_MAP."
    if args.get("instanceRole") and args.get("instanceRoles"):
        yield "instanceRole", "instanceRole and instanceRoles are mutually exclusive, set one of them."
    if args.get("subnetIds") and (args.get("publicSubnetIds") or args.get("privateSubnetIds")):
        yield "subnetIds", "subnetIds and publicSubnetIds/privateSubnetIds are mutually exclusive, choose one approach."
    if args.get("publicAccessCidrs") and args.get("endpointPublicAccess") is False:
        yield "publicAccessCidrs", "publicAccessCidrs can only be set when endpointPublicAccess is true."
    if (args.get("creationRoleProvider") or {}).get("provider"):
        yield "creationRoleProvider", "its provider works in Node.js programs only, use providerCredentialOpts."
    cni = args.get("vpcCniOptions") or {}
    if cni.get("cniExternalSnat") and cni.get("externalSnat"):
        yield "vpcCniOptions", "cniExternalSnat and externalSnat are mutually exclusive, set one of them."
    if args.get("fargate"):
        yield "fargate", "the sandbox does not simulate Fargate; omit it here, or use a real account."


def _node_group(args: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    options = args.get("nodeGroupOptions")
    singular = [name for name in SINGULAR_NODE_OPTIONS if args.get(name)]
    if options and singular:
        yield "nodeGroupOptions", f"nodeGroupOptions and {', '.join(singular)} are mutually exclusive."
        return
    if not has_default_node_group(args):
        return
    group = options or {**args, "amiId": args.get("nodeAmiId")}
    profile = group.get("instanceProfile") or group.get("instanceProfileName")
    if not (makes_instance_role(args) or args.get("instanceRole") or profile):
        yield "instanceProfileName", "the default node group needs an instance role, or the name of a profile."
    for one, other in (
        ("amiId", "gpu"),
        ("nodePublicKey", "keyName"),
        ("nodeSecurityGroup", "nodeSecurityGroupId"),
        ("clusterIngressRule", "clusterIngressRuleId"),
        ("instanceProfile", "instanceProfileName"),
    ):
        if group.get(one) and group.get(other):
            yield one, f"{one} and {other} are mutually exclusive."
    if group.get("nodeRootVolumeIops") and group.get("nodeRootVolumeType") != "io1":
        yield "nodeRootVolumeIops", "provisioned IOPS need a root volume of type io1."
    if group.get("nodeRootVolumeThroughput") and group.get("nodeRootVolumeType") != "gp3":
        yield "nodeRootVolumeThroughput", "provisioned throughput needs a root volume of type gp3."
