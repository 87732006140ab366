"""One add-on that EKS manages (vpc-cni, coredns, the CSI drivers, …), with its version and its permissions."""

import json
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .identity import PodIdentity


class EksAddonArgs(TypedDict):
    """`addon`: EKS's name of it. `cluster`: the cluster's name as an output, `cluster_name` the same as plain text.
    `versions`: exact ones by add-on name, such as vpc-cni: v1.21.1-eksbuild.1; an add-on that is not named gets EKS's
    default for `kubernetes_version`, shown in the preview. `service_account` and `policy_arns`: its Pod Identity in
    kube-system. `configuration`: its settings."""

    addon: str
    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    versions: NotRequired[dict[str, str]]
    service_account: NotRequired[str]
    policy_arns: NotRequired[list[str]]
    configuration: NotRequired[dict[str, Any]]
    tags: NotRequired[dict[str, str]]


class EksAddon(pulumi.ComponentResource):
    """A managed add-on, installed over whatever self-managed copy is there."""

    version: pulumi.Output[str]
    """The version that is installed."""

    def __init__(self, name: str, args: EksAddonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksAddon", name, None, opts)
        tags = args.get("tags", {})
        version: pulumi.Input[str] | None = args.get("versions", {}).get(args["addon"])
        if version is None:
            version = aws.eks.get_addon_version_output(
                addon_name=args["addon"],
                kubernetes_version=args["kubernetes_version"],
                opts=pulumi.InvokeOutputOptions(parent=self),
            ).version
        account = args.get("service_account")
        identities: list[PodIdentity] = []
        associations: list[aws.eks.AddonPodIdentityAssociationArgs] = []
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
            identities.append(identity)
            associations.append(
                aws.eks.AddonPodIdentityAssociationArgs(role_arn=identity.role_arn, service_account=account)
            )
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
            opts=pulumi.ResourceOptions(parent=self, depends_on=identities),
        )
        self.version = addon.addon_version
        self.register_outputs({"version": self.version})
