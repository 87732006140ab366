"""The engine of the simulated AWS provider: runs the `Row` of each resource type, which describes its API calls.

A row is data wherever the API allows it: the operations that create, read, change and delete an object, the member for
each property, the properties that force a replacement. If AWS is irregular, a step of a row is a function of the same
signature. Strings in `fixed`, `id` and `answer` may contain properties, the id and members of create's answer in
braces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jmespath

from sandbox.aws.api import Api, AwsError, Props, from_api, put, shape_at, to_api
from sandbox.plugins.provider import ProviderError

TIMEOUT = 900.0


@dataclass
class Scope:
    """The data for a step: the inputs (with defaults), the inputs before an update, the id, create's answer, the
    API."""

    api: Api
    inputs: Props
    id: str = ""
    olds: Props = field(default_factory=dict)
    answer: Props = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    timeout: float = TIMEOUT
    extra: Props = field(default_factory=dict)

    def text(self, template: str) -> str:
        """The template with `{name}` replaced. Raises KeyError for an unknown name."""
        names: Props = {**self.answer, **self.extra, **self.inputs, "id": self.id, "region": self.api.region}
        return re.sub(r"\{(\w+)\}", lambda match: str(names[match[1]]), template)

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return {key: self.fill(each) for key, each in value.items()} if isinstance(value, dict) else value

    def changed(self, *names: str) -> bool:
        return any(self.olds.get(name) != self.inputs.get(name) for name in names)


@dataclass(frozen=True)
class Call:
    """One operation. `takes`: property -> member path; `fixed`: member path -> value; `answer`: JMESPath of the
    relevant part of the answer; `gives`: output property -> JMESPath in that part; `when`: called only if one of these
    properties is set (at create) or changed (at update)."""

    operation: str
    takes: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    answer: str = "@"
    gives: Mapping[str, str] = field(default_factory=dict)
    when: tuple[str, ...] = ()
    service: str = ""


Step = Call | Callable[[Scope], Any]


@dataclass(frozen=True)
class Name:
    """The auto-name of a resource without an explicit name: logical name, separator, seven hex digits."""

    property: str = "name"
    prefix: str = "namePrefix"
    longest: int = 255
    before: str = ""
    lower: bool = False


@dataclass(frozen=True)
class Tags:
    """Where tags are sent. `member`: of create ('' = only by `write`); `write`/`remove`: calls with the tags at
    `.tags`."""

    member: str = ""
    write: Call | None = None
    remove: Call | None = None
    read: str = "Tags"
    resource_type: str = ""


@dataclass(frozen=True)
class Row:
    """One resource type. See the module's docstring; `rows/` has the rows."""

    token: str
    service: str
    id: str
    create: tuple[Step, ...]
    read: tuple[Step, ...]
    delete: tuple[Step, ...]
    update: tuple[Step, ...] = ()
    replaces: frozenset[str] = frozenset()
    cannot_go: frozenset[str] = frozenset()
    """Properties that can be set or changed in place, but not removed."""
    only_grows: frozenset[str] = frozenset()
    """Numbers that can be increased in place; a lower one replaces the object."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    name: Name | None = None
    tags: Tags | None = None
    ready: tuple[str, tuple[str, ...], tuple[str, ...]] = ("", (), ())
    """JMESPath of the status in the first read's answer, the good values, the bad values."""
    await_gone: bool = False
    json: frozenset[str] = frozenset()
    """Properties that contain JSON documents: compared by content."""
    ordered: frozenset[str] = frozenset()
    """Lists whose order matters; all others are sets in the real provider."""
    computed: frozenset[str] = frozenset()
    """Members of nested objects (`object.member`) that AWS sets if the program does not; unknown in a preview."""
    delete_first: bool = False
    also: frozenset[str] = frozenset()
    """Inputs that control an update or a delete of the provider; the creation must use every other input."""
    check: Callable[[Props], list[tuple[str, str]]] | None = None
    """Further errors in the inputs that the real provider finds before it calls AWS."""


