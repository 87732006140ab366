"""All add-ons of a cluster in one call: on a cluster that gpuyard did not create, twice in a program, with mistakes."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws import EksNodePool, addons, install_addons
from components.aws.addons import ClusterFacts
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options

FACTS: ClusterFacts = {
    "cluster": "train",
    "region": "us-east-1",
    "kubernetes_version": "1.35",
    "node_pools": {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU},
    "storage_class": "gp3",
}
VERSION = "v1.13.2-eksbuild.31"
AUTOSCALER = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.5"  # that of another minor
DIGEST = f"sha256:{'0' * 64}"
ALL = [row.name for row in addons.ADDONS if row.name != "efa-device-plugin" and row.is_on({})]


def installed(pools: tuple[str, ...] = ("cpu", "gpu"), name: str = "", **facts: Any) -> tuple[list[str], Recording]:
    """Names of the components that the call returns, and the recording. `pools`: those that the program creates."""
    found: list[str] = []

    def program() -> None:
        options = aws_options()
        made = {
            pool: EksNodePool(
                pool,
                {
                    "pool": FACTS["node_pools"].get(pool, GUIDE_CPU),
                    "cluster": "train",
                    "kubernetes_version": "1.35",
                    "subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
                    "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
                },
                options,
            )
            for pool in pools
        }
        found.extend(install_addons({**FACTS, **facts}, options, pools=made, name=name))  # type: ignore[typeddict-item]

    return found, run(program)


def test_one_call_installs_every_add_on_that_the_pools_need() -> None:
    found, made = installed()
    assert found == ALL
    assert made.without_provider() == []
    cpu, gpu = made.one("NodeGroup", "cpu-us-east-1a"), made.one("NodeGroup", "gpu-us-east-1a")
    coredns = made.one("aws:eks/addon:Addon", "coredns")
    assert made.must_outlive(cpu, coredns) and not made.must_outlive(gpu, coredns)
    assert made.must_outlive(gpu, made.one("kubernetes:helm.sh/v3:Release", "cluster-autoscaler-release"))


def test_an_existing_add_on_is_not_installed_and_others_work_with_it() -> None:
    labels = {"release": "prometheus"}
    found, made = installed(
        pools=(), existing_addons=["coredns", "monitoring"], monitor_labels=labels, monitoring_namespace="ops"
    )
    assert found == [name for name in ALL if name not in ("coredns", "monitoring")]
    assert "alerts" in found, "the operator that they need is there"
    values = made.one("kubernetes:helm.sh/v3:Release", "dcgm-exporter-release").inputs["values"]
    assert values["serviceMonitor"]["enabled"] is True
    assert values["serviceMonitor"]["additionalLabels"] == labels
    rules = made.one("PrometheusRule").inputs["metadata"]
    assert rules == {"name": "alerts", "namespace": "ops", "labels": labels}


def test_an_operator_that_selects_everything_needs_no_labels() -> None:
    _, made = installed(pools=(), existing_addons=["monitoring"], monitor_labels={})
    values = made.one("kubernetes:helm.sh/v3:Release", "dcgm-exporter-release").inputs["values"]
    assert "additionalLabels" not in values["serviceMonitor"]
    assert made.one("PrometheusRule").inputs["metadata"]["namespace"] == "monitoring"


def test_no_labels_are_needed_if_nothing_has_labels() -> None:
    found, _ = installed(
        pools=(), existing_addons=["monitoring", "dcgm-exporter"], spec={"alerts": False}, storage_class=None
    )
    assert "alerts" not in found and "dcgm-exporter" not in found


def test_prometheus_uses_the_storage_class_of_the_facts_or_that_of_the_storage() -> None:
    def of(made: Recording) -> str:
        values = made.one("kubernetes:helm.sh/v3:Release", "monitoring-release").inputs["values"]
        spec = values["prometheus"]["prometheusSpec"]["storageSpec"]["volumeClaimTemplate"]["spec"]
        return spec["storageClassName"]

    assert of(installed()[1]) == "gp3"

    def program() -> None:
        storage = pulumi.ComponentResource("test:index:Storage", "storage")
        install_addons({**FACTS, "storage_class": None}, aws_options(), pools={}, storage=storage)  # type: ignore[typeddict-item]

    assert of(run(program)) == "block"


def test_names_begin_with_the_name_of_the_cluster() -> None:
    found, made = installed(name="training", spec={"monitoring": False})
    assert "coredns" in found and made.one("aws:eks/addon:Addon", "training-coredns")


@pytest.mark.parametrize("name", ["Train", "a b", "-a", "ünï", "a" * 64])
def test_a_name_that_iam_or_kubernetes_refuses(name: str) -> None:
    with pytest.raises(pulumi.RunError, match=rf"install_addons {name}: one value(.|\n)*  name = '{name}'"):
        installed(name=name, spec={"monitoring": False})


@pytest.mark.parametrize(
    ("facts", "path", "words"),
    [
        ({"spec": {"devicePlugin": False}}, "spec.devicePlugin", "write `device_plugin`"),
        ({"spec": {"scale_down_after_minutes": 0}}, "spec.scale_down_after_minutes", "1 to 1440"),
        ({"node_pools": {"gpu": {**GUIDE_GPU, "min": -1}}}, "node_pools.gpu.min", "negative"),
        ({"node_pools": {"cpu": GUIDE_CPU}}, "pools.gpu", "the facts have no pool of that name"),
        ({"kubernetes_version": "1.2"}, "kubernetes_version", "unknown value"),
        ({"region": "us_east_1"}, "region", "us-east-1"),
        ({"existing_addons": ["core-dns"]}, "existing_addons[0]", "write coredns"),
        ({"addon_versions": {"coredns": "1.13"}}, "addon_versions.coredns", "vX.Y.Z-eksbuild.N"),
        ({"addon_versions": {"vpc-cni": VERSION}}, "addon_versions.vpc-cni", "not an add-on that is installed here"),
        (
            {"addon_versions": {"coredns": VERSION}, "existing_addons": ["coredns"]},
            "addon_versions.coredns",
            "not an add-on that is installed here",
        ),
        ({"roles": {"nodes": "arn:aws:iam::1:role/a"}}, "roles.nodes", "nothing here uses this role"),
        (
            {"roles": {"cluster_autoscaler": "arn:aws:iam::1:role/a"}, "spec": {"cluster_autoscaler": False}},
            "roles.cluster_autoscaler",
            "nothing here uses this role",
        ),
        ({"existing_addons": ["monitoring"]}, "monitor_labels", "kubectl get prometheus"),
        ({"monitor_labels": {"a": "b"}}, "monitor_labels", "only for an existing Prometheus operator"),
        ({"monitoring_namespace": "ops"}, "monitoring_namespace", "add `monitoring` to `existing_addons`"),
        ({"existing_addons": ["monitoring"], "monitor_labels": {"a b": "c"}}, "monitor_labels.a b", "label"),
        (
            {"existing_addons": ["monitoring"], "monitor_labels": {}, "monitoring_namespace": "A"},
            "monitoring_namespace",
            "not a valid Kubernetes namespace name",
        ),
        ({"storage_class": None}, "storage_class", "pass `storage`"),
        ({"images": {"digests": {AUTOSCALER: DIGEST}}}, f"images.digests.{AUTOSCALER}", "autoscaler:v1.35"),
        ({"pools": {"gpu": {"machine_types": []}}}, "pools.gpu", "not a resource"),
        ({"pools": ["gpu"]}, "pools", "not a map"),
        ({"storage": "block"}, "storage", "not a resource"),
        ({"roles": {"cluster_autoscaler": ""}}, "roles.cluster_autoscaler", "remove it"),
        ({"charts": {"mirror": "http://x.example.com"}}, "charts.mirror", "unencrypted"),
        ({"images": {"registry": "quay.io"}}, "images.registry", "public registry"),
    ],
)
def test_a_wrong_fact_is_refused_before_anything_is_registered(facts: dict[str, Any], path: str, words: str) -> None:
    registered: list[str] = []

    def program() -> None:
        rest = {"pools": {"gpu": pulumi.ComponentResource("test:index:Pool", "gpu")}, **facts}
        given: Any = {**FACTS, **{key: value for key, value in facts.items() if key not in ("pools", "storage")}}
        options = aws_options()
        try:
            install_addons(given, options, pools=rest["pools"], storage=rest.get("storage"))
        except pulumi.RunError as error:
            registered.append(str(error))

    made = run(program)
    (text,) = registered
    assert text.startswith("install_addons: one value cannot work") and f"  {path} = " in text and words in text, text
    assert not [each for each in made.resources.values() if each.package == "gpuyard"]
