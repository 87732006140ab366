"""KWOK's configuration: the nodes whose kubelet it simulates, and the stages of nodes and pods (`stages/*.yaml`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sandbox.controllers import programs

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
    an image that cannot be pulled (reach.py); such a pod waits for its images and never starts.

    The pod of a controller that really runs (sandbox/controllers) starts like any other, but is not ready: its process
    decides that.
    """
    texts = [path.read_text() for path in sorted(STAGES.glob("*.yaml"))]
    stages: list[dict[str, Any]] = [stage for text in texts for stage in yaml.safe_load_all(text) if stage]
    (start,) = [stage for stage in stages if stage["metadata"]["name"] == "pod-start"]
    ready = start["spec"]["steps"][0]["patch"]["template"]
    can_start = list(start["spec"]["selector"]["matchExpressions"])
    if unreachable:
        waiting = [*can_start, _jq(unreachable, "In", "true"), _jq(".status.containerStatuses", "DoesNotExist")]
        stages.append(_stage("pod-cannot-pull", start, waiting, _CANNOT_PULL))
        can_start.append(_jq(unreachable, "In", "false"))
    real = programs.FILTER
    stages.append(_stage("pod-start-process", start, [*can_start, _jq(real, "In", "true")], _not_ready(ready)))
    start["spec"]["selector"] = {"matchExpressions": [*can_start, _jq(real, "In", "false")]}
    return yaml.safe_dump_all(stages, sort_keys=False)


def _stage(name: str, start: dict[str, Any], matches: list[dict[str, Any]], template: str) -> dict[str, Any]:
    spec = {
        "resourceRef": start["spec"]["resourceRef"],
        "selector": {"matchExpressions": matches},
        "steps": [{"patch": {"subresource": "status", "root": "status", "template": template}}],
    }
    return {**start, "metadata": {"name": name}, "spec": spec}


def _not_ready(template: str) -> str:
    """The template of a started pod without its readiness."""
    conditions = ('"Initialized" "ContainersReady" "Ready"', '"Initialized"')
    for ready, waiting in (conditions, ("ready: true", "ready: false"), ("started: true", "started: false")):
        assert ready in template, ready
        template = template.replace(ready, waiting, 1)
    return template


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
