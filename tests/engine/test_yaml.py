"""The example in YAML through the plugin. Its components are those of the example in TypeScript, which comes up in a
test of its language: here a preview shows that the same resources follow from the YAML."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.engine.conftest import Project
from tests.engine.languages import MADE, Example, assert_it_is_refused


@pytest.fixture(scope="module")
def example(project: Project) -> Example:
    made = Example(project, "examples/yaml", "pulumi-language-yaml")
    made.prepare()
    made.configure({"publicAccessCidrs": ["8.8.8.0/24"]})
    return made


def test_a_wrong_value_is_refused_without_a_traceback(example: Example) -> None:
    message = ("resource 'network' has a problem", "10.0.0.5/16 has host bits set", "fix: write 10.0.0.0/16")
    assert_it_is_refused(example, "Pulumi.yaml", "10.0.0.0/16", "10.0.0.5/16", *message)


def test_a_misspelled_key_is_refused(example: Example) -> None:
    """By Pulumi itself, from the schema."""
    assert_it_is_refused(example, "Pulumi.yaml", "publicAccessCidrs: ${", "publicAccessCidr: ${", "publicAccessCidr")


def test_the_example_plans_what_the_other_languages_make(example: Example) -> None:
    events = example.run("pulumi", "preview", "--json", "--non-interactive")[0]
    planned = Counter(step["newState"]["type"] for step in json.loads(events)["steps"] if step["op"] == "create")
    assert {type: planned[type] for type in MADE} == MADE
