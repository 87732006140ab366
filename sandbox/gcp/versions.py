"""Kubernetes versions that the sandbox's GKE offers.

The minor versions and channels follow GKE's release schedule of 2026 (1.34 to 1.36 in Regular, as of August 2026).
The patch numbers and `-gke.N` suffixes are made up: they change weekly and nothing may depend on them.
"""

from __future__ import annotations

from sandbox.gcp.store import ApiError

VALID = (
    "1.37.0-gke.1000000",
    "1.36.3-gke.1000000",
    "1.36.1-gke.2000000",
    "1.35.6-gke.1000000",
    "1.35.4-gke.2000000",
    "1.34.9-gke.1000000",
    "1.34.7-gke.2000000",
    "1.33.11-gke.1000000",
)
"""Newest first."""

_CHANNELS = {
    # channel: (default, minor versions offered)
    "RAPID": ("1.36.3-gke.1000000", ("1.37", "1.36", "1.35", "1.34")),
    "REGULAR": ("1.35.6-gke.1000000", ("1.36", "1.35", "1.34")),
    "STABLE": ("1.34.9-gke.1000000", ("1.35", "1.34", "1.33")),
    "EXTENDED": ("1.35.6-gke.1000000", ("1.36", "1.35", "1.34", "1.33")),
}
CHANNELS = tuple(_CHANNELS)
DEFAULT_CHANNEL = "REGULAR"
"""The channel that GKE uses for a cluster without one; UNSPECIFIED opts out of channels."""


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def default(channel: str) -> str:
    return _CHANNELS.get(channel, _CHANNELS[DEFAULT_CHANNEL])[0]


def offered(channel: str = "") -> list[str]:
    """The versions of a channel, or all of them, newest first."""
    minors = _CHANNELS[channel][1] if channel in _CHANNELS else None
    return [version for version in VALID if minors is None or minor(version) in minors]


def resolve(wanted: str, channel: str) -> str:
    """The version for a full one, a prefix (`1.35`), `latest`, `-` or nothing. Raises ApiError 400 if it is not
    offered."""
    if wanted in ("", "-"):
        return default(channel)
    choices = offered(channel)
    if wanted == "latest":
        return choices[0]
    for version in choices:
        if version == wanted or version.startswith((f"{wanted}.", f"{wanted}-")):
            return version
    message = f'Master version "{wanted}" is unsupported'
    if channel in _CHANNELS:
        message += f" in release channel {channel}"
    raise ApiError(400, f"{message}; offered are: {', '.join(dict.fromkeys(map(minor, choices)))}.", "badRequest")


def is_newer(version: str, than: str) -> bool:
    return _order(version) > _order(than)


def _order(version: str) -> list[int]:
    patch, _, build = version.partition("-gke.")
    return [int(part) for part in (*patch.split("."), build or "0") if part.isdigit()]
