"""Tools: installed ones if they are new enough, otherwise built once; with small stand-ins for `go` and the tools."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tools import __main__ as command
from tools import build, manifest, provide
from tools.errors import ToolError
from tools.manifest import TOOLS

GO = """#!{python}
import os, pathlib, sys, time
calls = pathlib.Path({calls!r})
if sys.argv[1] == "version":
    print("go version go{version} linux/amd64")
    sys.exit(0)
with calls.open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
{behaviour}
out = sys.argv[sys.argv.index("-o") + 1]
names = [each.split("/")[-1] for each in sys.argv if "/" in each and not each.startswith(("-", "/"))]
for path in [out + name for name in names] if out.endswith("/") else [out]:
    pathlib.Path(path).write_text("built")
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine with a Go stand-in: `machine(behaviour)` writes it and returns its calls."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("GPUYARD_TOOLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("GPUYARD_RELEASES", "off")

    def make(behaviour: str = "", version: str = "1.99.0") -> Path:
        calls = tmp_path / "calls"
        text = GO.format(python=sys.executable, calls=str(calls), behaviour=behaviour, version=version)
        program(programs, "go", text)
        calls.touch()
        return calls

    make.bin = programs  # type: ignore[attr-defined]
    return make


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def prints_version(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


def test_a_tool_is_built_once_and_found_again(machine) -> None:
    calls = machine()
    lines: list[str] = []
    first = provide.provide(["helm"], lines.append)
    second = provide.provide(["helm"], pytest.fail)
    assert first == second
    assert first["helm"].read_text() == "built"
    assert len(calls.read_text().splitlines()) == 1
    assert any("helm: done" in line for line in lines)


def test_programs_of_one_module_are_built_together(machine) -> None:
    calls = machine()
    found = provide.provide(["kube-apiserver", "kube-scheduler", "helm"], lambda line: None)
    assert [path.name for path in found.values()] == ["kube-apiserver", "kube-scheduler", "helm"] or len(found) == 3
    assert all(path.exists() for path in found.values())
    assert len(calls.read_text().splitlines()) == 2


def test_the_version_is_stamped_from_the_pin(machine) -> None:
    calls = machine()
    provide.provide(["kube-scheduler"], lambda line: None)
    assert f"gitVersion={TOOLS['kube-scheduler'].pinned}" in calls.read_text()
    assert "-mod=readonly" in calls.read_text()


def test_the_environment_of_a_build_has_no_go_settings_of_the_user(machine, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    monkeypatch.setenv("GOOS", "windows")
    monkeypatch.setenv("GOPROXY", "https://mirror.example")
    machine(f"pathlib.Path({str(tmp_path / 'env')!r}).write_text(repr(dict(os.environ)))")
    provide.provide(["helm"], lambda line: None)
    seen = eval((tmp_path / "env").read_text())
    assert (seen["GOFLAGS"], seen["GOTOOLCHAIN"], seen["CGO_ENABLED"]) == ("", "local", "0")
    assert "GOOS" not in seen
    assert seen["GOPROXY"] == "https://mirror.example"


def test_a_failed_build_shows_its_end_and_what_to_do_and_leaves_nothing(machine) -> None:
    machine("print('go: dial tcp: lookup modules.example: no such host', file=sys.stderr); sys.exit(1)")
    with pytest.raises(ToolError) as caught:
        provide.provide(["helm"], lambda line: None)
    assert "Building helm" in caught.value.problem
    assert "no such host" in caught.value.detail
    assert "GOPROXY" in caught.value.fix
    assert build.built(TOOLS["helm"], provide.cache()) is None
    machine()
    assert provide.provide(["helm"], lambda line: None)["helm"].exists()


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("write /x: no space left on device", "disk is full"),
        ("compile: signal: killed", "out of memory"),
        ("verifying module: checksum mismatch", "go.sum"),
        ("go: module requires go >= 1.30 (running go 1.20)", "update Go"),
        ("syntax error", "whole log"),
    ],
)
def test_each_kind_of_failure_has_its_advice(tmp_path: Path, log: str, word: str) -> None:
    assert word in build.advice(log, 1, tmp_path, tmp_path / "log")


