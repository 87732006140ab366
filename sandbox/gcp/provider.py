"""The simulated gcp provider: like pulumi-gcp, but on the sandbox's store instead of Google's APIs.

The engine here is generic; the table (table.py, rows/) describes the types. Inputs are checked in `check`, so that a
preview finds errors of the API: first against the SDK's types, then row by row, then the request body against
Google's discovery document.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.gcp import discovery, invokes, machines
from sandbox.gcp.store import ApiError, Body, Store
from sandbox.gcp.table import AutoName, Context, Row, path_of, reach, rows
from sandbox.plugins import journal
from sandbox.plugins.provider import (
    UNKNOWN,
    CheckFailure,
    Diff,
    Props,
    ProviderError,
    SimulatedProvider,
)
from sandbox.plugins.schema import Schema
from sandbox.plugins.values import changes, lookup

_INDEX = re.compile(r"\[\d+\]")


class GcpProvider(SimulatedProvider):
    """One configured instance."""

    package = "gcp"

    def __init__(self, store: Store | None = None) -> None:
        self.schema = Schema("gcp")
        self.version = self.schema.version
        self.store = store or Store()
        self.config: dict[str, Any] = {}
        self.cancelled = threading.Event()

    def configure(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        region, zone, project = (config.get(key) for key in ("region", "zone", "project"))
        if isinstance(project, str) and not re.fullmatch(r"(?:[a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]", project):
            raise ProviderError(
                f"gcp:project: '{project}' is not a project ID (6-30 lower-case letters, digits and hyphens, "
                "starting with a letter)"
            )
        if isinstance(region, str) and region not in machines.ZONES:
            raise ProviderError(f"gcp:region: there is no region '{region}'. There are: {', '.join(machines.ZONES)}")
        if isinstance(zone, str) and not machines.is_zone(zone):
            raise ProviderError(f"gcp:zone: there is no zone '{zone}'")
        if isinstance(zone, str) and isinstance(region, str) and machines.region_of(zone) != region:
            raise ProviderError(f"gcp:zone: '{zone}' is not in region '{region}'")

    # -- before anything is done --------------------------------------------------------------------------------------

    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes) -> tuple[Props, list[CheckFailure]]:
        failures = self.schema.check_inputs(token, news)
        row = rows().get(token)
        if row is None:
            known = ", ".join(sorted(rows()))
            return news, failures or [CheckFailure("", f"{token} is not simulated. The sandbox knows {known}")]
        inputs = {key: value for key, value in news.items() if value is not None}
        for key, value in row.defaults.items():
            inputs.setdefault(key, value)
        failures += self._place(row, inputs)
        failures += _name(row, urn, olds, inputs, seed)
        if failures:
            return inputs, failures
        failures += _run_checks(row, inputs)
        failures += row.validate(inputs)
        failures += self._check_body(row, inputs)
        return inputs, list({(item.property, item.reason): item for item in failures}.values())

    def _place(self, row: Row, inputs: Props) -> Iterator[CheckFailure]:
        """Fills in the object's project, region, zone and location from the provider's settings."""
        inputs.update(row.variables(inputs) if {"cluster"} & inputs.keys() else {})
        for key in row.places:
            if inputs.get(key) is not None:
                continue
            if key == "location":
                value = inputs.get("zone") or self.config.get("zone") or self.config.get("region")
            elif key == "region":
                zone = self.config.get("zone")
                value = self.config.get("region") or (machines.region_of(zone) if isinstance(zone, str) else zone)
            else:
                value = self.config.get(key)
            if value is None:
                fix = f"set it on the provider (`pulumi config set gcp:{key} …`) or on the resource"
                yield CheckFailure(key, f"{key}: required field is not set; {fix}")
            else:
                inputs[key] = value

    def _check_body(self, row: Row, inputs: Props) -> Iterator[CheckFailure]:
        if not row.schema:
            return
        origins: dict[str, str] = {}
        body = row.body(self._context(), inputs, origins)
        for path, reason in discovery.check(row.api, row.schema, body):
            if path in row.apart:
                continue
            yield CheckFailure(_origin(origins, path), reason)

    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        row = self._row(token)
        paths = [path for path in changes(old_inputs, news) if not _same(old_inputs, news, path)]
        replaces = [path for path in paths if _forces(row, path, old_inputs, news)]
        replaces += [path for path in row.replaces_too(old_inputs, news) if path not in replaces]
        # The current name is kept until here. For a replacement the engine requests the inputs again, without the old
        # ones, and gets another name if it is an auto-name.
        chosen = row.autoname is not None and _is_auto(row.autoname, urn, news)
        same_name = row.autoname is None or old_inputs.get(row.autoname.property) == news.get(row.autoname.property)
        return Diff(changes=paths, replaces=replaces, delete_before_replace=bool(replaces) and same_name and not chosen)

    # -- the object's life --------------------------------------------------------------------------------------------

    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float) -> tuple[str, Props]:
        row, ctx = self._row(token), self._context(timeout)
        if preview:
            return "", self._predict(ctx, row, inputs, {})
        journal.note(
            urn, row.pulumi_id(inputs), self.config, inputs
        )  # recorded first: even a killed create can be found by it
        with _TranslatedErrors(f"Error creating {row.kind}"):
            body = row.behaviour.create(ctx, row, inputs, row.body(ctx, inputs))
        return row.pulumi_id(inputs), self._describe(ctx, row, inputs, body)

    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        row, ctx = self._row(token), self._context()
        place = {**self._defaults(row), **inputs, **(row.parse_id(id) or self._short_id(row, id))}
        with _TranslatedErrors(f"Error reading {row.kind}"):
            body = row.behaviour.find(ctx, row, place)
        if body is None:
            return None
        seen = self._describe(ctx, row, {**place, **inputs}, body)
        if inputs:
            inputs = _refresh(inputs, seen)
        else:
            inputs = self._adopted(ctx, row, place, seen, row.behaviour.outputs(ctx, row, body))
            seen |= inputs
        return row.pulumi_id(place), inputs, seen

    def update(
        self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props, preview: bool, timeout: float
    ) -> Props:
        row, ctx = self._row(token), self._context(timeout)
        if preview:
            return self._predict(ctx, row, news, olds)
        with _TranslatedErrors(f"Error updating {row.kind} {id!r}"):
            body = row.behaviour.update(ctx, row, news, row.body(ctx, old_inputs), row.body(ctx, news))
        return self._describe(ctx, row, news, body)

    def delete(self, token: str, urn: str, id: str, inputs: Props, outputs: Props, timeout: float) -> None:
        row, ctx = self._row(token), self._context(timeout)
        policy = inputs.get("deletionPolicy") or self.config.get("deletionPolicy") or "DELETE"
        if policy == "ABANDON":
            return
        if policy == "PREVENT":
            raise ProviderError(
                f'cannot destroy {row.kind} without setting deletionPolicy="DELETE" and running an update'
            )
        if inputs.get("deletionProtection"):
            raise ProviderError(
                "Cannot destroy cluster because deletion_protection is set to true. "
                "Set it to false to proceed with cluster deletion."
            )
        place = {**outputs, **inputs, **(row.parse_id(id) or {})}
        try:
            with _TranslatedErrors(f"Error deleting {row.kind}"):
                row.behaviour.delete(ctx, row, place)
        except _Gone:
            pass

    def invoke(self, token: str, args: Props) -> Props:
        failures = self.schema.check_inputs(token, args)
        if failures:
            raise ProviderError("; ".join(f"{item.property}: {item.reason}" for item in failures))
        with _TranslatedErrors(f"Error in {token.rsplit(':', 1)[-1]}"):
            return invokes.answer(token, self._context(), args)

    def cancel(self) -> None:
        self.cancelled.set()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _row(self, token: str) -> Row:
        try:
            return rows()[token]
        except KeyError:
            raise ProviderError(f"{token} is not simulated") from None

    def _context(self, timeout: float = 0.0) -> Context:
        config = self.config
        return Context(
            self.store,
            project=str(config.get("project") or ""),
            region=str(config.get("region") or ""),
            zone=str(config.get("zone") or ""),
            default_labels=config.get("defaultLabels") or {},
            attribution=config.get("addPulumiAttributionLabel") is not False,
            timeout=timeout,
            cancelled=self.cancelled,
        )

    def _defaults(self, row: Row) -> Props:
        inputs: Props = {}
        list(self._place(row, inputs))
        return inputs

    def _short_id(self, row: Row, id: str) -> Props:
        """An import may give an object's bare name."""
        if row.autoname and "/" not in id:
            return {row.autoname.property: id}
        raise ProviderError(f"The import id {id!r} is not of the form {row.id or row.name}")

    def _adopted(self, ctx: Context, row: Row, place: Props, seen: Props, computed: Props) -> Props:
        """The inputs of an imported object: the body without the values that the API computed."""
        settable = self.schema.shape(row.token).inputs
        named = row.autoname.property if row.autoname else ""
        inputs = {key: value for key, value in seen.items() if key == named or key not in computed}
        return {key: value for key, value in {**row.defaults, **inputs, **place}.items() if key in settable}

    def _describe(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Props:
        """All outputs: the inputs, overridden by the API's values."""
        known = self.schema.shape(row.token).outputs
        seen = {**row.properties(body), **row.behaviour.outputs(ctx, row, body)}
        # Properties that are not sent to the API keep their inputs; the rest comes from the API.
        unsent = {key: value for key, value in inputs.items() if row.names.renames.get(key, key) is None}
        outputs = {**unsent, **{key: value for key, value in seen.items() if key in known}}
        if row.labels:
            own = inputs.get(row.labels)
            outputs["pulumiLabels"] = {**ctx.default_labels, **(own or {})}
            outputs["effectiveLabels"] = body.get(row.labels, {})
            outputs[row.labels] = _own_labels(ctx, body, row, own)
        return {key: value for key, value in outputs.items() if value is not None}

    def _predict(self, ctx: Context, row: Row, inputs: Props, olds: Props) -> Props:
        """Outputs in a preview: inputs and unchanged outputs are known, the rest is UNKNOWN."""
        known = self.schema.shape(row.token).outputs
        outputs = {key: olds.get(key, UNKNOWN) for key in known if key != "id"}
        outputs |= row.behaviour.preview(ctx, row, inputs) | inputs
        if row.labels:
            outputs["pulumiLabels"], outputs["effectiveLabels"] = ctx.labels(row, inputs)
        return outputs


class _Gone(Exception):
    """The object no longer exists."""


class _TranslatedErrors:
    """Converts the API's refusals to the provider's errors, in Terraform's form: `Error creating Network: …`."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ApiError):
            if error.code == 404 and self.what.startswith("Error deleting"):
                raise _Gone from None
            raise ProviderError(f"{self.what}: {error}") from None


def _name(row: Row, urn: str, olds: Props, inputs: Props, seed: bytes) -> Iterator[CheckFailure]:
    """The auto-name: the logical name and seven hexadecimal digits; an earlier one is kept."""
    if row.autoname is None or inputs.get(row.autoname.property) is not None:
        return
    key = row.autoname.property
    start = _start(row.autoname, urn, inputs)
    if start is UNKNOWN:
        inputs[key] = UNKNOWN
        return
    old = olds.get(key)
    if isinstance(old, str) and re.fullmatch(re.escape(start) + "[0-9a-f]{7}", old):
        inputs[key] = old
        return
    if len(start) + 7 > row.autoname.most:
        yield CheckFailure(
            key, f"'{start}' plus 7 random characters is longer than the maximum length {row.autoname.most}"
        )
        return
    inputs[key] = start + hashlib.sha256(seed + urn.encode()).hexdigest()[:7]


def _start(auto: AutoName, urn: str, inputs: Props) -> Any:
    """The prefix of an auto-name."""
    prefix = inputs.get("namePrefix")
    if prefix is UNKNOWN or isinstance(prefix, str):
        return prefix
    logical = f"{urn.rsplit('::', 1)[-1]}-"
    return logical.lower() if auto.lower else logical


def _is_auto(auto: AutoName, urn: str, inputs: Props) -> bool:
    """Whether `_name` generated the name."""
    start, name = _start(auto, urn, inputs), inputs.get(auto.property)
    return isinstance(start, str) and bool(re.fullmatch(re.escape(start) + "[0-9a-f]{7}", str(name)))


def _run_checks(row: Row, inputs: Props) -> Iterator[CheckFailure]:
    for path, checker in row.checks.items():
        for value in reach(inputs, path.split(".")):
            if value is None or value is UNKNOWN or value == "":
                continue
            if message := checker(value):
                yield CheckFailure(path, message)


def _origin(origins: Mapping[str, str], path: str) -> str:
    """The property for a place in the body; the nearest one above it for fields that the row adds."""
    tail = ""
    while path:
        if path in origins:
            return origins[path] + tail
        cut = max(path.rfind("."), path.rfind("["))
        tail = path[max(cut, 0) :] + tail if cut >= 0 else tail
        path = path[: max(cut, 0)]
    return tail.lstrip(".")


def _forces(row: Row, path: str, old: Props, new: Props) -> bool:
    """Whether a changed path forces a replacement: itself, or any part of an object that is added or removed."""
    for leaf in _leaves(path, old, new):
        plain = _INDEX.sub("", leaf)
        if any(fnmatch.fnmatchcase(plain, pattern) for pattern in row.replaces):
            return True
    return False


def _leaves(path: str, *sides: Props) -> Iterator[str]:
    yield path
    for side in sides:
        _, value = lookup(side, path)
        if isinstance(value, Mapping):
            for key in value:
                yield from _leaves(f"{path}.{key}", side)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _leaves(f"{path}[{index}]", side)


def _same(old: Props, new: Props, path: str) -> bool:
    """A URL and a path that name the same object are equal."""
    before, after = lookup(old, path)[1], lookup(new, path)[1]
    return isinstance(before, str) and isinstance(after, str) and _same_object(before, after)


def _same_object(before: str, after: str) -> bool:
    return path_of(before) == path_of(after)


def _refresh(inputs: Props, seen: Props) -> Props:
    """Inputs with the cloud's current values."""
    fresh: Props = {}
    for key, value in inputs.items():
        if key not in seen:
            continue
        fresh[key] = _refreshed(value, seen[key])
    return fresh


def _refreshed(value: Any, now: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(now, Mapping):
        # Keys that are not in the inputs are the API's defaults, unless the map is free-form and was changed elsewhere.
        return {**_refresh(dict(value), dict(now)), **({} if _structured(now) else now)}
    if isinstance(value, list) and isinstance(now, list):
        if len(value) == len(now):
            return [_refreshed(before, after) for before, after in zip(value, now, strict=True)]
        return now
    if isinstance(value, str) and isinstance(now, str) and _same_object(value, now):
        return value
    return now


def _structured(value: Mapping[str, Any]) -> bool:
    """An object with fields, as opposed to a map of strings such as labels."""
    return not all(isinstance(item, str) for item in value.values())


def _own_labels(ctx: Context, body: Body, row: Row, own: Any = None) -> Props:
    """Labels without those of the provider."""
    added = {**ctx.default_labels, "goog-pulumi-provisioned": "true"}
    return {
        key: value for key, value in body.get(row.labels, {}).items() if added.get(key) != value or key in (own or {})
    }
