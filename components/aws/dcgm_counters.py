"""What the DCGM exporter measures: the list that takes the place of the chart's, which cannot be extended.

The chart's default list (dcgm-exporter 4.8.2, metrics-configmap.yaml) without the encoder, the decoder and the vGPU
license, and with what the alerts need: XIDs by number, throttling, ECC errors, pending remaps, errors of NVLink. Each
line costs one series for each GPU. A field that a GPU does not have costs nothing: the exporter omits it, and the
profiling fields (PROF) wherever DCGM cannot profile the GPU (pkg/cmd/app.go).
"""

COUNTERS: dict[str, tuple[str, str]] = {
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "Clock of the multiprocessors in MHz."),
    "DCGM_FI_DEV_MEM_CLOCK": ("gauge", "Clock of the memory in MHz."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "Temperature of the GPU in °C."),
    "DCGM_FI_DEV_MEMORY_TEMP": ("gauge", "Temperature of the memory in °C."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power in W."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Energy since the driver was loaded in mJ."),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": ("counter", "Repeated PCIe packets."),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "Share of the time in which a kernel runs in percent."),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", "Share of the time in which memory is read or written in percent."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Free memory in MiB."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Used memory in MiB."),
    "DCGM_FI_DEV_XID_ERRORS": ("gauge", "The last XID."),
    "DCGM_EXP_XID_ERRORS_COUNT": ("gauge", "XIDs of the last five minutes by number."),
    "DCGM_FI_DEV_POWER_VIOLATION": ("counter", "Time with reduced clocks for power in ns."),
    "DCGM_FI_DEV_THERMAL_VIOLATION": ("counter", "Time with reduced clocks for heat in ns."),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": ("counter", "Corrected ECC errors since the last reset."),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": ("counter", "Uncorrectable ECC errors since the last reset."),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": ("counter", "Rows remapped for uncorrectable errors."),
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": ("counter", "Rows remapped for correctable errors."),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": ("gauge", "Whether a row could not be remapped."),
    "DCGM_FI_DEV_ROW_REMAP_PENDING": ("gauge", "Whether a remap waits for a reset."),
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": ("counter", "Repeated NVLink packets."),
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": ("counter", "Recoveries of NVLinks."),
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": ("counter", "Traffic of all NVLinks."),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": (
        "gauge",
        "Share of the time in which the engine is active, 0 to 1; for MIG as well.",
    ),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", "Share of cycles in which tensor cores are active, 0 to 1."),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("gauge", "Share of cycles in which memory is active, 0 to 1."),
    "DCGM_FI_PROF_PCIE_TX_BYTES": ("gauge", "Bytes sent by PCIe in a second."),
    "DCGM_FI_PROF_PCIE_RX_BYTES": ("gauge", "Bytes received by PCIe in a second."),
    "DCGM_FI_DRIVER_VERSION": ("label", "Version of the driver, a label of every series."),
}
"""Field → (type in Prometheus, help)."""


def csv() -> str:
    """The list in the exporter's format."""
    return "".join(f"{field}, {kind}, {text}\n" for field, (kind, text) in COUNTERS.items())
