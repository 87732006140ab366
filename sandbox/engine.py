"""Runs the real Pulumi engine in the sandbox and converts its event log into progress, facts and one clear error.

The engine runs in its own session: a Ctrl-C reaches this process, which asks the engine to stop after the
operations under way; a second one kills it. Everything that the engine prints goes to `run/engine.log`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from sandbox import advice, environment, paths, process, watch
from sandbox.errors import SandboxError
from sandbox.progress import Progress
from sandbox.stacks import Stack

# The engine's messages about ambient plugins, and messages that only follow from another reported error.
_NOISE = re.compile(
    r"using pulumi-\S+ from \$PATH|^(update|preview|destroy|refresh) failed"
    r"|^an unhandled error occurred: program exited|^resource registration failed"
    r"|^Program exited with non-zero exit code|^one or more errors occurred"
)
# Messages of the engine and of its plugins while they stop, after a resource of a remote component has failed.
_CONSEQUENCE = re.compile(r"exited prematurely|the client connection is closing|resource monitor (has )?shut ?down")
# Only the owner may read state and copies of stack files: the passphrase that encrypts their secrets is public.
_UMASK = 0o077
_WRAPPING = re.compile(
    r"^(rpc error: code = \w+ desc = |(?:creating|updating|deleting|reading|refreshing|importing) urn:\S+: "
    r"|\d+ errors? occurred:\s*|\* )"
)


@dataclass
class Outcome:
    """What an engine run did: counts by operation, the messages to show, its duration in seconds. `failed`: by URN, the
    type, inputs and error of each resource that could not be created."""

    changes: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[str, tuple[str, dict[str, Any], str]] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def changed(self) -> int:
        return sum(count for operation, count in self.changes.items() if operation not in ("same", "read"))


class Engine:
    """The engine for one stack. `pulumi`: the path of the program."""

    def __init__(self, stack: Stack, pulumi: Path) -> None:
        self.stack = stack
        self.pulumi = pulumi

    @property
    def log(self) -> Path:
        return paths.folder("run") / "engine.log"

    def init(self) -> None:
        """Creates the stack in the file backend if it does not exist, and selects it for plain `pulumi`."""
        self.stack.prepare()
        if not self.stack.exists:
            # In the folder of the copies, because `stack init` writes a salt into the stack's file.
            self.ask("-C", str(paths.home() / "config"), "stack", "init", self.stack.name, "--no-select")
        self.ask("stack", "select", self.stack.name)

    def ask(self, *arguments: str) -> str:
        """Runs a short command and returns its stdout. Raises SandboxError with the engine's message."""
        done = subprocess.run(
            [self.pulumi, "--non-interactive", "--color", "never", *arguments],
            cwd=paths.ROOT,
            env=environment.engine(self.stack.encrypted),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            umask=_UMASK,
            start_new_session=True,
        )
        if done.returncode:
            output = (done.stderr or done.stdout).strip()
            raise SandboxError(f"`pulumi {' '.join(arguments)}` failed.", "", output[-2000:])
        return done.stdout

    def state(self) -> dict[str, Any]:
        """The deployment as the engine exports it; secrets stay encrypted."""
        return json.loads(self.ask("stack", "export", "--stack", self.stack.name))["deployment"]

    def replace_state(self, deployment: dict[str, Any]) -> None:
        """Replaces the state with another deployment, which the engine validates."""
        with tempfile.NamedTemporaryFile("w", dir=paths.folder("run"), suffix=".json") as file:
            json.dump({"version": 3, "deployment": deployment}, file)
            file.flush()
            self.ask("stack", "import", "--stack", self.stack.name, "--file", file.name)

    def run(
        self, operation: str, *arguments: str, values: Sequence[str] = (), title: str = "", quiet: bool = False
    ) -> Outcome:
        """Runs `up`, `preview`, `destroy` or `refresh` to its end. Raises SandboxError with each diagnostic once, or
        KeyboardInterrupt if the user stopped it. `values`: paths of the config that have another value than in the
        stack's file, in this run only, each as `PATH=VALUE`.
        """
        copy = self.stack.prepare()
        if values:
            # Not `up --config --config-path`, which replaces a whole map by the one value.
            paths_and_values = [part for value in values for part in ("--plaintext", value)]
            self.ask(
                *("config", "set-all", "--path", "--stack", self.stack.name, "--config-file", str(copy)),
                *paths_and_values,
            )
        options = ["--stack", self.stack.name, "--non-interactive", "--color", "never"]
        if operation != "preview":
            options += ["--yes", "--skip-preview"]
        if operation != "destroy" or self.stack.file.exists():
            options += ["--config-file", str(copy)]
        outcome, begun = Outcome(), time.monotonic()
        with (
            tempfile.TemporaryDirectory(dir=paths.folder("run"), prefix="events-") as folder,
            Progress(title or f"{operation} {self.stack.name}", quiet, planned=operation == "preview") as progress,
            self.log.open("w") as log,
        ):
            events = Path(folder, "events.json")
            child = subprocess.Popen(
                [self.pulumi, operation, *options, "--event-log", events, *arguments],
                cwd=paths.ROOT,
                env=environment.engine(self.stack.encrypted),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=_UMASK,
            )
            with _interruptible(child, outcome, progress), watch.watching(progress.note):
                for event in _follow(child, events):
                    _take(event, outcome, progress)
        process.end_strays("engine", 2)
        outcome.seconds = time.monotonic() - begun
        if child.returncode:
            self._fail(operation, outcome, child.returncode)
        return outcome

    def _fail(self, operation: str, outcome: Outcome, code: int) -> None:
        if outcome.interrupted:
            raise KeyboardInterrupt
        errors = outcome.errors or [clean(line) for line in _error_lines(self.log.read_text(errors="replace"))]
        why = f" It was ended by signal {-code}." if code < 0 else ""
        detail = "\n".join(dict.fromkeys([each for each in errors if not _CONSEQUENCE.search(each)] or errors))
        fix = f"the engine's full output is in {self.log}"
        if code < 0 and not outcome.errors:  # the end of the log is only progress
            detail, fix = "", advice.KILLED
        elif operation in ("up", "preview"):
            region = self.stack.region if self.stack.cloud == "aws" else ""
            fix = advice.fix(detail, outcome.failed.values(), region)
        raise SandboxError(f"`pulumi {operation}` of stack {self.stack.name} failed.{why}", fix, detail)


