"""The program `helm` of the machine that runs Pulumi: it fetches charts and renders them. It never calls a cluster."""

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence

import pulumi

OLDEST = (3, 13)
"""The oldest version that is accepted: its `pull` and `template` have every option that is used here."""

_SECONDS = 120
_INSTALL = "install it from https://helm.sh/docs/intro/install and run again"


def run(subject: str, args: Sequence[str], *, fix: str, slow: str = "") -> str:
    """What `helm ARGS` prints.

    Args:
        subject: what an error names first, such as `chart kueue 0.19.2`.
        args: the arguments.
        fix: what to do if helm refuses.
        slow: what to do if it does not end. Default: `fix`.

    Raises:
        pulumi.RunError: helm is missing, too old, refuses, or does not end.
    """
    command = [program(subject), *args]
    call = f"{subject}: `helm {' '.join(args[:2])}`"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        raise pulumi.RunError(f"{call} did not end within {_SECONDS} seconds.\n    fix: {slow or fix}") from None
    if done.returncode:
        raise pulumi.RunError(f"{call} failed: {_last_lines(done.stderr)}\n    fix: {fix}")
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
