"""Containers, pods and volumes: out of memory, pending, full."""

from collections.abc import Iterator

from . import sources
from .rule import CRITICAL, WARNING, Context, Rule

GPU_PODS = 'max by (namespace, pod) (kube_pod_container_resource_requests{resource=~"nvidia_com_(gpu|mig).*"})'
"""PromQL: the pods that request GPUs."""
_STATE = (sources.STATE,)


def rules(context: Context) -> Iterator[Rule]:
    """The rules."""
    limits = context.limits.pods
    window = f"{limits['oom_minutes']}m"
    container = "namespace, pod, container"
    restarted = f"increase(kube_pod_container_status_restarts_total[{window}]) > 0"
    last = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1'
    # A pod that is not restarted, such as that of a training job, keeps this until it is deleted: report it once.
    ended = 'kube_pod_container_status_terminated_reason{reason="OOMKilled"}'
    yield Rule(
        f"max by ({container}) ({restarted} and on ({container}) {last})"
        f" or max by ({container}) ({ended} == 1 unless on ({container}) {ended} offset {window} == 1)",
        _STATE,
        alert="ContainerOomKilled",
        severity=WARNING,
        summary="Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} ran out of memory",
        description=(
            f"The kernel killed it within the last {limits['oom_minutes']} minutes, because it reached its memory "
            "limit. Raise the limit, or reduce what it holds: data loader workers, prefetching, shared memory of "
            "/dev/shm."
        ),
        dashboard="job",
    )
    yield _pending(limits["pending_minutes"])
    used, capacity = (f"kubelet_volume_stats_{what}_bytes" for what in ("used", "capacity"))
    yield Rule(
        f"max by (namespace, persistentvolumeclaim) (100 * {used} / {capacity}) > {limits['volume_percent']}",
        (sources.VOLUMES,),
        alert="VolumeNearlyFull",
        minutes=limits["volume_minutes"],
        severity=CRITICAL,
        summary=(
            "Volume {{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }} is {{ $value | humanize }} % full"
        ),
        description=(
            f"More than {limits['volume_percent']} % for {limits['volume_minutes']} minutes. A checkpoint that "
            "does not fit ends the run. Delete old checkpoints, or enlarge the claim where its class allows that."
        ),
        dashboard="job",
    )


def _pending(minutes: int) -> Rule:
    """One alert with the reason as a label. Reasons that alternate, such as ErrImagePull and ImagePullBackOff, have one
    name: another label would be another alert, and none would last."""

    def reason(name: str, expr: str) -> str:
        return f'label_replace(max by (namespace, pod) ({expr}), "reason", "{name}", "", "")'

    unschedulable = "kube_pod_status_unschedulable == 1"
    waiting = "kube_pod_container_status_waiting_reason"
    images = "ErrImagePull|ImagePullBackOff|InvalidImageName|ErrImageNeverPull|ImageInspectError"
    starting = "ContainerCreating|PodInitializing|CreateContainerConfigError|CreateContainerError"
    found = [
        reason("unschedulable", unschedulable),
        reason("image", f'{waiting}{{reason=~"{images}"}} == 1'),
        reason("starting", f'{waiting}{{reason=~"{starting}"}} == 1'),
    ]
    return Rule(
        f"({' or '.join(found)}) and on (namespace, pod) {GPU_PODS}",
        _STATE,
        alert="GpuPodPending",
        minutes=minutes,
        severity=WARNING,
        summary="Pod {{ $labels.namespace }}/{{ $labels.pod }} waits for its start: {{ $labels.reason }}",
        description=(
            f"For {minutes} minutes. unschedulable: no node has room, and the autoscaler adds none. image: the "
            "image cannot be pulled. starting: a volume, a secret or an init container. Pods that Kueue holds are "
            "not reported here."
        ),
        dashboard="queue",
    )
