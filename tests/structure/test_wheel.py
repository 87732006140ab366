"""The library as a wheel: installed, used and type-checked outside of this repository.

Nothing is downloaded: the wheel is built with the setuptools of this environment, and the new environment reads the
packages that the library depends on from this one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

import components
from sandbox.paths import ROOT

pytestmark = pytest.mark.slow

SITES = [path for path in sys.path if Path(path).name == "site-packages"]
SOURCE = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "components", "stack", "tests", "sandbox")
"""The content of the folder in which the wheel is built; the wheel must contain only the library."""

PROGRAM = """
import pulumi
from gpuyard import NodePoolSpec, Taint
from gpuyard.aws import EksNodePoolSpec, NvidiaDevicePlugin
from gpuyard.cleanup import ClusterCleanup, ClusterCleanupArgs
from gpuyard.gcp import GkeNodePoolSpec

taint: Taint = {"key": "example.com/team", "value": "vision", "effect": "NoSchedule"}
shared: NodePoolSpec = {"machine_types": ["g6.2xlarge"], "min": 0, "max": 10, "taints": [taint]}
eks: EksNodePoolSpec = {"machine_types": ["g6.2xlarge"], "min": 0, "max": 10, "image": "bottlerocket"}
gke: GkeNodePoolSpec = {"machine_types": ["g2-standard-8"], "min": 0, "max": 10}
given: ClusterCleanupArgs = {"kubeconfig": pulumi.Output.from_input("{}"), "minutes": 5}


def cluster(kubernetes: pulumi.ProviderResource) -> pulumi.Output[str]:
    options = pulumi.ResourceOptions(providers=[kubernetes])
    plugin = NvidiaDevicePlugin("gpus", {"node_pools": {"gpus": eks}}, options)
    cleanup = ClusterCleanup("cleanup", given, pulumi.ResourceOptions(depends_on=[plugin]))
    pulumi.log.debug("the first step of a destroy", cleanup)
    return plugin.release_name
"""

RUN = """
import asyncio, sys
import pulumi, pulumi_kubernetes
import gpuyard, gpuyard.hardware
from pulumi.runtime import Mocks, MockCallArgs, MockResourceArgs

made = []

class Recorded(Mocks):
    def new_resource(self, args: MockResourceArgs):
        made.append(args.typ)
        return args.name, {**args.inputs, "status": {"name": args.name}}

    def call(self, args: MockCallArgs):
        return {}

asyncio.set_event_loop(asyncio.new_event_loop())
pulumi.runtime.set_mocks(Recorded())
import program

@pulumi.runtime.test
def run():
    return program.cluster(pulumi_kubernetes.Provider("kubernetes"))

run()
assert gpuyard.hardware.find("gcp", "g2-standard-8"), "a machine table is missing"
print(gpuyard.__version__, gpuyard.__file__, *made, sep="\\n")
"""

WRONG = {
    "a misspelled key": ('"image": "bottlerocket"', '"imag": "bottlerocket"', "bad-typed-dict-key"),
    "a wrong kind": ('"minutes": 5', '"minutes": "5"', "bad-assignment"),
    "a missing key": ('"max": 10, "image"', '"image"', "bad-typed-dict-key"),
    "the other cloud's key": ('"image": "bottlerocket"', '"queued": True', "bad-typed-dict-key"),
    "a name that is not exported": ("NvidiaDevicePlugin\n", "NvidiaDevicePlugn\n", "missing-module-attribute"),
    "an output of another type": ("-> pulumi.Output[str]", "-> pulumi.Output[int]", "bad-return"),
}
"""Mistake → the text of the program, its replacement, and the kind of error that the checker reports."""


@dataclass(frozen=True)
class Outside:
    """A folder with a separate environment in which the wheel is installed."""

    root: Path
    wheel: Path

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    @property
    def packages(self) -> Path:
        (found,) = (self.root / "venv" / "lib").glob("python*/site-packages")
        return found

    def check(self, program: str) -> subprocess.CompletedProcess[str]:
        """A strict type check of a program that uses the library."""
        (self.root / "program.py").write_text(program)
        config = self.root / "pyrefly.toml"
        config.write_text(
            'preset = "all"\n'
            'project-includes = ["program.py"]\n'
            f'python-version = "{sys.version_info[0]}.{sys.version_info[1]}"\n'
            "skip-interpreter-query = true\n"
            f"site-package-path = {json.dumps([str(self.packages), *SITES])}\n"
        )
        return outside([sys.executable, "-m", "pyrefly", "check", f"--config={config}"], self.root, check=False)


def outside(argv: list[str | Path], folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """A program that cannot import this repository."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    assert int(version("setuptools").split(".")[0]) >= 77, "too old to build the wheel: install requirements-dev.txt"
    source, root = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("outside")
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    options = ["--no-build-isolation", "--no-deps", "--no-index", f"--wheel-dir={root}"]
    outside([*pip, "wheel", *options, str(source)], source)
    (wheel,) = root.glob("*.whl")
    outside([sys.executable, "-m", "venv", "--without-pip", str(root / "venv")], root)
    found = Outside(root, wheel)
    (found.packages / "dependencies.pth").write_text("\n".join(SITES))
    outside([*pip, f"--python={found.python}", "install", "--no-deps", "--no-index", str(wheel)], root)
    return found


def test_the_wheel_has_only_the_library(installed: Outside) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    library = {
        f"gpuyard/{path.relative_to(ROOT / 'components').as_posix()}"
        for path in (ROOT / "components").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == library
    assert {"gpuyard/py.typed", "gpuyard/aws/machine_types.csv", "gpuyard/gcp/machine_types.csv"} <= names
    assert f"\nVersion: {components.__version__}\n" in metadata
    assert installed.wheel.name == f"gpuyard-{components.__version__}-py3-none-any.whl"


def test_a_program_elsewhere_uses_it(installed: Outside) -> None:
    """seed row S26"""
    (installed.root / "program.py").write_text(PROGRAM)
    (installed.root / "run.py").write_text(RUN)
    version, file, *made = outside([installed.python, "run.py"], installed.root).stdout.splitlines()
    assert version == components.__version__
    assert Path(file).is_relative_to(installed.packages)
    assert {"gpuyard:index:NvidiaDevicePlugin", "kubernetes:helm.sh/v3:Release", "gpuyard:index:ClusterCleanup"} <= {
        *made
    }


def test_a_strict_type_checker_accepts_correct_use(installed: Outside) -> None:
    done = installed.check(PROGRAM)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("mistake", WRONG)
def test_a_strict_type_checker_refuses(mistake: str, installed: Outside) -> None:
    right, wrong, kind = WRONG[mistake]
    assert PROGRAM.count(right) == 1
    done = installed.check(PROGRAM.replace(right, wrong))
    assert done.returncode == 1 and f"[{kind}]" in done.stdout, f"{done.stdout}\n{done.stderr}"
