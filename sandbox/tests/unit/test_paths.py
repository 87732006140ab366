"""The sandbox's folder: it has a marker, is private, and is never another program's folder (security case H2)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import down, environment, paths
from sandbox.errors import SandboxError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "home"))
    return tmp_path / "home"


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sandbox", *arguments]
    env = {**os.environ, "GPUYARD_VENV": sys.prefix}
    return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, env=env, check=False)


def test_a_new_folder_is_marked_and_closed_to_others(home: Path) -> None:
    paths.folder("run")
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / paths.MARK).is_file()
    home.chmod(0o755)
    paths.check()
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("arguments", [["down"], ["down", "--force"], ["up"], ["status"], ["shell", "--", "true"]])
def test_a_folder_without_the_marker_is_unchanged(home: Path, arguments: list[str]) -> None:
    """Security case H2: `make down` with $GPUYARD_SANDBOX at a user's data removed the data."""
    (home / "state").mkdir(parents=True)
    (home / "state" / "thesis").write_text("ten years of work")
    done = command(*arguments)
    assert done.returncode == 1
    assert "is not a sandbox's" in done.stderr and "Traceback" not in done.stderr
    assert (home / "state" / "thesis").read_text() == "ten years of work"
    assert [entry.name for entry in home.iterdir()] == ["state"]


def test_a_link_to_such_a_folder_is_refused_as_well(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").touch()
    home.symlink_to(tmp_path / "data")
    with pytest.raises(SandboxError, match="is not a sandbox's"):
        paths.folder("run")
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["file"]


def test_a_link_is_not_a_valid_marker(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / paths.MARK).symlink_to(tmp_path)
    with pytest.raises(SandboxError, match="is not a sandbox's"):
        paths.check()


def test_a_file_and_a_loop_of_links_are_one_message_each(home: Path) -> None:
    home.touch()
    with pytest.raises(SandboxError, match="is not a folder"):
        paths.folder()
    home.unlink()
    home.symlink_to(home)
    done = command("status")
    assert done.returncode == 1 and "cannot be used" in done.stderr and "Traceback" not in done.stderr


def test_a_file_instead_of_a_folder_is_one_message(home: Path) -> None:
    """reliability case R11: a full or read-only disk is reported in the same way."""
    (paths.folder() / "run").touch()
    with pytest.raises(SandboxError, match="run cannot be made: File exists"):
        paths.folder("run")


def test_an_empty_folder_becomes_a_sandbox(home: Path) -> None:
    home.mkdir(mode=0o755)
    paths.folder("run")
    assert (home / paths.MARK).is_file() and home.stat().st_mode & 0o777 == 0o700


def test_reading_does_not_change_a_folder_that_is_not_a_sandbox(home: Path) -> None:
    home.mkdir(mode=0o755)
    paths.check()
    assert home.stat().st_mode & 0o777 == 0o755 and not list(home.iterdir())


@pytest.mark.parametrize("name", ["faults.json", "caller.json", "machine_types.json"])
def test_files_of_the_user_may_exist_before_the_sandbox(home: Path, name: str) -> None:
    home.mkdir()
    (home / name).write_text("{}")
    paths.folder("run")
    assert (home / paths.MARK).is_file() and name in paths.LAYOUT


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(home: Path) -> None:
    """Its `bin/` would come first on the PATH."""
    paths.folder("bin")
    os.chown(home, 65534, 65534)
    with pytest.raises(SandboxError, match="belongs to another user"):
        environment.isolate()


def test_an_older_sandbox_without_a_marker_is_adopted(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("GPUYARD_SANDBOX")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / ".sandbox" / "run").mkdir(parents=True)
    paths.folder("run")
    assert (tmp_path / ".sandbox" / paths.MARK).is_file()
    (tmp_path / ".sandbox" / paths.MARK).unlink()
    (tmp_path / ".sandbox" / "notes").touch()
    with pytest.raises(SandboxError, match="is not a sandbox's"):
        paths.check()


def test_down_removes_only_what_the_layout_names(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    paths.folder("run")
    (home / "aws").symlink_to(tmp_path / "elsewhere")
    (home / "notes.txt").write_text("mine")
    down.run([], everything=True, force=True)
    assert sorted(entry.name for entry in home.iterdir()) == [paths.MARK, "notes.txt"]
    assert (tmp_path / "elsewhere" / "file").exists()


def test_a_folder_outside_the_layout_is_not_created() -> None:
    with pytest.raises(ValueError, match="layout"):
        paths.folder("cache")


def test_down_removes_all_that_the_layout_names() -> None:
    """Regression: `caller.json` was in the layout but was not removed."""
    lines = [line.strip() for line in (paths.__doc__ or "").splitlines() if line.startswith("    ")]
    named = {name.strip("/") for line in lines for name in re.split(r" {2,}", line)[::2]}
    assert "caller.json" in named and named - {paths.SCHEMAS} <= paths.LAYOUT
