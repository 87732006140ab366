"""`helm pull` in the sandbox: from the repository if it can be reached, otherwise from the project's Go module."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
import yaml

from sandbox import environment
from sandbox.plugins import chart, module_chart, pull
from tools.manifest import TOOLS

OCI = "oci://registry.k8s.io/kueue/charts/kueue"
KUEUE = TOOLS["kueue"].pinned.removeprefix("v")


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that cannot be reached; none at first."""
    addresses: list[str] = []
    monkeypatch.setattr(chart, "unreachable", lambda url: "no route" if url in addresses else "")
    return addresses


def test_the_real_helm_pulls_what_can_be_reached(closed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def execute(path: Path, argv: list[str]) -> None:
        ran.append(argv)
        raise SystemExit

    monkeypatch.setattr(environment, "linked", lambda: {"helm": Path("/opt/helm")})
    monkeypatch.setattr(os, "execv", execute)
    arguments = ["keda", "--repo", "https://kedacore.github.io/charts", "--version", "2.20.2"]
    with pytest.raises(SystemExit):
        pull.main(arguments)
    assert ran == [["/opt/helm", "pull", *arguments]]


def test_an_unreachable_chart_comes_from_its_module_with_one_note(
    closed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed.append(OCI)
    assert pull.main([OCI, "--version", KUEUE, "--destination", str(tmp_path)]) == 0
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as content:
        about = content.extractfile("kueue/Chart.yaml")
        assert about and yaml.safe_load(about)["version"] == KUEUE
    note = capsys.readouterr().err.splitlines()
    assert note == [f"chart kueue {KUEUE} could not be reached (no route): taken from sigs.k8s.io/kueue v{KUEUE}"]


def test_a_chart_that_is_nowhere_is_an_error_with_the_fix(
    closed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    closed.append("https://charts.example.com")
    assert pull.main(["other", "--repo", "https://charts.example.com", "--version", "1.0.0"]) == 1
    assert "chart other 1.0.0 could not be reached (no route): set `gpuyard:charts.mirror`" in capsys.readouterr().err


def test_a_version_that_the_module_does_not_have_is_an_error(
    closed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    closed.append(OCI)
    assert pull.main([OCI, "--version", "0.0.99", "--destination", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "sigs.k8s.io/kueue v0.0.99 cannot be downloaded" in error and "charts.mirror" in error


def test_a_module_that_is_not_served_in_the_charts_version_is_taken_in_another_and_the_note_says_so(
    tmp_path: Path,
) -> None:
    notes: list[str] = []
    package = module_chart.package("argo-workflows", "1.0.18", tmp_path, notes.append)
    assert notes == ["github.com/argoproj/argo-workflows/v3 v3.7.0, only its kinds"]
    with tarfile.open(package) as content:
        assert "argo-workflows/crds/argoproj.io_workflows.yaml" in content.getnames()


def test_dependencies_of_a_chart_are_in_its_package(tmp_path: Path) -> None:
    package = module_chart.package("kubeflow-trainer", "2.3.0", tmp_path)
    with tarfile.open(package) as content:
        names = set(content.getnames())
    assert {"kubeflow-trainer/charts/jobset/Chart.yaml", "kubeflow-trainer/charts/lws/Chart.yaml"} <= names
