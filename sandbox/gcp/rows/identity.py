"""Service accounts, IAM members, and enabled APIs.

A `…IAMMember` is one member of one role in the policy of a resource. The store has one policy per resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.gcp import planes
from sandbox.gcp.mapping import Names
from sandbox.gcp.rows.compute import OWN
from sandbox.gcp.store import Body, Store
from sandbox.gcp.table import AutoName, Behaviour, Context, Row, invalid, number, paths
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props

POLICIES = "iam.policies"
ACCOUNTS = "iam.serviceAccounts"
_MEMBER = re.compile(
    r"(user|serviceAccount|group|domain|deleted|projectOwner|projectEditor|projectViewer|iamMember):.+"
    r"|principal(Set)?://.+|allUsers|allAuthenticatedUsers"
)
_ROLE = re.compile(r"roles/[\w.]+|(projects|organizations)/[^/]+/roles/[\w.]+")


def member(value: Any) -> str:
    if isinstance(value, str) and _MEMBER.fullmatch(value):
        return ""
    return f"'{value}' is not a member: user:…, serviceAccount:…, group:…, domain:…, principal://…, principalSet://…"


def role(value: Any) -> str:
    return "" if isinstance(value, str) and _ROLE.fullmatch(value) else f"'{value}' is not a role such as roles/viewer"


class _Account(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        if inputs.get("createIgnoreAlreadyExists"):
            found = self.find(ctx, row, inputs)
            if found is not None:
                return found
        return super().create(ctx, row, inputs, body)

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        email = name.rsplit("/", 1)[-1]
        served = super().served(ctx, row, inputs, name)
        return served | {"name": name, "email": email, "projectId": inputs["project"], "uniqueId": number(name)}

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {
            "accountId": body["email"].split("@")[0],
            "email": body["email"],
            "name": body["name"],
            "uniqueId": body["uniqueId"],
            "member": f"serviceAccount:{body['email']}",
        }

    def preview(self, ctx: Context, row: Row, inputs: Props) -> Props:
        # The provider computes these at plan time, so that a preview can show who gets which role.
        if UNKNOWN in (inputs.get("accountId"), inputs.get("project")):
            return {}
        email = _account_email(inputs)["email"]
        return {"email": email, "member": f"serviceAccount:{email}"}


def _account_email(inputs: Props) -> Props:
    if "accountId" not in inputs:
        return {}
    return {"email": f"{inputs['accountId']}@{inputs['project']}.iam.gserviceaccount.com"}


class _Member(Behaviour):
    """One member of one role. `collection`: of the resource that has the policy; '' for projects, which always exist,
    and for buckets, which may be existing ones outside the sandbox."""

    def __init__(self, collection: str = "") -> None:
        self.collection = collection

    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        resource = row.resource_name(inputs)
        with ctx.store.transaction():
            if self.collection:
                ctx.store.get(self.collection, resource)
            _check_member(ctx.store, inputs["member"])
            if ctx.store.find(POLICIES, resource) is None:
                owner = (self.collection, resource) if self.collection else ("", "")
                ctx.store.insert(POLICIES, resource, {"bindings": []}, owner=owner)
            self._change(ctx, resource, inputs, present=True)
        return self._body(inputs)

    def find(self, ctx: Context, row: Row, place: Props) -> Body | None:
        policy = ctx.store.find(POLICIES, row.resource_name(place)) or {"bindings": []}
        for binding in policy["bindings"]:
            if _same_binding(binding, place) and place["member"] in binding["members"]:
                return {**self._body(place), "condition": binding.get("condition")}
        return None

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        return self._body(inputs)

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        with ctx.store.transaction():
            self._change(ctx, row.resource_name(place), place, present=False)

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {"etag": "BwYAAAAAAAA="}

    def _body(self, inputs: Props) -> Body:
        return {
            "role": inputs["role"],
            "member": inputs["member"],
            "condition": inputs.get("condition"),
            "_sandbox": {},
        }

    def _change(self, ctx: Context, resource: str, place: Props, *, present: bool) -> None:
        """Stores a policy in the caller's transaction. An empty policy is not stored."""

        def change(policy: Body) -> Body:
            bindings = policy["bindings"]
            binding: Any = next((item for item in bindings if _same_binding(item, place)), None)
            if binding is None:
                binding = {"role": place["role"], "members": [], "condition": place.get("condition")}
                bindings.append(binding)
            members: set[str] = {*binding["members"]}
            binding["members"] = sorted(members | {place["member"]} if present else members - {place["member"]})
            return {"bindings": [item for item in bindings if item["members"]]}

        policy = ctx.store.update(POLICIES, resource, change)
        if not policy["bindings"]:
            ctx.store.delete(POLICIES, resource)


def _same_binding(binding: Props, place: Props) -> bool:
    wanted = place.get("condition") or {}
    found = binding.get("condition") or {}
    return binding["role"] == place["role"] and found.get("title") == wanted.get("title")


_POOL = re.compile(
    r"serviceAccount:(.+\.svc\.id\.goog)\[.+/.+\]|principal(?:Set)?://.+/workloadIdentityPools/([^/]+)/.+"
)


def _check_member(store: Store, value: str) -> None:
    """Google refuses members that do not exist. Those outside the sandbox's projects are accepted."""
    if match := _POOL.fullmatch(value):
        pool = match[1] or match[2]
        clusters = store.select(planes.CLUSTERS)
        if pool not in [body.get("workloadIdentityConfig", {}).get("workloadPool") for _, _, body in clusters]:
            # The identity pool is created with the first cluster that uses it.
            raise invalid(
                f"Identity Pool does not exist ({pool}). Please check that you specified a valid resource name"
            )
        return
    kind, _, name = value.partition(":")
    if kind == "serviceAccount" and (match := re.fullmatch(r".+@(.+)\.iam\.gserviceaccount\.com", name)):
        account = f"projects/{match[1]}/serviceAccounts/{name}"
        if _is_ours(store, match[1]) and not store.find(ACCOUNTS, account):
            raise invalid(f"Service account {name} does not exist.")


