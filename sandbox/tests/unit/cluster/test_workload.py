"""The sample pods have the guide's exact figures."""

from __future__ import annotations

from sandbox.workload import plain_pod, training_job


def test_the_training_job_has_the_guides_figures() -> None:
    """seed rows S07, S08, S09, S10, S12."""
    job = training_job("training", 15)["spec"]
    spec = job["template"]["spec"]
    resources = spec["containers"][0]["resources"]
    gpu = "nvidia.com/gpu"
    assert resources["requests"] == {"memory": "16Gi", "cpu": "4", gpu: "1", "ephemeral-storage": "50Gi"}
    assert resources["limits"] == {"memory": "32Gi", "cpu": "8", gpu: "1", "ephemeral-storage": "100Gi"}
    # The guide's toleration, and ours, without which the job could not run on a ladder's nodes on GKE.
    classes = "cloud.google.com/compute-class"
    tolerations = [{"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in (gpu, classes)]
    assert spec["tolerations"] == tolerations
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    wanted = [{"key": "workload", "operator": "In", "values": ["gpu-training"]}]
    assert required == {"nodeSelectorTerms": [{"matchExpressions": wanted}]}
    rule = job["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "Ignore" and rule["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert spec["restartPolicy"] == "Never"  # a pod failure policy requires it


def test_the_plain_pod_has_no_affinity_and_no_toleration() -> None:
    """seed row S07."""
    assert not {"tolerations", "affinity", "nodeSelector"} & {*plain_pod("plain")["spec"]}
