"""Alerts about the hardware of GPUs fire when they should and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR, SYSTEMS
from components.monitoring.rules import xids
from tests.alerts.promtool import Case, Firing, once
from tests.alerts.series import cpu_node, fault, gpu, gpu_node, state

pytestmark = pytest.mark.alerts

GPU = {"node": "gpu-node-1", "gpu": "0"}
WHO = "GPU 0 of node gpu-node-1"
EKS = PROMETHEUS_OPERATOR


def xid() -> Iterator[Case]:
    def count(code: str, values: str) -> dict[str, str]:
        more = {"xid": code} if code else {}
        return fault("DCGM_EXP_XID_ERRORS_COUNT", values, window_size_in_ms="300000", **more)

    severity = {"GpuXidCritical": "79", "GpuXidWarning": "92", "GpuXidApplication": "13"}
    for alert, code in severity.items():
        seen = [count("", "0x60"), count(code, "_x9 1x4 stale _x60")]
        fires = Firing({**GPU, "xid": code}, f"XID {code} on {WHO}")
        yield Case("seen, then past the window", EKS, alert, seen, {8: [], 11: [fires], 30: []})
        yield Case("none", EKS, alert, [count("", "0x60"), count("0", "1x60")], {30: []})
        others = [count(other, "1x60") for other in severity.values() if other != code]
        yield Case("others", EKS, alert, others, {30: []})
    # The last XID stays in its gauge: it is no event.
    latched = [fault("DCGM_FI_DEV_XID_ERRORS", "79x60")]
    yield Case("latched", EKS, "GpuXidCritical", latched, {30: []})


def memory() -> Iterator[Case]:
    alerts = {
        "GpuRowRemapFailed": ("DCGM_FI_DEV_ROW_REMAP_FAILURE", f"{WHO} has no spare memory rows left"),
        "GpuRowRemapPending": (
            "DCGM_FI_DEV_ROW_REMAP_PENDING", f"{WHO} needs a reset for a memory row that is replaced",
        ),
        "GpuEccUncorrectable": (
            "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", f"{WHO} had 1 uncorrectable memory errors since its last reset",
        ),
    }  # fmt: skip
    for alert, (field, summary) in alerts.items():
        yield Case(
            "until a reset", EKS, alert, [fault(field, "0x9 1x20 0x30")], {8: [], 15: [Firing(GPU, summary)], 40: []}
        )


def links() -> Iterator[Case]:
    def errors(replays: str, recoveries: str) -> list[dict[str, str]]:
        values = {"REPLAY": replays, "RECOVERY": recoveries}
        return [fault(f"DCGM_FI_DEV_NVLINK_{kind}_ERROR_COUNT_TOTAL", each) for kind, each in values.items()]

    fires = Firing(GPU, f"NVLinks of {WHO} had 15 errors within an hour")
    yield Case(
        "15 within an hour", EKS, "GpuNvlinkErrors", errors("0x9 15x110", "0x120"), {5: [], 60: [fires], 100: []}
    )
    yield Case("long ago", EKS, "GpuNvlinkErrors", errors("900x120", "3x120"), {100: []})
    yield Case("a few", EKS, "GpuNvlinkErrors", errors("0x9 5x110", "0x30 2x90"), {60: []})


def throttling(system: str) -> Iterator[Case]:
    hot = Firing(GPU, f"{WHO} is at 88 °C")
    yield Case("88 °C", system, "GpuTemperatureHigh", [gpu(system, "GPU_TEMP", "60x5 88x40")], {10: [], 17: [hot]})
    yield Case("85 °C", system, "GpuTemperatureHigh", [gpu(system, "GPU_TEMP", "85x40")], {35: []})
    if system == MANAGED_PROMETHEUS:
        return
    # Nanoseconds: 6e9 a minute are 10 %, 57e9 are 95 %, 1.2e9 are 2 %.
    for kind, often, percent, rare in (("THERMAL", "6", "10", "1.2"), ("POWER", "57", "95", "40")):
        alert, field = f"Gpu{kind.title()}Throttling", f"DCGM_FI_DEV_{kind}_VIOLATION"
        word = {"THERMAL": "Heat", "POWER": "The power limit"}[kind]
        slow = Firing(GPU, f"{word} slows {WHO} down {percent} % of the time")
        yield Case("often", system, alert, [fault(field, f"0+{often}000000000x90")], {25: [], 45: [slow]})
        yield Case("rarely", system, alert, [fault(field, f"0+{float(rare) * 1e9:.0f}x90")], {80: []})


def missing(system: str) -> Iterator[Case]:
    alert, fires = "GpuMetricsMissing", Firing({"node": "gpu-node-1"}, "Node gpu-node-1 has GPUs but no GPU metrics")
    there, temperature = gpu_node(system, "1x60"), gpu(system, "GPU_TEMP", "40x60", node="gpu-node-22")
    neighbour = [*gpu_node(system, "1x60", "gpu-node-22"), temperature]
    stopped = [*there, *neighbour, gpu(system, "GPU_TEMP", "40x10 stale")]
    yield Case("stopped", system, alert, stopped, {20: [], 27: [fires]})
    yield Case("never had any", system, alert, [*there, *neighbour], {16: [fires]})
    held = gpu(system, "GPU_TEMP", "40x60", "train-0")
    yield Case("metrics of a held GPU", system, alert, [*there, held], {50: []})
    yield Case("metrics of a free GPU", system, alert, [*there, gpu(system, "GPU_TEMP", "40x60")], {50: []})
    yield Case("no GPU nodes", system, alert, cpu_node(system, "1x60"), {50: []})
    gone = [*gpu_node(system, "1x20 stale"), gpu(system, "GPU_TEMP", "40x20 stale")]
    yield Case("node is gone", system, alert, gone, {50: []})


def daemons(system: str) -> Iterator[Case]:
    name = "nvidia-gpu-device-plugin-small-cos" if system == MANAGED_PROMETHEUS else "nvidia-device-plugin"

    def pods(name: str, wanted: str, ready: str) -> list[dict[str, str]]:
        values = {"desired_number_scheduled": wanted, "number_ready": ready}
        where = {"namespace": "kube-system", "daemonset": name}
        return [state(system, f"kube_daemonset_status_{kind}", each, **where) for kind, each in values.items()]

    alert, labels = "GpuDaemonMissing", {"namespace": "kube-system", "daemonset": name}
    fires = Firing(labels, f"2 pods of kube-system/{name} are not ready")
    yield Case("two of three", system, alert, pods(name, "3x60", "3x9 1x50"), {20: [], 30: [fires]})
    yield Case("while a node starts", system, alert, pods(name, "3x60", "3x9 2x10 3x40"), {15: [], 50: []})
    yield Case("another DaemonSet", system, alert, pods("node-exporter", "3x60", "1x60"), {50: []})


BOTH = [case for system in SYSTEMS for part in (throttling, missing, daemons) for case in part(system)]
CASES = [*xid(), *memory(), *links(), *BOTH]
failures = once(lambda: CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.full_name)
def test_faults_of_gpus_fire(case: Case) -> None:
    """seed row S18: the exporter's series become alerts; a gauge that keeps its last value does not."""
    assert case.full_name not in failures(), failures()[case.full_name]


def test_an_xid_has_one_meaning() -> None:
    """No XID is in both tables, and the numbers in the rules are those of the tables."""
    assert not set(xids.RESET) & set(xids.APPLICATION)
    assert {48, 64, 74, 79, 95, 119, 120, 140} <= set(xids.RESET) and {13, 31, 43, 45} <= set(xids.APPLICATION)
    assert xids.pattern({1: "", 22: ""}) == "1|22"