def run(row: Row, step: Step, scope: Scope, extra: Props | None = None) -> Any:
    """Makes a step's call and returns the relevant part of the answer."""
    if not isinstance(step, Call):
        return step(scope)
    service = step.service or row.service
    params: Props = {}
    for member, value in step.fixed.items():
        put(params, member, scope.fill(value))
    for name, member in step.takes.items():
        value = scope.inputs.get(name)
        if value is not None:
            shape = shape_at(service, step.operation, member)
            put(params, member, to_api(shape, value) if shape is not None else value)
    for member, value in (extra or {}).items():
        put(params, member, value)
    answer = scope.api.call(service, step.operation, params)
    return _search(scope.text(step.answer), answer)


@lru_cache(maxsize=512)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _search(expression: str, value: Any) -> Any:
    return _compiled(expression).search(value)


def _with_defaults(row: Row, scope: Scope) -> None:
    for name, value in row.defaults.items():
        scope.inputs.setdefault(name, value)


class Watched(dict[str, Any]):
    """Inputs that record which of them were read."""

    def __init__(self, inputs: Props) -> None:
        super().__init__(inputs)
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.used.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.used.add(key)
        return super().get(key, default)


def unused(row: Row, inputs: Watched) -> list[str]:
    """Inputs that the row never reads: properties of the real resource that are not simulated."""
    later = {
        name for step in (*row.update, *row.delete) if isinstance(step, Call) for name in (*step.takes, *step.when)
    }
    named = {row.name.property, row.name.prefix} if row.name else set()
    return sorted(set(inputs) - inputs.used - later - named - row.also - {"tags", "region"})


def create(row: Row, scope: Scope, made: Callable[[str], None] = lambda id: None) -> str:
    """Creates the object and returns its id; an error after the object exists has it as `partial`.

    `made` is called with the id as soon as the object exists, before it is complete."""
    _with_defaults(row, scope)
    first, *rest = row.create
    answer = run(row, first, scope, _create_tags(row, first, scope))
    scope.answer = answer if isinstance(answer, dict) else {}
    scope.id = scope.text(row.id)
    made(scope.id)
    try:
        for step in rest:
            if not isinstance(step, Call) or not step.when or any(scope.inputs.get(n) is not None for n in step.when):
                run(row, step, scope)
        if row.tags and row.tags.write and not row.tags.member and scope.tags:
            _write_tags(row, scope, scope.tags)
        await_ready(row, scope)
    except ProviderError as error:
        raise type_preserving(error, (scope.id, dict(scope.inputs))) from None
    return scope.id


def type_preserving(error: ProviderError, partial: tuple[str, Props]) -> ProviderError:
    error.partial = error.partial or partial
    return error


def await_ready(row: Row, scope: Scope) -> None:
    status, good, bad = row.ready
    if not status:
        return

    def probe() -> bool:
        found = run(row, row.read[0], scope)
        value = _search(status, found)
        if value in bad:
            issues = _search("health.issues[].message", found) or []
            raise ProviderError(
                f"unexpected state '{value}', wanted target '{', '.join(good)}'. {'; '.join(issues)}".strip()
            )
        return value in good or type(scope.api).__name__ == "Recorder"

    scope.api.until(probe, scope.timeout, f"{row.token.rsplit(':')[-1]} {scope.id} to be {', '.join(good)}")


def read(row: Row, scope: Scope) -> Props | None:
    """The object's properties as AWS has them; None if it is gone."""
    _with_defaults(row, scope)
    first, *rest = row.read
    try:
        found = run(row, first, scope)
    except AwsError as error:
        if error.gone:
            return None
        raise
    if not found:
        return None
    outputs: Props = {}
    if isinstance(found, dict):
        scope.extra.update({key: value for key, value in found.items() if isinstance(value, (str, int))})
    takes = {
        name: path for step in (*row.create, *row.update) if isinstance(step, Call) for name, path in step.takes.items()
    }
    outputs.update(_mapped(row, takes, found, only_present=True))
    for step, answer in [(first, found), *((step, None) for step in rest)]:
        answer = run(row, step, scope) if answer is None else answer
        if isinstance(step, Call):
            outputs.update(_mapped(row, {n: scope.text(e) for n, e in step.gives.items()}, answer, only_present=False))
        elif isinstance(answer, dict) and step is not first:
            outputs.update(answer)
    if not isinstance(first, Call) and isinstance(found, dict):
        outputs.update(found)
    if row.tags:
        tags = (
            outputs.pop("tagsAll", None) or (_search(row.tags.read, found) if isinstance(found, dict) else None) or {}
        )
        pairs = tags if isinstance(tags, dict) else from_api(tags)
        outputs["tagsAll"] = {key: value for key, value in pairs.items() if not key.startswith("aws:")}
    return outputs


