"""The examples in other languages: the plugin that they use, and what their tests have in common."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from typing import Any

from sandbox.paths import ROOT
from tests.engine.example import COPIED, Program, assert_nothing_is_left

PLUGIN = "pulumi-resource-gpuyard"
MADE = {
    "gpuyard:index:AwsNetwork": 1,
    "gpuyard:index:EksCluster": 1,
    "gpuyard:index:EksNodePool": 2,
    "aws:eks/nodeGroup:NodeGroup": 6,
    "gpuyard:index:EksAddon": 4,  # CoreDNS, and three that every node needs
    "kubernetes:helm.sh/v3:Release": 2,  # the autoscaler and the device plugin
}
"""Type of resource → how many of it the example makes."""


class Example(Program):
    """An example in another language."""

    def install(self) -> None:
        """The plugin, in the copy of the project."""
        shutil.copytree(ROOT / "plugin", self.project.root / "plugin", ignore=COPIED)
        shutil.copy(ROOT / "pyproject.toml", self.project.root)
        # A Python host that is built here is too old to run a plugin from its folder. The engine prefers a program of
        # this name in that folder.
        program = self.project.root / "plugin" / PLUGIN
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u "$(dirname "$0")" "$@"\n')
        program.chmod(0o755)


def assert_it_is_up(example: Example) -> None:
    """The components, their children and the cluster behind them are there, and nothing else changes."""
    made = Counter(example.types())
    assert {type: made[type] for type in MADE} == MADE
    outputs = example.outputs()
    assert "aws eks update-kubeconfig" in outputs["connectCommand"]
    assert any(name.startswith("gpu-workers-spot-") for name in outputs["nodeGroups"])
    kubeconfig = outputs["kubeconfig"]
    nodes = example.nodes(kubeconfig, 2)
    assert [node["metadata"]["labels"]["gpuyard.dev/pool"] for node in nodes] == ["cpu-workers"] * 2
    labels = example.node_of_a_gpu_pod(kubeconfig, {"workload": "gpu-training"})
    assert (labels["gpuyard.dev/pool"], labels["gpuyard.dev/capacity"]) == ("gpu-workers", "spot")
    assert_the_kubeconfig_is_secret(example.state())
    example.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def assert_the_kubeconfig_is_secret(state: list[dict[str, Any]]) -> None:
    """In the outputs of the stack, and in the inputs of the program's provider for the cluster (pulumi-eks has one too,
    as a child)."""
    (stack,) = [each for each in state if each["type"] == "pulumi:pulumi:Stack"]
    (provider,) = [each for each in state if "::pulumi:providers:kubernetes::" in each["urn"]]
    assert "ciphertext" in stack["outputs"]["kubeconfig"], "output"
    assert "ciphertext" in provider["inputs"]["kubeconfig"], "provider"


def assert_it_is_refused(example: Example, file: str, right: str, wrong: str, *message: str) -> None:
    """With `wrong` in place of `right`, a preview ends with the error of the library."""
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
    """A destroy leaves nothing in the state, and `down` nothing on the machine."""
    example.destroy()
    assert_nothing_is_left(example.project)
