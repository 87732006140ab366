"""The examples in other languages: their plugin, and the common parts of their tests."""

from __future__ import annotations

import shlex
import shutil
import sys

from sandbox.paths import ROOT
from tests.engine.example import COPIED, Program, assert_nothing_is_left

PLUGIN = "pulumi-resource-gpuyard"


class Example(Program):
    """An example in another language."""

    def install(self) -> None:
        """Installs the plugin in the copy of the project."""
        shutil.copytree(ROOT / "plugin", self.project.root / "plugin", ignore=COPIED)
        shutil.copy(ROOT / "pyproject.toml", self.project.root)
        # A Python host that is built here is too old to run a plugin from its folder. The engine prefers a program of
        # this name in that folder.
        program = self.project.root / "plugin" / PLUGIN
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u "$(dirname "$0")" "$@"\n')
        program.chmod(0o755)


def assert_it_is_up(example: Example) -> None:
    """The components, their children and their cluster exist, and a second `up` changes nothing."""
    types = example.types()
    assert types.count("gpuyard:index:EksNodePool") == 2
    assert types.count("gpuyard:index:EksCluster") == types.count("gpuyard:index:AwsNetwork") == 1
    assert types.count("aws:eks/nodeGroup:NodeGroup") == 6
    assert types.count("gpuyard:index:EksAddon") == 4, "CoreDNS, and three that every node needs"
    outputs = example.outputs()
    assert "aws eks update-kubeconfig" in outputs["connectCommand"]
    assert any(name.startswith("gpu-workers-spot-") for name in outputs["nodeGroups"])
    nodes = example.nodes(outputs["kubeconfig"], 2)
    assert [node["metadata"]["labels"]["gpuyard.dev/pool"] for node in nodes] == ["cpu-workers"] * 2
    example.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def assert_it_is_refused(example: Example, file: str, right: str, wrong: str, *message: str) -> None:
    """With `wrong` instead of `right`, a preview ends with the library's error."""
    path = example.folder / file
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    try:
        printed = example.pulumi("preview", code=None)
    finally:
        path.write_text(text)
    for each in message:
        assert each in printed, printed
    assert "Traceback" not in printed
    assert 'File "' not in printed


def assert_it_is_destroyed(example: Example) -> None:
    """A destroy leaves an empty state, and `down` leaves nothing on the machine."""
    example.destroy()
    assert_nothing_is_left(example.project)
