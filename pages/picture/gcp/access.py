"""The tables of permissions: the project's APIs, the deployer's roles, and the roles that stacks grant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from recording.recording import Resource

from ..tables import only_in, table
from .choices import HOST
from .facts import Stack

# API → what needs it.
APIS = {
    "artifactregistry": "the project's own images",
    "binaryauthorization": "which images may run",
    "cloudkms": "your own key for secrets",
    "cloudresourcemanager": "roles on the project",
    "compute": "network, machines, disks",
    "container": "GKE",
    "containerfilesystem": "image streaming",
    "dns": "names within the cluster",
    "file": "Filestore",
    "iam": "the account of the nodes",
    "iamcredentials": "Workload Identity Federation",
    "logging": "logs",
    "monitoring": "metrics",
    "storage": "buckets as volumes",
}

# Role → what it is for, and the types of resources and look-ups that need it.
DEPLOYER: dict[str, tuple[str, tuple[str, ...]]] = {
    "roles/serviceusage.serviceUsageAdmin": (
        "enable APIs",
        ("gcp:projects/service:Service", "gcp:projects/serviceIdentity:ServiceIdentity"),
    ),
    "roles/compute.networkAdmin": (
        "network, subnetwork, router and NAT",
        (
            "gcp:compute/network:Network",
            "gcp:compute/subnetwork:Subnetwork",
            "gcp:compute/router:Router",
            "gcp:compute/routerNat:RouterNat",
        ),
    ),
    "roles/compute.viewer": (
        "look up what zones offer, at preview",
        ("gcp:compute/getMachineTypes:getMachineTypes",),
    ),
    "roles/container.admin": (
        "cluster and node pools, and everything in the cluster",
        (
            "gcp:container/cluster:Cluster",
            "gcp:container/nodePool:NodePool",
            "gcp:container/getEngineVersions:getEngineVersions",
            "gcp:organizations/getProject:getProject",
        ),
    ),
    "roles/iam.serviceAccountAdmin": ("the account of the nodes", ("gcp:serviceaccount/account:Account",)),
    "roles/iam.serviceAccountUser": ("nodes that run as that account", ("gcp:container/nodePool:NodePool",)),
    "roles/resourcemanager.projectIamAdmin": (
        "the account's roles on the project; give it a [condition](security.md#google-cloud)",
        ("gcp:projects/iAMMember:IAMMember",),
    ),
    "roles/file.editor": ("the Filestore instance", ("gcp:filestore/instance:Instance",)),
    "roles/storage.admin, on the buckets": (
        "the pods' roles on them",
        ("gcp:storage/bucketIAMMember:BucketIAMMember",),
    ),
    "roles/cloudkms.admin": (
        "key ring, key, and GKE's right to use it",
        (
            "gcp:kms/keyRing:KeyRing",
            "gcp:kms/cryptoKey:CryptoKey",
            "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        ),
    ),
    "roles/compute.networkUser, in the host project": (
        "read the network and use it",
        ("gcp:compute/getNetwork:getNetwork", "gcp:compute/getSubnetwork:getSubnetwork"),
    ),
    "roles/iam.securityAdmin, in the host project": (
        "the roles of GKE's agents there",
        ("gcp:compute/subnetworkIAMMember:SubnetworkIAMMember",),
    ),
}

# Role that a stack grants → why.
REASONS = {
    "roles/container.defaultNodeServiceAccount": "Nodes write logs and metrics; it is GKE's minimum.",
    "roles/artifactregistry.reader": "Nodes pull images from the project's registries.",
    "roles/serviceusage.serviceUsageConsumer": "Image streaming counts against the project's quota.",
    "roles/storage.objectViewer": "Pods read and list a bucket that they mount.",
    "roles/storage.objectUser": "Pods also write and delete if the volume is writable.",
    "roles/cloudkms.cryptoKeyEncrypterDecrypter": "GKE encrypts secrets with the key.",
    "roles/compute.networkUser": "GKE puts nodes into a subnetwork of the host project.",
    "roles/container.clusterViewer": "Members of a team configure kubectl; it allows nothing in a cluster.",
    "roles/monitoring.viewer": "KEDA asks Google's managed Prometheus.",
    "roles/container.hostServiceAgentUser": "GKE sets up the host project's network for the cluster.",
}


def apis(stacks: Sequence[Stack], chosen: Sequence[Stack]) -> str:
    """Every API that a stack enables.

    Raises:
        KeyError: `APIS` does not have it.
    """
    found: dict[str, list[str]] = {}
    for stack in [*stacks, *chosen]:
        for service in stack.all("gcp:projects/service:Service"):
            found.setdefault(service.inputs["service"].partition(".")[0], []).append(stack.name)
    _known(found, APIS, "APIS", "what needs the API")
    only = only_in(found, [stack.name for stack in stacks])
    return table(["API", "for"], [[f"`{name}.googleapis.com`{only[name]}", APIS[name]] for name in sorted(found)])


def deployer(stacks: Sequence[Stack], chosen: Sequence[Stack]) -> str:
    """The roles that `pulumi up` needs, by the types of the registered resources.

    Raises:
        KeyError: `DEPLOYER` has no role for a type.
    """
    found: dict[str, list[str]] = {}
    for stack in [*stacks, *chosen]:
        made = {resource.type for resource in stack.made.resources.values() if resource.package == "gcp"}
        for kind in sorted(made | {call.token for call in stack.made.invokes}):
            roles = [role for role, (_, kinds) in DEPLOYER.items() if kind in kinds]
            if not roles:
                raise KeyError(f"add to DEPLOYER in pages/picture/gcp/access.py: which role {kind} needs")
            for role in roles:
                found.setdefault(role, []).append(stack.name)
    only = only_in(found, [stack.name for stack in stacks])
    rows = []
    for role, (why, _) in DEPLOYER.items():
        if role in found:
            name, _, where = role.partition(", ")
            rows.append([f"`{name}`{f' {where}' if where else ''}{only[role]}", why])
    return table(["role", "for"], rows)


def identity(stacks: Sequence[Stack], chosen: Sequence[Stack]) -> str:
    """Every role that a stack grants, once.

    Raises:
        KeyError: `REASONS` does not have the role.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for stack in [*stacks, *chosen]:
        kinds = ("IAMMember", "BucketIAMMember", "CryptoKeyIAMMember", "SubnetworkIAMMember")
        for member in chain.from_iterable(stack.all(kind) for kind in kinds):
            key = _who(stack, member), member.inputs["role"], _on(member)
            found.setdefault(key, []).append(stack.name)
    _known([role for _, role, _ in found], REASONS, "REASONS", "why a stack grants")
    only = only_in(found, [stack.name for stack in stacks])
    order = list(REASONS)
    rows = [
        [f"{key[0]}{only[key]}", f"`{key[1]}`", key[2], REASONS[key[1]]]
        for key in sorted(found, key=lambda key: (order.index(key[1]), key))
    ]
    return table(["who", "gets", "on", "why"], rows)


