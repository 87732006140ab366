"""Steps between Kubernetes versions that the clouds take: one minor up at a time, and none back."""

from collections.abc import Iterator

from components import versions
from components.checks import Problem


def problems(has: str, wanted: str, cloud: str) -> Iterator[Problem]:
    """`has`: version of the control plane, patch or not. `wanted`: minor in the file."""
    now, then = minor(has), minor(wanted)
    allowed = f"{_text(now)} or {_text((now[0], now[1] + 1))}"
    if then < now:
        yield Problem(
            "cluster.version", wanted, f"the control plane runs {_text(now)}, and {cloud} takes no step back", allowed,
            f"write {_text(now)}",
        )  # fmt: skip
    elif then > (now[0], now[1] + 1):
        yield Problem(
            "cluster.version", wanted, f"the control plane runs {_text(now)}, and {cloud} skips no minor", allowed,
            f"write {_text((now[0], now[1] + 1))}, then `pulumi up`, then the next",
        )  # fmt: skip


def minor(version: str) -> tuple[int, int]:
    """(1, 35) of 1.35.6-gke.1000000, which a cloud or a checked file gives: ValueError for what is not a version."""
    found = versions.minor(version)
    if found is None:
        raise ValueError(f"{version!r} is not a Kubernetes version")
    return found


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
