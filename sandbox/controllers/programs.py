"""The controllers that really run: how a pod of theirs is recognized, and which program runs in its place.

A pod is recognized by the path of its container's image, whatever registry mirrors it, and only as a part of a
Deployment. Imports nothing of the sandbox: the simulated kubelet (cluster/kwok.py) needs to know these pods as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """One controller.

    tool: of tools/manifest.py.
    image: the path of its image, without registry and tag.
    memory: limit of the Go runtime, MiB.
    ports: those on which it listens if nothing else says so; its pod may not name them all.
    configured: whether it reads a configuration file (`--config`) of the shape that Kueue and JobSet share; otherwise
        its flags say where it listens.
    needs_metrics: whether it asks a Prometheus.
    """

    tool: str
    image: str
    memory: int
    ports: tuple[int, ...]
    configured: bool = True
    needs_metrics: bool = False


PROGRAMS = (
    Program("kueue", "kueue/kueue", 192, (8081, 8082, 8443, 9443)),
    Program("jobset", "jobset/jobset", 96, (8081, 8443, 9443)),
    Program("keda-operator", "kedacore/keda", 128, (8080, 8081, 9666), configured=False, needs_metrics=True),
    Program("keda-adapter", "kedacore/keda-metrics-apiserver", 96, (6443, 8080), configured=False),
)

TEMPLATE = "pod-template-hash"
"""The label that only pods of a Deployment have."""

_PATHS = "|".join(re.escape(program.image).replace("\\-", "-") for program in PROGRAMS)
FILTER = (
    f'(.metadata.labels["{TEMPLATE}"] != null) and '
    f'([.spec.containers[].image | test("(^|/)({_PATHS})([:@]|$)")] | any) | tostring'
)
"""A jq filter that is `true` for a pod whose program really runs."""


def program_of(pod: Mapping[str, Any]) -> tuple[Program, dict[str, Any]] | None:
    """The program of a pod and its container; None if the pod is only simulated."""
    if TEMPLATE not in pod["metadata"].get("labels", {}):
        return None
    for container in pod["spec"]["containers"]:
        for program in PROGRAMS:
            if re.search(rf"(^|/){re.escape(program.image)}([:@]|$)", container["image"]):
                return program, container
    return None


def deployment_of(pod: Mapping[str, Any]) -> str:
    """The name of the Deployment that a pod belongs to."""
    meta = pod["metadata"]
    owner = next((each["name"] for each in meta.get("ownerReferences", ()) if each["kind"] == "ReplicaSet"), "")
    return owner.removesuffix(f"-{meta['labels'][TEMPLATE]}") or meta["name"]