def _known(found: Sequence[str] | dict[str, list[str]], known: dict[str, str], name: str, what: str) -> None:
    for each in found:
        if each not in known:
            raise KeyError(f"add to {name} in pages/picture/gcp/access.py: {what} {each}")


def _who(stack: Stack, member: Resource) -> str:
    principal = member.inputs["member"]
    for account in stack.all("gcp:serviceaccount/account:Account"):
        if principal == account.outputs["member"]:
            return f"the nodes' account `{stack.plain(account.inputs['accountId'])}`"
    if found := re.search(r"/subject/ns/([^/]+)/sa/([^/]+)$", principal):
        return f"pods of `{found[1]}/{found[2]}`"
    if found := re.search(r"/namespace/([^/]+)$", principal):
        return f"pods of the namespace `{found[1]}`"
    if principal.endswith("@container-engine-robot.iam.gserviceaccount.com"):
        return "GKE's agent of the project"
    if principal.endswith("@cloudservices.gserviceaccount.com"):
        return "the APIs' agent of the project"
    if principal.startswith(("group:", "user:")):
        return "members of teams"
    raise KeyError(f"add a name for {principal} in pages/picture/gcp/access.py")


def _on(member: Resource) -> str:
    inputs, kind = member.inputs, member.type.rpartition(":")[2]
    if kind == "BucketIAMMember":
        return f"bucket `{inputs['bucket']}`" + (f", {inputs['condition']['title']}" if "condition" in inputs else "")
    if kind == "CryptoKeyIAMMember":
        return "the key"
    project = "the host project" if inputs.get("project") == HOST else "the project"
    return f"the subnetwork, in {project}" if kind == "SubnetworkIAMMember" else project
