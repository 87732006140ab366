"""Whatever a person writes at whatever place of a stack's file: a config, or one clear error (reliability case R11)."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.config.test_errors import PROBLEM, changed, parse, refused


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_a_name_with_a_line_break_does_not_break_the_message(stack: str) -> None:
    """Reliability case R11: each problem is three lines, whatever the names in the file hold."""
    name = "gpu\n    fix: none\x1b[31m"
    for changes in ({f"gpuyard:nodePools/{name}": {"min": 0}}, {f"gpuyard:{name}": 1}, {f"gpuyard:addons/{name}": 1}):
        text = refused(stack, changes)
        assert "\x1b" not in text
        assert len(text.splitlines()) == 1 + 3 * len(list(PROBLEM.finditer(text)))


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_anything = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)


def _all_places(value: Any) -> list[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _all_places(value[key])]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), stack=st.sampled_from(["dev", "dev-gke"]))
def test_any_value_and_any_name_at_any_place_is_a_config_or_one_clear_error(data: st.DataObject, stack: str) -> None:
    """Reliability case R11: `gpuyard:cloud` as a list was a traceback."""
    config = {key: value for key, value in changed(stack, {}).items() if not key.startswith("pulumi:")}
    places = [(config, key) for key in config if key.startswith("gpuyard:")]
    places += [place for container, key in places for place in _all_places(container[key])]
    container, key = data.draw(st.sampled_from(places), "place")
    if isinstance(container, dict) and container is not config and data.draw(st.booleans(), "rename"):
        container[data.draw(st.text(max_size=20), "name")] = container.pop(key)
    else:
        container[key] = data.draw(_anything, "value")
    try:
        parse(stack, config)
    except pulumi.RunError as error:
        text = str(error)
        assert len(text.splitlines()) == 1 + 3 * len(list(PROBLEM.finditer(text))), text
