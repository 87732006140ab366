"""Each example is in the table of examples/README.md, has an engine test, and is a complete project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sandbox.paths import ROOT

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
IN_PYTHON = [path for path in EXAMPLES if (path / "__main__.py").exists()]
MOST_LINES = 30


def name(example: Path) -> str:
    return example.name


def test_the_table_has_each_example() -> None:
    rows = re.findall(r"^\| \[([\w-]+)\]\(([\w-]+)/", (ROOT / "examples" / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == [(example.name, example.name) for example in EXAMPLES]


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_has_an_engine_test(example: Path) -> None:
    tests = (ROOT / "tests" / "engine").glob("test_*.py")
    assert any(f'"examples/{example.name}"' in test.read_text() for test in tests)


@pytest.mark.parametrize("example", IN_PYTHON, ids=name)
def test_an_example_in_python_is_a_complete_project(example: Path) -> None:
    """Its requirements list what it imports, and Pulumi creates its virtual environment from them."""
    project = yaml.safe_load((example / "Pulumi.yaml").read_text())
    assert project["name"] == f"gpuyard-{example.name}"
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": "venv"}}
    assert project["config"]["pulumi:disable-default-providers"] == {"value": ["*"]}
    wanted = set((example / "requirements.txt").read_text().splitlines()[1:])
    source = "".join(path.read_text() for path in example.glob("*.py"))
    sdks = set(re.findall(r"^import (pulumi_\w+)", source, re.MULTILINE))
    assert wanted == {"../..", *(sdk.replace("_", "-") for sdk in sdks)}


@pytest.mark.parametrize("example", IN_PYTHON, ids=name)
def test_a_readme_is_short_and_names_the_commands_and_the_config(example: Path) -> None:
    page = (example / "README.md").read_text()
    assert len(page.splitlines()) <= MOST_LINES
    commands = re.findall(r"^\$ (.+)$", page, re.MULTILINE)
    assert commands[:3] == ["pulumi install", "pulumi stack init dev", "pulumi up"]
    source = "".join(path.read_text() for path in example.glob("*.py"))
    read = set(re.findall(r"\.(?:require|require_object|require_secret)\(\"(\w+)\"\)", source))
    set_there = re.findall(r"pulumi config set (?:--secret |--path )?'?([\w:]+)", "\n".join(commands))
    written = {key.rpartition(":")[2] for key in set_there}
    assert read == written
