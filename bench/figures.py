"""Measures the sandbox against its floor and writes the table into `bench/README.md`.

    make bench                       three rounds, a few minutes
    python -m bench --rounds 1 --stack dev-gke --print

Each round measures all figures one after the other, so that a slow moment of the machine affects floor and figure. The
floors are the parts that gpuyard cannot make faster: the engine's `up` of an empty program, and the start of a bare
control plane. Figures are medians; a ratio is that of the medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.progress import track

from bench.memory import peak
from bench.page import console, machine, print_option, publish, shown
from sandbox import environment, paths, session
from sandbox.cluster import control_plane
from sandbox.errors import SandboxError

ENGINE, PLANE = "engine: `up` of an empty program", "start of a bare control plane"
UP, AGAIN = "`make up` of a new environment", "`make up` again, without changes"
PENDING, DOWN = "pod pending → running, pool at 0", "`make down`"
MEMORY = "peak memory during `make up`"

ROWS = {
    # figure: (unit, its floors)
    ENGINE: ("s", ()),
    PLANE: ("s", ()),
    UP: ("s", (ENGINE, PLANE)),
    AGAIN: ("s", (ENGINE,)),
    PENDING: ("s", ()),
    DOWN: ("s", (ENGINE,)),
    MEMORY: ("MiB", ()),
}


def sandbox(*arguments: str) -> str:
    """Runs a command of the sandbox as a user would, and returns its stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments], cwd=paths.ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SandboxError(f"`python -m sandbox {' '.join(arguments)}` failed.", "fix that first, then measure again")
    return done.stdout


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of `work`."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def empty_program(pulumi: Path) -> float:
    """Seconds of the engine's `up` of a program without resources, on the same backend."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Pulumi.yaml").write_text("name: floor\nruntime: python\n")
        Path(folder, "__main__.py").write_text("")

        def run(*arguments: str) -> None:
            command = [str(pulumi), "-C", folder, "--non-interactive", *arguments]
            done = subprocess.run(command, env=environment.engine(), capture_output=True, text=True)
            if done.returncode:
                output = (done.stdout + done.stderr).strip()
                raise SandboxError(f"`pulumi {arguments[0]}` of an empty program failed: {output}", "fix that first")

        run("stack", "init", "floor")
        taken = seconds(lambda: run("up", "--yes", "--skip-preview", "--stack", "floor"))
        run("stack", "rm", "--yes", "--stack", "floor")
        return taken


def bare_plane() -> float:
    """Seconds until a control plane without nodes is ready."""
    taken = seconds(lambda: control_plane.start("eks-us-east-1-floor", "1.35", controller=False))
    control_plane.stop("eks-us-east-1-floor")
    return taken


def round_of(stack: str) -> dict[str, float]:
    """Measures every figure once."""
    pulumi = Path(session.provide()["pulumi"])  # the `down` of the previous round deleted the links to the tools
    figures = {ENGINE: empty_program(pulumi), PLANE: bare_plane()}
    with peak() as most:
        figures[UP] = seconds(lambda: sandbox("up", "--stack", stack, "--json"))
    figures[MEMORY] = most[0]
    figures[AGAIN] = seconds(lambda: sandbox("up", "--stack", stack, "--json"))
    steps = json.loads(sandbox("demo", "--stack", stack, "--json"))["steps"]
    at = {step["name"]: step["seconds"] for step in steps}
    figures[PENDING] = at["running"] - at["pending"]
    figures[DOWN] = seconds(lambda: sandbox("down"))
    return figures


def table(rounds: list[dict[str, float]]) -> str:
    """The rounds as a Markdown table: median, spread, ratio to the sum of the floors."""
    median = {name: statistics.median(figures[name] for figures in rounds) for name in ROWS}
    lines = ["| figure | median | lowest to highest | floors | ratio |", "|---|---|---|---|---|"]
    for name, (unit, floors) in ROWS.items():
        values = [figures[name] for figures in rounds]
        floor = sum(median[other] for other in floors)
        ratio = (shown(floor, unit), f"{median[name] / floor:.1f}") if floors else ("–", "–")
        spread = f"{shown(min(values), unit)} to {shown(max(values), unit)}"
        lines.append(f"| {name} | {shown(median[name], unit)} | {spread} | {' | '.join(ratio)} |")
    return "\n".join([f"{len(rounds)} round{'s' if len(rounds) > 1 else ''} on {machine()}:", "", *lines])


def measured(rounds: int, stack: str) -> list[dict[str, float]]:
    """The figures of each round, measured in a temporary sandbox."""
    with tempfile.TemporaryDirectory(prefix="gpuyard-bench-") as home:
        os.environ["GPUYARD_SANDBOX"] = home
        environment.isolate()
        try:
            return [round_of(stack) for _ in track(range(rounds), "rounds", console=console)]
        finally:
            sandbox("down", "--force")


@click.command(help=__doc__)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 20))
@click.option("--stack", default="dev", show_default=True)
@print_option
def main(rounds: int, stack: str, only_print: bool) -> None:
    """Measures the figures, and writes or prints the table."""
    publish("figures", lambda: table(measured(rounds, stack)), only_print)
