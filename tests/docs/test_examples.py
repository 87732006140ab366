"""Each example is in the table of examples/README.md, has an engine test, and is a complete project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.paths import ROOT

EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
IN_PYTHON = [path for path in EXAMPLES if (path / "__main__.py").exists()]
MOST_LINES = 36


def name(example: Path) -> str:
    return example.name


def config(example: Path) -> dict[str, Any]:
    """What Pulumi.yaml has under `config`."""
    return yaml.safe_load((example / "Pulumi.yaml").read_text())["config"]


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
    wanted = set((example / "requirements.txt").read_text().splitlines()[1:])
    source = "".join(path.read_text() for path in example.glob("*.py"))
    sdks = set(re.findall(r"^import (pulumi_\w+)", source, re.MULTILINE))
    clouds = {"pulumi_aws", "pulumi_gcp"} & sdks
    extra = "all" if len(clouds) > 1 else clouds.pop().removeprefix("pulumi_")
    assert wanted == {f"../..[{extra}]", *(sdk.replace("_", "-") for sdk in sdks)}


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_default_providers_of_the_clouds_are_disabled(example: Path) -> None:
    """Only the packages of components, which have no credentials, may have one, and in Python not even those."""
    disabled = config(example)["pulumi:disable-default-providers"]["value"]
    assert disabled == (["*"] if example in IN_PYTHON else ["aws", "kubernetes"])


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_a_readme_has_every_command_in_its_order(example: Path) -> None:
    """The config is set before `pulumi up`: each key that Pulumi.yaml describes or the program reads."""
    page = (example / "README.md").read_text()
    assert len(page.splitlines()) <= MOST_LINES
    commands = re.findall(r"^\$ (.+)$", page, re.MULTILINE)
    assert commands[:2] == ["pulumi install", "pulumi stack init dev"]
    before_up = "\n".join(commands[: commands.index("pulumi up")])
    written = set(re.findall(r"pulumi config set (?:--secret |--path )?'?([\w:]+)", before_up))
    described = {key for key, value in config(example).items() if "value" not in value}
    source = "".join(path.read_text() for path in example.glob("*.py"))
    read = set(re.findall(r"\.(?:require|require_object|require_secret)\(\"(\w+)\"\)", source))
    of_providers = {key for key in written if ":" in key}
    assert described == written - of_providers
    assert example not in IN_PYTHON or read == {key.rpartition(":")[2] for key in written}
    assert "**You need**" in page and "**You pay for**" in page


def test_the_clouds_providers_have_the_versions_of_the_library() -> None:
    """In other languages the program names them. In Python the library's requirements do."""
    wanted = dict(re.findall(r"^pulumi-(\w+)==(\S+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE))
    resources = yaml.safe_load((ROOT / "examples" / "yaml" / "Pulumi.yaml").read_text())["resources"]
    providers = {type: each for each in resources.values() if (type := each["type"]).startswith("pulumi:providers:")}
    assert {type.rpartition(":")[2]: each["options"]["version"] for type, each in providers.items()} == {
        package: wanted[package] for package in ("aws", "kubernetes")
    }
    program = (ROOT / "examples" / "typescript" / "index.ts").read_text()
    assert re.findall(r"new (\w+)\.Provider\(.*version: \"(.+)\"", program) == [("aws", wanted["aws"])]
