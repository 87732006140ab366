"""The program `helm` of the machine that runs Pulumi: it fetches charts and renders them. It never calls a cluster."""

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence

import pulumi

OLDEST = (3, 13)
"""The oldest version that is accepted: its `pull` and `template` have every option that is used here."""

_FETCH_SECONDS = 120
_INSTALL = "install it from https://helm.sh/docs/intro/install and run again"


def run(subject: str, args: Sequence[str]) -> str:
    """What `helm ARGS` prints.

    Args:
        subject: what an error names first, such as `chart kueue 0.19.2`.
        args: the arguments.

    Raises:
        pulumi.RunError: helm is missing, too old, refuses, or does not end.
    """
    command = [program(subject), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise pulumi.RunError(
            f"{subject}: `{' '.join(command[:3])}` did not end within {_FETCH_SECONDS} seconds.\n"
            "    fix: check the network of this machine, or set `charts.mirror` to a folder with the chart"
        ) from None
    if done.returncode:
        raise pulumi.RunError(f"{subject}: `helm {' '.join(args[:2])}` failed: {_last_lines(done.stderr)}")
    return done.stdout


def program(subject: str) -> str:
    """Path of helm.

    Raises:
        pulumi.RunError: it is missing, or older than `OLDEST`.
    """
    found = shutil.which("helm")
    if found is None:
        needs = f"it is rendered by helm {_text(OLDEST)} or later, and there is no helm on PATH"
        raise pulumi.RunError(f"{subject}: {needs}.\n    fix: {_INSTALL}")
    version = _version(found)
    if version < OLDEST:
        raise pulumi.RunError(
            f"{subject}: {found} is helm {_text(version)}; {_text(OLDEST)} or later is needed.\n    fix: {_INSTALL}"
        )
    return found


@functools.cache
def _version(path: str) -> tuple[int, ...]:
    """(3, 13) for helm 3.13.1; (0, 0) for a program that does not tell its version."""
    done = subprocess.run([path, "version", "--short"], capture_output=True, text=True, check=False, timeout=30)
    numbers = re.search(r"v?(\d+)\.(\d+)", done.stdout)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _last_lines(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.startswith("WARNING")]
    return " ".join(lines[-3:]).removeprefix("Error: ") or "no message"
