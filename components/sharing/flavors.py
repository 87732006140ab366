"""Keeps new jobs off a pool in a running cluster, by a taint on its ResourceFlavor, and waits for those that run.

Import it late: it needs the Kubernetes client, which a preview does not.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from ..cleanup import cluster_api
from ..cleanup.cluster_api import Api, ApiError, Refused, Unreachable
from ..pools import POOL_LABEL

HELD = {"key": "gpuyard.dev/held", "value": "nodes-are-replaced", "effect": "NoSchedule"}
"""Taint of the flavor of a pool that is held. No node has it; jobs that tolerate every taint are not kept away."""

_KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
_PERIOD_SECONDS, _REPORT_SECONDS = 5, 60

Report = Callable[[str], None]


def hold(kubeconfig: str, pool: str, seconds: float, report: Report, sleep: Callable[[float], None]) -> None:
    """Holds the pool, and waits until no admitted job uses it, at most for `seconds`."""
    try:
        api = cluster_api.Api(kubeconfig)
        found = _flavors(api, pool)
        for flavor in found:
            _taint(api, flavor, True)
    except (Unreachable, Refused, ApiError) as error:
        report(f"warning: {pool} is not held before its nodes are replaced: {error}")
        return
    if found:
        report(f"{pool}: its queues admit no new jobs until its nodes are replaced")
        _wait(api, pool, {flavor["metadata"]["name"] for flavor in found}, seconds, report, sleep)


def _wait(api: Api, pool: str, names: set[str], seconds: float, report: Report, sleep: Callable[[float], None]) -> None:
    """Waits for the jobs. A cluster that does not answer meanwhile is asked again: its jobs still run."""
    deadline, shown = time.monotonic() + seconds, float("-inf")
    while jobs := _listed(api, names):
        now = time.monotonic()
        if now >= deadline:
            report(f"{pool}: the time is over; these jobs are drained with their nodes: {jobs}")
            return
        if now - shown >= _REPORT_SECONDS:
            shown = now
            report(f"{pool}: waiting for {jobs} (up to {(deadline - now) / 60:.0f} more minutes)")
        sleep(min(_PERIOD_SECONDS, max(0.0, deadline - now)))
    report(f"{pool}: no job of a queue runs there")


def _listed(api: Api, names: set[str]) -> str:
    """The running jobs, or why they are unknown; empty if there are none."""
    try:
        return ", ".join(_running(api, names))
    except (Unreachable, Refused, ApiError) as error:
        return f"jobs that cannot be listed ({error})"


def release(kubeconfig: str, pool: str, report: Report) -> None:
    """Releases the pool.

    Raises:
        HeldPoolError: the cluster does not let it.
    """
    try:
        api = cluster_api.Api(kubeconfig)
        for flavor in _flavors(api, pool):
            if _taint(api, flavor, False):
                report(f"{pool}: its queues admit jobs again")
    except (Unreachable, Refused, ApiError) as error:
        # The host of dynamic providers shows every exception with its traceback, which does not help the user here.
        sys.tracebacklimit = 0
        raise HeldPoolError(
            f"the pool {pool} may still be held, so that its queues admit no jobs: {error}.\n"
            "  Log in to the cluster and run `pulumi up` again; or remove the taint yourself:\n"
            f"    kubectl edit resourceflavors -l {POOL_LABEL}={pool}   # {HELD['key']} in spec.nodeTaints"
        ) from None


class HeldPoolError(Exception):
    """A pool could not be released."""

    # Shown without the module's name.
    __module__ = "builtins"


def _flavors(api: Api, pool: str) -> list[dict[str, Any]]:
    """The flavors of the pool; none without Kueue."""
    found = api.list(f"{_KUEUE}/resourceflavors")
    return [each for each in found if (each["metadata"].get("labels") or {}).get(POOL_LABEL) == pool]


def _taint(api: Api, flavor: dict[str, Any], wanted: bool) -> bool:
    """Adds or removes the taint. Returns whether that was necessary."""
    taints = flavor["spec"].get("nodeTaints") or []
    kept = [taint for taint in taints if taint["key"] != HELD["key"]]
    after = [*kept, HELD] if wanted else kept
    if after == taints:
        return False
    api.patch(f"{_KUEUE}/resourceflavors/{flavor['metadata']['name']}", {"spec": {"nodeTaints": after}})
    return True


def _running(api: Api, flavors: set[str]) -> list[str]:
    """NAMESPACE/NAME of the jobs that have quota of these flavors and have not finished."""
    return sorted(
        f"{workload['metadata']['namespace']}/{_owner(workload)}"
        for workload in api.list(f"{_KUEUE}/workloads")
        if flavors & _assigned(workload) and not _is_finished(workload)
    )


def _assigned(workload: dict[str, Any]) -> set[str]:
    admission = workload.get("status", {}).get("admission") or {}
    return {name for each in admission.get("podSetAssignments", []) for name in (each.get("flavors") or {}).values()}


def _is_finished(workload: dict[str, Any]) -> bool:
    conditions = workload.get("status", {}).get("conditions") or []
    return any(each["type"] == "Finished" and each["status"] == "True" for each in conditions)


def _owner(workload: dict[str, Any]) -> str:
    owners = workload["metadata"].get("ownerReferences") or []
    return owners[0]["name"] if owners else workload["metadata"]["name"]
