"""`make demo`: one of the stories on a running environment, as a timeline that checks itself.

If a step does not happen in time, the story ends and prints what happened instead. It deletes its objects when it ends
or is interrupted, and those that a killed one left behind.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from rich.console import Console

from sandbox import paths
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.registry import cloud_of
from sandbox.errors import SandboxError
from sandbox.stacks import Stack
from sandbox.stories import NAMES
from sandbox.stories.roll import Roll
from sandbox.stories.scale_from_zero import ScaleFromZero
from sandbox.stories.story import POOL, Story
from sandbox.stories.teams import Teams


def of_stack(stack: Stack) -> dict[str, Callable[..., Story]]:
    """The stories by name."""
    return dict(zip(NAMES, (ScaleFromZero, Teams, partial(Roll, stack=stack)), strict=True))


def run(stack: Stack, plane: ControlPlane, story: str, as_json: bool = False, console: Console | None = None) -> None:
    """Runs a story on a cluster of the sandbox.

    Args:
        stack: the stack that the cluster belongs to.
        plane: the cluster.
        story: one of `NAMES`.
        as_json: print one JSON object at the end instead of lines.

    Raises SandboxError if a step did not happen, after it has printed what happened instead.
    """
    api = plane.api()
    if not api.ready():
        raise SandboxError(
            f"The API server of {plane.key} does not answer.", "run `make up` first: it restarts stopped processes"
        )
    played = of_stack(stack)[story](
        plane.key, api, cloud_of(plane.key).fleet, console or Console(highlight=False), quiet=as_json
    )
    ok = played.play()
    if as_json:
        steps = [asdict(step) for step in played.steps]
        print(json.dumps({"cluster": plane.key, "story": story, "pool": POOL, "ok": ok, "steps": steps}, indent=1))
    if not ok:
        missed = next(step for step in played.steps if not step.ok)
        raise SandboxError(
            f"The demo stopped after {missed.seconds:.0f} s: {missed.seen}.",
            f"the lines above show what happened instead; the logs are in {paths.home() / 'run'}",
        )
