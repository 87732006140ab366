"""The add-ons that pulumi-eks creates, and its configuration of the VPC CNI.

Does not decide which add-ons a cluster gets (`eks_cluster.py`).
Source of facts: pulumi-eks 4.4.0, nodejs/eks/addons and cluster (August 2026).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import Output, ResourceOptions

_ENV = (
    # (option, environment variable of the aws-node container, value if the option is not set; None: omit it)
    ("nodePortSupport", "AWS_VPC_CNI_NODE_PORT_SUPPORT", None),
    ("customNetworkConfig", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", None),
    ("warmEniTarget", "WARM_ENI_TARGET", "1"),
    ("warmIpTarget", "WARM_IP_TARGET", None),
    ("warmPrefixTarget", "WARM_PREFIX_TARGET", None),
    ("enablePrefixDelegation", "ENABLE_PREFIX_DELEGATION", None),
    ("logLevel", "AWS_VPC_K8S_CNI_LOGLEVEL", "DEBUG"),
    ("logFile", "AWS_VPC_K8S_CNI_LOG_FILE", "/host/var/log/aws-routed-eni/ipamd.log"),
    ("vethPrefix", "AWS_VPC_K8S_CNI_VETHPREFIX", "eni"),
    ("eniMtu", "AWS_VPC_ENI_MTU", "9001"),
    ("eniConfigLabelDef", "ENI_CONFIG_LABEL_DEF", None),
    ("pluginLogLevel", "AWS_VPC_K8S_PLUGIN_LOG_LEVEL", "DEBUG"),
    ("pluginLogFile", "AWS_VPC_K8S_PLUGIN_LOG_FILE", "/var/log/aws-routed-eni/plugin.log"),
    ("enablePodEni", "ENABLE_POD_ENI", "false"),
    ("cniConfigureRpfilter", "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER", None),
    # Applied after customNetworkConfig and overwrites it, as in the real component.
    ("cniCustomNetworkCfg", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "false"),
    ("externalSnat", "AWS_VPC_K8S_CNI_EXTERNALSNAT", "false"),
)


def text(value: Any) -> str:
    """A value as a string for the add-on's environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    """The add-on's configuration values. The user's `configurationValues` take precedence."""
    options = {**options, "externalSnat": options.get("externalSnat") or options.get("cniExternalSnat")}
    env = {}
    for option, variable, default in _ENV:
        if options.get(option):
            env[variable] = text(options[option])
        elif default is not None:
            env[variable] = default
    init_env = {"DISABLE_TCP_EARLY_DEMUX": text(options.get("disableTcpEarlyDemux") or False)}
    config = dict(options.get("configurationValues") or {})
    if options.get("enableNetworkPolicy") is not None:
        config.setdefault("enableNetworkPolicy", text(options["enableNetworkPolicy"]))
    init = dict(config.get("init") or {})
    config["env"] = {**env, **(config.get("env") or {})}
    config["init"] = {**init, "env": {**init_env, **(init.get("env") or {})}}
    return config


def to_json(values: Any) -> str:
    """An add-on's configuration as the string that EKS stores; sorted keys, so that a preview shows no false change."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def newest(addon: str, cluster: aws.eks.Cluster, parent: pulumi.Resource) -> Output[str]:
    """The newest version of an add-on for the cluster's Kubernetes version."""
    found = aws.eks.get_addon_version_output(
        addon_name=addon,
        kubernetes_version=cluster.version,
        most_recent=True,
        opts=pulumi.InvokeOutputOptions(parent=parent),
    )
    return found.version


def managed(
    label: str, addon: str, options: Mapping[str, Any], cluster: aws.eks.Cluster, tags: Any, parent: pulumi.Resource
) -> aws.eks.Addon:
    """`LABEL-ADDON` with the options that kube-proxy and CoreDNS share."""
    values = options.get("configurationValues")
    return aws.eks.Addon(
        f"{label}-{addon}",
        cluster_name=cluster.name,
        addon_name=addon,
        preserve=True,
        tags=tags,
        resolve_conflicts_on_create=options.get("resolveConflictsOnCreate") or "OVERWRITE",
        resolve_conflicts_on_update=options.get("resolveConflictsOnUpdate") or "OVERWRITE",
        addon_version=options.get("version") or newest(addon, cluster, parent),
        configuration_values=Output.from_input(values).apply(to_json) if values else None,
        opts=ResourceOptions(parent=parent),
    )


class VpcCniAddon(pulumi.ComponentResource):
    """The managed VPC CNI add-on with pulumi-eks' configuration."""

    addon: aws.eks.Addon

    def __init__(
        self, name: str, options: Mapping[str, Any], cluster: aws.eks.Cluster, tags: Any, opts: ResourceOptions
    ) -> None:
        super().__init__("eks:index:VpcCniAddon", name, None, opts)
        child = ResourceOptions(parent=self)
        self.addon = aws.eks.Addon(
            name,
            cluster_name=cluster.name,
            addon_name="vpc-cni",
            addon_version=options.get("addonVersion") or newest("vpc-cni", cluster, self),
            resolve_conflicts_on_create=options.get("resolveConflictsOnCreate") or "OVERWRITE",
            resolve_conflicts_on_update=options.get("resolveConflictsOnUpdate") or "OVERWRITE",
            preserve=True,
            configuration_values=Output.from_input(dict(options)).apply(lambda known: to_json(configuration(known))),
            service_account_role_arn=options.get("serviceAccountRoleArn"),
            tags=tags,
            opts=child,
        )
        if options.get("securityContextPrivileged"):
            container = {"name": "aws-node", "securityContext": {"privileged": True}}
            spec: Any = {"template": {"spec": {"containers": [container]}}}
            kubernetes.apps.v1.DaemonSetPatch(
                name,
                metadata={
                    "name": "aws-node",
                    "namespace": "kube-system",
                    "annotations": {"pulumi.com/patchForce": "true"},
                },
                spec=spec,
                opts=ResourceOptions(parent=self, depends_on=[self.addon], retain_on_delete=True),
            )
        self.register_outputs({"addon": self.addon})
