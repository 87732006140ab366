"""The tables of docs/aws.md: add-ons, permissions, quotas, and the differences between the example stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic.alias_generators import to_camel

from components.aws import addons as addon_table
from components.aws.addons import Addon
from components.aws.roles import PODS
from recording.recording import Resource

from .. import tables
from ..recorded import NONE, Group, joined
from ..tables import table
from .facts import BLOCK, Stack, document, listed

# Who assumes a role (a service, or a service account) → why it exists. Add-ons of the table have theirs in their rows.
REASONS = {
    "eks.amazonaws.com": "The control plane creates network interfaces in the VPC and load balancers for services.",
    "ec2.amazonaws.com": "A node only joins the cluster and pulls images: pods have separate roles.",
    "vpc-flow-logs.amazonaws.com": "The VPC writes its traffic log into one log group.",
    "aws-node": "The VPC CNI gives each pod an address; not with the nodes' role, which others could use.",
    "ebs-csi-controller-sa": "The EBS driver creates, attaches, grows and snapshots volumes that have its tag.",
    "efs-csi-controller-sa": "The EFS driver creates an access point with its own directory for each shared volume.",
    "fsx-csi-controller-sa": "The Lustre driver looks up the existing file system; it creates and deletes none.",
    "s3-csi-driver-sa": "The S3 driver reads the buckets below their prefixes, and writes if a volume is writable.",
    # The service account of a team in the production example.
    "trainer": "A team's pods read the buckets that the team names, and write if the volume is writable.",
}  # fmt: skip


def reasons() -> dict[str, str]:
    """`REASONS`, and those of the table of add-ons."""
    rows = {row.permissions.service_account: row.permissions.reason for row in addon_table.ADDONS if row.permissions}
    return REASONS | rows


# Names as Service Quotas shows them.
QUOTAS = {
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "L-34B43A08": "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests",
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
    "L-417A185B": "Running On-Demand P instances",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
}

_ACCOUNT = "aws:RequestTag/kubernetes-service-account"
_NAMESPACE = "aws:RequestTag/kubernetes-namespace"


# -- identity ---------------------------------------------------------------------------------------------------------


def identity(stacks: Sequence[Stack]) -> str:
    """Every role of every stack, once.

    Raises:
        KeyError: `reasons` does not have the service or the service account that assumes a role.
    """
    known = reasons()
    rows: dict[tuple[int, str, str, str], list[str]] = {}
    for stack in stacks:
        for role in stack.all("aws:iam/role:Role"):
            taker, shown = _taker(role)
            if taker not in known:
                raise KeyError(f"role {role.name}: write in pages/picture/aws/tables.py, REASONS, why {taker} has it")
            key = list(known).index(taker), role.name, shown, "<br>".join(_rights(stack, role))
            rows.setdefault(key, []).append(stack.name)
    lines = []
    only = tables.only_in(rows, [stack.name for stack in stacks])
    for order, name, shown, rights in sorted(rows):
        where = only[order, name, shown, rights]
        lines.append([f"`{name}`{where}", shown, rights, list(known.values())[order]])
    return table(["role", "assumed by", "permissions", "why"], lines)


def _taker(role: Resource) -> tuple[str, str]:
    """Who may assume a role: the key of its reason, and the text on the page."""
    (statement,) = document(role.inputs["assumeRolePolicy"])
    (service,) = listed(statement["Principal"]["Service"])
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    if _ACCOUNT in wanted:
        return wanted[_ACCOUNT], f"pods of `{wanted[_NAMESPACE]}/{wanted[_ACCOUNT]}`"
    return service, f"`{service}`"


def _rights(stack: Stack, role: Resource) -> list[str]:
    attached = [
        each.inputs["policyArn"] for each in stack.all("RolePolicyAttachment") if each.inputs["role"] == role.id
    ]
    rights = [f"AWS's policy `{arn.rpartition('/')[2]}`" for arn in attached]
    for policy in stack.all("RolePolicy"):
        if policy.inputs["role"] == role.id:
            rights += [stack.plain(_statement(each)) for each in document(policy.inputs["policy"])]
    return rights


def _statement(statement: Mapping[str, Any]) -> str:
    services: dict[str, list[str]] = {}
    for action in listed(statement["Action"]):
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    actions = "; ".join(f"{service}: {', '.join(names)}" for service, names in services.items())
    on = ", ".join(f"`{resource}`" for resource in listed(statement["Resource"]))
    where = [
        f"`{key}` is {joined(f'`{value}`' for value in listed(values))}"
        for wanted in statement.get("Condition", {}).values()
        for key, values in wanted.items()
    ]
    refused = "not " if statement["Effect"] == "Deny" else ""
    return f"{refused}{actions} on {on}" + (f" where {' and '.join(where)}" if where else "")


def existing_roles(_: Sequence[Stack]) -> str:
    """What an existing role needs, a row for each field of `Roles`."""
    rows = []
    for field, need in addon_table.needs().items():
        user = f"pods of `{need.user}`" if need.service == PODS else need.user
        policies = ", ".join(f"`{name}`" for name in need.policies) or "what the table above shows"
        rows.append([f"`{to_camel(field)}`", user, f"`{need.service}`", policies])
    return table(["`cluster.iam.roles`", "for", "trusts", "needs"], rows)


# -- add-ons ----------------------------------------------------------------------------------------------------------


def addons(_: Sequence[Stack]) -> str:
    """Every add-on of the table, one row for each."""
    head = ["add-on", "kind", "what for", "switched off by", "is installed for", "waits for"]
    return table(head, [_addon(row) for row in addon_table.ADDONS])


def _addon(row: Addon) -> list[str]:
    serves = "the cluster" if row.serves is None else "pools that need it"
    waits = [] if row.pools == addon_table.NO_POOLS else [row.pools]
    waits += ["storage classes"] if row.storage else []
    waits += [f"`{name}`" for name in (*row.requires, *row.after)]
    toggle = f"`addons.{to_camel(row.toggle)}`" if row.toggle else NONE
    return [f"`{row.name}`", row.kind, row.purpose, toggle, serves, joined(waits)]


# -- quotas -----------------------------------------------------------------------------------------------------------


def quotas(stacks: Sequence[Stack]) -> str:
    """vCPUs with every group at its maximum, by quota and stack.

    Raises:
        KeyError: `QUOTAS` has no name for a quota.
    """
    needs: dict[str, dict[str, list[tuple[Group, int]]]] = {}
    for stack in stacks:
        for group in stack.groups:
            if group.bought != BLOCK:
                code = group.machines[0].quota_code(spot=group.capacity == "spot")
                needs.setdefault(code, {}).setdefault(stack.name, []).append((group, group.vcpu))
    unknown = set(needs) - set(QUOTAS)
    if unknown:
        raise KeyError(f"write the name of {', '.join(sorted(unknown))} into pages/picture/aws/tables.py, QUOTAS")
    rows = [tables.needs(f"{name}, `{code}`", needs[code], stacks) for code, name in QUOTAS.items() if code in needs]
    return table(["quota", *(f"`{stack.name}`" for stack in stacks)], rows)


# -- examples ---------------------------------------------------------------------------------------------------------


def examples(stacks: Sequence[Stack]) -> str:
    """The differences between the stacks, one fact in each row."""
    return tables.examples(stacks, _FACTS)


def _addresses(stack: Stack) -> str:
    nodes = [found.inputs["cidrBlock"] for found in stack.all("Vpc")]
    pods = [found.inputs["cidrBlock"] for found in stack.all("VpcIpv4CidrBlockAssociation")]
    return joined(nodes, "an existing VPC") + (f"; pods {', '.join(pods)}" if pods else "")


def _gateways(stack: Stack) -> str:
    return {0: "none", 1: "one"}.get(len(stack.nat_zones), f"{len(stack.nat_zones)}, one per zone")


def _flow_log(stack: Stack) -> str:
    groups = {found.name: found.inputs["retentionInDays"] for found in stack.all("LogGroup")}
    return joined(f"{groups[found.name]} days" for found in stack.all("FlowLog"))


def _api(stack: Stack) -> str:
    access = stack.cluster.inputs["vpcConfig"]
    public = joined(access.get("publicAccessCidrs") or [])
    return f"private, and public from {public}" if access["endpointPublicAccess"] else "private"


def _logs(stack: Stack) -> str:
    kept = stack.made.one("LogGroup", "cluster-logs").inputs["retentionInDays"]
    return f"{joined(stack.cluster.inputs.get('enabledClusterLogTypes', []))}; {kept} days"


def _access(stack: Stack) -> str:
    levels = {
        found.inputs["principalArn"].rpartition("/")[2]: found.inputs["policyArn"].rpartition("/")[2]
        for found in stack.all("AccessPolicyAssociation")
    }
    levels_by_policy = {
        "AmazonEKSClusterAdminPolicy": "admin",
        "AmazonEKSAdminPolicy": "admin",
        "AmazonEKSEditPolicy": "edit",
    }
    return joined(f"{who}: {levels_by_policy.get(policy, 'view')}" for who, policy in levels.items())


def _volumes(stack: Stack) -> str:
    lines = [f"{kind}: {', '.join(names)}" for kind, names in (
        ("EBS", stack.classes("ebs.csi.aws.com")),
        ("EFS", stack.classes("efs.csi.aws.com")),
        ("Lustre", [f"{found.inputs['storageCapacity']} GiB" for found in stack.all("LustreFileSystem")]),
        ("S3", stack.volumes("s3.csi.aws.com")),
    ) if names]  # fmt: skip
    return "<br>".join(lines)


def _backups(stack: Stack) -> str:
    return "daily" if stack.all("BackupPolicy") else NONE


def _protected(stack: Stack) -> str:
    return "yes" if stack.cluster.inputs["deletionProtection"] else "no"


_FACTS: dict[str, Callable[[Stack], str]] = {
    "region and zones": tables.zones,
    "addresses": _addresses,
    "NAT gateways": _gateways,
    "AWS endpoints": lambda stack: joined(stack.endpoints),
    "flow log": _flow_log,
    "API endpoint": _api,
    "access, in addition to the creator": _access,
    "control-plane logs": _logs,
    "pools": tables.pools,
    "GPUs at most": tables.gpus,
    "volumes": _volumes,
    "backups of EFS": _backups,
    "deletion protection": _protected,
}
