"""The GPUs of one node: heat, power, clocks, errors, and which pods are on them."""

from ..rules.rule import Context
from .panel import (
    CELSIUS,
    COUNT,
    FAULTS,
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

NODE = Variable("node", "namespace_node:gpus_held:count")


def dashboard(context: Context) -> Dashboard:
    """The dashboard. A node is a part of another label in DCGM's series, so that part is compared."""
    label, name = context.words.node
    one = NODE.matcher.replace(NODE.name, label, 1)
    suffix = name.removeprefix("(.+)")
    if suffix:
        one = f'{one[:-1]}{suffix}"'

    def gpu(field: str, more: str = "", by: str = "gpu", legend: str = "GPU {{gpu}}") -> list[Query]:
        selector = f"DCGM_{field}{{{one}{more}}}"
        return [Query(f"max by (node, {by}) ({context.by_node(selector)})", f"{{{{node}}}} {legend}")]

    def rate(field: str, scale: str) -> list[Query]:
        series = context.by_node(f"rate(DCGM_FI_DEV_{field}{{{one}}}[10m])")
        return [Query(f"max by (node, gpu) ({series}) {scale}", "{{node}} GPU {{gpu}}")]

    use = Row("Use", [
        Panel("GPU utilization", gpu("FI_DEV_GPU_UTIL"), PERCENT, GPUS),
        Panel(
            "pods", gpu("FI_DEV_GPU_UTIL", ',pod!=""', "gpu, namespace, pod", "GPU {{gpu}} {{namespace}}/{{pod}}"),
            PERCENT, GPUS, "Which pod holds which GPU, and how busy it is.",
        ),
        Panel("clock", gpu("FI_DEV_SM_CLOCK"), MEGAHERTZ, GPUS, "Busy GPUs of one type are alike."),
    ])  # fmt: skip
    heat = Row("Heat and power", [
        Panel("temperature", gpu("FI_DEV_GPU_TEMP"), CELSIUS, GPUS, "", LINES, 85),
        Panel("temperature of the memory", gpu("FI_DEV_MEMORY_TEMP"), CELSIUS, GPUS, "", LINES, 95),
        Panel("power", gpu("FI_DEV_POWER_USAGE"), WATT, GPUS),
        Panel("slowed down by heat", rate("THERMAL_VIOLATION", "/ 1e7"), PERCENT, FAULTS, "Of the time.", LINES, 5),
        Panel(
            "slowed down by power", rate("POWER_VIOLATION", "/ 1e7"), PERCENT, FAULTS,
            "Of the time. Normal at full load on types that reach their limit.",
        ),
    ])  # fmt: skip
    xids = gpu("EXP_XID_ERRORS_COUNT", ',xid!=""', "gpu, xid", "GPU {{gpu}} XID {{xid}}")
    errors = Row("Errors", [
        Panel("XIDs", xids, COUNT, FAULTS, "Of the last five minutes.", LINES, 0),
        Panel("uncorrectable memory errors", gpu("FI_DEV_ECC_DBE_VOL_TOTAL"), COUNT, FAULTS, "", LINES, 0),
        Panel(
            "remapped rows",
            [
                *gpu("FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"),
                *gpu("FI_DEV_ROW_REMAP_PENDING", legend="GPU {{gpu}} pending"),
            ],
            COUNT, FAULTS, "Pending ones need a reset.", LINES, 0,
        ),
        Panel(
            "NVLink packets sent again, a second", rate("NVLINK_REPLAY_ERROR_COUNT_TOTAL", ""), COUNT, FAULTS, "",
            LINES, 0,
        ),
    ])  # fmt: skip
    conditions = (
        f'max by (node, condition) (kube_node_status_condition{{{NODE.matcher},status="true",condition!="Ready"}})'
    )
    state = Row("Kubernetes", [
        Panel("conditions", [Query(f"{conditions} == 1", "{{node}} {{condition}}")], COUNT, STATE, "", LINES, 0),
        Panel(
            "cordoned", [Query(f"max by (node) (kube_node_spec_unschedulable{{{NODE.matcher}}})", "{{node}}")], COUNT,
            STATE, "", LINES, 0,
        ),
    ])  # fmt: skip
    return Dashboard("node", "GPU node", "Is this node well?", [use, heat, errors, state], [NODE])