def clean(message: str) -> str:
    """An engine message without the text that wraps the provider's own message, and without a traceback."""
    text = re.sub(r"<\{%.*?%\}>", "", message).strip()
    if "Traceback (most recent call last)" in text:
        lines = [line for line in text.splitlines() if line.strip()]
        named = [i for i, line in enumerate(lines) if re.match(r"(?!Fix:)[\w.]+(:|$)", line)]
        last = named[-1] if named else len(lines) - 1
        text = "\n".join(lines[last:])
    while (shorter := _WRAPPING.sub("", text).strip()) != text:
        text = shorter
    return text


def label(urn: str) -> str:
    """A resource's name in messages: `aws eks NodeGroup gpu-workers`; '' for the stack itself."""
    parts = urn.split("::")
    if len(parts) < 4 or parts[2] == "pulumi:pulumi:Stack":
        return ""
    package, module, name = [*parts[2].rsplit("$", 1)[-1].split(":"), "", ""][:3]
    return " ".join(filter(None, (package, module.split("/")[0].removeprefix("index"), name, parts[3])))


def _take(event: dict[str, Any], outcome: Outcome, progress: Progress) -> None:
    if diagnostic := event.get("diagnosticEvent"):
        _diagnostic(diagnostic, outcome, progress)
    elif step := event.get("resourcePreEvent"):
        metadata = step["metadata"]
        if _is_real(metadata):
            progress.begin(metadata["urn"], label(metadata["urn"]), metadata["op"])
        if metadata["op"] in ("create", "create-replacement"):
            inputs = (metadata.get("new") or {}).get("inputs") or {}
            outcome.failed[metadata["urn"]] = metadata["type"], inputs, ""
        if metadata["op"] not in ("same", "read", "refresh"):
            outcome.steps.append(
                {key: metadata.get(key) for key in ("op", "urn", "type", "diffs", "keys", "detailedDiff")}
            )
    elif done := event.get("resOutputsEvent"):
        progress.end(done["metadata"]["urn"], done["metadata"]["op"])
        outcome.failed.pop(done["metadata"]["urn"], None)
    elif failed := event.get("resOpFailedEvent"):
        progress.end(failed["metadata"]["urn"], "failed")
    elif summary := event.get("summaryEvent"):
        outcome.changes = summary.get("resourceChanges") or {}


def _is_real(metadata: dict[str, Any]) -> bool:
    """Whether the step changes an object in a cloud: false for components, providers and unchanged resources."""
    custom = ((metadata.get("new") or metadata.get("old")) or {}).get("custom", False)
    return bool(custom) and metadata["op"] != "same" and not metadata["type"].startswith("pulumi:")


def _diagnostic(diagnostic: dict[str, Any], outcome: Outcome, progress: Progress) -> None:
    severity, raw = diagnostic.get("severity"), diagnostic.get("message", "")
    if severity == "debug" or diagnostic.get("ephemeral"):
        return
    text = clean(raw)
    if not text or _NOISE.search(text):
        return
    who = label(diagnostic.get("urn", ""))
    line = f"{who}: {text}" if who and who.rsplit(" ", 1)[-1] not in text else text
    if severity == "error":
        if (urn := diagnostic.get("urn", "")) in outcome.failed:
            outcome.failed[urn] = *outcome.failed[urn][:2], text
        consequence = "Traceback (most recent call last)" in raw
        if line not in outcome.errors and not (consequence and outcome.errors):
            outcome.errors.append(line)
    elif severity == "warning":
        if line not in outcome.warnings:
            outcome.warnings.append(line)
    elif severity == "info":
        progress.note(line)
    # A program's stderr ("info#err") is in the log; its traceback is also an error event.


def _error_lines(output: str) -> list[str]:
    """Error lines from what the engine printed, for failures before its first event."""
    found = re.findall(r"^(?:\s*)error: (.*(?:\n(?!\s*(?:error|warning):).+)*)", output, re.MULTILINE)
    return found or [output.strip()[-1500:]]


def _follow(child: subprocess.Popen[bytes], path: Path) -> Iterator[dict[str, Any]]:
    """Yields events as they are written, until the engine has ended."""
    rest, position = b"", 0
    while True:
        ended = child.poll() is not None
        if path.exists():
            with path.open("rb") as events:
                events.seek(position)
                chunk = events.read()
            position += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                try:
                    yield json.loads(line)
                except ValueError:  # the engine was killed while it wrote
                    continue
        if ended:
            return
        time.sleep(0.1)


@contextmanager
def _interruptible(child: subprocess.Popen[bytes], outcome: Outcome, progress: Progress) -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        again, outcome.interrupted = outcome.interrupted, True
        if child.poll() is not None:
            return
        if again:
            os.killpg(child.pid, signal.SIGKILL)
        else:
            progress.note("stopping after the operations under way; press Ctrl-C again to stop at once")
            os.kill(child.pid, signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
