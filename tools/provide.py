"""Provides the programs that a command needs: the machine's own where they are good enough, else built and cached.

The cache is `$GPUYARD_TOOLS_CACHE`, or `gpuyard/tools` below `$XDG_CACHE_HOME` or `~/.cache`: outside the clone, so
that all clones on a machine share it. Safe when two runs start at once, instant the second time.
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
from itertools import groupby
from pathlib import Path

from sandbox.errors import SandboxError
from tools import build, golang
from tools.manifest import TOOLS, Tool, go_line, parse

HEARTBEAT = 10.0

Say = Callable[[str], None]


def provide(names: Sequence[str], progress: Say | None = None) -> dict[str, Path]:
    """The path of each named program and of its companions (`pulumi` brings `pulumi-language-python`).

    Args:
        names: of `manifest.TOOLS`.
        progress: takes one line at a time; by default they go to stderr.

    Raises SandboxError when a program cannot be had; nothing half-built stays visible.
    """
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        raise SandboxError(f"There is no tool named {unknown[0]!r}.", f"use one of: {', '.join(TOOLS)}")
    say, found, missing = progress or _to_stderr, {}, []
    for name in dict.fromkeys(names):
        if name in found:
            continue
        own = machines_own(TOOLS[name])
        if own:
            found[name] = own
            found |= {companion: own.parent / companion for companion in TOOLS[name].companions}
            continue
        for tool in (TOOLS[name], *(TOOLS[companion] for companion in TOOLS[name].companions)):
            done = build.built(tool, cache())
            if done:
                found[tool.name] = done
            elif tool not in missing:
                missing.append(tool)
    if missing:
        found |= _build(missing, say)
    return found


def cache() -> Path:
    """The folder that all clones on the machine share."""
    own = os.environ.get("GPUYARD_TOOLS_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base, "gpuyard", "tools")


def machines_own(tool: Tool) -> Path | None:
    """The machine's own program if its version is accepted and its companions lie beside it."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if not tool.probe:
        return None
    for path in ([os.path.join(assets, tool.name)] if assets and tool.assets else []) + [shutil.which(tool.name) or ""]:
        if not path or not os.access(path, os.X_OK):
            continue
        real = Path(path).resolve()
        needed = [*tool.companions, *(Path(file).name for name in tool.companions for file in TOOLS[name].beside)]
        if all(os.access(real.parent / name, os.X_OK) for name in needed) and tool.accepts(version_of(real, tool)):
            return real
    return None


def version_of(path: Path, tool: Tool) -> tuple[int, ...]:
    """What the program says, remembered for as long as the file is the same (asking Pulumi takes half a second)."""
    facts = path.stat()
    key = hashlib.sha256(f"{path}:{facts.st_mtime_ns}:{facts.st_size}:{tool.probe}".encode()).hexdigest()[:16]
    note = cache() / "seen" / key
    if note.exists():
        return parse(note.read_text())
    quiet = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        said = subprocess.run(
            [path, *tool.probe], capture_output=True, text=True, errors="replace", timeout=30, env=quiet, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    version = parse(said.stdout or said.stderr) if said.returncode == 0 else ()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(".".join(map(str, version)))
    return version


def _build(missing: Sequence[Tool], say: Say) -> dict[str, Path]:
    store = cache()
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(
            f"The cache of tools {store} cannot be made: {error.strerror}.",
            "set GPUYARD_TOOLS_CACHE to a folder that you may write to",
        ) from None
    begun = time.monotonic()
    go = golang.find(max(go_line(tool.module) for tool in missing), store, say)
    env = golang.environment(store, go)
    jobs = [
        build.Build(list(tools), store)
        for _, tools in groupby(sorted(missing, key=lambda tool: tool.folder), key=lambda tool: tool.folder)
    ]
    jobs.sort(key=lambda job: -job.usual)  # the longest first: the end comes sooner
    usual = build.clock(sum(job.usual for job in jobs))
    say(
        f"{len(missing)} programs are built from their pinned sources, once on this machine (about {usual} on 2 cores):"
        f" {', '.join(tool.name for tool in missing)}"
    )
    _run(jobs, go, env, say)
    say(f"all built in {build.clock(time.monotonic() - begun)}; kept in {store}")
    return {tool.name: build.location(tool, store) for tool in missing}


def _run(jobs: Sequence[build.Build], go: Path, env: dict[str, str], say: Say) -> None:
    with ThreadPoolExecutor(build.at_once()) as pool:
        running: dict[Future[None], build.Build] = {pool.submit(job.run, go, env): job for job in jobs}
        try:
            while running:
                done, _ = wait(running, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
                for future in done:
                    job = running.pop(future)
                    future.result()
                    say(f"{job.name}: done ({build.clock(time.monotonic() - job.begun)})")
                if not done:
                    for future, job in running.items():
                        if future.running():
                            build.report(job, say)
        except BaseException:  # one failed or the person gave up: the rest need not go on
            for future, job in running.items():
                future.cancel()
                job.cancel()
            raise


def _to_stderr(line: str) -> None:
    print(f"tools: {line}", file=sys.stderr, flush=True)
