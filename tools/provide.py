"""Provides the programs that a command needs: the machine's own if their versions are accepted, otherwise an official
release if its host can be reached, otherwise a build from source. Downloads and builds are cached.

The cache is `$GPUYARD_TOOLS_CACHE`, or `gpuyard/tools` below `$XDG_CACHE_HOME` or `~/.cache`: outside the clone, so
that all clones on a machine share it. Two runs may start at once. A run with a full cache is immediate.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from tools import build, golang, releases
from tools.errors import ToolError
from tools.manifest import TOOLS, Tool, go_line, parse

HEARTBEAT = 10.0

Report = Callable[[str], None]


def provide(names: Sequence[str], progress: Report | None = None) -> dict[str, Path]:
    """The path of each named program and of its companions (`pulumi` includes `pulumi-language-python`).

    Args:
        names: of `manifest.TOOLS`.
        progress: receives one line at a time; by default the lines are printed to stderr.

    Raises ToolError if a program cannot be provided; a partly built one is never visible.
    """
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        raise ToolError(f"{unknown[0]!r} is not a known tool.", f"use one of: {', '.join(TOOLS)}")
    report, found, missing = progress or _to_stderr, {}, []
    for name in dict.fromkeys(names):
        if name in found:
            continue
        own = machines_own(TOOLS[name])
        if own:
            found[name] = own
            found |= {companion: own.parent / companion for companion in TOOLS[name].companions}
            continue
        for tool in (TOOLS[name], *(TOOLS[companion] for companion in TOOLS[name].companions)):
            done = cached(tool)
            if done:
                found[tool.name] = done
            elif tool not in missing:
                missing.append(tool)
    if missing:
        _ready(store := cache())
        found |= _download(missing, store, report)
        found |= _build([tool for tool in missing if tool.name not in found], store, report)
    return found


def cached(tool: Tool) -> Path | None:
    """The program that an earlier run downloaded or built."""
    return releases.kept(tool, cache()) or build.built(tool, cache())


def cache() -> Path:
    """The folder that all clones on the machine share."""
    own = os.environ.get("GPUYARD_TOOLS_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base, "gpuyard", "tools")


def machines_own(tool: Tool) -> Path | None:
    """The machine's own program if its version is accepted and its companions are in the same folder."""
    if tool.sibling:
        found = machines_own(TOOLS[tool.sibling])
        return found.parent / tool.name if found and os.access(found.parent / tool.name, os.X_OK) else None
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not tool.probe:
        return None
    for path in ([os.path.join(assets, tool.name)] if assets and tool.assets else []) + [shutil.which(tool.name) or ""]:
        if not path or not os.access(path, os.X_OK):
            continue
        real = Path(path).resolve()
        needed = [*tool.companions, *(Path(file).name for name in tool.companions for file in TOOLS[name].extra_files)]
        if all(os.access(real.parent / name, os.X_OK) for name in needed) and tool.accepts(version_of(real, tool)):
            return real
    return None


def version_of(path: Path, tool: Tool) -> tuple[int, ...]:
    """The program's version output, cached until the file changes (asking Pulumi takes half a second)."""
    facts = path.stat()
    key = hashlib.sha256(f"{path}:{facts.st_mtime_ns}:{facts.st_size}:{tool.probe}".encode()).hexdigest()[:16]
    note = cache() / "seen" / key
    if note.exists():
        return parse(note.read_text())
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        message = subprocess.run(
            [path, *tool.probe], capture_output=True, text=True, errors="replace", timeout=30, env=quiet, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    version = parse(message.stdout or message.stderr) if message.returncode == 0 else ()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(".".join(map(str, version)))
    return version


def _ready(store: Path) -> None:
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(
            f"The cache of tools {store} cannot be created: {error.strerror}.",
            "set GPUYARD_TOOLS_CACHE to a folder that you may write to",
        ) from None


def _download(missing: Sequence[Tool], store: Path, report: Report) -> dict[str, Path]:
    """The programs whose official releases can be downloaded and match their digests."""
    known = releases.releases()
    wanted = {known[tool.name].url: known[tool.name] for tool in missing if tool.name in known}
    there = releases.reachable(list(wanted.values()))
    if not there:
        return {}
    hosts = ", ".join(sorted({urlsplit(release.address).netloc for release in there}))
    report(f"official releases are downloaded, once on this machine, from {hosts}")
    jobs = [releases.Download(release, store, partial(_faults, release)) for release in there]
    _run(jobs, len(jobs), report)
    return {tool.name: path for tool in missing if (path := releases.kept(tool, store))}


def _faults(release: releases.Release, folder: Path) -> str:
    """Why a release's programs do not work on this machine; "" if all of them run."""
    for name in release.programs:
        tool = TOOLS.get(name)
        if tool and tool.probe and not tool.accepts(version_of(folder / name, tool)):
            return f"{name} of version {release.version} does not run here"
    return ""


def _build(missing: Sequence[Tool], store: Path, report: Report) -> dict[str, Path]:
    if not missing:
        return {}
    begun = time.monotonic()
    go = golang.find(max(go_line(tool.module) for tool in missing), store, report)
    env = golang.environment(store, go)
    jobs = [
        build.Build(list(tools), store, go, env)
        for _, tools in groupby(sorted(missing, key=lambda tool: tool.folder), key=lambda tool: tool.folder)
    ]
    jobs.sort(key=lambda job: -job.usual)  # the longest first, to finish earlier
    usual = build.clock(sum(job.usual for job in jobs))
    report(
        f"{len(missing)} programs are built from their pinned sources, once on this machine (about {usual} on 2 cores):"
        f" {', '.join(tool.name for tool in missing)}"
    )
    _run(jobs, build.at_once(), report)
    report(f"all built in {build.clock(time.monotonic() - begun)}; kept in {store}")
    return {tool.name: build.location(tool, store) for tool in missing}


class Job(Protocol):
    """Provides some programs; `run` raises an error that ends the whole command."""

    begun: float

    @property
    def name(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    def run(self) -> None: ...
    def cancel(self) -> None: ...
    def report_progress(self, report: Report) -> None: ...


def _run(jobs: Sequence[Job], at_once: int, report: Report) -> None:
    with ThreadPoolExecutor(at_once) as pool:
        running: dict[Future[None], Job] = {pool.submit(job.run): job for job in jobs}
        try:
            while running:
                done, _ = wait(running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    future.result()
                    report(f"{job.name}: {job.outcome} ({build.clock(time.monotonic() - job.begun)})")
                if not done:
                    for future, job in running.items():
                        if future.running():
                            job.report_progress(report)
        except BaseException:  # one failed or the user interrupted: stop the others
            for future, job in running.items():
                future.cancel()
                job.cancel()
            raise


def _to_stderr(line: str) -> None:
    print(f"tools: {line}", file=sys.stderr, flush=True)
