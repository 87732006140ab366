"""The GPUs of one job's pods: are they used, and by what?"""

from ..rules import gpu_use, sources
from ..rules.rule import Context
from .panel import (
    BYTES_PER_SECOND,
    COUNT,
    GPUS,
    LINES,
    MEGAHERTZ,
    PERCENT,
    STATE,
    WATT,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
)  # fmt: skip

NAMESPACE, POD = Variable("namespace", "DCGM_FI_DEV_GPU_UTIL"), Variable("pod", "DCGM_FI_DEV_GPU_UTIL")
_PODS = "namespace, pod"


def dashboard(context: Context) -> Dashboard:
    """The dashboard."""
    where = f'{NAMESPACE.matcher},{POD.matcher},pod!=""'

    def gpu(field: str, of: str = "max", more: str = "") -> list[Query]:
        return [Query(f"{of} by (pod, gpu) (DCGM_FI_{field}{{{where}}}{more})", "{{pod}} GPU {{gpu}}")]

    use = Row("Use", [
        Panel("GPU utilization", gpu("DEV_GPU_UTIL"), PERCENT, GPUS, "Share of the time in which a kernel runs."),
        Panel(
            "tensor cores", gpu("PROF_PIPE_TENSOR_ACTIVE", more=" * 100"), PERCENT, GPUS,
            "Share of cycles. 30 % and more is good for training; 0 % means that no matrix work runs there.",
        ),
        Panel(
            "memory bandwidth", gpu("DEV_MEM_COPY_UTIL"), PERCENT, GPUS,
            "Near 0 % while the GPU is busy: a collective operation waits for a rank.",
        ),
        Panel(
            "memory in use", [Query(f"{gpu_use.MEMORY}{{{where}}}", "{{pod}}")], PERCENT, GPUS,
            "Frameworks keep freed memory; 95 % is often normal.", LINES, 95,
        ),
    ])  # fmt: skip
    speed = Row("Speed", [
        Panel("clock", gpu("DEV_SM_CLOCK"), MEGAHERTZ, GPUS, "All ranks alike: a lower one slows down the others."),
        Panel("power", gpu("DEV_POWER_USAGE"), WATT, GPUS),
        Panel("PCIe, received", gpu("PROF_PCIE_RX_BYTES"), BYTES_PER_SECOND, GPUS, "Data from the host."),
        Panel("PCIe, sent", gpu("PROF_PCIE_TX_BYTES"), BYTES_PER_SECOND, GPUS),
    ])  # fmt: skip
    restarts = f"sum by ({_PODS}) (increase(kube_pod_container_status_restarts_total{{{where}}}[1h]))"
    killed = f'kube_pod_container_status_last_terminated_reason{{{where},reason="OOMKilled"}}'
    volume = "max by (persistentvolumeclaim) (100 * {} / {})".format(
        *(f"kubelet_volume_stats_{each}_bytes{{{NAMESPACE.matcher}}}" for each in ("used", "capacity"))
    )
    trouble = Row("Trouble", [
        Panel("restarts in an hour", [Query(restarts, "{{pod}}")], COUNT, STATE, "", LINES, 0),
        Panel("killed for memory", [Query(f"sum by ({_PODS}) ({killed})", "{{pod}}")], COUNT, STATE, "", LINES, 0),
        Panel(
            "volumes in use", [Query(volume, "{{persistentvolumeclaim}}")], PERCENT, (sources.VOLUMES,),
            "A checkpoint that does not fit ends the run.", LINES, 90,
        ),
    ])  # fmt: skip
    text = "Does this job use its GPUs?"
    return Dashboard("job", "GPU job", text, [use, speed, trouble], [NAMESPACE, POD])