def _is_ours(store: Store, project: str) -> bool:
    return any(name.startswith(f"projects/{project}/") for _, name, _ in store.select())


def _member_row(token: str, kind: str, name: str, parent: str, collection: str = "", **more: Any) -> Row:
    more.setdefault("places", ())
    condition = Names({"condition": "condition", parent: None, **OWN})
    return Row(
        token=token,
        kind=kind,
        api="",
        schema="",
        collection=POLICIES,
        name=name,
        id=f"{name if parent != 'project' else '{project}'}/{{role}}/{{member}}",
        names=condition,
        replaces=frozenset({"role", "member", parent, "condition", "condition.*"}),
        autoname=None,
        checks={"member": member, "role": role},
        behaviour=_Member(collection),
        **more,
    )


class _Service(Behaviour):
    """An API of a project. Enabling it twice succeeds."""

    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        with ctx.store.transaction():
            return self.find(ctx, row, inputs) or super().create(ctx, row, inputs, {**body, "state": "ENABLED"})

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        if place.get("disableOnDestroy"):
            super().delete(ctx, row, place)

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        return ctx.store.get(row.collection, row.resource_name(inputs))


_AGENTS = {"container.googleapis.com": "container-engine-robot", "file.googleapis.com": "cloud-filer"}


class _Identity(Behaviour):
    """The service agent in a project: created on request and never deleted."""

    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        with ctx.store.transaction():
            return self.find(ctx, row, inputs) or super().create(ctx, row, inputs, body)

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        pass

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        return super().served(ctx, row, inputs, name) | {"project": inputs["project"]}

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        name = body["service"]
        agent = _AGENTS.get(name, f"gcp-sa-{name.split('.')[0]}")
        email = f"service-{number(body['project'])[:12]}@{agent}.iam.gserviceaccount.com"
        return {"email": email, "member": f"serviceAccount:{email}"}


def service(value: Any) -> str:
    ok = isinstance(value, str) and re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[a-z]+", value) and "." in value
    return "" if ok else f"'{value}' is not the name of an API such as container.googleapis.com"


def _conditions(inputs: Props) -> Iterator[CheckFailure]:
    value = inputs.get("accountId")
    if isinstance(value, str) and not re.fullmatch(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])", value):
        yield CheckFailure(
            "accountId",
            f"'{value}' must be 6-30 lower-case letters, digits and hyphens, starting with a letter, not ending in '-'",
        )


ROWS = [
    Row(
        token="gcp:serviceaccount/account:Account",
        kind="service account",
        api="iam.v1",
        schema="ServiceAccount",
        collection=ACCOUNTS,
        name="projects/{project}/serviceAccounts/{email}",
        names=Names({**OWN, "accountId": None, "createIgnoreAlreadyExists": None, "disabled": None}),
        replaces=paths(
            """
            project accountId
            """
        ),
        defaults={"disabled": False},
        autoname=AutoName("accountId", most=30),
        validate=_conditions,
        variables=_account_email,
        behaviour=_Account(),
    ),
    _member_row(
        "gcp:serviceaccount/iAMMember:IAMMember",
        "IAM member of service account",
        "{serviceAccountId}",
        "serviceAccountId",
        ACCOUNTS,
    ),
    _member_row(
        "gcp:projects/iAMMember:IAMMember",
        "IAM member of project",
        "projects/{project}",
        "project",
        places=("project",),
        variables=lambda inputs: {"project": str(inputs.get("project") or "").removeprefix("projects/")},
    ),
    _member_row(
        "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
        "IAM member of KMS key",
        "{cryptoKeyId}",
        "cryptoKeyId",
        "cloudkms.cryptoKeys",
    ),
    _member_row(
        "gcp:storage/bucketIAMMember:BucketIAMMember",
        "IAM member of storage bucket",
        "b/{bucket}",
        "bucket",
        variables=lambda inputs: {"bucket": str(inputs.get("bucket") or "").removeprefix("b/")},
    ),
    _member_row(
        "gcp:compute/subnetworkIAMMember:SubnetworkIAMMember",
        "IAM member of subnetwork",
        "projects/{project}/regions/{region}/subnetworks/{subnetwork}",
        "subnetwork",
        "compute.subnetworks",
        places=("project", "region"),
        variables=lambda inputs: {"subnetwork": str(inputs.get("subnetwork") or "").rsplit("/", 1)[-1]},
    ),
    Row(
        token="gcp:projects/serviceIdentity:ServiceIdentity",
        kind="service identity",
        api="",
        schema="",
        collection="serviceusage.identities",
        name="projects/{project}/services/{service}/identity",
        id="projects/{project}/services/{service}",
        names=Names(OWN),
        replaces=paths(
            """
            project service
            """
        ),
        autoname=None,
        checks={"service": service},
        behaviour=_Identity(),
    ),
    Row(
        token="gcp:projects/service:Service",
        kind="project service",
        api="",
        schema="",
        collection="serviceusage.services",
        name="projects/{project}/services/{service}",
        id="{project}/{service}",
        names=Names(
            {**OWN, "checkIfServiceHasUsageOnDestroy": None, "disableDependentServices": None, "disableOnDestroy": None}
        ),
        replaces=paths(
            """
            project service
            """
        ),
        autoname=None,
        checks={"service": service},
        behaviour=_Service(),
    ),
]
