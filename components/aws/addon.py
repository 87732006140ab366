"""One add-on that EKS manages (vpc-cni, coredns, the CSI drivers, …), with its version and its permissions."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem
from ..versions import EKS_ADDONS
from .identity import PodIdentity, PodIdentityArgs

_VERSION = re.compile(r"v\d+\.(\d+)\.\d+-eksbuild\.[1-9]\d*")


# Add-on → its oldest release that works here, and why.
_OLDEST = {
    "aws-mountpoint-s3-csi-driver": (
        (2, 5, 0),
        "the autoscaler takes no node away on which it has mounted a bucket",  # mountpoint-s3-csi-driver#675
    ),
}


class EksAddonArgs(TypedDict):
    """`addon`: EKS's name of it. `cluster`: the cluster's name.
    `versions`: exact ones by add-on name, such as vpc-cni: v1.22.4-eksbuild.3; they go before the library's own
    (`EKS_ADDONS` in components/versions.py), and an add-on with neither gets EKS's default for `kubernetes_version`,
    shown in the preview. `service_account`: its Pod Identity in kube-system, with `policy_arns` (AWS-managed policies)
    and `policy` (a document of our own), or a role that is there already: `role_arn`. `configuration`: its settings."""

    addon: str
    cluster: pulumi.Input[str]
    cluster_name: NotRequired[str]
    kubernetes_version: str
    versions: NotRequired[dict[str, str]]
    service_account: NotRequired[str]
    policy_arns: NotRequired[list[str]]
    policy: NotRequired[dict[str, Any]]
    role_arn: NotRequired[pulumi.Input[str]]
    configuration: NotRequired[dict[str, Any]]
    tags: NotRequired[dict[str, str]]


def version_problems(path: str, addon: str, version: str, kubernetes_version: str) -> Iterator[Problem]:
    """What is wrong with a version of an add-on, seen without asking EKS."""
    found = _VERSION.fullmatch(version)
    ask = f"aws eks describe-addon-versions --addon-name {addon} --kubernetes-version {kubernetes_version}"
    if not found:
        yield Problem(
            path, version, "no version of an EKS add-on (a Helm chart's version is another one)",
            "vX.Y.Z-eksbuild.N, such as v1.22.4-eksbuild.3", f"take one that EKS offers: {ask}",
        )  # fmt: skip
    elif addon == "kube-proxy" and int(found[1]) > int(kubernetes_version.rpartition(".")[2]):
        # Kubernetes' version skew policy: never newer than the API server.
        yield Problem(
            path, version, f"newer than the cluster's Kubernetes {kubernetes_version}",
            f"v{kubernetes_version}.Z-eksbuild.N", f"take one that EKS offers: {ask}",
        )  # fmt: skip
    elif addon in _OLDEST and tuple(map(int, re.findall(r"\d+", version)[:3])) < _OLDEST[addon][0]:
        oldest, why = _OLDEST[addon]
        yield Problem(
            path, version, why, f"v{'.'.join(map(str, oldest))}-eksbuild.1 or later", f"take one that EKS offers: {ask}"
        )


def problems(args: EksAddonArgs) -> Iterator[Problem]:
    """Everything that is wrong with an add-on's arguments, seen without asking AWS."""
    addon = args["addon"]
    version = args.get("versions", {}).get(addon)
    if version is not None:
        yield from version_problems(f"versions.{addon}", addon, version, args["kubernetes_version"])
    if not args.get("service_account") and any(args.get(right) for right in ("policy_arns", "policy", "role_arn")):
        yield Problem(
            "service_account", None, "missing: nobody would have the permissions",
            "the add-on's service account in kube-system", "name it, or leave policy_arns, policy and role_arn out",
        )  # fmt: skip


def pinned(args: EksAddonArgs) -> str | None:
    """The version to install: the caller's, else the library's own; None leaves it to EKS."""
    addon = args["addon"]
    return args.get("versions", {}).get(addon) or EKS_ADDONS.get(addon, {}).get(args["kubernetes_version"])


class EksAddon(pulumi.ComponentResource):
    """A managed add-on, installed over whatever self-managed copy is there."""

    version: pulumi.Output[str]
    """The version that is installed."""

    def __init__(self, name: str, args: EksAddonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksAddon", name, None, opts)
        checks.refuse(problems(args), f"EksAddon {name}")
        tags = args.get("tags", {})
        version: pulumi.Input[str] | None = pinned(args)
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
            rights: PodIdentityArgs = {
                "cluster": args["cluster"],
                "namespace": "kube-system",
                "service_account": account,
                "policy_arns": args.get("policy_arns", []),
                "associate": False,
                "role_arn": args.get("role_arn", ""),
                "tags": tags,
            }
            policy = args.get("policy")
            if policy is not None:
                rights["policy"] = policy
            identity = PodIdentity(name, rights, pulumi.ResourceOptions(parent=self))
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
