"""What the next command does about a previous one that was killed, a reboot, or a damaged file.

Called with the sandbox's lock held, so no other command of the sandbox is at work. In this order:

1. an engine that its killed parent left behind is stopped;
2. a state file that cannot be read is replaced by the engine's own backup, else set aside in `attic/`;
3. the lock that a killed engine left on the stack is taken away;
4. what was "being created" is imported if the provider host's journal knows it, else forgotten;
5. after a restart of a cloud, state is compared with it (`pulumi refresh`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import paths, process
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.plugins import journal
from sandbox.stacks import CorruptState, Stack, existing, project, read

Say = Callable[[str], None]


def recover(engine: Engine, restarted: bool, say: Say) -> None:
    """Steps 3 to 5 for one stack, once its clouds run. `restarted`: they were not running before this command."""
    stack = engine.stack
    if not stack.exists:
        journal.clear()
        return
    _unlock(engine, say)
    restarted = restarted or _mark(stack).exists()
    checkpoint = stack.checkpoint()
    imports, lost = plan(checkpoint.pending, journal.ids(), {r["urn"]: r.get("id", "") for r in checkpoint.resources})
    if checkpoint.pending:
        count = len(checkpoint.pending)
        say(f"the last run was cut off in the midst of {count} operation{'s' if count > 1 else ''}; putting that right")
    if checkpoint.pending or (restarted and checkpoint.managed):
        if restarted and not checkpoint.pending:
            say("comparing the state with what the clouds have")
        flag = "--import-pending-creates"
        arguments = [part for urn, id in imports.items() for part in (flag, urn, flag, id)]
        if lost:
            arguments.append("--clear-pending-creates")
        engine.run("refresh", *arguments, title=f"recover {stack.name}")
    _mark(stack).unlink(missing_ok=True)
    journal.clear()


def plan(pending: list[dict], made: dict[str, str], known: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """What becomes of the pending creates: ({URN: id} to import, URNs to forget).

    An object is imported only if state does not hold that very id already (a replacement creates a second object of the
    same URN).
    """
    imports, lost = {}, []
    for operation in pending:
        if operation["type"] != "creating":
            continue
        urn = operation["resource"]["urn"]
        id = made.get(urn)
        if id and known.get(urn) != id:
            imports[urn] = id
        else:
            lost.append(urn)
    return imports, lost


def end_orphans(say: Say) -> None:
    """Stops engines whose command was killed: politely, since they still write state, then for good."""
    left = process.strays("engine")
    if not left:
        return
    say("an engine of a killed command is still at work; stopping it")
    for sent, seconds in ((signal.SIGINT, 20.0), (signal.SIGKILL, 5.0)):
        for pid in left:
            try:
                os.kill(pid, sent)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = process.strays("engine")


def repair_state(stack: Stack, say: Say) -> None:
    """Replaces an unreadable state file by its backup; without one, sets it aside and empties the clouds with it.

    Raises SandboxError when the objects cannot be told from those of other stacks.
    """
    backup = stack.state.with_name(f"{stack.state.name}.bak")
    if not stack.state.exists() and not backup.exists():
        return
    try:
        if stack.state.exists():
            read(stack.state)
            return
    except CorruptState as error:
        aside = set_aside(stack.state)
        say(f"the state of stack {stack.name} was unreadable ({error}); it lies in {aside}")
    else:
        return  # only a backup: the stack was removed
    try:
        read(backup)
    except (CorruptState, OSError):
        pass
    else:
        shutil.copyfile(backup, stack.state)
        say("the engine's backup of one step earlier took its place; comparing it with the clouds")
        _mark(stack).touch()
        return
    others = [other.name for other in existing() if other.name != stack.name]
    if others:
        raise SandboxError(
            f"The state of stack {stack.name} is lost; which cloud objects are its own and which belong to "
            f"{', '.join(others)} cannot be told.",
            "start afresh with `make down FORCE=1` and `make up`",
        )
    say("no backup could be read either: the simulated clouds are emptied and the environment is built afresh")
    empty_clouds()


def empty_clouds() -> None:
    """Stops everything and removes the clouds' and clusters' data: for when state no longer knows what is in them."""
    process.stop_all()
    for name in ("aws", "gcp", "clusters"):
        shutil.rmtree(paths.home() / name, ignore_errors=True)
    journal.clear()


def set_aside(path: Path) -> Path:
    """Moves a file into the attic, never over another one."""
    target = paths.folder("attic") / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03d}-{path.name}"
    path.replace(target)
    return target


def _mark(stack: Stack) -> Path:
    """Stands for: a repair asks for a comparison of this stack's state with the clouds."""
    return paths.folder("run") / f"refresh-{stack.name}"


def _unlock(engine: Engine, say: Say) -> None:
    """Takes away locks of engines that are dead; one that lives (a plain `pulumi` in a shell) is respected."""
    folder = paths.home() / "state" / ".pulumi" / "locks" / "organization" / project() / engine.stack.name
    locks = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for lock in locks:
        try:
            pid = int(json.loads(lock.read_text())["pid"])
        except (ValueError, KeyError, OSError):
            continue  # written half-way by an engine that was killed
        if _runs_pulumi(pid):
            raise SandboxError(
                f"A pulumi of yours (pid {pid}) is updating stack {engine.stack.name}.", "wait for it or stop it"
            )
    if locks:
        say("taking away the lock that a killed engine left on the stack")
        engine.ask("cancel", "--yes", "--stack", engine.stack.name)


def _runs_pulumi(pid: int) -> bool:
    try:
        return b"pulumi" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return False
