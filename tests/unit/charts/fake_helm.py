"""A program `helm` that answers from files, and notes each of its calls."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.charts import helm, rendered

_SCRIPT = """#!/bin/sh
echo "$@" >> "{notes}"
case "$1" in
  version) echo "{version}" ;;
  pull) {pull} ;;
  template) {template} ;;
esac
"""
_PULL = 'while [ "$1" != --destination ]; do shift; done; printf package > "$2/chart.tgz"'


@dataclass(frozen=True)
class FakeHelm:
    """`notes`: the file with the calls, one per line."""

    notes: Path

    def calls(self, verb: str) -> list[str]:
        """The calls of one of helm's commands."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        return [line for line in lines if line.split()[0] == verb]


def install(
    folder: Path,
    patched: pytest.MonkeyPatch,
    manifest: str = "",
    version: str = "v3.22.0",
    pull: str = _PULL,
    template: str = "",
) -> FakeHelm:
    """Puts it first on PATH, with an empty cache. `pull` and `template`: shell commands."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "manifest.yaml").write_text(manifest)
    program, notes = tools / "helm", tools / "notes"
    shown = template or f'cat "{tools}/manifest.yaml"'
    program.write_text(_SCRIPT.format(notes=notes, version=version, pull=pull, template=shown))
    program.chmod(0o755)
    patched.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    helm._version.cache_clear()
    patched.setattr(rendered, "_memory", {})
    return FakeHelm(notes)