def test_two_runs_at_once_share_one_build(machine) -> None:
    calls = machine("time.sleep(1)")
    code = "from tools.provide import provide; print(provide(['helm'], lambda line: None)['helm'])"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=manifest.HERE.parent)
        for _ in range(2)
    ]
    answers = {run.communicate(timeout=60)[0] for run in runs}
    assert len(answers) == 1
    assert len(calls.read_text().splitlines()) == 1


def test_a_run_that_was_killed_leaves_no_half_program(machine) -> None:
    machine("pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_text('half'); time.sleep(20)")
    code = "from tools.provide import provide; provide(['helm'], lambda line: None)"
    run = subprocess.Popen([sys.executable, "-c", code], cwd=manifest.HERE.parent, start_new_session=True)
    half = provide.cache() / "helm" / "building" / "helm"
    deadline = time.monotonic() + 20
    while not half.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert build.built(TOOLS["helm"], provide.cache()) is None
    os.killpg(run.pid, 9)
    run.wait()
    machine()
    assert provide.provide(["helm"], lambda line: None)["helm"].read_text() == "built"


def test_progress_lines_show_the_step_and_its_duration(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provide, "HEARTBEAT", 0.2)
    machine("print('go: downloading example.com/module v1', file=sys.stderr, flush=True); time.sleep(1)")
    lines: list[str] = []
    provide.provide(["helm"], lines.append)
    assert any(line.startswith("helm: downloading example.com/module (") for line in lines)


def test_an_installed_tool_is_used_if_it_is_new_enough(machine) -> None:
    calls = machine()
    own = program(machine.bin, "helm", prints_version("v3.19.0+g1"))
    assert provide.provide(["helm"]) == {"helm": own}
    program(machine.bin, "helm", prints_version("v2.17.0 # old"))
    assert provide.provide(["helm"], lambda line: None)["helm"] != own
    program(machine.bin, "helm", "#!/bin/sh\nexit 1 # broken\n")
    assert provide.machines_own(TOOLS["helm"]) is None
    assert len(calls.read_text().splitlines()) == 1


def test_an_installed_pulumi_is_used_only_with_its_language_host(machine) -> None:
    own = program(machine.bin, "pulumi", prints_version("v3.300.0"))
    assert provide.machines_own(TOOLS["pulumi"]) is None
    for name in ("pulumi-language-python", "pulumi-language-python-exec"):
        program(machine.bin, name, prints_version(""))
    assert provide.provide(["pulumi"]) == {
        "pulumi": own,
        "pulumi-language-python": machine.bin / "pulumi-language-python",
    }
    program(machine.bin, "pulumi", prints_version("v3.100.0"))
    assert provide.machines_own(TOOLS["pulumi"]) is None


def test_a_language_host_is_used_from_the_folder_of_an_accepted_pulumi(machine) -> None:
    for name in ("pulumi-language-python", "pulumi-language-python-exec", "pulumi-language-nodejs"):
        program(machine.bin, name, prints_version(""))
    assert provide.machines_own(TOOLS["pulumi-language-nodejs"]) is None
    program(machine.bin, "pulumi", prints_version("v3.300.0"))
    assert provide.machines_own(TOOLS["pulumi-language-nodejs"]) == machine.bin / "pulumi-language-nodejs"
    assert provide.machines_own(TOOLS["pulumi-language-yaml"]) is None


def test_programs_have_their_own_names_and_not_those_that_go_gives_them(machine) -> None:
    machine()
    found = provide.provide(["kube-apiserver", "kube-scheduler"], lambda line: None)
    assert all(path.name == name and path.exists() for name, path in found.items())


