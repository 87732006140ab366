"""Helpers for tests of the pages: rows and commands of a page, lines of a diagram, and examples with changes."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pages.picture import __main__ as picture
from recording.recording import Recording, Resource
from recording.stacks import record, settings
from sandbox.paths import ROOT
from stack import environment
from stack.cloud_keys import CloudKeys


def text(name: str) -> str:
    """A page of docs/."""
    return (ROOT / "docs" / name).read_text()


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of the table whose header begins with `head`, without the separator line."""
    _, found, rest = page.partition(f"\n| {head} |")
    assert found, f"there is no table {head}"
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def changed(stack: str, change: Callable[[dict[str, Any]], None], outputs: dict[str, Any] | None = None) -> Recording:
    """An example with another config, recorded."""
    config = copy.deepcopy(settings(stack))
    change(config)
    return record(config, stack, outputs=outputs)


def parse(stack: str, changes: dict[str, Any]) -> environment.Environment:
    """The environment of an example with other keys."""
    found = {**settings(stack), **changes}
    raw = {key.removeprefix("gpuyard:"): value for key, value in found.items() if key.startswith("gpuyard:")}
    keys = CloudKeys({key: value for key, value in found.items() if not key.startswith("gpuyard:")})
    return environment.parse(raw, present=set(raw), stack=stack, keys=keys)


def commands(page: str) -> list[list[str]]:
    """The words of every command in the page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def manifests(page: str) -> list[dict[str, Any]]:
    """The page's YAML blocks, one document each."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [found for block in blocks for found in yaml.safe_load_all(block)]


def check_diagram(diagram: str) -> None:
    """Checks that the diagram is small, every id is unique, and every arrow has a target."""
    lines = [line.strip() for line in diagram.splitlines()]
    boxes = [found[1] for line in lines if (found := re.match(r"subgraph (\w+)\[", line))]
    nodes = [found[1] for line in lines if (found := re.match(r"(\w+)[(\[]+\"", line))]
    assert 8 < len(nodes) <= 40
    assert len({*boxes, *nodes}) == len(boxes) + len(nodes), "every id is unique"
    assert lines.count("end") == len(boxes)
    arrows = [line for line in lines if re.search(r"-->|---|~~~", line)]
    ends = {each for line in arrows for each in re.split(r" (?:<?-->|---|~~~|&) ", re.sub(r"\|.*?\|", "", line))}
    assert {each.strip() for each in ends} <= {*boxes, *nodes}
    drawn = {each for line in lines if line.startswith("class ") for each in line.split()[1].split(",")}
    assert drawn == set(boxes)


def check_out_of_date(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--check` an outdated page is reported with the fix and not changed; without it the page is written."""
    page, old = text(name), tmp_path / name
    old.write_text(page.replace("2..20 nodes", "2..19 nodes"))
    path = next(path for path in picture.PAGES if path.name == name)
    monkeypatch.setattr(picture, "PAGES", {old: picture.PAGES[path]})
    assert picture.main(["--check"]) == 1
    output = capsys.readouterr().err
    assert "Fix: make picture" in output and "2..19 nodes" in output and f"{name} is out of date" in output
    assert "2..19 nodes" in old.read_text()
    assert picture.main([]) == 0
    assert old.read_text() == page


def outlive(made: Recording, longer: list[Resource], shorter: list[Resource]) -> None:
    """Checks that a destroy deletes all of `shorter` before any of `longer`."""
    assert longer and shorter
    assert all(made.must_outlive(one, other) for one in longer for other in shorter)


def protected(made: Recording) -> set[str]:
    """Names of the resources that Pulumi refuses to delete."""
    return {found.name for found in made.resources.values() if found.options.get("protect")}