_MAPS = ("labels", "tags")
"""Properties whose keys the user chooses."""


def _mapped(row: Row, paths: Mapping[str, str], found: Any, only_present: bool) -> Props:
    values: Props = {}
    for name, path in paths.items():
        if only_present and not _plain(path):
            continue
        value = _search(path, found)
        if name in row.json and isinstance(value, dict):
            value = json.dumps(value)
        elif name not in _MAPS:
            value = from_api(value)
        if value is not None or not only_present:
            values[name] = value
    return values


def _plain(path: str) -> bool:
    return re.fullmatch(r"[\w.]+", path) is not None


def update(row: Row, scope: Scope) -> None:
    """Applies the differences between `scope.olds` and `scope.inputs` in place."""
    _with_defaults(row, scope)
    scope.olds = {**row.defaults, **scope.olds}
    for step in row.update:
        if not isinstance(step, Call) or scope.changed(*(step.when or tuple(step.takes))):
            run(row, step, scope)
    await_ready(row, scope)


def retag(row: Row, scope: Scope, old: dict[str, str]) -> None:
    """Changes the tags from `old` to `scope.tags`."""
    if row.tags is None:
        return
    removed = sorted(set(old) - set(scope.tags))
    changed = {key: value for key, value in scope.tags.items() if old.get(key) != value}
    if removed and row.tags.remove:
        *_, member = row.tags.remove.fixed
        extra: Props = {member: [{"Key": key} for key in removed] if row.service == "ec2" else removed}
        call = Call(row.tags.remove.operation, fixed={k: v for k, v in row.tags.remove.fixed.items() if k != member})
        run(row, call, scope, extra)
    if changed and row.tags.write:
        _write_tags(row, scope, changed)


def _write_tags(row: Row, scope: Scope, tags: dict[str, str]) -> None:
    assert row.tags is not None and row.tags.write is not None
    write = row.tags.write
    *_, member = write.fixed
    shape = shape_at(row.service, write.operation, member)
    call = Call(write.operation, fixed={key: value for key, value in write.fixed.items() if key != member})
    run(row, call, scope, {member: to_api(shape, tags) if shape is not None else tags})


def _create_tags(row: Row, step: Step, scope: Scope) -> Props:
    if row.tags is None or not row.tags.member or not scope.tags or not isinstance(step, Call):
        return {}
    if row.tags.resource_type:
        pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
        return {row.tags.member: [{"ResourceType": row.tags.resource_type, "Tags": pairs}]}
    shape = shape_at(step.service or row.service, step.operation, row.tags.member)
    return {row.tags.member: to_api(shape, scope.tags) if shape is not None else scope.tags}


def delete(row: Row, scope: Scope) -> None:
    """Deletes the object and waits until it is gone; succeeds if it does not exist."""
    _with_defaults(row, scope)
    for step in row.delete:
        try:
            run(row, step, scope)
        except AwsError as error:
            if not error.gone:
                raise
    if row.await_gone:
        probe = Scope(scope.api, scope.inputs, scope.id, timeout=scope.timeout)
        what = f"{row.token.rsplit(':')[-1]} {scope.id} to be deleted"
        scope.api.until(lambda: read(row, probe) is None or type(scope.api).__name__ == "Recorder", scope.timeout, what)


@lru_cache(maxsize=256)
def _id_pattern(template: str) -> re.Pattern[str]:
    pattern, position = "", 0
    for match in re.finditer(r"\{(\w+)\}", template):
        follows = template[match.end() : match.end() + 1]
        pattern += re.escape(template[position : match.start()])
        pattern += f"(?P<{match[1]}>" + (f"[^{re.escape(follows)}]+" if follows not in ("", "{") else ".+") + ")"
        position = match.end()
    return re.compile(pattern + re.escape(template[position:]))


def parts_of(row: Row, id: str) -> Props:
    """The properties in an id, for an import: `cluster:group` of a node group."""
    match = _id_pattern(row.id).fullmatch(id)
    return match.groupdict() if match else {}