def test_a_build_changes_what_a_container_has_fixed_and_nothing_else(machine, tmp_path: Path) -> None:
    """KEDA's two programs: Go would name them `operator` and `adapter`."""
    source = tmp_path / "module" / "cmd" / "adapter" / "main.go"
    source.parent.mkdir(parents=True)
    source.write_text('address := fmt.Sprintf(":%v", metricsAPIServerPort)')
    seen = tmp_path / "seen"
    machine(
        f'if sys.argv[1] == "list":\n    print({str(tmp_path / "module")!r})\n    sys.exit(0)\n'
        'file = next(pathlib.Path(each[9:]) for each in sys.argv if each.startswith("-modfile="))\n'
        'changed = file.read_text().rsplit("replace github.com/kedacore/keda/v2 => ")[1].strip()\n'
        f"pathlib.Path({str(seen)!r}).write_text(pathlib.Path(changed, 'cmd/adapter/main.go').read_text())"
    )
    found = provide.provide(["keda-operator", "keda-adapter"], lambda line: None)
    assert all(path.name == name and path.exists() for name, path in found.items())
    assert seen.read_text() == 'address := fmt.Sprintf("127.0.0.1:%v", metricsAPIServerPort)'
    assert source.read_text().count("127") == 0


def test_tools_that_few_need_are_provided_only_on_request(machine, monkeypatch, capsys) -> None:
    asked: list[str] = []
    monkeypatch.setattr(command, "provide", lambda names: asked.extend(names) or {})
    monkeypatch.setattr("sys.argv", ["tools"])
    assert command.main() == 0
    assert {"pulumi", "helm"} <= set(asked)
    few = {"pulumi-language-nodejs", "pulumi-language-yaml", "nodejs-sdk", "kueue", "keda-operator", "prometheus"}
    assert not few & set(asked)


def test_kubebuilder_assets_are_used_if_their_versions_match(machine, monkeypatch, tmp_path) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    own = program(assets, "kube-apiserver", prints_version("Kubernetes v1.36.9"))
    assert provide.machines_own(TOOLS["kube-apiserver"]) == own
    program(assets, "kube-apiserver", prints_version("Kubernetes v1.30.0"))
    assert provide.machines_own(TOOLS["kube-apiserver"]) is None


def test_an_old_go_is_not_used(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(version="1.20.1")
    from tools import golang

    monkeypatch.setattr(golang, "_download", lambda cache, why, progress: Path("/downloaded", why[:7]))
    assert golang.find((1, 26), provide.cache(), lambda line: None) == Path("/downloaded/Go 1.26")


def test_an_unknown_name_is_reported() -> None:
    with pytest.raises(ToolError, match="'helmm' is not a known tool"):
        provide.provide(["helmm"])


def test_a_cache_that_cannot_be_written_is_reported(machine, monkeypatch, tmp_path) -> None:
    machine()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUYARD_TOOLS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ToolError, match="cannot be created"):
        provide.provide(["helm"], lambda line: None)


def test_one_failure_stops_the_others(machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "at_once", lambda: 2)  # also on a machine with little memory
    machine("sys.exit(1) if any('etcd' in each for each in sys.argv) else time.sleep(30)")
    begun, before = time.monotonic(), {*threading.enumerate()}
    with pytest.raises(ToolError, match="Building etcd"):
        provide.provide(["helm", "etcd"], lambda line: None)
    assert time.monotonic() - begun < 25
    assert {*threading.enumerate()} <= before


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_every_tool_is_pinned_with_checksums(tool: manifest.Tool) -> None:
    module, version = manifest.requirement(tool.module)
    source = tool.module / tool.package / "main.go"
    assert tool.package.startswith(module) or f'"{module}/' in source.read_text()
    assert version.startswith("v")
    assert f"{module} {version} h1:" in (tool.module / "go.sum").read_text()
    assert manifest.go_line(tool.module) >= (1, 26)


def test_helm_is_stamped_with_the_kubernetes_that_it_is_built_from() -> None:
    """field case C5: without the stamp, `helm template` assumes Kubernetes 1.20 and refuses kube-prometheus-stack."""
    helm = TOOLS["helm"]
    major, minor = manifest.kubernetes_of(helm.module)
    assert (major, minor) >= (1, 35), "older than the clusters that the library makes"
    for package in ("chartutil", "lint/rules"):
        assert f"-X helm.sh/helm/v3/pkg/{package}.k8sVersionMajor={major}" in helm.linker_flags
        assert f"-X helm.sh/helm/v3/pkg/{package}.k8sVersionMinor={minor}" in helm.linker_flags
    assert f"/version.version={helm.pinned}" in helm.linker_flags
    assert manifest.kubernetes_of(TOOLS["etcd"].module) == (0, 0)
