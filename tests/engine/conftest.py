"""A copy of the project with a separate sandbox, used through its commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.down import LEFTOVERS
from sandbox.environment import TOOLS
from sandbox.paths import ROOT
from tools.provide import provide

PARTS = ("__main__.py", "Pulumi.yaml", "requirements.txt", "requirements-dev.txt", "Makefile")
FOLDERS = ("components", "stack", "sandbox", "tools")
LONGEST = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/engine/" in item.path.as_posix():
            item.add_marker(pytest.mark.engine)


@dataclass
class Project:
    """One copy. `run` is `python -m sandbox …` in it."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / ".sandbox"

    @property
    def environment(self) -> dict[str, str]:
        """An empty HOME, no credentials; the Python environment, the tools and Go's modules of this run, which are not
        under test."""
        names = ("PATH", "KUBEBUILDER_ASSETS", "LANG", "GPUYARD_KUBERNETES_PROVIDER")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        cache = os.environ.get("GPUYARD_TOOLS_CACHE") or Path(
            os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gpuyard", "tools"
        )
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        modules = os.environ.get("GOMODCACHE") or str(Path.home() / "go" / "pkg" / "mod")
        return {
            **kept,
            "HOME": str(home),
            "GPUYARD_VENV": sys.prefix,
            "GPUYARD_TOOLS_CACHE": str(cache),
            "GOMODCACHE": modules,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the command."""
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int | None = 0, dirty: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end; it must exit with `code` (None: any code). A `down` must leave nothing, unless
        `dirty` is set."""
        child = self.start(*arguments)
        stdout, stderr = child.communicate(timeout=LONGEST)
        done = subprocess.CompletedProcess(arguments, child.returncode, stdout, stderr)
        if code is not None:
            assert done.returncode == code, f"{arguments} ended with {done.returncode}\n{stdout}\n{stderr}"
        if arguments[0] == "down" and not dirty:
            assert LEFTOVERS not in stderr, stderr
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).stdout)

    def config(self, stack: str) -> dict[str, Any]:
        return yaml.safe_load((self.root / f"Pulumi.{stack}.yaml").read_text())["config"]

    def write(self, stack: str, config: dict[str, Any]) -> None:
        (self.root / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))

    def state(self, stack: str, program: str = "gpuyard") -> list[dict[str, Any]]:
        """The resources of the stack in the engine's state, from the file backend. `program`: its project's name."""
        path = self.home / "state" / ".pulumi" / "stacks" / program / f"{stack}.json"
        return json.loads(path.read_text())["checkpoint"]["latest"].get("resources", [])

    def start_clouds(self, stack: str) -> None:
        """Makes the stack and starts its clouds, as every command does that runs the engine, but runs no program."""
        opened = (
            "from sandbox import environment, session, stacks\n"
            "environment.isolate()\n"
            f"with session.opened(stacks.Stack({stack!r}), 'test'):\n"
            "    pass\n"
        )
        subprocess.run([sys.executable, "-c", opened], cwd=self.root, env=self.environment, check=True)

    def ports(self, stack: str) -> list[int]:
        """The ports on which the stack's sandbox listens."""
        listed = self.json("status", "--stack", stack, "--json")["sandbox"]["processes"]
        return [process["port"] for process in listed if process["port"]]

    def processes(self) -> list[int]:
        """Every process that was started for this copy's sandbox and still runs."""
        mark, found = f"GPUYARD_SANDBOX={self.home}".encode(), []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes().split(b"\0"):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found


def answers(port: int) -> bool:
    """Whether something listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy for one module's tests; processes that still run are killed at the end. On a new machine, the programs of
    an environment, and those that the module names in CONTROLLERS, are built first: that takes longer than a command
    may."""
    provide([*TOOLS, *getattr(request.module, "CONTROLLERS", ())])
    root = tmp_path_factory.mktemp("project")
    for name in (*PARTS, *(path.name for path in ROOT.glob("Pulumi.*.yaml"))):
        shutil.copy(ROOT / name, root / name)
    for name in FOLDERS:  # with the bytecode, so that no copy compiles it again; another worker may be writing `.pyc.*`
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    copy = Project(root)
    yield copy
    while pids := copy.processes():  # again, because one may just start another
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
