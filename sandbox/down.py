"""`down`: every cloud object destroyed by the engine, every process stopped, every port free, the folder gone.

Objects that the clouds still have after a destroy of all stacks are an error that names them: on a real account they
would cost money. `force` is for when the engine cannot do it (state lost, files broken): everything is removed unseen.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox import lock, paths, process, recovery, session, status
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.stacks import Stack, existing

KEPT = "attic"
_PROTECTION = "deletionProtection"


def run(stacks: Sequence[Stack], everything: bool, force: bool) -> None:
    """Destroys the stacks; with `everything` also stops the sandbox and removes its folder.

    Raises SandboxError when a stack cannot be destroyed or a cloud has objects left.
    """
    paths.check()
    if not paths.home().exists():
        session.say("nothing is up")
        return
    with lock.exclusive("down"):
        if force:
            recovery.end_orphans(session.say)
        else:
            for stack in stacks:
                destroy(stack)
        if not everything and existing():
            return
        if kept := [] if force else [entry for cloud in _running() for entry in status.kept(cloud)]:
            session.say(f"kept by their reclaim policy, on a real account for good: {', '.join(kept)}")
        left = [] if force else _leftovers()
        if left:
            raise SandboxError(
                f"After the destroy the simulated cloud still has {len(left)} objects: {', '.join(left[:10])}"
                + (" …" if len(left) > 10 else "."),
                "on a real account they would cost money: find out who made them; `make down FORCE=1` removes them",
            )
        stopped = process.stop_all()
        kept = _remove()
        session.say(f"gone: {len(stopped)} processes stopped, {paths.home()} removed{kept}")


def destroy(stack: Stack) -> None:
    """Destroys one stack, also when its file or the program is broken; forgets it in the backend."""
    tools = session.provide()
    recovery.end_orphans(session.say)
    recovery.repair_state(stack, session.say)
    checkpoint = stack.checkpoint()
    engine = Engine(stack, tools["pulumi"])
    if checkpoint.managed or checkpoint.pending:  # a stack without objects needs no cloud to go away
        clouds = {resource["type"].split(":")[0] for resource in [*checkpoint.resources, *_pending(checkpoint.pending)]}
        session.start(["aws"] if clouds & {"aws", "eks"} else [])
        stack.prepare()
        recovery.recover(engine, False, session.say)  # what is gone already is no hindrance
        _unprotect(engine)
        outcome = engine.run("destroy", title=f"destroy {stack.name}")
        deleted = len(checkpoint.managed)
        session.say(f"stack {stack.name}: {deleted} resources deleted in {outcome.seconds:.0f} s")
    stack.prepare()
    engine.ask("-C", str(paths.home() / "config"), "stack", "rm", "--yes", "--force", "--preserve-config", stack.name)
    stack.copy.unlink(missing_ok=True)


def _unprotect(engine: Engine) -> None:
    """Lifts the engine's protection of objects, and the clouds' own as a provider sees it and as the cloud does."""
    deployment = engine.state()
    protected = [
        resource
        for resource in deployment.get("resources", [])
        if resource.get("protect") or resource.get("inputs", {}).get(_PROTECTION)
    ]
    if not protected:
        return
    session.say("its objects are protected against deletion; nothing in a sandbox is worth that")
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


def _leftovers() -> list[str]:
    """What the clouds that run still have."""
    return [entry for cloud in _running() for entry in status.leftovers(cloud)]


def _running() -> list[str]:
    """A cloud that was never started has nothing."""
    return [cloud for cloud in ("aws", "gcp") if status.has(cloud) and (cloud == "gcp" or process.alive("aws"))]


def _remove() -> str:
    """Removes what a sandbox makes in its folder, and the folder when nothing else is in it; says what stays."""
    home = paths.home()
    stays = {entry.name for entry in home.iterdir() if entry.name not in paths.LAYOUT}
    if (home / KEPT).is_dir() and any((home / KEPT).iterdir()):
        stays.add(KEPT)
    kept = stays | {paths.MARK} if stays else stays
    for entry in home.iterdir():
        if entry.name not in kept:
            _remove_entry(entry)
    if not stays:
        home.rmdir()
        return ""
    what = "which holds what a recovery set aside" if stays == {KEPT} else "which the sandbox did not make"
    return f" but for {', '.join(sorted(stays))}, {what}"


def _remove_entry(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)
