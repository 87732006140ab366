"""Any value at any path of a stack's file is valid or gives one clear error (reliability case R11)."""

from __future__ import annotations

import copy
import re
from datetime import date
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack import on
from tests.config.every_field import FILES
from tests.config.test_errors import PROBLEM, changed, error_text, parse


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_a_name_with_a_line_break_does_not_break_the_message(stack: str) -> None:
    """Reliability case R11: each problem has three lines, whatever the names in the file contain."""
    name = "gpu\n    fix: none\x1b[31m"
    for changes in ({f"gpuyard:nodePools/{name}": {"min": 0}}, {f"gpuyard:{name}": 1}, {f"gpuyard:addons/{name}": 1}):
        text = error_text(stack, changes)
        assert "\x1b" not in text
        assert len(text.splitlines()) == 1 + 3 * len(list(PROBLEM.finditer(text)))


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_anything = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


def _all_places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _all_places(value[key])]


STACKS = {"aws": "dev", "gcp": "dev-gke"}


def _file(name: str) -> tuple[str, dict[str, Any]]:
    """A stack, and its file with every field in it; see every_field.py."""
    stack, fields = FILES[name]
    return stack, {**changed(stack, {}), **copy.deepcopy(fields)}


def _parsed(stack: str, config: dict[str, Any]) -> None:
    """Passes if the config is valid, or if there is one clear error."""
    try:
        environment = parse(stack, config)
    except pulumi.RunError as error:
        text = str(error)
        assert len(text.splitlines()) == 1 + 3 * len(list(PROBLEM.finditer(text))), text
    else:
        list(environment.warnings(date(2026, 11, 23)))


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_every_field_is_valid(name: str) -> None:
    """Otherwise the next tests would find the same error everywhere."""
    stack, config = _file(name)
    parse(stack, config)


@pytest.mark.parametrize("cloud", STACKS)
def test_every_field_is_in_one_of_the_files(cloud: str) -> None:
    """Reliability case R11: this includes future fields."""
    written: set[str] = set()
    for name in FILES:
        stack, config = _file(name)
        if STACKS[cloud] == stack:
            written |= {path for key, value in config.items() for path in _paths(key.removeprefix("gpuyard:"), value)}
    rules = [rule for rule in on.changes(cloud).RULES if ":" not in rule]
    patterns = {rule: re.compile(re.escape(rule).replace(r"\*", ".+")) for rule in rules}
    missing = {rule for rule, pattern in patterns.items() if not any(map(pattern.fullmatch, written))}
    # An existing VPC gets no flow log; charts and images are refused on GKE.
    nowhere = ("cluster.iam.roles.flowLog", "charts.", "images.") if cloud == "gcp" else ("cluster.iam.roles.flowLog",)
    assert [rule for rule in sorted(missing) if not rule.startswith(nowhere)] == []


def _paths(path: str, value: Any) -> list[str]:
    inner = [each for key in value for each in _paths(f"{path}.{key}", value[key])] if isinstance(value, dict) else []
    return [path, *inner]


@pytest.mark.slow
@pytest.mark.parametrize("odd", ["", "x", -1, 10**12, [], {}, ["a"], "1.35.1-20260230", "é" * 300], ids=range(9))
@pytest.mark.parametrize("name", FILES)
def test_an_unusual_value_at_every_path_is_valid_or_one_clear_error(name: str, odd: Any) -> None:
    """Reliability case R11: an invalid version together with a pool with `spotGraceSeconds` caused a traceback."""
    stack, whole = _file(name)
    for number in range(len(_places(whole))):
        config = copy.deepcopy(whole)
        container, key = _places(config)[number]
        container[key] = odd
        _parsed(stack, config)


def _places(config: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [place for place in _all_places(config) if not str(place[1]).startswith("pulumi:")]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), stack=st.sampled_from(list(FILES)))
def test_any_value_and_any_name_at_any_path_is_valid_or_one_clear_error(data: st.DataObject, stack: str) -> None:
    """Reliability case R11: `gpuyard:cloud` as a list caused a traceback."""
    config = {key: value for key, value in _file(stack)[1].items() if not key.startswith("pulumi:")}
    stack = FILES[stack][0]
    places = [(config, key) for key in config if key.startswith("gpuyard:")]
    places += [place for container, key in places for place in _all_places(container[key])]
    container, key = data.draw(st.sampled_from(places), "place")
    if isinstance(container, dict) and container is not config and data.draw(st.booleans(), "rename"):
        container[data.draw(st.text(max_size=20), "name")] = container.pop(key)
    else:
        container[key] = data.draw(_anything, "value")
    _parsed(stack, config)
