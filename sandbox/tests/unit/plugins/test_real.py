"""The real Kubernetes provider is used if it is selected and installed, and never otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.plugins import host, real


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / ".sandbox"))
    monkeypatch.delenv(real.VARIABLE, raising=False)
    return tmp_path


def provider(folder: Path) -> Path:
    folder.mkdir(parents=True)
    path = folder / real.PROGRAM
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_real_provider_is_off_by_default(home: Path) -> None:
    provider(home / ".pulumi" / "plugins" / "resource-kubernetes-v4.34.2")
    host.write_shims(home / "plugins")
    assert real.kubernetes() is None
    assert "shim.py" in (home / "plugins" / real.PROGRAM).read_text()


def test_a_path_replaces_the_simulated_provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = provider(home / "a folder")
    monkeypatch.setenv(real.VARIABLE, str(path))
    host.write_shims(home / "plugins")
    assert f"exec '{path}'" in (home / "plugins" / real.PROGRAM).read_text()
    assert "shim.py" in (home / "plugins" / "pulumi-resource-aws").read_text()


def test_the_newest_installed_plugin_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(real.VARIABLE, "installed")
    plugins = home / ".pulumi" / "plugins"
    for version in ("4.9.1", "4.34.2", "4.33.0"):
        provider(plugins / f"resource-kubernetes-v{version}")
    assert real.kubernetes() == plugins / "resource-kubernetes-v4.34.2" / real.PROGRAM


@pytest.mark.parametrize("asked", ["installed", "/no/such/file", "/"])
def test_a_missing_provider_is_one_error_with_a_fix(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setenv(real.VARIABLE, asked)
    with pytest.raises(SandboxError, match="GPUYARD_KUBERNETES_PROVIDER is") as caught:
        real.kubernetes()
    assert "pulumi plugin install resource kubernetes" in caught.value.fix
