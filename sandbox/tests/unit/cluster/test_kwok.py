"""KWOK's stage files."""

from __future__ import annotations

import yaml

from sandbox.cluster import kwok


def stages() -> dict[str, dict]:
    return {stage["metadata"]["name"]: stage["spec"] for stage in yaml.safe_load_all(kwok.configuration())}


def test_every_stage_exists_once() -> None:
    documents = list(yaml.safe_load_all(kwok.configuration()))
    assert all(d["apiVersion"] == "kwok.x-k8s.io/v1alpha1" and d["kind"] == "Stage" for d in documents)
    assert {*stages()} == {
        "node-ready",
        "node-heartbeat",
        "pod-start",
        "pod-start-process",
        "pod-complete",
        "pod-stop",
        "pod-remove",
    }
    assert len(documents) == len(stages())


def test_only_a_jobs_pod_completes_after_the_time_in_its_annotation() -> None:
    spec = stages()["pod-complete"]
    wanted = [e["jq"] for e in spec["selector"]["matchExpressions"]]
    assert {"key": ".metadata.ownerReferences[]?.kind", "operator": "In", "values": ["Job"]} in wanted
    assert kwok.RUN_SECONDS in spec["delay"]["durationFrom"]["jq"]["expression"]


def test_a_deleted_pod_fails_before_it_is_removed() -> None:
    """seed row S12: a Job with a pod failure policy waits for the phase Failed."""
    patch, delete = stages()["pod-stop"]["steps"]
    assert "phase: Failed" in patch["patch"]["template"] and delete == {"delete": True}


def test_no_stage_touches_a_nodes_capacity_or_taints() -> None:
    """Those belong to the node controller: a heartbeat must not restore a GPU that is gone."""
    for name, spec in stages().items():
        if spec["resourceRef"]["kind"] == "Node":
            text = str(spec["steps"])
            assert "capacity" not in text and "allocatable" not in text and "taints" not in text, name
