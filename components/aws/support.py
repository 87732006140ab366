"""How long EKS supports a Kubernetes version, and what happens afterwards."""

from collections.abc import Iterator
from datetime import date, timedelta

from ..versions import EKS_SUPPORT

VERSIONS = tuple(EKS_SUPPORT)
"""Minor versions that EKS offers, oldest first."""
POLICIES = {"standard": "STANDARD", "extended": "EXTENDED"}
"""What EKS does when standard support of the version ends (upgrade the cluster, or bill extended support) → EKS's name
of it."""
# Before the end of a version's support, `warnings` names it for so long; EKS announces it 60 days before.
NOTICE = timedelta(days=60)


def warnings(version: str, policy: str, today: date) -> Iterator[str]:
    """The end of the version's support, if it is near or past. `policy`: one of `POLICIES`; `today`: in UTC, as EKS
    counts."""
    found = EKS_SUPPORT.get(version)
    if found is None or today < found.standard_until - NOTICE:
        return
    later = VERSIONS[VERSIONS.index(version) + 1 :]
    move = f"set version to {later[0]}" if later else "look for a newer gpuyard, which knows the next version"
    until, last = found.standard_until, found.extended_until
    if today >= last:
        yield f"version: EKS has dropped Kubernetes {version} on {last} and upgrades the cluster on its own; {move}"
    elif today >= until and policy == "extended":
        yield (
            f"version: Kubernetes {version} left standard support on {until}; every hour costs more, and on {last} EKS "
            f"upgrades the cluster; {move}"
        )
    elif today >= until:
        yield (
            f"version: Kubernetes {version} left standard support on {until}; with support = standard EKS upgrades the "
            f"cluster on its own, and a cluster that is in extended support already stays there; {move}, or support to "
            f"extended (costs more per hour, until {last})"
        )
    else:
        then = "costs more per hour" if policy == "extended" else "is upgraded by EKS"
        yield f"version: on {until} Kubernetes {version} leaves standard support and the cluster {then}; before, {move}"
