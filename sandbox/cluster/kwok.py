"""What KWOK is told: which nodes it plays the kubelet for, and the stages of nodes and pods (`stages/*.yaml`)."""

from __future__ import annotations

from pathlib import Path

ANNOTATION = "kwok.x-k8s.io/node"
"""A node with this annotation (value `fake`) is KWOK's."""

RUN_SECONDS = "gpuyard.dev/run-seconds"
"""Annotation of a Job's pod: seconds from its start until it succeeds; without it 10."""

ARGUMENTS = (
    f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
    "--node-lease-duration-seconds=40",  # the kubelet's
    "--node-port=0",  # it would serve logs and metrics on all interfaces
    "--cidr=10.128.0.1/12",  # of pods; nobody routes it
)

STAGES = Path(__file__).parent / "stages"


def configuration() -> str:
    """The content of KWOK's configuration file: every stage."""
    return "\n---\n".join(path.read_text().rstrip() for path in sorted(STAGES.glob("*.yaml"))) + "\n"
