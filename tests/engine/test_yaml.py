"""The example in YAML comes up and is destroyed, through the plugin."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Project
from tests.engine.languages import Example, assert_it_is_destroyed, assert_it_is_refused, assert_it_is_up


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


def test_the_example_comes_up_and_is_destroyed(example: Example) -> None:
    example.pulumi("up", "--yes", "--skip-preview")
    assert_it_is_up(example)
    assert_it_is_destroyed(example)
