"""An open sandbox: tools in place, simulated clouds running, the stack known to the engine and repaired if necessary.

Every command that runs the engine uses `opened`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from sandbox import environment, kubeconfig, lock, orphans, paths, recovery
from sandbox.engine import Engine
from sandbox.errors import SandboxError
from sandbox.progress import console
from sandbox.stacks import CorruptState, Stack
from sandbox.status import plane_of

Report = Callable[[str], None]


def report(line: str) -> None:
    """One line of progress for a person."""
    console.print(f"  {line}", markup=False)


@contextmanager
def opened(stack: Stack, command: str) -> Iterator[Engine]:
    """Locks the sandbox for `command` and starts everything that the engine needs. Raises SandboxError."""
    stack.config  # noqa: B018 - a wrong name or file is reported before anything is built or started
    with lock.exclusive(command):
        engine = prepare(stack)
        try:
            yield engine
        finally:  # a shell that is already open finds the cluster, even after a failed run
            with suppress(CorruptState):
                kubeconfig.write(stack, plane_of(stack.checkpoint()))


def prepare(stack: Stack) -> Engine:
    """Starts what is not running and repairs the effects of earlier failures; the lock must be held."""
    tools = provide()
    recovery.end_orphans(report)
    recovery.repair_state(stack, report)
    engine = Engine(stack, tools["pulumi"])
    restarted = start([stack.cloud])
    engine.init()
    recovery.recover(engine, restarted, report)
    orphans.announce(stack, report)
    return engine


def provide() -> dict:
    """The tools of an environment, linked into the sandbox's `bin/`."""
    from tools.provide import provide as provided

    tools = provided(environment.TOOLS, lambda line: report(f"tools: {line}"))
    environment.link(tools)
    return tools


def start(clouds: Iterable[str]) -> bool:
    """Starts the clouds and the provider host in parallel, and the control planes that should run. Returns whether a
    cloud or a control plane with objects was down, in which case the state may differ from it.
    """
    from sandbox.controllers import monitoring
    from sandbox.plugins import host

    clouds = set(clouds)
    host.write_shims(paths.folder("plugins"))
    monitoring.asked()
    with ThreadPoolExecutor() as pool:
        jobs = [pool.submit(host.start)]
        aws = pool.submit(_start_aws) if "aws" in clouds else None
        for job in jobs:
            job.result()
        restarted = aws.result() if aws else False
    return _resume_planes() or restarted


def _start_aws() -> bool:
    from sandbox.aws import server

    running = server.health()
    if running:
        return False
    had = (paths.home() / "aws" / "snapshot.pickle").exists()
    server.start()
    note = (server.health() or {}).get("note")
    if note:
        report(note)
    return had


def _resume_planes() -> bool:
    """Restarts the stopped parts of control planes, in parallel, because each start takes a few seconds."""
    from sandbox.cluster import control_plane
    from sandbox.controllers import state

    broken = [plane for plane in control_plane.all() if set(control_plane.PARTS) - set(plane.running())]
    if broken:
        report(f"starting again: {', '.join(plane.key for plane in broken)}")
        with ThreadPoolExecutor() as pool:
            for job in [pool.submit(control_plane.start, plane.key, plane.version) for plane in broken]:
                job.result()
        for plane in broken:
            for line in state.await_ready(plane.folder):
                report(f"{plane.key}: {line}")
    return bool(broken)


def require_up(stack: Stack) -> None:
    """Raises SandboxError if the stack was never brought up here."""
    stack.require()
    if not stack.exists:
        raise SandboxError(f"Stack {stack.name} is not up.", f"bring it up: make up STACK={stack.name}")
