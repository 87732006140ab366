"""A managed add-on of EKS (vpc-cni, coredns, the CSI drivers, …), with its version and its IAM permissions."""

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from ..versions import EKS_ADDONS, EKS_SUPPORT
from . import identity, tags
from .identity import PodIdentity, PodIdentityArgs
from .roles import Permissions

_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]*")
_VERSION = re.compile(r"v\d+\.(\d+)\.\d+-eksbuild\.[1-9]\d*", re.ASCII)
_MINOR = re.compile(r"1\.\d+", re.ASCII)


# Add-on → its oldest release that works here, and why.
_OLDEST = {
    # EKS user guide, "Limit Pod traffic with Kubernetes network policies".
    "vpc-cni": ((1, 14, 0), "does not enforce NetworkPolicies, which keep teams apart"),
    "aws-mountpoint-s3-csi-driver": (
        (2, 5, 0),
        "the autoscaler does not remove a node on which this release has mounted a bucket",  # its issue 675
    ),
}


class EksAddonArgs(Permissions):
    """One add-on of one cluster."""

    addon: str
    """Name of the add-on, as `aws eks describe-addon-versions` lists it."""
    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    kubernetes_version: str
    """Kubernetes minor version of the cluster, such as "1.35"."""
    version: NotRequired[str]
    """Exact version of the add-on, such as v1.22.4-eksbuild.3. Default: the version that this library has tested with
    `kubernetes_version`, otherwise EKS's own default, which the preview shows."""
    configuration: NotRequired[dict[str, Any]]
    """Settings of the add-on; `aws eks describe-addon-configuration` prints their schema. Default: none."""
    namespace: NotRequired[str]
    """Namespace of `service_account`: the one in which EKS installs the add-on. Default: `kube-system`."""
    service_account: NotRequired[str]
    """Service account of the add-on that gets a role through EKS Pod Identity. Default: no role."""
    tags: NotRequired[dict[str, str]]
    """Tags for the add-on, its role and its association. Default: none."""


def version_problems(path: str, addon: str, version: str, kubernetes_version: str) -> Iterator[Problem]:
    """What is wrong with the version of an add-on, checked without calling AWS."""
    found = _VERSION.fullmatch(version)
    ask = f"aws eks describe-addon-versions --addon-name {addon} --kubernetes-version {kubernetes_version}"
    if not found:
        yield Problem(
            path, version, "not a version of an EKS add-on (Helm charts have other version numbers)",
            "vX.Y.Z-eksbuild.N, such as v1.22.4-eksbuild.3", f"choose one that EKS offers: {ask}",
        )  # fmt: skip
    elif addon == "kube-proxy" and int(found[1]) > int(kubernetes_version.rpartition(".")[2]):
        # Kubernetes' version skew policy: never newer than the API server.
        yield Problem(
            path, version, f"newer than the cluster's Kubernetes {kubernetes_version}",
            f"v{kubernetes_version}.Z-eksbuild.N", f"choose one that EKS offers: {ask}",
        )  # fmt: skip
    elif addon in _OLDEST and tuple(map(int, re.findall(r"\d+", version)[:3])) < _OLDEST[addon][0]:
        oldest, why = _OLDEST[addon]
        yield Problem(
            path, version, why, f"v{'.'.join(map(str, oldest))}-eksbuild.1 or later",
            f"choose one that EKS offers: {ask}",
        )  # fmt: skip


def versions_problems(
    path: str, versions: Mapping[str, str], kubernetes_version: str, installs: Collection[str] = EKS_ADDONS
) -> Iterator[Problem]:
    """What is wrong with exact versions by name of the add-on. If the version of Kubernetes is unknown, only the names
    are checked. `installs`: the add-ons that the component installs; by default, all that this library installs."""
    for addon, wanted in versions.items():
        if addon not in installs:
            near = [] if addon in EKS_ADDONS else difflib.get_close_matches(addon, installs, n=3, cutoff=0.4)
            yield Problem(
                f"{path}.{addon}", wanted, "not an add-on that is installed here", ", ".join(installs) or "none",
                f"write {' or '.join(near)}" if near else "remove it",
            )  # fmt: skip
        elif kubernetes_version in EKS_SUPPORT:
            yield from version_problems(f"{path}.{addon}", addon, wanted, kubernetes_version)


