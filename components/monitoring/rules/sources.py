"""Where series come from, and which Prometheus system has them. A rule names the sources that it needs."""

from collections.abc import Mapping

from ..prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR

GPUS = "GPU metrics"
"""What both DCGM exporters have: utilization, memory, clocks, temperature, power."""
GPU_FAULTS = "GPU faults"
"""What only the exporter of `DcgmExporter` has: XIDs, ECC, remapped rows, throttling, NVLink errors."""
STATE = "object state"
"""All of kube-state-metrics: nodes with their labels, requests, restarts, reasons of terminations."""
AUTOSCALER = "autoscaler metrics"
"""Metrics of the Cluster Autoscaler."""
QUEUES = "queue metrics"
"""Metrics of Kueue."""
VOLUMES = "volume metrics"
"""The kubelet's metrics of volumes."""
SERVERS = "server metrics"
"""Metrics of model servers, with vLLM's names."""
RESERVATIONS = "reservations"
"""What the argument `reservations` says."""
PRICES = "prices"
"""What the argument `prices` says."""

MISSING: Mapping[str, Mapping[str, str]] = {
    PROMETHEUS_OPERATOR: {},
    MANAGED_PROMETHEUS: {
        GPU_FAULTS: (
            "GKE's managed exporter delivers 21 fields, none of which counts XIDs, ECC errors, remapped rows, "
            "throttling or errors of NVLink. Cloud Logging has XIDs of the kernel's log"
        ),
        STATE: (
            "Google's kube-state-metrics has a pod's phase, readiness, reasons to wait and unschedulable, but "
            "neither nodes nor requests, restarts or the reason of a termination. `StateMetrics` installs a "
            "complete one"
        ),
        AUTOSCALER: (
            "GKE's autoscaler runs outside the cluster and has no metrics there. Cloud Logging has its decisions, "
            "in the log container.googleapis.com/cluster-autoscaler-visibility"
        ),
    },
}
"""System → source that it lacks → why."""


def available(system: str, *, gpu_metrics: bool, state_metrics: bool, given: frozenset[str]) -> frozenset[str]:
    """The sources that a system has.

    Args:
        system: one of `SYSTEMS`.
        gpu_metrics: whether a DCGM exporter runs.
        state_metrics: whether a complete kube-state-metrics runs on a system that lacks one.
        given: `RESERVATIONS` and `PRICES`, if the arguments have them.
    """
    found = {GPUS, GPU_FAULTS, STATE, AUTOSCALER, QUEUES, VOLUMES, SERVERS} - set(MISSING[system])
    if state_metrics:
        found.add(STATE)
    if not gpu_metrics:
        found -= {GPUS, GPU_FAULTS}
    return frozenset(found) | given
