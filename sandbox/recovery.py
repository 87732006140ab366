"""Repairs by the next command after a killed command, a reboot, or a damaged file.

Called with the sandbox's lock held, so no other command of the sandbox runs. In this order:

1. an engine whose parent was killed is stopped;
2. a state file that cannot be read is replaced by the engine's own backup, otherwise moved to `attic/`;
3. the lock that a killed engine left on the stack is removed;
4. what was "being created" is added to the state if the provider host's journal has its id, and otherwise dropped;
5. after that, and after a restart of a cloud, state is compared with the clouds (`pulumi refresh`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sandbox import orphans, paths, process
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.plugins import journal
from sandbox.stacks import CorruptState, Stack, existing, project, read

Report = Callable[[str], None]


def recover(engine: Engine, restarted: bool, report: Report) -> None:
    """Does steps 3 to 5 for one stack, once its clouds run. `restarted`: they were not running before this command."""
    stack = engine.stack
    if not stack.exists:
        return
    _unlock(engine, report)
    restarted = restarted or _mark(stack).exists()
    checkpoint = stack.checkpoint()
    if checkpoint.pending:
        count = len(checkpoint.pending)
        report(f"the last run was interrupted during {count} operation{'s' if count > 1 else ''}; repairing the state")
        engine.replace_state(settle(engine.state(), journal.ids()))
    if checkpoint.pending or (restarted and checkpoint.managed):
        if not checkpoint.pending:
            report("comparing the state with what the clouds have")
        engine.run("refresh", title=f"recover {stack.name}")
    _mark(stack).unlink(missing_ok=True)
    orphans.forget(stack)


def settle(latest: dict, made: dict[str, str]) -> dict:
    """The state without pending operations: an object that was being created is added with its id from the journal. A
    refresh afterwards reads those objects, and drops those that were never completed. It also finds out how far an
    update or a deletion had progressed. `pulumi refresh --import-pending-creates` does not help: 3.259 drops the
    imported ones as well. After a replacement, the old object remains in the state and is marked for deletion, as by
    the engine itself.
    """
    resources = [dict(resource) for resource in latest.get("resources") or []]
    for operation in latest.get("pending_operations") or []:
        urn = operation["resource"]["urn"]
        id = made.get(urn)
        if operation["type"] != "creating" or not id:
            continue
        namesakes = [resource for resource in resources if resource["urn"] == urn]
        if any(resource.get("id") == id for resource in namesakes):
            continue
        for old in namesakes:
            old["delete"] = True
        resources.append({**operation["resource"], "id": id})
    return {**latest, "resources": resources, "pending_operations": []}


def end_orphans(report: Report) -> None:
    """Stops engines whose command was killed: first with SIGINT, since they still write state, then by force."""
    left = process.strays("engine")
    if not left:
        return
    report("stopping what a killed command left running")
    engines = [pid for pid in left if _runs_pulumi(pid)]
    for pid in engines:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + 20
    while set(engines) & set(process.strays("engine")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.end_strays("engine", 2)  # plugins and language hosts have nothing to write


def repair_state(stack: Stack, report: Report) -> None:
    """Replaces an unreadable state file with its backup. Without a backup, moves it to the attic and empties the
    clouds.

    Raises SandboxError when the objects cannot be distinguished from those of other stacks.
    """
    _drop_sidecars()
    backup = stack.state.with_name(f"{stack.state.name}.bak")
    if not stack.state.exists() and not backup.exists():
        return
    try:
        if stack.state.exists():
            read(stack.state)
            return
    except CorruptState as error:
        aside = set_aside(stack.state)
        report(f"the state of stack {stack.name} was unreadable ({error}); it was moved to {aside}")
    else:
        return  # only a backup: the stack was removed
    try:
        read(backup)
    except (CorruptState, OSError):
        pass
    else:
        shutil.copyfile(backup, stack.state)
        report("it was replaced by the engine's backup of one step earlier; comparing that with the clouds")
        _mark(stack).touch()
        return
    others = [other.name for other in existing() if other.name != stack.name]
    if others:
        raise SandboxError(
            f"The state of stack {stack.name} is lost; its cloud objects cannot be distinguished from those of "
            f"{', '.join(others)}.",
            "start again with `make down FORCE=1` and `make up`",
        )
    report("no backup could be read either: the simulated clouds are emptied and the environment is built again")
    empty_clouds()


def _drop_sidecars() -> None:
    """Deletes the attributes that engines of an earlier release wrote next to each file of the state: nothing needs
    them, and the engine cannot read a file whose attributes were cut off."""
    for sidecar in (paths.home() / "state").rglob("*.attrs"):
        sidecar.unlink(missing_ok=True)


def empty_clouds() -> None:
    """Stops everything and removes the clouds' and clusters' data, because no state lists their objects."""
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
    """The file by which a repair requests a comparison of this stack's state with the clouds."""
    return paths.folder("run") / f"refresh-{stack.name}"


def _unlock(engine: Engine, report: Report) -> None:
    """Removes locks of dead engines; the lock of a running one (a plain `pulumi` in a shell) is respected."""
    folder = paths.home() / "state" / ".pulumi" / "locks" / "organization" / project() / engine.stack.name
    locks = sorted(folder.glob("*.json")) if folder.is_dir() else []
    for lock in locks:
        try:
            pid = int(json.loads(lock.read_text())["pid"])
        except (ValueError, KeyError, OSError):
            continue  # written half-way by an engine that was killed
        if _runs_pulumi(pid):
            raise SandboxError(
                f"Another pulumi (pid {pid}) is updating stack {engine.stack.name}.", "wait for it or stop it"
            )
    if locks:
        report("removing the lock that a killed engine left on the stack")
        engine.ask("cancel", "--yes", "--stack", engine.stack.name)


def _runs_pulumi(pid: int) -> bool:
    try:
        return Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])).name == "pulumi"
    except OSError:
        return False
