"""XIDs, the driver's error codes, by what they ask for.

Sources: NVIDIA's Xid catalog (docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, "Resolution Bucket
(Immediate Action)"), and for what EC2 recommends (63, 142, 151) the list of the EKS node monitoring agent
(aws/eks-node-monitoring-agent, monitors/nvidia/dcgm/dcgm_policies.go). Checked 2026-11.
"""

from collections.abc import Mapping

RESET: Mapping[int, str] = {
    46: "the GPU stopped processing",
    48: "double-bit ECC error",
    54: "auxiliary power is not connected",
    62: "the power controller halted",
    64: "a row or page could not be remapped",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    95: "uncontained memory error",
    109: "a context switch timed out",
    110: "security fault",
    119: "the GPU's system processor does not answer",
    120: "error of the GPU's system processor",
    136: "training of an NVLink failed",
    140: "uncorrectable ECC error",
    142: "the video encoder failed",
    143: "the GPU did not initialize",
    151: "the rotation of keys failed",
    155: "NVLink error that software defines",
    156: "a resource was retired",
    158: "fatal timeout",
}
"""The GPU needs a reset, the node a restart or a replacement: all work on it is lost."""

APPLICATION: Mapping[int, str] = {
    8: "the GPU stopped processing a command",
    13: "exception of the graphics engine, such as an index out of range",
    31: "page fault in GPU memory, such as an invalid pointer",
    32: "invalid command stream",
    39: "exception of a copy engine",
    40: "exception of a copy engine",
    41: "exception of a copy engine",
    43: "the driver reset the application's channel",
    45: "the application's work was removed, usually after another XID or its end",
    68: "exception of the video decoder",
    69: "exception of the graphics engine's class",
    80: "corrupted command data",
}
"""Usually an error of the application, which ends; others on the GPU go on."""


def pattern(codes: Mapping[int, str]) -> str:
    """A regular expression for the label `xid`."""
    return "|".join(map(str, codes))
