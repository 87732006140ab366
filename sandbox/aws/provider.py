"""The simulated pulumi-aws: converts the engine's requests to calls of AWS's API on the sandbox's server.

`rows/` describes each resource type, `table.py` runs the rows, `data.py` has the data sources. This module has the
parts that all types have in common: checks, auto-names, differences, tags of the provider, previews, imports.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import boto3
from botocore.validate import ParamValidator

from sandbox import caller
from sandbox.aws import data, differences, lost, session, table
from sandbox.aws.api import Api, Recorder, wrong_values
from sandbox.aws.rows import rows
from sandbox.aws.table import Row, Scope
from sandbox.plugins import journal
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Diff, Props, ProviderError, SimulatedProvider
from sandbox.plugins.schema import Schema

_AUTONAMED = "__defaults"
"""Input that lists the properties that the provider filled in, as in the real bridge."""


@lru_cache
def _schema() -> Schema:
    return Schema("aws")


class AwsProvider(SimulatedProvider):
    """One configured instance: a region, default tags, allowed accounts."""

    package = "aws"
    version = "7.51.1"

    def __init__(self) -> None:
        self.region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        self.default_tags: dict[str, str] = {}
        self.identity = _identity({})
        self._apis: dict[str, Api] = {}

    def configure(self, config: Mapping[str, Any]) -> None:
        region = config.get("region")
        if isinstance(region, str):
            self.region = region
        if self.region and self.region not in _regions():
            raise ProviderError(f"invalid AWS Region: {self.region}")
        allowed, forbidden = config.get("allowedAccountIds"), config.get("forbiddenAccountIds") or []
        if allowed and forbidden:
            raise ProviderError('"forbidden_account_ids": conflicts with allowed_account_ids')
        self.identity = _identity(config)
        account = self.identity.split(":")[4]
        if (isinstance(allowed, list) and account not in allowed) or account in forbidden:
            raise ProviderError(f"AWS account ID not allowed: {account}")
        tags = config.get("defaultTags")
        self.default_tags = dict((tags.get("tags") or {}) if isinstance(tags, dict) else {})

    def diff_config(self, olds: Props, news: Props) -> Diff:
        diff = super().diff_config(olds, news)
        # A change of the region replaces every object of this provider.
        diff.replaces = [each for each in diff.changes if each == "region" and olds.get("region") is not None]
        return diff

    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes) -> tuple[Props, list[CheckFailure]]:
        row = rows().get(token)
        failures = _schema().check_inputs(token, news)
        if row is None:
            if not failures:
                failures = [
                    CheckFailure("", f"the sandbox's AWS does not simulate {token}; it simulates {', '.join(rows())}")
                ]
            return news, failures
        inputs = self._named(row, urn, olds, news, seed)
        if row.check and not failures:
            failures = [CheckFailure(path, reason) for path, reason in row.check(inputs)]
        if not failures and not differences.has_unknown(inputs):
            failures = [CheckFailure("", reason) for reason in refusals(token, inputs)]
        region = news.get("region")
        if isinstance(region, str) and region not in _regions():
            failures.append(CheckFailure("region", f"invalid AWS Region: {region}"))
        return inputs, failures

    def _named(self, row: Row, urn: str, olds: Props, news: Props, seed: bytes) -> Props:
        if row.name is None or news.get(row.name.property) is not None or news.get(row.name.prefix) is not None:
            return news
        old = olds.get(row.name.property) if row.name.property in (olds.get(_AUTONAMED) or []) else None
        name = old or _autoname(row, urn.rsplit("::", 1)[-1], seed)
        return {**news, row.name.property: name, _AUTONAMED: [row.name.property]}

    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        row = _row(token)
        olds_ = {**row.defaults, **old_inputs}
        news_ = {**row.defaults, **news}
        changes: list[str] = []
        for key in sorted({*olds_, *news_} - {_AUTONAMED}):
            changes += differences.differences(row, key, olds_.get(key), news_.get(key))
        if row.tags and not any(differences.top(each) == "tags" for each in changes) and "tagsAll" in olds:
            wanted = self._tags(news_)
            if not differences.has_unknown(wanted) and wanted != (olds.get("tagsAll") or {}):
                changes.append("tagsAll")
        replaces = [
            each
            for each in changes
            if each in row.replaces or differences.top(each) in row.replaces or each == "region"
        ]
        replaces += [each for each in changes if each in row.cannot_go and not news_.get(each)]
        replaces += [
            each for each in changes if each in row.only_grows and differences.lower(news_.get(each), olds_.get(each))
        ]
        name = row.name.property if row.name else ""
        fixed_name = bool(name) and name not in (news.get(_AUTONAMED) or []) and news.get(name) is not None
        keeps_name = fixed_name and news.get(name) == old_inputs.get(name)
        return Diff(changes, replaces, bool(replaces) and (row.delete_first or keeps_name))

    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float) -> tuple[str, Props]:
        row = _row(token)
        if preview:
            return "", self._planned(token, row, inputs)
        scope = self._scope(row, inputs, timeout)
        if row.name and scope.inputs.get(row.name.property) is None:
            scope.inputs[row.name.property] = _unique(scope.inputs[row.name.prefix])
        made_by = {"region": scope.api.region, "defaultTags": {"tags": self.default_tags}}
        attempt = uuid.uuid4().hex
        try:  # recorded before the request: even a create that is killed now can be found again, by id or tags
            journal.note(urn, scope.text(row.id), made_by, inputs, attempt)
        except KeyError:
            journal.note(urn, "", made_by, inputs, attempt)
        try:
            id = table.create(row, scope, lambda id: journal.note(urn, id, made_by, inputs, attempt))
        except ProviderError as error:
            if error.partial:
                id, _ = error.partial
                try:
                    error.partial = (id, self._outputs(token, row, scope, inputs) or dict(inputs))
                except ProviderError:
                    error.partial = (id, dict(inputs))
            raise
        outputs = self._outputs(token, row, scope, inputs)
        if outputs is None:
            raise ProviderError(f"couldn't find resource {token} {id} right after it was created")
        return id, outputs

    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        row = _row(token)
        scope = self._scope(row, inputs, 0, id, state)
        try:
            outputs = self._outputs(token, row, scope, inputs)
        except KeyError as error:
            raise ProviderError(
                f"{id!r} does not identify this {token}: the sandbox needs its {error.args[0]}"
            ) from None
        if outputs is None:
            return None
        known = _schema().shape(token).inputs
        if not inputs:  # an import: only properties that a program can set
            inputs = {key: value for key, value in outputs.items() if key in known and value not in (None, [], {}, "")}
            inputs.pop("region", None)
        fresh = dict(inputs)
        for key, value in inputs.items():
            if (
                key in outputs
                and key not in ("tags", _AUTONAMED)
                and not differences.covers(row, key, value, outputs[key])
            ):
                fresh[key] = outputs[key]
        if row.tags and "tagsAll" in outputs:
            own = inputs.get("tags") or {}
            seen = {k: v for k, v in outputs["tagsAll"].items() if k in own or self.default_tags.get(k) != v}
            if seen or "tags" in inputs:
                fresh["tags"] = outputs["tags"] = seen
        return id, fresh, outputs

    def update(
        self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props, preview: bool, timeout: float
    ) -> Props:
        row = _row(token)
        if preview:
            planned = self._planned(token, row, news, olds)
            changing = {"latestVersion", "defaultVersion", "modifiedAt", "platformVersion"}
            return {**{k: UNKNOWN if k in changing else v for k, v in olds.items()}, **planned}
        scope = self._scope(row, news, timeout, id, olds)
        scope.olds = {**{k: v for k, v in scope.inputs.items() if k not in news}, **old_inputs}
        try:
            if row.tags:
                table.read(row, scope)  # tagging needs a member of the answer: the ARN
            table.update(row, scope)
            old_tags = olds.get("tagsAll")
            if row.tags:
                table.retag(row, scope, old_tags if isinstance(old_tags, dict) else {})
        except ProviderError as error:
            # The engine must record the changes that the update made before it failed.
            error.partial = (id, {**olds, **(self._outputs(token, row, scope, old_inputs) or {})})
            raise
        outputs = self._outputs(token, row, scope, news)
        if outputs is None:
            raise ProviderError(f"couldn't find resource {token} {id} after its update")
        return outputs

    def delete(self, token: str, urn: str, id: str, inputs: Props, outputs: Props, timeout: float) -> None:
        row = _row(token)
        table.delete(row, self._scope(row, inputs, timeout, id, outputs))

    def invoke(self, token: str, args: Props) -> Props:
        failures = _schema().check_inputs(token, args)
        if failures:
            raise ProviderError("; ".join(f"{each.property}: {each.reason}" for each in failures))
        if token.endswith(":getCallerIdentity"):
            account = self.identity.split(":")[4]
            return {"id": account, "accountId": account, "arn": self.identity, "userId": "AIDASANDBOX"}
        region = args.get("region") or self._required_region()
        return data.invoke(self._api(region), token, args)

    def find(self, token: str, inputs: Props) -> list[str]:
        return lost.ids(_row(token), inputs.get("region") or self._required_region(), self._tags(inputs))

    def cancel(self) -> None:
        for api in self._apis.values():
            api.cancelled.set()

    # -- helpers ------------------------------------------------------------------------------------------------------

    def _api(self, region: str) -> Api:
        if region not in self._apis:
            self._apis[region] = Api(region)
        return self._apis[region]

    def _required_region(self) -> str:
        if not self.region:
            raise ProviderError("Missing region configuration: set aws:region, or region on the provider")
        return self.region

    def _tags(self, inputs: Props) -> dict[str, str]:
        return {**self.default_tags, **(inputs.get("tags") or {})}

    def _scope(self, row: Row, inputs: Props, timeout: float, id: str = "", state: Props | None = None) -> Scope:
        given = {key: value for key, value in inputs.items() if key != _AUTONAMED and value is not None}
        if row.name and state and state.get(row.name.property) is not None:
            given.setdefault(row.name.property, state[row.name.property])
        if id:
            given = {**table.parts_of(row, id), **given}
        if not inputs and state:  # the inputs were lost, or this is an import with a state
            given = {**state, **given}
        scope = Scope(
            self._api(given.get("region") or self._required_region()), given, id, timeout=timeout or table.TIMEOUT
        )
        scope.tags = self._tags(inputs)
        return scope

    def _outputs(self, token: str, row: Row, scope: Scope, inputs: Props) -> Props | None:
        found = table.read(row, scope)
        if found is None:
            return None
        known = _schema().shape(token).outputs
        merged = {
            **row.defaults,
            **table.parts_of(row, scope.id),
            **{k: v for k, v in inputs.items() if k != _AUTONAMED},
        }
        outputs = {key: value for key, value in merged.items() if value is not None}
        for key, value in found.items():
            # An answer with the same content in another order or notation must not look like a change.
            if key in known and not (key in inputs and differences.is_same(row, key, inputs[key], value)):
                outputs[key] = value
        if row.tags:
            outputs.setdefault("tagsAll", self._tags(inputs))
        outputs["region"] = scope.api.region
        return {key: value for key, value in outputs.items() if key in known}

    def _planned(self, token: str, row: Row, inputs: Props, olds: Props | None = None) -> Props:
        """The outputs that a preview knows. `olds`: of the object that the update changes."""
        known = _schema().shape(token).outputs
        given = {**row.defaults, **{k: v for k, v in inputs.items() if k != _AUTONAMED and v is not None}}
        planned: Props = {key: UNKNOWN for key in known if key not in given and key != "tags"} if olds is None else {}
        planned.update({key: value for key, value in given.items() if key in known})
        for path in row.computed:
            outer, _, inner = path.partition(".")
            value = planned.get(outer)
            if isinstance(value, dict) and value.get(inner) is None:
                before = UNKNOWN if olds is None else (olds.get(outer) or {}).get(inner)
                planned[outer] = {**value, inner: before}
        if row.tags:
            planned["tagsAll"] = self._tags(inputs)
        planned["region"] = given.get("region") or self.region
        return planned


def _identity(config: Mapping[str, Any]) -> str:
    """ARN that this provider acts as: the last role that it assumes, or else the sandbox's caller, or else a user of
    the account that the provider allows."""
    for role in reversed(config.get("assumeRoles") or []):
        head, _, name = str(role["roleArn"]).partition(":role/")
        return f"{head.replace(':iam:', ':sts:')}:assumed-role/{name.rpartition('/')[2]}/pulumi"
    allowed = config.get("allowedAccountIds")
    account = allowed[0] if isinstance(allowed, list) and allowed else session.ACCOUNT
    return caller.load().arn or f"arn:aws:iam::{account}:user/sandbox"


def _rehearse(token: str, inputs: Props, region: str) -> tuple[list[tuple[str, str, Props]], list[str]]:
    """The API calls of a creation, and the inputs that it ignores."""
    row = _row(token)
    recorder = Recorder(region)
    given = table.Watched({k: v for k, v in inputs.items() if k != _AUTONAMED and v is not None})
    if row.name and given.get(row.name.property) is None:
        given[row.name.property] = given.get(row.name.prefix) or "sandbox"
    table.create(row, Scope(recorder, given, tags=dict(given.get("tags") or {})))
    status_reads = {step.operation for step in row.read if isinstance(step, table.Call)}
    return [call for call in recorder.calls if call[1] not in status_reads], table.unused(row, given)


def calls(token: str, inputs: Props, region: str = "us-east-1") -> list[tuple[str, str, Props]]:
    """The API calls that create a resource with these inputs: (service, operation, parameters). Needs no server.
    Raises ProviderError for an unknown type."""
    return _rehearse(token, inputs, region)[0]


def refusals(token: str, inputs: Props) -> list[str]:
    """The errors of botocore's models for the API calls of these inputs, and inputs that are not simulated."""
    made, unused = _rehearse(token, inputs, "us-east-1")
    found = [f"{name} is not simulated by the sandbox (sandbox/aws/rows); omit it there" for name in unused]
    for service, operation, params in made:
        shape = session.service_model(service).operation_model(operation).input_shape
        if shape is None:
            continue
        report = ParamValidator().validate(params, shape)
        if report.has_errors():
            found.append(f"{operation}: {report.generate_report()}")
        found += [f"{operation}: {each}" for each in wrong_values(service, operation, params)]
    return found


def _row(token: str) -> Row:
    try:
        return rows()[token]
    except KeyError:
        raise ProviderError(f"the sandbox's AWS does not simulate {token}") from None


@lru_cache
def _regions() -> frozenset[str]:
    return frozenset(boto3.Session().get_available_regions("ec2"))


def _autoname(row: Row, logical: str, seed: bytes) -> str:
    assert row.name is not None
    digits = "".join(random.Random(seed or os.urandom(16)).choices("0123456789abcdef", k=7))
    room = row.name.longest - len(row.name.before) - 8
    name = f"{row.name.before}{logical[:room]}-{digits}"
    return name.lower() if row.name.lower else name


_counter = iter(range(1, 2**31))


def _unique(prefix: str) -> str:
    """A prefix and 26 digits from the time and a counter, as in the real provider."""
    now = time.time()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 10_000):04d}"
    return f"{prefix}{stamp}{next(_counter):08x}"
