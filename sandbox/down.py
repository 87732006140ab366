"""`down`: destroys every cloud object with the engine, stops every process, frees every port and removes the folder. It
succeeds after any earlier failure. Objects that the engine could not destroy (lost state, broken files, objects that it
does not know) are listed, since a real account would bill them, and are deleted with the sandbox's folder. It fails
only if `faults.json` causes the destroy to fail. `force` removes everything without the engine.
"""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox import lock, orphans, paths, process, recovery, session, status
from sandbox.engine import Engine
from sandbox.errors import ReportedError, SandboxError
from sandbox.plugins import faults
from sandbox.stacks import Stack, existing

KEPT = "attic"
LEFTOVERS = "the destroy left"
_PROTECTION = "deletionProtection"


def run(stacks: Sequence[Stack], everything: bool, force: bool) -> None:
    """Destroys the stacks; with `everything` also stops the sandbox and removes its folder.

    Raises SandboxError if a stack cannot be destroyed and the sandbox must remain, or if an injected fault caused the
    failure.
    """
    paths.check()
    if not paths.home().exists():
        session.report("nothing is up")
        return
    with lock.exclusive("down"):
        if force:
            recovery.end_orphans(session.report)
        else:
            for stack in stacks:
                try:
                    destroy(stack)
                except ReportedError as error:
                    if not everything or _asked_for():
                        raise
                    session.report(f"stack {stack.name} could not be destroyed:")
                    session.report(str(SandboxError(error.problem, "", error.detail)))
        if not everything and existing():
            return
        if not force:
            _report_leftovers()
        stopped = process.stop_all()
        kept = _remove()
        session.report(f"gone: {len(stopped)} processes stopped, {paths.home()} removed{kept}")


def destroy(stack: Stack) -> None:
    """Destroys one stack, even if its file or the program is broken, and removes it from the backend."""
    tools = session.provide()
    recovery.end_orphans(session.report)
    recovery.repair_state(stack, session.report)
    checkpoint = stack.checkpoint()
    engine = Engine(stack, tools["pulumi"])
    lost = orphans.of(stack)
    if checkpoint.managed or checkpoint.pending or lost:  # a stack without objects can be removed without a cloud
        types = [resource["type"] for resource in [*checkpoint.resources, *_pending(checkpoint.pending)]]
        clouds = {token.split(":")[0] for token in [*types, *(made.type for made in lost)]}
        session.start(["aws"] if clouds & {"aws", "eks"} else [])
        stack.prepare()
        recovery.recover(engine, False, session.report)  # objects that are already deleted do not stop the destroy
        orphans.remove(stack, session.report)
        _unprotect(engine)
        outcome = engine.run("destroy", title=f"destroy {stack.name}")
        deleted = len(checkpoint.managed)
        session.report(f"stack {stack.name}: {deleted} resources deleted in {outcome.seconds:.0f} s")
    stack.prepare()
    engine.ask("-C", str(paths.home() / "config"), "stack", "rm", "--yes", "--force", "--preserve-config", stack.name)
    stack.copy.unlink(missing_ok=True)
    orphans.forget(stack, everything=True)


def _unprotect(engine: Engine) -> None:
    """Removes the engine's protection of objects, and the clouds' deletion protection, both in the state and in the
    cloud."""
    deployment = engine.state()
    protected = [
        resource
        for resource in deployment.get("resources", [])
        if resource.get("protect") or resource.get("inputs", {}).get(_PROTECTION)
    ]
    if not protected:
        return
    session.report("its objects are protected against deletion; in a sandbox they are deleted all the same")
    for resource in protected:
        resource["protect"] = False
        for side in ("inputs", "outputs"):
            if resource.get(side, {}).get(_PROTECTION):
                resource[side][_PROTECTION] = False
    engine.replace_state(deployment)
    clusters = [resource["id"] for resource in protected if resource["type"] == "aws:eks/cluster:Cluster"]
    if clusters:
        from sandbox.aws import inventory

        inventory.unprotect(clusters)
    files = [resource["id"] for resource in protected if resource["type"] == "gcp:filestore/instance:Instance"]
    if files:
        from sandbox.gcp import store

        store.unprotect(files)


def _pending(operations: list[dict]) -> list[dict]:
    return [operation["resource"] for operation in operations]


def _asked_for() -> bool:
    """Whether the destroy may have failed because of the faults file."""
    try:
        return any(fault.error and fault.operation in ("delete", "*") for fault in faults.load())
    except ReportedError:
        return False


def _report_leftovers() -> None:
    """Lists the objects that the running clouds still have."""
    try:
        kept = [entry for cloud in _running() for entry in status.kept(cloud)]
        left = [entry for cloud in _running() for entry in status.leftovers(cloud)]
    except Exception as error:
        # If a cloud does not answer, its processes and files are removed all the same.
        session.report(f"the simulated clouds did not report what is left ({type(error).__name__}: {error})")
        return
    if kept:
        session.report(
            f"kept by their reclaim policy (a real account would keep them, and bill them): {', '.join(kept)}"
        )
    if left:
        names = ", ".join(left[:10]) + (" …" if len(left) > 10 else "")
        session.report(f"{LEFTOVERS} {len(left)} objects, which a real account would continue to bill: {names}")


def _running() -> list[str]:
    """The clouds that run; a cloud that was never started has no objects."""
    return [cloud for cloud in ("aws", "gcp") if status.has(cloud) and (cloud == "gcp" or process.alive("aws"))]


def _remove() -> str:
    """Removes the sandbox's files from its folder, and the folder if it is then empty. Returns a description of what
    remains."""
    home = paths.home()
    stays = {
        entry.name
        for entry in home.iterdir()
        if entry.name not in paths.LAYOUT and not fnmatch.fnmatch(entry.name, paths.SCHEMAS)
    }
    if (home / KEPT).is_dir() and any((home / KEPT).iterdir()):
        stays.add(KEPT)
    kept = stays | {paths.MARK} if stays else stays
    for entry in home.iterdir():
        if entry.name not in kept:
            _remove_entry(entry)
    if not stays:
        home.rmdir()
        return ""
    what = "which contains files that a recovery set aside" if stays == {KEPT} else "which the sandbox did not make"
    return f" but for {', '.join(sorted(stays))}, {what}"


def _remove_entry(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
