"""Charts from Go modules, for a machine that reaches no chart repository: many projects' modules have their charts.

The charts are the projects' own; only the images that they name by default may be those of a development registry,
which the library's components set anyway. Dependencies of a chart come from their modules too. KEDA's chart is in no
module: keda_chart.py makes one from the manifests of KEDA's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.errors import SandboxError
from sandbox.plugins import chart, keda_chart
from tools import golang
from tools.errors import ToolError
from tools.provide import cache

GO = (1, 21)
"""The oldest Go that downloads them."""


@dataclass(frozen=True)
class Source:
    """Where a chart is. `folder`: in the module; `make`: writes the chart from the module's folder instead; `other`:
    the version of the module that is taken if it is not served in the chart's."""

    module: str
    folder: str = ""
    make: Callable[[Path, Path, str], None] | None = None
    other: str = ""


def _only_kinds(module: Path, root: Path, version: str) -> None:
    """Writes a chart of Argo Workflows that has only its kinds."""
    (root / "crds").mkdir(parents=True)
    (root / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": root.name, "version": version}))
    for path in (module / "manifests/base/crds/full").glob("argoproj.io_*.yaml"):
        shutil.copyfile(path, root / "crds" / path.name)


SOURCES = {
    "kueue": Source("sigs.k8s.io/kueue", "charts/kueue"),
    "jobset": Source("sigs.k8s.io/jobset", "charts/jobset"),
    "lws": Source("sigs.k8s.io/lws", "charts/lws", other="v0.8.0"),
    "kubeflow-trainer": Source("github.com/kubeflow/trainer/v2", "charts/kubeflow-trainer"),
    "kserve": Source("github.com/kserve/kserve", "charts/kserve-resources"),
    "kserve-resources": Source("github.com/kserve/kserve", "charts/kserve-resources"),
    "kserve-crd-minimal": Source("github.com/kserve/kserve", "charts/kserve-crd-minimal"),
    "argo-workflows": Source("github.com/argoproj/argo-workflows/v3", make=_only_kinds, other="v3.7.0"),
    "keda": Source("github.com/kedacore/keda/v2", make=keda_chart.write),
}
"""Chart → where it is. Its version is that of the module, except with `other`."""


def package(name: str, version: str, destination: Path, report: Callable[[str], None] = lambda module: None) -> Path:
    """Packs the chart of a module into `destination` and returns the package. `report`: gets the module and its
    version. Raises SandboxError."""
    with tempfile.TemporaryDirectory() as work:
        root = _copy(name, version, Path(work), report)
        done = chart.helm("package", str(root), "--version", version, "--destination", str(destination))
        if done.returncode:
            raise SandboxError(f"chart {name} {version}: {chart.trouble(done.stderr)}", "report it: the module changed")
    return Path(done.stdout.strip().rpartition(": ")[2])


def _copy(name: str, version: str, into: Path, report: Callable[[str], None]) -> Path:
    """A chart that can be changed, with its dependencies."""
    source, wanted = SOURCES[name], f"v{version.removeprefix('v')}"
    try:
        module = _download(source.module, wanted)
    except SandboxError:
        if not source.other:
            raise
        wanted = source.other
        module = _download(source.module, wanted)
    report(f"{source.module} {wanted}{', only its kinds' if source.make is _only_kinds else ''}")
    root = into / name
    if source.make:
        source.make(module, root, version)
        return root
    # Copied without permissions: a module's files are read-only.
    shutil.copytree(module / source.folder, root, copy_function=shutil.copyfile)
    for folder in (root, *(each for each in root.rglob("*") if each.is_dir())):
        folder.chmod(0o700)
    about = yaml.safe_load((root / "Chart.yaml").read_text())
    for needed in about.get("dependencies", ()):
        _copy(needed["name"], needed["version"], root / "charts", lambda part: None)
        part = root / "charts" / needed["name"] / "Chart.yaml"
        part.write_text(yaml.safe_dump({**yaml.safe_load(part.read_text()), "version": needed["version"]}))
    return root


def _download(module: str, version: str) -> Path:
    """The folder of a module, downloaded once and checked by Go."""
    try:
        go = golang.find(GO, cache(), lambda line: None)
    except ToolError as error:
        raise SandboxError(error.problem, error.fix, error.detail) from None
    env = {**golang.environment(cache(), go), "GOFLAGS": "-mod=mod"}
    with tempfile.TemporaryDirectory() as nowhere:
        argv = [str(go), "mod", "download", "-json", f"{module}@{version}"]
        done = subprocess.run(argv, cwd=nowhere, env=env, capture_output=True, text=True, check=False)
    try:
        about = json.loads(done.stdout)
    except ValueError:
        about = {"Error": done.stderr.strip()}
    if about.get("Error") or done.returncode:
        raise SandboxError(f"The Go module {module} {version} cannot be downloaded: {about.get('Error')}.", _MIRROR)
    return Path(about["Dir"])


_MIRROR = "set `gpuyard:charts.mirror` to a folder or registry that has the chart (docs/air-gapped.md)"
