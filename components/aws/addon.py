"""One add-on that EKS manages (vpc-cni, coredns, the CSI drivers, …), with its version and its permissions."""

import json
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .identity import PodIdentity


class EksAddonArgs(TypedDict):
    """`addon`: EKS's name of it. `cluster`: the cluster's name as an output, `cluster_name` the same as plain text.
    `version`: exact, such as v1.21.1-eksbuild.1; without it, EKS's default for `kubernetes_version`, shown in the
    preview. `service_account` and `policy_arns`: its Pod Identity in kube-system. `configuration`: its settings."""

    addon: str
    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    version: NotRequired[str]
    service_account: NotRequired[str]
    policy_arns: NotRequired[list[str]]
    configuration: NotRequired[dict[str, Any]]
    tags: NotRequired[dict[str, str]]


class EksAddon(pulumi.ComponentResource):
    """A managed add-on, installed over whatever self-managed copy is there, removed with the cluster's last use of it."""

    version: pulumi.Output[str]
    """The version that is installed."""

    def __init__(self, name: str, args: EksAddonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksAddon", name, None, opts)
        tags = args.get("tags", {})
        version: pulumi.Input[str] | None = args.get("version")
        if version is None:
            version = aws.eks.get_addon_version_output(
                addon_name=args["addon"],
                kubernetes_version=args["kubernetes_version"],
                opts=pulumi.InvokeOutputOptions(parent=self),
            ).version
        account = args.get("service_account")
        associations = []
        if account:
            identity = PodIdentity(
                name,
                {
                    "cluster_name": args["cluster_name"],
                    "namespace": "kube-system",
                    "service_account": account,
                    "policy_arns": args.get("policy_arns", []),
                    "associate": False,
                    "tags": tags,
                },
                pulumi.ResourceOptions(parent=self),
            )
            associations = [{"role_arn": identity.ready, "service_account": account}]
        configuration = args.get("configuration")
        addon = aws.eks.Addon(
            name,
            cluster_name=args["cluster"],
            addon_name=args["addon"],
            addon_version=version,
            configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
            pod_identity_associations=associations,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.version = addon.addon_version
        self.register_outputs({"version": self.version})
