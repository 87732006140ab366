"""KWOK's configuration: the nodes whose kubelet it simulates, and the stages of nodes and pods (`stages/*.yaml`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ANNOTATION = "kwok.x-k8s.io/node"
"""A node with this annotation (value `fake`) is KWOK's."""

RUN_SECONDS = "gpuyard.dev/run-seconds"
"""Annotation of a Job's pod: seconds from its start until it succeeds; without it 10."""

ARGUMENTS = (
    f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
    "--node-lease-duration-seconds=40",  # the kubelet's
    "--node-port=0",  # it would serve logs and metrics on all interfaces
    "--cidr=10.128.0.1/12",  # of pods; it is not routed
)

STAGES = Path(__file__).parent / "stages"


def configuration(unreachable: str = "") -> str:
    """The content of KWOK's configuration file: every stage. `unreachable`: a jq filter that is `true` for a pod with
    an image that cannot be pulled (reach.py); such a pod waits for its images and never starts."""
    text = "\n---\n".join(path.read_text().rstrip() for path in sorted(STAGES.glob("*.yaml"))) + "\n"
    if not unreachable:
        return text
    stages: list[dict[str, Any]] = [stage for stage in yaml.safe_load_all(text) if stage]
    (start,) = [stage for stage in stages if stage["metadata"]["name"] == "pod-start"]
    expressions = start["spec"]["selector"]["matchExpressions"]
    waiting = [*expressions, _jq(unreachable, "In", "true"), _jq(".status.containerStatuses", "DoesNotExist")]
    pull = {
        **start,
        "metadata": {"name": "pod-cannot-pull"},
        "spec": {
            "resourceRef": start["spec"]["resourceRef"],
            "selector": {"matchExpressions": waiting},
            "steps": [{"patch": {"subresource": "status", "root": "status", "template": _CANNOT_PULL}}],
        },
    }
    start["spec"]["selector"] = {"matchExpressions": [*expressions, _jq(unreachable, "In", "false")]}
    return yaml.safe_dump_all([*stages, pull], sort_keys=False)


def _jq(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"jq": {"key": key, "operator": operator, **({"values": list(values)} if values else {})}}


# As the kubelet reports it after some tries.
_CANNOT_PULL = """\
{{ $now := Now }}
startTime: {{ $now | Quote }}
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ range list "PodReadyToStartContainers" "ContainersReady" "Ready" }}
- {type: {{ . }}, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  started: false
  restartCount: 0
  state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %s: dial tcp: i/o timeout" .image | Quote }}
{{ end }}
"""
