"""The examples in other languages, run as documented, in a shell of the sandbox."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.paths import ROOT
from tests.engine.conftest import Project
from tools.provide import provide

PLUGIN = "pulumi-resource-gpuyard"
JOINED = 90
"""Seconds until the nodes of a pool have joined."""


@dataclass
class Example:
    """An example in a copy of the project. `host`: the language host that it needs."""

    project: Project
    name: str
    host: str

    @property
    def folder(self) -> Path:
        return self.project.root / "examples" / self.name

    def prepare(self) -> None:
        """Copies the example and the plugin, starts the sandbox's clouds, and creates the stack `dev`."""
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "sdks", "bin", "Pulumi.*.yaml", PLUGIN)
        for name in ("plugin", f"examples/{self.name}"):
            shutil.copytree(ROOT / name, self.project.root / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", self.project.root)
        # A Python host that is built here is too old to run a plugin from its folder. The engine prefers a program of
        # this name in that folder.
        program = self.project.root / "plugin" / PLUGIN
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -u "$(dirname "$0")" "$@"\n')
        program.chmod(0o755)
        self.project.run("preview", "--stack", "dev")
        self.pulumi("stack", "init", "dev")

    def run(self, *command: str, code: int | None = 0) -> tuple[str, str]:
        """A command in the folder of the example; (stdout, stderr). It must end with `code` (None: with any)."""
        host = provide([self.host])[self.host].parent
        script = f'cd {shlex.quote(str(self.folder))} && PATH="$PATH":{shlex.quote(str(host))} && {shlex.join(command)}'
        done = self.project.run("shell", "--stack", "dev", "--", "sh", "-c", script, code=code)
        return done.stdout, done.stderr

    def pulumi(self, *arguments: str, code: int | None = 0) -> str:
        """The output of a command of Pulumi."""
        return "".join(self.run("pulumi", *arguments, "--non-interactive", "--color", "never", code=code))

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.run("pulumi", "stack", "output", "--json", "--show-secrets")[0])

    def state(self) -> list[dict[str, Any]]:
        """The resources in the engine's state."""
        deployment = json.loads(self.run("pulumi", "stack", "export")[0])["deployment"]
        return deployment.get("resources", [])

    def nodes(self, kubeconfig: str, wanted: int) -> list[dict[str, Any]]:
        """The nodes that have joined the cluster, once the wanted number exists."""
        file = self.project.root / "kubeconfig.json"
        file.write_text(kubeconfig)
        until = time.monotonic() + JOINED
        while True:
            found = json.loads(self.run("kubectl", "--kubeconfig", str(file), "get", "nodes", "-o", "json")[0])["items"]
            if len(found) >= wanted or time.monotonic() > until:
                return found
            time.sleep(2)


def assert_it_is_up(example: Example) -> None:
    """Checks that the components, their children and the cluster exist, and that a second run changes nothing."""
    types = [each["type"] for each in example.state()]
    assert types.count("gpuyard:index:EksNodePool") == 2
    assert types.count("gpuyard:index:EksCluster") == types.count("gpuyard:index:AwsNetwork") == 1
    assert types.count("aws:eks/nodeGroup:NodeGroup") == 6
    outputs = example.outputs()
    assert "aws eks update-kubeconfig" in outputs["connectCommand"]
    assert any(name.startswith("gpu-workers-spot-") for name in outputs["nodeGroups"])
    nodes = example.nodes(outputs["kubeconfig"], 2)
    assert [node["metadata"]["labels"]["gpuyard.dev/pool"] for node in nodes] == ["cpu-workers"] * 2
    example.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def assert_it_is_refused(example: Example, file: str, right: str, wrong: str, *said: str) -> None:
    """With `wrong` in place of `right`, a preview ends with the error of the library."""
    path = example.folder / file
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    try:
        printed = example.pulumi("preview", code=None)
    finally:
        path.write_text(text)
    for each in said:
        assert each in printed, printed
    assert "Traceback" not in printed
    assert 'File "' not in printed


def assert_it_is_destroyed(example: Example) -> None:
    """Checks that a destroy leaves nothing in the state, and `down` nothing on the machine."""
    example.pulumi("destroy", "--yes", "--skip-preview")
    assert [each["type"] for each in example.state()] == []
    example.project.run("down")
    assert example.project.processes() == []
