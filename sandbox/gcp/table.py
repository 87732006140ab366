"""The resource types of pulumi-gcp: one `Row` each, in rows/*.py; provider.py runs them.

A row is data: names, places, replacements. Behavior of a service beyond storing an object is a `Behaviour`. `replaces`
contains dotted property paths (lists without index; `x.*` for anything inside x) from the ForceNew attributes of
terraform-provider-google 8.0 (google/services/*/resource_*.go, August 2026); pulumi-gcp 10.2 is built on its beta
twin.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.gcp.discovery import coerce, decoerce
from sandbox.gcp.machines import region_of
from sandbox.gcp.mapping import Names
from sandbox.gcp.store import ApiError, Body, Reference, Store
from sandbox.named import load
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props

# The URL that may precede a resource name. Principals contain a similar URL further on, as a part of themselves.
_URL = re.compile(r"^(?:https?://[^/]+/(?:compute/)?(?:v\d\w*|beta)/|//[a-z]+\.googleapis\.com/)")
_ID_PARTS = {
    "role": r"(?:(?:projects|organizations)/[^/]+/)?roles/[^/]+",
    "member": r".+",
    "serviceAccountId": r"projects/[^/]+/serviceAccounts/[^/]+",
    "keyRing": r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+",
    "cryptoKeyId": r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
}
"""Places of an id that contain more than one path segment."""

_ROWS = "sandbox.gcp.rows:ROWS"
"""Named, since the modules of rows/ import this one."""

Checker = Callable[[Any], str]
"""The error for a value, or ''."""


@dataclass
class Context:
    """One operation: the store, the provider's settings, and whether the engine cancelled it."""

    store: Store
    project: str = ""
    region: str = ""
    zone: str = ""
    default_labels: Mapping[str, str] = field(default_factory=dict)
    attribution: bool = True
    timeout: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)

    def labels(self, row: Row, props: Props) -> tuple[Any, Any]:
        """(pulumiLabels, effectiveLabels): with the provider's default labels; and also with Pulumi's own label."""
        own = props.get(row.labels) or {}
        if own is UNKNOWN:
            return UNKNOWN, UNKNOWN
        merged = {**self.default_labels, **own}
        return merged, {**merged, **({"goog-pulumi-provisioned": "true"} if self.attribution else {})}


@dataclass(frozen=True)
class AutoName:
    """NAME-xxxxxxx from the resource's logical name; `most`: characters that pulumi-gcp allows for the property."""

    property: str = "name"
    most: int = 63
    lower: bool = False


class Behaviour:
    """Create, update and delete of a type's objects: here those of a plain object in the store."""

    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        name = row.resource_name(inputs)
        body = {**body, **self.served(ctx, row, inputs, name)}
        ctx.store.insert(row.collection, name, body, references=row.targets(inputs, body))
        return body

    def find(self, ctx: Context, row: Row, place: Props) -> Body | None:
        """`place`: the variables of the row's name template, and other values from the inputs."""
        return ctx.store.find(row.collection, row.resource_name(place))

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        """`old` and `new` are request bodies. Fields that the API added are kept."""
        name = row.resource_name(inputs)
        return ctx.store.update(
            row.collection, name, lambda body: overwrite(body, old, new), references=row.targets(inputs, new)
        )

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        ctx.store.delete(row.collection, row.resource_name(place))

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        """Fields that the API fills in."""
        served: Body = {"_sandbox": {"id": number(name)}}
        if row.api.startswith("compute"):
            served |= {
                "id": number(name),
                "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
                "creationTimestamp": timestamp(),
            }
        return served

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        """Properties that only the API knows; they override those from the body."""
        return {}

    def preview(self, ctx: Context, row: Row, inputs: Props) -> Props:
        """Outputs that are known before the object exists."""
        return {}


