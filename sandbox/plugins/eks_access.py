"""Access to a cluster of pulumi-eks: its kubeconfig, the aws-auth ConfigMap and the access entries.

Source of facts: pulumi-eks 4.4.0, nodejs/eks/cluster (cluster, authenticationMode; August 2026).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import yaml
from pulumi import Output, ResourceOptions

_NODE_GROUPS = ["system:bootstrappers", "system:nodes"]
_NODE_USER = "system:node:{{EC2PrivateDNSName}}"


def kubeconfig(
    name: Any, endpoint: Any, ca_data: Any, arn: Any, credentials: Any = None, profile: bool = False
) -> Output[dict[str, Any]]:
    """The kubeconfig that pulumi-eks writes: `aws eks get-token` with the region of the cluster's ARN.

    credentials: `{roleArn, profileName}` or None; the profile's name is included only if `profile` is set.
    """

    def write(known: list[Any]) -> dict[str, Any]:
        name, endpoint, ca_data, arn, credentials = known
        args = ["--region", arn.split(":")[3], "eks", "get-token", "--cluster-name", name, "--output", "json"]
        if credentials and credentials.get("roleArn"):
            args += ["--role", credentials["roleArn"]]
        if profile and credentials and credentials.get("profileName"):
            args += ["--profile", credentials["profileName"]]
        version = "client.authentication.k8s.io/v1beta1"
        env = [{"name": "KUBERNETES_EXEC_INFO", "value": json.dumps({"apiVersion": version})}]
        login = {"apiVersion": version, "command": "aws", "args": args, "env": env}
        server = {"server": endpoint, "certificate-authority-data": ca_data}
        return {
            "apiVersion": "v1",
            "clusters": [{"cluster": server, "name": "kubernetes"}],
            "contexts": [{"context": {"cluster": "kubernetes", "user": "aws"}, "name": "aws"}],
            "current-context": "aws",
            "kind": "Config",
            "users": [{"name": "aws", "user": {"exec": login}}],
        }

    return Output.all(name, endpoint, ca_data, arn, credentials).apply(write)


def to_json(document: Any) -> str:
    """JSON as JavaScript writes it: no spaces between the tokens."""
    return json.dumps(document, separators=(",", ":"))


def config_map(
    name: str, instance_roles: Any, args: Mapping[str, Any], opts: ResourceOptions
) -> kubernetes.core.v1.ConfigMap:
    """aws-auth: the nodes' roles, `roleMappings` and `userMappings` of the cluster's arguments."""
    arns = Output.from_input(instance_roles).apply(lambda roles: Output.all(*[role.arn for role in roles]))

    def roles(known: list[Any]) -> str:
        mappings, nodes = known
        entries = [_mapping("role", entry) for entry in mappings]
        entries += [{"rolearn": arn, "username": _NODE_USER, "groups": _NODE_GROUPS} for arn in nodes]
        return yaml.safe_dump(entries, sort_keys=False)

    data: dict[str, Any] = {"mapRoles": Output.all(args.get("roleMappings") or [], arns).apply(roles)}
    if args.get("userMappings"):
        data["mapUsers"] = Output.from_input(args["userMappings"]).apply(
            lambda known: yaml.safe_dump([_mapping("user", entry) for entry in known], sort_keys=False)
        )
    return kubernetes.core.v1.ConfigMap(
        name,
        immutable=False,
        metadata={
            "name": "aws-auth",
            "namespace": "kube-system",
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        data=data,
        opts=opts,
    )


def _mapping(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind}arn": entry[f"{kind}Arn"], "username": entry["username"], "groups": entry["groups"]}


def entries(
    label: str, wanted: Mapping[str, Mapping[str, Any]], cluster: aws.eks.Cluster, parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """One access entry for each item, with its policy associations as children."""
    made: list[pulumi.Resource] = []
    for key, entry in wanted.items():
        access = aws.eks.AccessEntry(
            f"{label}-{key}",
            cluster_name=cluster.name,
            principal_arn=entry["principalArn"],
            user_name=entry.get("username"),
            kubernetes_groups=entry.get("kubernetesGroups"),
            type=entry.get("type"),
            tags=entry.get("tags"),
            opts=ResourceOptions(parent=parent, depends_on=[cluster]),
        )
        made.append(access)
        for policy, association in (entry.get("accessPolicies") or {}).items():
            known = Output.from_input(association)
            aws.eks.AccessPolicyAssociation(
                f"{label}-{key}-{policy}",
                cluster_name=cluster.name,
                principal_arn=entry["principalArn"],
                policy_arn=known["policyArn"],
                access_scope=known["accessScope"],
                opts=ResourceOptions(parent=access, depends_on=[access]),
            )
    return made
