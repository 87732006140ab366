"""Request bodies checked against Google's documents, and the conversion from Pulumi's names to the API's."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pulumi import _types

from sandbox.gcp import discovery
from sandbox.gcp.mapping import UNWRAPPED, WRAPPED, Names
from sandbox.gcp.table import overwrite, rows
from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.schema import Schema, _alternatives, _input_shape

POOL = ("container.v1beta1", "NodePool")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))


@pytest.mark.parametrize(
    ("schema", "body", "path", "reason"),
    [
        (POOL, {"nodes": 3}, "", 'Unknown name "nodes": Cannot find field.'),
        (POOL, {"config": {"spots": True}}, "config", 'Unknown name "spots"'),
        (POOL, {"config": {"spot": "yes"}}, "config.spot", "must be of type boolean"),
        (POOL, {"initialNodeCount": True}, "initialNodeCount", "must be of type int32"),
        (POOL, {"initialNodeCount": 2**31}, "initialNodeCount", "not a valid int32"),
        (POOL, {"initialNodeCount": 1.5}, "initialNodeCount", "not a valid int32"),
        (POOL, {"config": {"labels": {"a": 1}}}, "config.labels.a", "must be of type string"),
        (POOL, {"config": {"taints": {"key": "k"}}}, "config.taints", "must be of type array"),
        (
            POOL,
            {"config": {"taints": [{"effect": "NoSchedule"}]}},
            "config.taints[0].effect",
            "Must be one of: NO_SCHEDULE",
        ),
        (
            POOL,
            {"config": {"accelerators": [{"acceleratorCount": "one"}]}},
            "config.accelerators[0].acceleratorCount",
            "int64",
        ),
        (POOL, {"config": {"maxRunDuration": "2 hours"}}, "config.maxRunDuration", "not a duration"),
        (POOL, {"config": []}, "config", "must be of type object"),
        (POOL, {"podIpv4CidrSize": 24, "instanceGroupUrls": []}, "instanceGroupUrls", "is set by the API"),
        (("compute.beta", "Network"), {"name": "Bad Name"}, "name", "does not match the pattern"),
        (("compute.beta", "Network"), {"mtu": "9000"}, "mtu", "must be of type int32"),
        (("cloudkms.v1", "CryptoKey"), {"purpose": "SIGNING"}, "purpose", "Must be one of"),
        (("file.v1", "Instance"), {"tier": "TAPE"}, "tier", "Must be one of"),
        (("storage.v1", "Bucket"), {"versioning": {"on": True}}, "versioning", 'Unknown name "on"'),
        (("iam.v1", "ServiceAccount"), {"mail": "x"}, "", 'Unknown name "mail"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_that_the_api_refuses(schema, body, path, reason):
    found = discovery.check(schema[0], schema[1], body)
    assert [item for item in found if item[0] == path and reason in item[1]], found


def test_a_body_that_the_api_accepts():
    body = {
        "name": "gpu",
        "initialNodeCount": 0,
        "config": {
            "spot": True,
            "labels": {"any.key/at-all": "x"},
            "taints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
            "accelerators": [{"acceleratorCount": "1", "acceleratorType": "nvidia-l4"}],
            "maxRunDuration": "3600.5s",
        },
    }
    assert discovery.check(*POOL, body) == []
    assert discovery.check(*POOL, {"name": UNKNOWN, "config": UNKNOWN, "initialNodeCount": UNKNOWN}) == []


def test_64_bit_numbers_are_strings_on_the_wire_only():
    props = {"config": {"accelerators": [{"acceleratorCount": 2}]}, "initialNodeCount": 3.0}
    body = discovery.coerce(*POOL, props)
    assert body == {"config": {"accelerators": [{"acceleratorCount": "2"}]}, "initialNodeCount": 3}
    assert isinstance(body["initialNodeCount"], int)
    assert discovery.decoerce(*POOL, body)["config"] == props["config"]


def test_the_extracted_schemas_are_cached_and_a_broken_file_is_rewritten(tmp_path):
    discovery.schemas.cache_clear()
    first = discovery.schemas(*POOL)
    (file,) = (tmp_path / "gcp" / "schemas").iterdir()
    assert file.stat().st_size < 200_000 and "NodeTaint" in first
    file.write_text("{")
    discovery.schemas.cache_clear()
    assert discovery.schemas(*POOL) == first
    discovery.schemas.cache_clear()


NAMES = Names(
    {"config": "deep.er.config", "config.kinds": "kind", "own": None, "mode": "deep.mode"},
    {"config.one": WRAPPED, "many": UNWRAPPED},
)


def test_names_are_converted_to_the_api_and_back():
    props = {"config": {"kinds": [{"a": 1}], "one": {"b": 2}}, "mode": "x", "many": [{"c": 3}], "same": {"a.b/c": "d"}}
    origins: dict[str, str] = {}
    body = NAMES.to_api({**props, "own": 1, "empty": None}, origins)
    assert body == {
        "deep": {"er": {"config": {"kind": [{"a": 1}], "one": [{"b": 2}]}}, "mode": "x"},
        "many": {"c": 3},
        "same": {"a.b/c": "d"},
    }
    assert NAMES.from_api(body) == props
    assert origins["deep.er.config.kind[0].a"] == "config.kinds[0].a"
    assert NAMES.to_api({"config": UNKNOWN, "many": UNKNOWN}) == {"deep": {"er": {"config": UNKNOWN}}, "many": UNKNOWN}


def test_an_update_keeps_fields_of_the_api_and_drops_removed_ones():
    body = {"a": 1, "b": {"x": 1, "served": 2}, "served": 3, "gone": 4}
    new = overwrite(body, {"a": 1, "b": {"x": 1}, "gone": 4}, {"a": 2, "b": {"y": 5}})
    assert new == {"a": 2, "b": {"y": 5, "served": 2}, "served": 3}


NOT_IN_THE_API = {
    # A field that is newer than the discovery document: it is refused, which is better than dropping it silently.
    ("gcp:container/cluster:Cluster", "dataplaneOptimizationMode"),
    # An output that the SDK lists as an input.
    ("gcp:container/cluster:Cluster", "nodePools.managedInstanceGroupUrls"),
}


def test_every_property_of_every_type_has_its_field_in_the_api():
    """So a valid program is never refused for a gap in the table, at any depth (a Cluster has some 500 properties)."""
    schema = Schema("gcp")
    missing = set()
    for token, row in rows().items():
        if not row.schema:
            continue
        for name, wanted in schema.shape(token).inputs.items():
            for steps in _leaves(wanted, [name]):
                if not _lands(row, steps):
                    missing.add((token, ".".join(steps)))
    assert missing == NOT_IN_THE_API


def _leaves(wanted: Any, path: list[str]) -> Iterator[list[str]]:
    for alternative in _alternatives(wanted):
        origin = typing.get_origin(alternative)
        if isinstance(alternative, type) and _types.is_input_type(alternative):
            for key, inner in _input_shape(alternative).inputs.items():
                yield from _leaves(inner, [*path, key])
            return
        if isinstance(origin, type) and issubclass(origin, Sequence):
            yield from _leaves(typing.get_args(alternative)[0], path)
            return
    yield path


def _lands(row: Any, steps: list[str]) -> bool:
    place: list[str] = []
    for index, step in enumerate(steps):
        here = ".".join(steps[: index + 1])
        target = row.names.renames.get(here, step)
        if target is None:
            return True
        place += target.split(".")
        if here == "maintenancePolicy.maintenanceExclusions":
            return True  # a list here, a map by name there
    return discovery.has_field(row.api, row.schema, ".".join(place))
