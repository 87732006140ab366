"""The real charts that can be had on this machine: of `$GPUYARD_CHARTS`, and of Go modules that have theirs.

`rendered` renders with the real helm from a folder of them, for tests that need what the charts really contain.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components import versions
from components.charts import helm, packages
from components.charts.source import ChartsArgs
from components.versions import Chart
from sandbox.errors import SandboxError
from sandbox.plugins import module_chart
from tools.provide import provide


class RealCharts:
    """A folder of charts. `missing`: those that cannot be had here, with the reason."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.missing: dict[str, str] = {}

    @property
    def source(self) -> ChartsArgs:
        """The folder, as the argument `charts` of a component."""
        return {"mirror": str(self.folder)}

    def has(self, *charts: Chart) -> bool:
        return not any(chart.name in self.missing for chart in charts)

    def need(self, *charts: Chart) -> None:
        """Skips the test if one of the charts is missing."""
        for chart in charts:
            if chart.name in self.missing:
                pytest.skip(f"chart {chart.name}: {self.missing[chart.name]}")


def collect(folder: Path) -> RealCharts:
    """Links or packs every chart of the library into `folder`."""
    found, given = RealCharts(folder), os.environ.get("GPUYARD_CHARTS", "")
    for chart in versions.CHARTS:
        names = [f"{chart.name}-{chart.version}.tgz", chart.name]
        there = [Path(given).resolve() / name for name in names if given and (Path(given) / name).exists()]
        if there:
            (folder / there[0].name).symlink_to(there[0])
        elif chart.name in module_chart.SOURCES:
            try:
                module_chart.package(chart.name, chart.version, folder)
            except SandboxError as error:
                found.missing[chart.name] = str(error)
        else:
            found.missing[chart.name] = "it is not packed from a Go module, and GPUYARD_CHARTS names no folder with it"
    return found


@contextlib.contextmanager
def program(cache: Path) -> Iterator[None]:
    """The real helm on PATH, with a separate cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{provide(['helm'])['helm'].parent}{os.pathsep}{os.environ['PATH']}")
        # Not by XDG_CACHE_HOME, where the built tools are as well.
        patched.setattr(packages, "cache", lambda: cache)
        helm._version.cache_clear()
        yield
