"""A stack that the previous release created continues with this one: nothing with data or nodes is replaced or deleted,
and a destroy does not require an `up` before it.

The previous release's program and library come from an archive (data/README.md describes how it is made). Both use the
current sandbox; the tests compare the engine's state with what this release plans.
"""

from __future__ import annotations

import base64
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.conftest import Project
from tests.engine.workloads import WEB

RELEASE = "0.1.0"
ARCHIVE = Path(__file__).parent / "data" / f"gpuyard-{RELEASE}.tar.xz"
AWS, GKE = "dev", "dev-gke"
CONTENTS = ":ClusterContents"
PREVIOUS = """import runpy
import sys
from pathlib import Path

folder = Path(__file__).parent / "previous"
sys.path.insert(0, str(folder))
runpy.run_path(str(folder / "__main__.py"), run_name="__main__")
"""
"""The program of the copy while it uses the previous release. Only the program sees that release's library: the
providers that the sandbox starts in the same folder use the current one."""

MAY_GO = ("pulumi:providers:",)
"""Types that an upgrade may delete or replace, by the beginning of their names: they hold neither data nor nodes."""


@contextmanager
def previous(project: Project) -> Iterator[None]:
    """The copy runs the previous release's program with that release's stack files; the files remain afterwards."""
    folder = project.root / "previous"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    today = {name: (project.root / name).read_bytes() for name in ("__main__.py", "Pulumi.yaml")}
    (project.root / "__main__.py").write_text(PREVIOUS)
    shutil.copy(folder / "Pulumi.yaml", project.root / "Pulumi.yaml")
    for stack in (AWS, GKE):
        shutil.copy(folder / f"Pulumi.{stack}.yaml", project.root / f"Pulumi.{stack}.yaml")
    try:
        yield
    finally:
        for name, text in today.items():
            (project.root / name).write_bytes(text)
        shutil.rmtree(folder)


def objects(project: Project, stack: str) -> set[tuple[str, str]]:
    """(type, id) of everything that a provider created for the stack."""
    return {
        (found["type"], found["id"])
        for found in project.state(stack)
        if found.get("custom") and not found.get("external") and not found["type"].startswith(MAY_GO)
    }


def provider_of_contents(project: Project, stack: str) -> bytes:
    """The reference in the state to the class that deletes the contents of the cluster."""
    (contents,) = (found for found in project.state(stack) if found["type"].endswith(CONTENTS))
    return base64.b64decode(contents["inputs"]["__provider"])


def harmful_steps(preview: dict[str, Any]) -> list[tuple[str, str]]:
    """(operation, URN) of every step that deletes or replaces a resource that an upgrade must keep."""
    return [
        (step["operation"], step["urn"])
        for step in preview["steps"]
        if ("delete" in step["operation"] or "replace" in step["operation"]) and not step["type"].startswith(MAY_GO)
    ]


@pytest.fixture(scope="module")
def brought_up(project: Project) -> Project:
    """Both clouds' development stacks as the previous release creates them, with one CPU pool and one GPU pool each."""
    with previous(project):
        for stack in (AWS, GKE):
            project.run("up", "--stack", stack)
    for stack in (AWS, GKE):
        assert b"components.addons.cleanup" in provider_of_contents(project, stack), "this is not the previous release"
    return project


@pytest.mark.parametrize("stack", [AWS, GKE])
def test_a_preview_replaces_and_deletes_nothing(stack: str, brought_up: Project) -> None:
    shown = brought_up.json("preview", "--stack", stack, "--json")
    assert shown["changes"]["same"] > 30, "the preview does not see the stack"
    assert harmful_steps(shown) == []


def test_an_up_keeps_every_object_and_a_second_one_changes_nothing(brought_up: Project) -> None:
    before = objects(brought_up, AWS)
    brought_up.run("up", "--stack", AWS)
    assert before - objects(brought_up, AWS) == set(), "an object was deleted or replaced"
    assert b"components.cleanup.component" in provider_of_contents(brought_up, AWS)
    again = brought_up.json("up", "--stack", AWS, "--json")
    assert again["changed"] == 0, again["changes"]


def test_a_destroy_needs_no_up_before_it(brought_up: Project) -> None:
    """The state names a module of the previous release, `components.addons.cleanup`. If it cannot be loaded, the load
    balancers and volumes of the cluster's users stay."""
    kubectl = ("kubectl", "--stack", GKE, "--")
    (brought_up.root / "web.yaml").write_text(yaml.safe_dump(WEB))
    brought_up.run(*kubectl, "apply", "-f", "web.yaml")
    waiting = ("wait", "service/web", "--for=jsonpath={.status.loadBalancer.ingress}", "--timeout=60s")
    brought_up.run(*kubectl, *waiting)
    assert b"components.addons.cleanup" in provider_of_contents(brought_up, GKE), "there was an `up` in between"
    brought_up.run("down", "--stack", GKE)
    assert not (brought_up.home / "state" / ".pulumi" / "stacks" / "gpuyard" / f"{GKE}.json").exists()


def test_a_down_leaves_nothing(brought_up: Project) -> None:
    brought_up.run("down", "--stack", AWS)
    brought_up.run("down")
    assert brought_up.processes() == []
    assert not brought_up.home.exists()
