"""What pulumi-eks configures in the VPC CNI add-on: `vpcCniOptions` as the add-on's JSON configuration.

Not here: whether the add-on is made at all (`eks_cluster.py`).
Source of facts: pulumi-eks 4.4.0, nodejs/eks/addons (August 2026).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_ENV = (
    # (option, environment variable of the aws-node container, value when the option is not set; None: leave it out)
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
    # Comes after customNetworkConfig and overwrites it, as it does in the real component.
    ("cniCustomNetworkCfg", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG", "false"),
    ("externalSnat", "AWS_VPC_K8S_CNI_EXTERNALSNAT", "false"),
)


def text(value: Any) -> str:
    """A value as the add-on's environment spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    """The add-on's configuration values; what the user gives in `configurationValues` wins."""
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
    """An add-on's configuration as the string that EKS stores: sorted keys, so that a preview shows no false change."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
