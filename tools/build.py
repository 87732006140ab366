"""Builds programs from their pinned Go modules into the shared cache, where only complete programs appear.

A build holds a lock on its folder, which its `go` process inherits: a second run waits for the first, a dead run never
blocks, and a run waits for an orphaned `go` instead of starting a second one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import ToolError
from tools.manifest import Tool, requirement

FLAGS = ("-trimpath", "-mod=readonly", "-buildvcs=false")


@dataclass
class Build:
    """A build of some programs of one module folder; `activity`: its current step, for the progress lines."""

    tools: Sequence[Tool]
    cache: Path
    go: Path
    env: dict[str, str]
    activity: str = "starting"
    begun: float = field(default_factory=time.monotonic)
    process: subprocess.Popen[str] | None = None
    outcome = "done"  # a build that fails raises

    @property
    def name(self) -> str:
        return ", ".join(tool.name for tool in self.tools)

    @property
    def usual(self) -> int:
        return sum(tool.seconds for tool in self.tools)

    @property
    def folder(self) -> Path:
        return self.cache / self.tools[0].folder

    @property
    def log(self) -> Path:
        return self.folder / "build.log"

    def run(self) -> None:
        """Builds the programs that are missing once it has the lock. Raises ToolError with the end of the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock() as lock:
            missing = [tool for tool in self.tools if not built(tool, self.cache)]
            if missing:
                self._compile(missing, lock)

    def cancel(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def report_progress(self, report: Callable[[str], None]) -> None:
        seconds = time.monotonic() - self.begun
        report(f"{self.name}: {self.activity} ({clock(seconds)}; usually {clock(self.usual)} on 2 cores)")

    def _compile(self, missing: Sequence[Tool], lock: int) -> None:
        work = self.folder / "building"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        flags = [*FLAGS, "-v", "-ldflags", missing[0].linker_flags, *self._changed(missing)]
        alone = len(missing) == 1
        out = f"{work / missing[0].name}" if alone else f"{work}{os.sep}"
        self._go([str(self.go), "build", *flags, "-o", out, *(tool.package for tool in missing)], lock)
        for tool in () if alone else missing:  # Go has named each after the last part of its package
            (work / tool.package.rsplit("/", 1)[1]).rename(work / tool.name)
        for tool in missing:
            target = location(tool, self.cache).parent
            target.mkdir(parents=True, exist_ok=True)
            for file in tool.extra_files:
                source = self._module_folder(tool) / file
                shutil.copy(source, work / source.name)
                (work / source.name).chmod(0o755)
                (work / source.name).replace(target / source.name)
            (work / tool.name).replace(target / tool.name)  # last: with it, the tool is complete
        shutil.rmtree(work, ignore_errors=True)

    def _changed(self, tools: Sequence[Tool]) -> list[str]:
        """The flag for a go.mod in which a changed copy replaces the pinned module, if a build changes its source."""
        edits = [(tool, *edit) for tool in tools for edit in tool.edits]
        if not edits:
            return []
        folder, module = self.folder / "changed", self.tools[0].module
        shutil.rmtree(folder, ignore_errors=True)
        copy = folder / "module"
        # Copied without permissions: a module's files are read-only.
        shutil.copytree(self._module_folder(edits[0][0]), copy, copy_function=shutil.copyfile)
        for tool, file, text, replacement in edits:
            before = (copy / file).read_text()
            if text not in before:
                raise ToolError(f"{file} of {tool.name} {tool.pinned} does not contain {text!r}.", "change its `edits`")
            (copy / file).chmod(0o600)
            (copy / file).write_text(before.replace(text, replacement))
        name, _ = requirement(module)
        (folder / "go.mod").write_text(f"{(module / 'go.mod').read_text()}\nreplace {name} => {copy}\n")
        shutil.copy(module / "go.sum", folder / "go.sum")
        return [f"-modfile={folder / 'go.mod'}"]

    def _go(self, argv: Sequence[str], lock: int) -> None:
        packages, last = 0, ""
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=self.tools[0].module,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=(lock,),
            )
            assert self.process.stdout
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                last = line.strip()
                if last.startswith("go: downloading "):
                    self.activity = f"downloading {last.split()[2]}"
                elif re.fullmatch(r"[\w./~+-]+", last):
                    packages += 1
                    self.activity = f"compiling, {packages} packages so far"
        if self.process.wait():
            text = self.log.read_text(errors="replace")
            raise ToolError(
                f"Building {self.name} from {self.tools[0].package} {self.tools[0].pinned} failed.",
                advice(text, self.process.returncode, self.cache, self.log),
                "\n".join(text.splitlines()[-15:]),
            )

    def _module_folder(self, tool: Tool) -> Path:
        argv = [str(self.go), "list", "-mod=readonly", "-f", "{{.Module.Dir}}", tool.package]
        found = subprocess.run(argv, cwd=tool.module, env=self.env, capture_output=True, text=True, check=False)
        if found.returncode:
            raise ToolError(f"Go does not find the sources of {tool.name}.", "run it again", found.stderr.strip())
        return Path(found.stdout.strip())

    @contextmanager
    def _lock(self) -> Iterator[int]:
        with (self.folder / "lock").open("a+") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.activity = "waiting for another run that builds it"
                    time.sleep(0.3)
            self.begun = time.monotonic()
            self.activity = "starting"
            yield lock.fileno()


