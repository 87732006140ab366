"""Pulumi programs in a copy of the project, run as their readers run them: in a shell of the sandbox."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.paths import ROOT
from tests.engine.conftest import Project
from tools.provide import provide

JOINED = 90
"""Seconds until the nodes of a pool have joined."""
COPIED = shutil.ignore_patterns("__pycache__", "node_modules", "sdks", "bin", "venv", "Pulumi.*.yaml")
"""Files that are not copied, because tools write them."""


@dataclass
class Program:
    """A program in a copy of the project. `path`: its folder in this repository. `host`: the language host that it
    needs."""

    project: Project
    path: str
    host: str = "pulumi-language-python"

    @property
    def folder(self) -> Path:
        return self.project.root / self.path

    def prepare(self) -> None:
        """Copies the program, starts the clouds of the sandbox, and makes the stack `dev`."""
        shutil.copytree(ROOT / self.path, self.folder, ignore=COPIED)
        self.install()
        if not self.project.home.exists():
            self.project.start_clouds("dev")
        self.pulumi("stack", "init", "dev")

    def install(self) -> None:
        """Adds what the program needs next to its own files."""

    def configure(self, values: Mapping[str, Any]) -> None:
        """Adds to the config of the stack `dev`. A key without a namespace belongs to the program."""
        name = yaml.safe_load((self.folder / "Pulumi.yaml").read_text())["name"]
        file = self.folder / "Pulumi.dev.yaml"
        document = yaml.safe_load(file.read_text()) if file.exists() else {}
        config = {key if ":" in key else f"{name}:{key}": value for key, value in values.items()}
        document["config"] = {**document.get("config", {}), **config}
        file.write_text(yaml.safe_dump(document))

    def script(self, command: Sequence[str]) -> str:
        """The shell script that runs a command in the folder, with the language host on the PATH."""
        host = provide([self.host])[self.host].parent
        return f'cd {shlex.quote(str(self.folder))} && PATH="$PATH":{shlex.quote(str(host))} && {shlex.join(command)}'

    def run(self, *command: str, code: int | None = 0) -> tuple[str, str]:
        """Runs a command in the folder of the program and returns (stdout, stderr). It must exit with `code` (None:
        any)."""
        done = self.project.run("shell", "--stack", "dev", "--", "sh", "-c", self.script(command), code=code)
        return done.stdout, done.stderr

    def pulumi(self, *arguments: str, code: int | None = 0) -> str:
        """Runs a command of Pulumi and returns its output."""
        return "".join(self.run("pulumi", *arguments, "--non-interactive", "--color", "never", code=code))

    def up(self) -> None:
        """Brings the stack up; a second `up` changes nothing."""
        self.pulumi("up", "--yes", "--skip-preview")
        self.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")

    def destroy(self) -> None:
        """Destroys the stack and checks that its state is empty."""
        self.pulumi("destroy", "--yes", "--skip-preview")
        assert [each["type"] for each in self.state()] == []

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.run("pulumi", "stack", "output", "--json", "--show-secrets")[0])

    def state(self) -> list[dict[str, Any]]:
        """The resources that the engine keeps."""
        return self.project.state("dev", yaml.safe_load((self.folder / "Pulumi.yaml").read_text())["name"])

    def types(self) -> list[str]:
        """Type of each resource that the engine keeps."""
        return [each["type"] for each in self.state()]

    def kubectl(self, kubeconfig: str, *arguments: str) -> str:
        """The output of kubectl for the cluster of a kubeconfig."""
        file = self.project.root / "kubeconfig.json"
        file.write_text(kubeconfig)
        return self.run("kubectl", "--kubeconfig", str(file), *arguments)[0]

    def node_of_a_gpu_pod(
        self, kubeconfig: str, selector: Mapping[str, str], *tolerations: Mapping[str, str]
    ) -> dict[str, str]:
        """Runs a pod with one GPU until it is ready, deletes it, and returns the labels of its node."""
        container = {"name": "main", "image": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists"}, *tolerations]
        spec = {"nodeSelector": dict(selector), "tolerations": tolerated, "containers": [container]}
        manifest = self.project.root / "pod.json"
        manifest.write_text(
            json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "training"}, "spec": spec})
        )
        self.kubectl(kubeconfig, "apply", "-f", str(manifest))
        self.kubectl(kubeconfig, "wait", "pod/training", "--for=condition=Ready", f"--timeout={JOINED}s")
        node = self.kubectl(kubeconfig, "get", "pod", "training", "-o", "jsonpath={.spec.nodeName}")
        labels = json.loads(self.kubectl(kubeconfig, "get", "node", node, "-o", "json"))["metadata"]["labels"]
        self.kubectl(kubeconfig, "delete", "pod", "training")
        return labels

    def nodes(self, kubeconfig: str, wanted: int) -> list[dict[str, Any]]:
        """The nodes that have joined the cluster, once there are as many as wanted."""
        until = time.monotonic() + JOINED
        while True:
            found = json.loads(self.kubectl(kubeconfig, "get", "nodes", "-o", "json"))["items"]
            if len(found) >= wanted or time.monotonic() > until:
                return found
            time.sleep(2)


class PythonProgram(Program):
    """A program in Python, with the virtual environment that its Pulumi.yaml names."""

    def install(self) -> None:
        """A virtual environment with this run's own packages, and the copy's library as an installed `gpuyard`."""
        library = self.folder / "venv" / "library"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", library.parent], check=True)
        library.mkdir()
        (library / "gpuyard").symlink_to(self.project.root / "components")
        (packages,) = library.parent.glob("lib/python*/site-packages")
        (ours,) = Path(sys.prefix).glob("lib/python*/site-packages")
        (packages / "this_run.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n{library}\n")

    def script(self, command: Sequence[str]) -> str:
        """Uses the activated environment, because a Python host that is built here is too old for the option
        `virtualenv`."""
        return f". {shlex.quote(str(self.folder))}/venv/bin/activate && {super().script(command)}"


def assert_nothing_is_left(project: Project) -> None:
    """Runs `down`: it must find no remaining object, and stop every process."""
    project.run("down")
    assert project.processes() == []
