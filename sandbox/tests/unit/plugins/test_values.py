"""The wire format: values survive a round trip, and every magic string is decoded."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime import rpc

from sandbox.plugins import values
from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.values import Asset, Secret, changes, decode, encode, join, lookup, parts

SIG = rpc._special_sig_key

quick = settings(deadline=None, max_examples=60)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda t: t not in values._UNKNOWN_STRINGS)
keys = text.filter(lambda key: key != SIG)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer()),
    text,
    st.just(UNKNOWN),
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
properties = st.dictionaries(keys, plain, max_size=5)


def struct(**fields: Any) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(fields)
    return made


@quick
@given(properties)
def test_plain_values_survive_the_wire(props: dict[str, Any]) -> None:
    back = decode(struct_pb2.Struct.FromString(encode(props).SerializeToString()))
    assert back == props
    assert not list(changes(back, props)) or values.has_unknown(props)


@quick
@given(properties)
def test_types_survive_the_wire(props: dict[str, Any]) -> None:
    def kinds(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kinds(item) for key, item in value.items()}
        return [kinds(item) for item in value] if isinstance(value, list) else type(value)

    assert kinds(decode(encode(props))) == kinds(props)


@quick
@given(plain, plain)
def test_changes_give_the_path_of_every_difference(old: Any, new: Any) -> None:
    found = list(changes({"p": old}, {"p": new}))
    for path in found:
        before, after = lookup({"p": old}, path), lookup({"p": new}, path)
        assert before != after or UNKNOWN in (before[1], after[1]) or type(before[1]) is not type(after[1])
    if old == new and not values.has_unknown(old) and not values.has_unknown(new):
        assert all(
            isinstance(lookup({"p": old}, p)[1], bool) != isinstance(lookup({"p": new}, p)[1], bool) for p in found
        )
    if not found:
        assert not values.has_unknown(old) and not values.has_unknown(new)


@quick
@given(
    st.lists(st.one_of(keys.filter(bool), st.integers(0, 99)), min_size=1, max_size=5).filter(
        lambda p: isinstance(p[0], str)
    )
)
def test_paths_can_be_parsed_again(path: list[str | int]) -> None:
    joined = ""
    for part in path:
        joined = join(joined, part)
    assert parts(joined) == path


def test_every_kind_of_unknown_is_decoded() -> None:
    for sentinel in values._UNKNOWN_STRINGS:
        assert decode(struct(a=sentinel, b=[sentinel])) == {"a": UNKNOWN, "b": [UNKNOWN]}
    assert encode({"a": UNKNOWN}).fields["a"].string_value == rpc.UNKNOWN


def test_a_copy_of_unknown_is_the_same_object() -> None:
    assert copy.deepcopy({"a": [UNKNOWN]})["a"][0] is UNKNOWN and copy.copy(UNKNOWN) is UNKNOWN


def test_secrets_output_values_and_references_are_unwrapped() -> None:
    secret = {SIG: rpc._special_secret_sig, "value": {"deep": "hush"}}
    output = {SIG: rpc._special_output_value_sig, "value": 3, "secret": True, "dependencies": []}
    unknown = {SIG: rpc._special_output_value_sig}
    reference = {SIG: rpc._special_resource_sig, "urn": "urn:x", "id": "i-1"}
    new_reference = {SIG: rpc._special_resource_sig, "urn": "urn:x", "id": ""}
    component = {SIG: rpc._special_resource_sig, "urn": "urn:x"}
    assert decode(struct(a=secret, b=output, c=unknown, d=reference, e=new_reference, f=component)) == {
        "a": {"deep": "hush"},
        "b": 3,
        "c": UNKNOWN,
        "d": "i-1",
        "e": UNKNOWN,
        "f": "urn:x",
    }


def test_a_secret_output_is_marked_on_the_wire() -> None:
    marked = encode({"a": Secret({"b": [1]})}).fields["a"].struct_value
    assert marked.fields[SIG].string_value == rpc._special_secret_sig
    assert decode(marked)["value"] == {"b": [1]}
    assert "hush" not in repr(Secret("hush"))


def test_assets_are_read_as_text_and_returned_as_assets(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: 1")
    by_path = {SIG: rpc._special_asset_sig, "path": "values.yaml", "hash": "x"}
    by_text = {SIG: rpc._special_asset_sig, "text": "b: 2"}
    token = values.working_directory.set(tmp_path)
    try:
        found = decode(struct(p=by_path, t=by_text))
    finally:
        values.working_directory.reset(token)
    assert found == {"p": "a: 1", "t": "b: 2"} and isinstance(found["p"], Asset)
    assert encode(found).fields["p"].struct_value["path"] == "values.yaml"


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_a_value_that_cannot_be_encoded_is_named_by_its_path(value: object) -> None:
    with pytest.raises(TypeError, match=r'a\["b.c"\]\[1\]: a \w+ cannot be an output'):
        encode({"a": {"b.c": [1, value]}})


def test_true_differs_from_one_and_null_equals_a_missing_value() -> None:
    assert list(changes({"a": True, "b": None}, {"a": 1})) == ["a"]
    assert math.isclose(decode(encode({"a": 0.5}))["a"], 0.5)
