"""The changes of the Kubernetes version that the clouds allow: up by one minor at a time, and never down."""

from collections.abc import Iterator

from components import versions
from components.checks import Problem


def problems(has: str, wanted: str, cloud: str) -> Iterator[Problem]:
    """A version that the cloud refuses. `has`: version of the control plane. `wanted`: minor version in the file."""
    now, then = minor(has), minor(wanted)
    allowed = f"{_text(now)} or {_text((now[0], now[1] + 1))}"
    if then < now:
        yield Problem(
            "cluster.version", wanted, f"the control plane runs {_text(now)}, and {cloud} never downgrades it", allowed,
            f"write {_text(now)}",
        )  # fmt: skip
    elif then > (now[0], now[1] + 1):
        yield Problem(
            "cluster.version", wanted, f"the control plane runs {_text(now)}, and {cloud} cannot skip a minor version",
            allowed, f"write {_text((now[0], now[1] + 1))}, run `pulumi up`, then continue with the next",
        )  # fmt: skip


def minor(version: str) -> tuple[int, int]:
    """The minor of a version from a cloud or a checked file: (1, 35) for 1.35.6-gke.1000000.

    Raises:
        ValueError: the text is not a version.
    """
    found = versions.minor(version)
    if found is None:
        raise ValueError(f"{version!r} is not a Kubernetes version")
    return found


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