@dataclass(frozen=True)
class Row:
    """One resource type.

    Attributes:
        kind: the type's name in error messages ("Error creating Network: …").
        api, schema: discovery document and schema of the request body; '' if there is no body to check.
        name: full resource name with {property} places.
        id: Pulumi's id, if it differs from the name.
        places: those of project, region, zone and location that the provider's settings fill in.
        references: paths of the body that name another object -> that object's collection.
        labels: the labels property, which the provider's default labels are merged into.
        apart: paths of the body that are output-only in the API and that the provider sends in a separate call.
        checks: property path -> checker, for rules that neither the SDK nor the discovery document has.
        variables: derives variables of the name template from the inputs.
    """

    token: str
    kind: str
    api: str
    schema: str
    collection: str
    name: str
    id: str = ""
    names: Names = field(default_factory=Names)
    replaces: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    places: tuple[str, ...] = ("project",)
    autoname: AutoName | None = field(default_factory=lambda: AutoName(lower=True))
    references: Mapping[str, str] = field(default_factory=dict)
    labels: str = ""
    apart: frozenset[str] = frozenset()
    checks: Mapping[str, Checker] = field(default_factory=dict)
    validate: Callable[[Props], Iterable[CheckFailure]] = lambda inputs: ()
    replaces_too: Callable[[Props, Props], Iterable[str]] = lambda old, new: ()
    complete: Callable[[Props], Body] = lambda inputs: {}
    variables: Callable[[Props], Props] = lambda inputs: {}
    behaviour: Behaviour = field(default_factory=Behaviour)

    def resource_name(self, props: Props) -> str:
        return fill(self.name, {**props, **self.variables(props)})

    def pulumi_id(self, props: Props) -> str:
        return fill(self.id or self.name, {**props, **self.variables(props)})

    def parse_id(self, id: str) -> Props | None:
        """The variables in an id; None for an id of another form."""
        pattern = re.sub(
            r"\\\{(\w+)\\\}",
            lambda place: f"(?P<{place[1]}>{_ID_PARTS.get(place[1], '[^/]+')})",
            re.escape(self.id or self.name),
        )
        match = re.fullmatch(pattern, path_of(id))
        return match.groupdict() if match else None

    def body(self, ctx: Context, inputs: Props, origins: dict[str, str] | None = None) -> Body:
        """The request body for checked inputs; may contain UNKNOWN."""
        body = self.names.to_api({**inputs, **self._effective_labels(ctx, inputs)}, origins)
        merge(body, self.complete(inputs))
        return coerce(self.api, self.schema, body) if self.schema else body

    def properties(self, body: Body) -> Props:
        """Properties from the stored body."""
        public = {key: value for key, value in body.items() if key != "_sandbox"}
        return self.names.from_api(decoerce(self.api, self.schema, public) if self.schema else public)

    def targets(self, inputs: Props, body: Body) -> list[Reference]:
        """The objects that the body refers to, as full names."""
        found = []
        for path, collection in self.references.items():
            for value in reach(body, path.split(".")):
                if isinstance(value, str) and value:
                    found.append((collection, full_name(collection, value, inputs)))
        return found

    def _effective_labels(self, ctx: Context, inputs: Props) -> Props:
        return {self.labels: ctx.labels(self, inputs)[1]} if self.labels else {}


def paths(text: str) -> frozenset[str]:
    """The words of a text, to make long lists of property paths readable."""
    return frozenset(text.split())


def rows() -> dict[str, Row]:
    """Every row by its token."""
    return load(_ROWS)


def path_of(value: str) -> str:
    """A resource name without the URL of the API that may precede it."""
    return _URL.sub("", value)


def full_name(collection: str, value: str, props: Props) -> str:
    """The full resource name for any of the forms that Google takes: URL, path, or bare name."""
    value = path_of(value)
    if value.startswith("projects/"):
        return value
    if value.startswith(("global/", "regions/", "zones/", "locations/")):
        return f"projects/{props['project']}/{value}"
    template = next(row.name for row in rows().values() if row.collection == collection)
    place = str(props.get("region") or props.get("location") or "")
    return fill(template, {**props, "region": region_of(place) if place else "", "name": value.rsplit("/", 1)[-1]})


def fill(template: str, values: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1]) or ""), template)


def reach(value: Any, steps: list[str]) -> list[Any]:
    """Every value at a dotted path, through lists."""
    if isinstance(value, list):
        return [found for item in value for found in reach(item, steps)]
    if not steps:
        return [value]
    return reach(value.get(steps[0]), steps[1:]) if isinstance(value, Mapping) else []


def merge(into: Body, extra: Mapping[str, Any]) -> None:
    """Adds nested fields; existing ones are kept."""
    for key, value in extra.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into.setdefault(key, value)


def overwrite(body: Body, old: Mapping[str, Any], new: Mapping[str, Any]) -> Body:
    """The body with `new`, without fields that only `old` has; fields that the API added are kept."""
    result = {key: value for key, value in body.items() if key in new or key not in old}
    for key, value in new.items():
        known, before = result.get(key), old.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = overwrite(dict(known), before if isinstance(before, Mapping) else {}, value)
        result[key] = value
    return result


def number(name: str) -> str:
    """A stable replacement for the 64-bit numbers of Google's objects."""
    return str(int(hashlib.sha256(name.encode()).hexdigest()[:15], 16))


def timestamp() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime())


def invalid(message: str) -> ApiError:
    return ApiError(400, message, "badRequest")