def kubernetes_problems(version: str) -> Iterator[Problem]:
    """`version` is a minor version of Kubernetes. The cluster checks whether EKS still offers it."""
    if not _MINOR.fullmatch(version):
        yield Problem(
            "kubernetes_version", version, "not a minor version of Kubernetes", "the cluster's, such as 1.35",
            "see `kubectl version`",
        )  # fmt: skip


def problems(args: EksAddonArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    addon, version = args["addon"], args["kubernetes_version"]
    if not _NAME.fullmatch(addon):
        yield Problem("addon", addon, "not a valid name of an add-on", "letters, digits, '-' and '_'", "correct it")
    wrong = list(kubernetes_problems(version))
    yield from wrong
    wanted = args.get("version")
    if wanted is not None and not wrong:
        yield from version_problems("version", addon, wanted, version)
    yield from checks.namespace("namespace", args["namespace"])
    account = args.get("service_account")
    if account:
        yield from identity.account_problems("service_account", account)
        yield from identity.permission_problems(args)
    elif args["namespace"] != arguments.default(EksAddonArgs, "namespace") or any(
        args.get(each) not in (None, "", [], {}) for each in ("policy_arns", "policy", "role_arn")
    ):
        yield Problem(
            "service_account", account, "missing: the permissions would belong to no service account",
            "the name of the add-on's service account",
            "add it, or remove `policy_arns`, `policy`, `role_arn` and `namespace`",
        )  # fmt: skip
    yield from tags.with_tags(args)


def pinned(args: EksAddonArgs) -> str | None:
    """The version to install: the caller's, otherwise the library's; None lets EKS choose."""
    return args.get("version") or EKS_ADDONS.get(args["addon"], {}).get(args["kubernetes_version"])


class EksAddon(pulumi.ComponentResource):
    """A managed add-on of EKS. It replaces a self-managed installation of the same software."""

    version: pulumi.Output[str]
    """The installed version."""

    def __init__(self, name: str, args: EksAddonArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"EksAddon {name}", EksAddonArgs, args, problems,
            lambda given: identity.name_problems(name, given) if given.get("service_account") else [],
        )  # fmt: skip
        super().__init__("gpuyard:index:EksAddon", name, None, opts)
        version: pulumi.Input[str] | None = pinned(args)
        if version is None:
            version = aws.eks.get_addon_version_output(
                addon_name=args["addon"],
                kubernetes_version=args["kubernetes_version"],
                opts=pulumi.InvokeOutputOptions(parent=self),
            ).version
        identities: list[PodIdentity] = []
        associations: list[aws.eks.AddonPodIdentityAssociationArgs] = []
        if account := args.get("service_account"):
            made = PodIdentity(name, _identity(args, account), pulumi.ResourceOptions(parent=self))
            identities.append(made)
            associations.append(
                aws.eks.AddonPodIdentityAssociationArgs(role_arn=made.role_arn, service_account=account)
            )
        configuration = args.get("configuration")
        self.resource = aws.eks.Addon(
            name,
            cluster_name=args["cluster"],
            addon_name=args["addon"],
            addon_version=version,
            configuration_values=json.dumps(configuration, sort_keys=True) if configuration else None,
            pod_identity_associations=associations,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=args.get("tags", {}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=identities),
        )
        """The add-on."""
        self.version = self.resource.addon_version
        self.register_outputs({"version": self.version})


def _identity(args: EksAddonArgs, account: str) -> PodIdentityArgs:
    """The role of the service account. EKS creates the association, together with the add-on."""
    given: Mapping[str, Any] = {**args}
    permissions = {name: given[name] for name in ("policy_arns", "policy", "role_arn") if name in given}
    return {
        "cluster": args["cluster"],
        "namespace": args["namespace"],
        "service_account": account,
        "associate": False,
        "tags": args.get("tags", {}),
        **cast(Permissions, permissions),
    }
