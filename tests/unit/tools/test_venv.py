"""The Python environment of a clone, with a stand-in for pip if the test depends on its output."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import venv


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone without packages, so that a real environment is created in seconds."""
    monkeypatch.setattr(venv, "ROOT", str(tmp_path))
    monkeypatch.delenv("GPUYARD_VENV", raising=False)
    (tmp_path / "requirements-dev.txt").write_text("# nothing\n")
    return tmp_path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, clone: Path) -> list[str]:
    """Counts the steps instead of doing them."""
    done: list[str] = []

    def make(path: str) -> None:
        done.append("venv")
        os.makedirs(os.path.join(path, "bin"), exist_ok=True)
        if not os.path.exists(venv.python(path)):
            os.symlink(sys.executable, venv.python(path))

    monkeypatch.setattr(venv, "_venv", make)
    monkeypatch.setattr(venv, "_pip", lambda path, log, begun: done.append("pip"))
    return done


def test_the_environment_is_recreated_only_when_a_pin_changes(clone: Path, quick: list[str]) -> None:
    venv.ensure()
    begun = time.monotonic()
    assert venv.ensure() == str(clone / ".venv" / "bin" / "python")
    assert time.monotonic() - begun < 0.05
    assert quick == ["venv", "pip"]
    (clone / "requirements-dev.txt").write_text("pulumi==3.272.0\n")
    venv.ensure()
    assert quick == ["venv", "pip", "pip"]


def test_an_incomplete_environment_is_repaired(clone: Path, quick: list[str]) -> None:
    venv.ensure()
    (clone / ".venv" / ".gpuyard").unlink()  # killed while pip worked
    venv.ensure()
    assert quick == ["venv", "pip", "pip"]
    os.unlink(clone / ".venv" / "bin" / "python")  # its Python was removed from the machine
    venv.ensure()
    assert quick == ["venv", "pip", "pip", "venv", "pip"]


def test_a_moved_clone_gets_a_new_one(clone: Path, quick: list[str]) -> None:
    venv.ensure()
    (clone / ".venv").rename(clone / "elsewhere")
    assert not venv.is_current(str(clone / "elsewhere"))


def test_an_existing_environment_of_the_user_is_not_changed(clone: Path, quick: list[str], monkeypatch) -> None:
    own = clone / "own"
    (own / "bin").mkdir(parents=True)
    (own / "pyvenv.cfg").touch()
    (own / "bin" / "python").touch()
    monkeypatch.setenv("GPUYARD_VENV", str(own))
    assert venv.ensure() == str(own / "bin" / "python")
    assert quick == []


@pytest.mark.slow
def test_a_real_environment_runs_a_module(clone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = venv.ensure()
    assert "ready after" in capfd.readouterr().err
    found = subprocess.run([program, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(clone / ".venv")


@pytest.mark.slow
def test_pip_without_a_network_is_one_error_with_the_fix(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "requirements-dev.txt").write_text(f"no-such-package==1 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(venv.VenvError) as caught:
        venv.ensure()
    assert "cannot be installed" in str(caught.value)
    assert "no-such-package" in str(caught.value)
    assert "PIP_INDEX_URL" in str(caught.value)
    assert not venv.is_current(str(clone / ".venv"))


def test_an_outdated_python_is_reported_with_the_fix(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 1, "final", 0))
    with pytest.raises(venv.VenvError, match=r"needs Python 3\.10 or newer[^\n]*\nFix: .*PYTHON="):
        venv.ensure()


def test_a_missing_venv_module_is_reported_with_the_fix(clone: Path, monkeypatch) -> None:
    fake = clone / "python"
    fake.write_text(
        "#!/bin/sh\necho 'The virtual environment was not created because ensurepip is not available'\nexit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(venv.VenvError, match=r"apt install python3\.\d+-venv"):
        venv.ensure()


def test_an_unwritable_folder_is_reported(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "file").touch()
    monkeypatch.setenv("GPUYARD_VENV", str(clone / "file" / "venv"))
    with pytest.raises(venv.VenvError, match="cannot be written"):
        venv.ensure()


def test_the_module_runs_on_older_pythons() -> None:
    """The module must be able to show its message on older versions of `python3`."""
    import ast

    for name in ("tools/venv.py", "tools/__init__.py", "sandbox/__init__.py", "sandbox/__main__.py"):
        source = (Path(__file__).parents[3] / name).read_text()
        ast.parse(source, feature_version=(3, 6))
        assert "from __future__ import annotations" not in source
