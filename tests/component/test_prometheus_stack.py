"""kube-prometheus-stack on EKS: what Prometheus scrapes and stores, and which pods have permissions."""

from __future__ import annotations

import pulumi
import pytest

from components.monitoring.prometheus_stack import Monitoring, MonitoringArgs
from recording.recorder import run
from tests.component.helm_releases import RELEASE, release
from tests.component.stage import aws_options


def test_prometheus_selects_every_monitor_and_rule_and_has_a_volume() -> None:
    """seed row S18: Prometheus collects GPU metrics. Field case A14: on a standard volume, which a destroy deletes."""
    values = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    spec = values["prometheus"]["prometheusSpec"]
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert spec[f"{kind}SelectorNilUsesHelmValues"] is False
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "block"


def test_only_node_exporter_has_privileged_access() -> None:
    """security case M14: a separate namespace, before the release; the other pods are restricted."""
    made = run(lambda: Monitoring("monitoring", {}, aws_options()))
    labels = {each.inputs["metadata"]["name"]: each.inputs["metadata"]["labels"] for each in made.all("Namespace")}
    levels = {name: found["pod-security.kubernetes.io/enforce"] for name, found in labels.items()}
    assert levels == {"monitoring": "restricted", "node-exporter": "privileged"}
    values = release(made)["values"]
    assert values["prometheus-node-exporter"]["namespaceOverride"] == "node-exporter"
    assert made.must_outlive(made.one("Namespace", "monitoring-node-exporter-namespace"), made.one(RELEASE))
    assert {"secrets", "configmaps"} <= set(values["kube-state-metrics"]["collectorsExclude"])
    for part in ("prometheus", "alertmanager", "prometheusOperator", "kube-state-metrics"):
        assert values[part]["networkPolicy"]["enabled"] is True, part


def test_monitors_cannot_read_prometheus_token() -> None:
    """security case M14: monitors cannot name a file. Targets that need the token are scraped by separate jobs, with
    the labels that the chart's rules expect."""
    values = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    spec = values["prometheus"]["prometheusSpec"]
    assert spec["arbitraryFSAccessThroughSMs"] == {"deny": True}
    for part in ("kubelet", "kubeApiServer"):
        assert values[part] == {"serviceMonitor": {"enabled": False}}, "off, but its rules are not"
    jobs = {job["job_name"]: job for job in spec["additionalScrapeConfigs"]}
    assert set(jobs) == {"kubelet/metrics", "kubelet/metrics/cadvisor", "kubelet/metrics/probes", "apiserver"}
    for name, job in jobs.items():
        labels = {
            each["target_label"]: each.get("replacement") for each in job["relabel_configs"] if "target_label" in each
        }
        assert labels.get("job", name) == name.split("/")[0]
        assert {"namespace", "service", "endpoint"} <= set(labels)
        assert job["authorization"] and job["scheme"] == "https"


def test_grafana_is_off_by_default_and_reads_only_its_namespace() -> None:
    """security case M14: the chart's default reads every ConfigMap and Secret of the cluster."""
    assert release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]["grafana"] == {"enabled": False}
    args: MonitoringArgs = {"grafana": True, "grafana_secret": "grafana-admin"}
    values = release(run(lambda: Monitoring("monitoring", args, aws_options())))["values"]["grafana"]
    assert values["enabled"] is True and values["admin"] == {"existingSecret": "grafana-admin"}
    assert values["rbac"] == {"namespaced": True} and values["networkPolicy"]["allowExternal"] is False
    for sidecar in values["sidecar"].values():
        assert sidecar == {"searchNamespace": "monitoring", "resource": "configmap"}
    made = run(lambda: Monitoring("monitoring", {"grafana": True}, aws_options()))
    assert "admin" not in release(made)["values"]["grafana"], "a random password of the chart"
    with pytest.raises(pulumi.RunError, match="grafana_secret"):
        run(lambda: Monitoring("monitoring", {"grafana_secret": "grafana-admin"}, aws_options()))