def location(tool: Tool, cache: Path) -> Path:
    """The path of a tool's program after a build. It depends on everything that determines the result except the Go
    version, so that a newer Go on the machine does not cause another quarter of an hour of compiling."""
    parts = [(tool.module / name).read_bytes() for name in ("go.mod", "go.sum")]
    if tool.package.startswith("./"):
        parts += [path.read_bytes() for path in sorted((tool.module / tool.package).glob("*.go"))]
    made_of = [FLAGS, tool.linker_flags, platform.system(), platform.machine(), *tool.edits]
    parts.append(json.dumps(made_of).encode())
    return cache / tool.folder / hashlib.sha256(b"\0".join(parts)).hexdigest()[:16] / tool.name


def built(tool: Tool, cache: Path) -> Path | None:
    path = location(tool, cache)
    return path if path.exists() else None


_NETWORK = (
    r"dial tcp|no such host|proxyconnect|i/o timeout|connection (refused|reset)|TLS handshake|unexpected EOF"
    r"|certificate|reading https?://|module lookup disabled|network is unreachable"
)
_NO_MODULES = (
    "the Go modules could not be downloaded: check the network, or set HTTPS_PROXY, or GOPROXY to a module proxy that "
    "you reach, and run the command again; what was downloaded is kept"
)
_ADVICE = (
    (_NETWORK, _NO_MODULES),
    (
        r"no space left on device",
        "the disk is full: building needs about 12 GB in {cache}, in Go's own caches and in /tmp",
    ),
    (
        r"signal: killed|cannot allocate memory|out of memory",
        "the machine ran out of memory: a build needs about 3 GB free",
    ),
    (
        r"checksum mismatch|SECURITY ERROR",
        "the module is not the one that tools/*/go.sum pins: do not use it; check GOPROXY",
    ),
    (r"requires go >= |go\.mod requires", "update Go, or take it off PATH so that a pinned one is downloaded"),
    (r"permission denied", "check the owner of {cache} and of Go's caches (`go env GOCACHE GOMODCACHE`)"),
)


def advice(log: str, code: int, cache: Path, path: Path) -> str:
    """The fix for a failed build, from its log."""
    if code < 0:
        return f"it was stopped by signal {-code}; run the command again, it continues from there"
    for pattern, text in _ADVICE:
        if re.search(pattern, log):
            return text.format(cache=cache)
    return f"the whole log is {path}; run the command again, it continues from there"


def at_once() -> int:
    """How many builds run in parallel: two if cores and memory allow it. Memory of the page cache counts as free; if
    the system does not report free memory (macOS), all memory counts as free."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    memory = int(found[1]) << 10 if found else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 2 if (os.cpu_count() or 1) > 1 and memory > 6 << 30 else 1


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
