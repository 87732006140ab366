"""Measures what teams and platforms add to an environment, and writes the table into `bench/README.md`.

    python -m bench.parts                     every part, about two minutes each
    python -m bench.parts --part jobSet --print

Each environment is new, in a copy of the clone with a separate sandbox, and is compared with the one without any part
in the same run. Node capacity is what the part's pods request, as the scheduler counts it: the pods are
simulated, their requests are those of the pinned chart. A part whose chart this machine cannot fetch is
missing, and named.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import yaml
from rich.progress import track

from bench.memory import peak
from bench.page import console, machine, print_option, publish, shown
from sandbox import environment, paths
from sandbox.cluster import quantity
from sandbox.errors import SandboxError

STACK = "dev"
NONE = "without parts"
PARTS: dict[str, dict[str, Any]] = {
    NONE: {},
    "teams": {"teams": {"vision": {"guaranteed": {"gpu-workers": 2}}, "nlp": {"guaranteed": {"gpu-workers": 0}}}},
    **{
        key: {"platforms": {key: True}}
        for key in ("jobSet", "leaderWorkerSet", "keda", "kubeflowTrainer", "argoWorkflows", "kserve")
    },
}
"""The values of the stack's file that switch each part on. `teams`: two of them, with Kueue and its queues."""


@dataclass(frozen=True)
class Cost:
    """What an environment takes.

    `seconds`: of `make up`. `peak`: the sandbox's memory, in MiB. `resources`: in the engine's state. `pods`: those
    that do not end. `cpu`: requested cores. `memory`: requested memory in bytes.
    """

    seconds: float
    peak: float
    resources: int
    pods: int
    cpu: Fraction
    memory: Fraction


@contextmanager
def clone() -> Iterator[Path]:
    """A copy of the files that an environment needs; whatever runs in it is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="gpuyard-parts-") as folder:
        root = Path(folder, "clone")
        hidden = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
        shutil.copytree(paths.ROOT, root, ignore=hidden)
        os.environ["GPUYARD_SANDBOX"] = str(root / ".sandbox")
        environment.isolate()
        try:
            yield root
        finally:
            sandbox(root, "down", "--force")


def sandbox(root: Path, *arguments: str) -> str:
    """Runs a command of the copy's sandbox, and returns its stdout."""
    command = [sys.executable, "-m", "sandbox", *arguments]
    place = {**os.environ, "GPUYARD_VENV": sys.prefix}
    done = subprocess.run(command, cwd=root, env=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(
            f"`{' '.join(command[2:])}` failed.", "fix that first, then measure again", done.stderr[-2000:]
        )
    return done.stdout


def requested(pod: dict[str, Any], resource: str) -> Fraction:
    """What the scheduler counts for a pod: the sum of its containers, or a larger init container."""
    spec = pod["spec"]
    groups = [
        [quantity.parse_all(each.get("resources", {}).get("requests")).get(resource, Fraction()) for each in containers]
        for containers in (spec["containers"], spec.get("initContainers") or [])
    ]
    return max(sum(groups[0], Fraction()), *groups[1], Fraction())


def cost(values: dict[str, Any]) -> Cost:
    """Brings an environment with those values up, and measures it."""
    with clone() as root:
        file = root / f"Pulumi.{STACK}.yaml"
        config = yaml.safe_load(file.read_text())["config"] | {f"gpuyard:{key}": part for key, part in values.items()}
        file.write_text(yaml.safe_dump({"config": config}))
        begun = time.monotonic()
        with peak() as most:
            up = json.loads(sandbox(root, "up", "--stack", STACK, "--json"))
        taken = time.monotonic() - begun
        listed = sandbox(root, "kubectl", "--stack", STACK, "--", "get", "pods", "--all-namespaces", "-o", "json")
        pods = [pod for pod in json.loads(listed)["items"] if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        return Cost(
            seconds=taken,
            peak=most[0],
            resources=up["status"]["stack"]["resources"],
            pods=len(pods),
            cpu=sum((requested(pod, "cpu") for pod in pods), Fraction()),
            memory=sum((requested(pod, "memory") for pod in pods), Fraction()),
        )


def measured(parts: Sequence[str]) -> tuple[dict[str, Cost], dict[str, str]]:
    """The cost of each part, and the reason why one is missing."""
    found, missing = {}, {}
    for name in track(parts, "environments", console=console):
        try:
            found[name] = cost(PARTS[name])
        except SandboxError as error:
            if name == NONE or "charts.mirror" not in str(error):
                raise
            missing[name] = "its chart cannot be fetched here"
    return found, missing


def table(costs: dict[str, Cost], missing: dict[str, str]) -> str:
    """The costs as a Markdown table: of the environment without parts, then what each part adds."""
    base = costs[NONE]
    head = (
        "environment",
        "`make up`",
        "ratio",
        "peak memory",
        "resources",
        "pods",
        "requested CPU",
        "requested memory",
    )
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for name, each in costs.items():
        sign, other = ("", Cost(0, 0, 0, 0, Fraction(), Fraction())) if name == NONE else ("+", base)
        cells = (
            name if name == NONE else f"with `{name}`",
            shown(each.seconds, "s"),
            f"{each.seconds / base.seconds:.2f}",
            sign + shown(each.peak - other.peak, "MiB"),
            f"{sign}{each.resources - other.resources}",
            f"{sign}{each.pods - other.pods}",
            f"{sign}{float(each.cpu - other.cpu):.2f} cores",
            sign + shown(float(each.memory - other.memory) / 2**20, "MiB"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    absent = [f"Not measured: `{name}`, because {reason}." for name, reason in missing.items()]
    return "\n".join([f"`{STACK}` on {machine()}:", "", *lines, *([""] if absent else []), *absent])


@click.command(help=__doc__)
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)[1:]), help="Only this one; repeatable.")
@print_option
def main(parts: tuple[str, ...], only_print: bool) -> None:
    """Measures the parts, and writes or prints the table."""
    publish("parts", lambda: table(*measured([NONE, *(parts or list(PARTS)[1:])])), only_print)


if __name__ == "__main__":
    main()
