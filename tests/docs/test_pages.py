"""Commands, files, links and examples that the pages name exist. The commands themselves run in tests/engine."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
import yaml
from pydantic.alias_generators import to_camel

from components.clouds import AWS
from pages import transcripts as record
from recording.recorder import run
from recording.stacks import recorded
from sandbox.paths import ROOT
from stack import on

PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "node_modules" for part in page.relative_to(ROOT).parts)
)
README = (ROOT / "README.md").read_text()


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make (?:-s )?([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_in_a_table_or_a_sentence_exists(page: Path) -> None:
    """Paths in backticks that begin with a folder of the project; except braces, globs and placeholders."""
    folders = "components|stack|recording|pages|plugin|examples|sandbox|tests|tools|bench|docs"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text())
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing


def test_the_example_program_creates_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """seed row S26: the README's Python, under the recorder. When installed, `components` is called `gpuyard`."""
    import components
    import components.aws

    monkeypatch.setitem(sys.modules, "gpuyard", components)
    monkeypatch.setitem(sys.modules, "gpuyard.aws", components.aws)
    (example,) = blocks(README, "python")

    def program() -> None:
        provider = aws.Provider("aws", region="us-east-1")
        scope: dict[str, Any] = {
            "first_subnet": type("Subnet", (), {"id": "subnet-1"}),
            "second_subnet": type("Subnet", (), {"id": "subnet-2"}),
            "cluster": type("Cluster", (), {"name": pulumi.Output.from_input("research")}),
            "node_role": type("Role", (), {"arn": "arn:aws:iam::123456789012:role/nodes"}),
            "aws_provider": provider,
        }
        exec(compile(example, "README.md", "exec"), scope)

    recording = run(program)
    group = recording.all("aws:eks/nodeGroup:NodeGroup")[0]
    assert group.inputs["instanceTypes"] == ["g6.2xlarge"]
    assert group.inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_yaml_examples_have_only_declared_keys() -> None:
    """Every `gpuyard:` key of a YAML example is one that the stack reads."""
    declared = {to_camel(name) for name in on.shape(AWS).fields}
    for page in PAGES:
        for block in blocks(page.read_text(), "yaml"):
            keys = [key for each in yaml.safe_load_all(block) for key in (each or {}).get("config", {})]
            own = {key.split(":", 1)[1] for key in keys if key.startswith("gpuyard:")}
            assert own <= declared, f"{name(page)}: {own - declared}"


@pytest.mark.parametrize(
    ("page", "command"), [(page.path, command) for page in record.PAGES for command in page.commands]
)
def test_a_page_has_its_transcript(page: str, command: str) -> None:
    text = (ROOT / page).read_text()
    place = re.search(rf"<!-- transcript: {command} -->\n(.*?)<!-- transcript: end -->", text, re.DOTALL)
    assert place and f"$ {command}\n" in place[1], "make record"
    assert ("✔" in place[1] or "✓" in place[1]) and "✗" not in place[1]


def test_the_transcript_names_resources_that_exist() -> None:
    """A renamed resource needs a new recording."""
    shown = re.findall(r"^  created .* (\S+) \(\d+ s\)$", README, re.MULTILINE)
    assert len(shown) > 3
    assert {*shown} <= {found.name for found in recorded("dev").resources.values()}, "make record"


def test_a_transcript_needs_its_place() -> None:
    page = "a\n<!-- transcript: make up -->\nold\n<!-- transcript: end -->\nb"
    assert record.placed(page, "make up", "new").count("old") == 0
    with pytest.raises(ValueError, match="make demo"):
        record.placed(page, "make demo", "new")
