"""The table of add-ons: a stack installs what a row declares, and invalid rows are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components import arguments, versions
from components.aws import addons
from components.aws.addon import EksAddon
from components.aws.addons import Addon, AddonIdentity, ClusterFacts, EksAddonsSpec
from components.aws.cluster_autoscaler import ClusterAutoscaler
from components.aws.dcgm_exporter import DcgmExporter
from components.aws.device_plugin import NvidiaDevicePlugin
from components.aws.efa_plugin import EfaDevicePlugin
from components.aws.roles import Roles
from components.charts import images
from components.monitoring.alerts import Alerts
from components.monitoring.grafana_dashboards import GrafanaDashboards
from components.monitoring.prometheus_stack import Monitoring
from components.versions import Chart
from pages.picture.aws import tables
from pages.picture.aws.facts import Stack
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, settings
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, aws_options, pool

ADDON = "aws:eks/addon:Addon"
RELEASE = "kubernetes:helm.sh/v3:Release"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "*"}]}
FAKE = Addon(
    "example-agent",
    addons.MANAGED,
    "an example",
    EksAddon,
    lambda facts: {"configuration": {"region": facts["region"]}},
    permissions=AddonIdentity(
        "example-agent-sa",
        "The example sends messages.",
        policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
        policy=lambda facts: POLICY,
    ),
    pools=addons.CPU_POOLS,
)
POOLS: Any = {
    "cpu": GUIDE_CPU,
    "gpu": GUIDE_GPU,
    "efa": pool(GUIDE_GPU, machine_types=["p5.48xlarge"], interconnect=True, zones=["us-east-1a"]),
}
FACTS: ClusterFacts = {
    "cluster": "train",
    "region": "us-east-1",
    "kubernetes_version": "1.35",
    "node_pools": POOLS,
}
EVERYTHING = [row.name for row in addons.ADDONS]
AUTOSCALER: Any = {"kubernetes_version": "1.35", "region": "us-east-1", "node_pools": POOLS}
COMPONENTS: dict[str, Callable[[str, pulumi.ResourceOptions], Any]] = {
    "autoscaler": lambda name, opts: ClusterAutoscaler(name, {"cluster": name, **AUTOSCALER}, opts),
    "device-plugin": lambda name, opts: NvidiaDevicePlugin(name, {"node_pools": POOLS}, opts),
    "efa-plugin": lambda name, opts: EfaDevicePlugin(name, {"node_pools": POOLS}, opts),
    "exporter": lambda name, opts: DcgmExporter(name, {"node_pools": POOLS}, opts),
    "monitoring": lambda name, opts: Monitoring(name, {}, opts),
    "alerts": lambda name, opts: Alerts(name, {"system": "prometheus_operator"}, opts),
    "dashboards": lambda name, opts: GrafanaDashboards(name, {"system": "prometheus_operator"}, opts),
}


CHART_COMPONENTS: dict[Any, dict[str, Any]] = {
    ClusterAutoscaler: {"cluster": "c", **AUTOSCALER},
    NvidiaDevicePlugin: {"node_pools": POOLS},
    EfaDevicePlugin: {"node_pools": POOLS},
    DcgmExporter: {"node_pools": POOLS},
    Monitoring: {},
}


def dev(*rows: Addon) -> Recording:
    """The development stack with these rows as well."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(addons, "ADDONS", (*addons.ADDONS, *rows))
        return record(settings("dev"), "dev")


def test_every_chart_in_versions_has_a_row() -> None:
    pinned = {value for value in vars(versions).values() if isinstance(value, Chart)}
    assert set(versions.CHARTS) == pinned
    assert set(versions.RELEASED) == {row.chart for row in addons.ADDONS if row.chart}
    for row in addons.ADDONS:
        assert (row.chart is not None) == (row.kind == addons.RELEASE), row.name


def test_every_managed_add_on_has_a_pin() -> None:
    for row in addons.ADDONS:
        assert row.kind != addons.MANAGED or row.name in versions.EKS_ADDONS, row.name


def test_a_row_names_only_existing_rows_toggles_and_roles() -> None:
    """A row names only rows above it, toggles of the stack's config, and ready-made roles."""
    above: set[str] = set()
    for row in addons.ADDONS:
        assert row.name not in above and {*row.requires, *row.after} <= above, row.name
        assert not row.toggle or row.toggle in arguments.shape(EksAddonsSpec).fields, row.name
        assert not row.permissions or row.permissions.role in arguments.shape(Roles).fields, row.name
        above.add(row.name)


def test_a_managed_add_on_with_permissions_is_one_row() -> None:
    made = dev(FAKE)
    addon = made.one(ADDON, "example-agent")
    role = made.one("aws:iam/role:Role", "example-agent-role")
    assert addon.inputs["podIdentityAssociations"] == [
        {"roleArn": role.outputs["arn"], "serviceAccount": "example-agent-sa"}
    ]
    assert json.loads(addon.inputs["configurationValues"]) == {"region": "us-east-1"}
    assert json.loads(made.one("RolePolicy", "example-agent-policy").inputs["policy"]) == POLICY
    attached = made.one("RolePolicyAttachment", "example-agent-ReadOnlyAccess")
    assert attached.inputs["policyArn"] == "arn:aws:iam::aws:policy/ReadOnlyAccess"
    (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert "example-agent-sa" in statement["Condition"]["StringEquals"].values()
    assert made.must_outlive(made.one("NodeGroup", "cpu-workers-us-east-1a"), addon)
    assert not made.must_outlive(made.one("NodeGroup", "gpu-workers-spot-us-east-1a"), addon)


def test_a_ready_made_role_replaces_a_rows_permissions() -> None:
    """For an organization in which stacks cannot create roles."""
    assert FAKE.permissions is not None
    row = replace(FAKE, permissions=replace(FAKE.permissions, role="efs_csi"))
    arn = "arn:aws:iam::123456789012:role/example"
    facts: ClusterFacts = {**FACTS, "roles": {"efs_csi": arn}}
    made = run(lambda: row.install(row.name, facts, aws_options()))
    (association,) = made.one(ADDON).inputs["podIdentityAssociations"]
    assert association == {"roleArn": arn, "serviceAccount": "example-agent-sa"}
    assert made.all("aws:iam/role:Role") == []


def test_a_service_account_may_be_in_another_namespace() -> None:
    assert FAKE.permissions is not None
    row = replace(FAKE, permissions=replace(FAKE.permissions, namespace="example"))
    assert row.arguments(FACTS)["namespace"] == "example" and "namespace" not in FAKE.arguments(FACTS)


def test_the_documentation_reads_a_new_row(monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = [Stack("dev", dev(FAKE))]
    monkeypatch.setattr(addons, "ADDONS", (*addons.ADDONS, FAKE))
    assert "The example sends messages." in tables.identity(stacks)
    assert "| `example-agent` | EKS add-on | an example |" in tables.addons(stacks)


@pytest.mark.parametrize(
    ("spec", "gone"),
    [
        ({}, set()),
        ({"cluster_autoscaler": False}, {"cluster-autoscaler"}),
        ({"device_plugin": False, "efa_plugin": False}, {"nvidia-device-plugin", "efa-device-plugin"}),
        ({"dcgm_exporter": False}, {"dcgm-exporter"}),
        ({"alerts": False}, {"alerts"}),
        ({"monitoring": False}, {"monitoring", "alerts", "dashboards"}),
        ({"scale_down_after_minutes": 3}, set()),
    ],
)
def test_a_toggle_disables_its_row_and_those_that_require_it(spec: EksAddonsSpec, gone: set[str]) -> None:
    assert {row.name for row in addons.installed(POOLS, {"dashboards": True, **spec})} == set(EVERYTHING) - gone


def test_dashboards_are_off_by_default() -> None:
    """Only where there is a Grafana."""
    assert set(EVERYTHING) - {row.name for row in addons.installed(POOLS, {})} == {"dashboards"}


def test_a_row_without_a_pool_to_serve_is_not_installed() -> None:
    found = {row.name for row in addons.installed({"cpu": GUIDE_CPU}, {})}
    assert found == set(EVERYTHING) - {"dashboards", "nvidia-device-plugin", "efa-device-plugin", "dcgm-exporter"}
    waits = {row.name: row.waits_for(POOLS) for row in addons.ADDONS}
    assert waits["efa-device-plugin"] == ["efa"] and waits["dcgm-exporter"] == ["gpu", "efa"]
    assert waits["coredns"] == ["cpu"] and waits["cluster-autoscaler"] == [*POOLS] and waits["alerts"] == []


def test_arguments_of_an_add_on_follow_from_the_other_add_ons() -> None:
    def args(name: str, spec: EksAddonsSpec) -> dict[str, Any]:
        return next(row for row in addons.ADDONS if row.name == name).arguments({**FACTS, "spec": spec})

    assert args("monitoring", {})["autoscaler"] is True
    assert args("monitoring", {"cluster_autoscaler": False})["autoscaler"] is False
    assert args("dcgm-exporter", {"monitoring": False})["scrape"] is False
    assert args("alerts", {"dcgm_exporter": False})["gpu_metrics"] is False
    assert args("cluster-autoscaler", {"scale_down_after_minutes": 3})["scale_down_after_minutes"] == 3
    assert args("cluster-autoscaler", {})["scale_down_after_minutes"] == 10


def test_an_omitted_field_has_its_declared_default() -> None:
    off = {row.name for row in addons.ADDONS if row.toggle and not arguments.default(EksAddonsSpec, row.toggle)}
    assert off == {"dashboards"}
    retention = run(lambda: Monitoring("m", {}, aws_options())).one(RELEASE).inputs["values"]["prometheus"]
    assert retention["prometheusSpec"]["retention"] == "15d"


# -- clusters that gpuyard did not create ------------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["device-plugin", "efa-plugin", "exporter", "monitoring", "alerts"])
def test_an_add_on_needs_only_the_clusters_provider_and_the_pools(component: str) -> None:
    def program() -> None:
        cluster = kubernetes.Provider("theirs", kubeconfig="{}")
        COMPONENTS[component]("mine", pulumi.ResourceOptions(providers=[cluster]))

    made = run(program)
    assert made.without_provider() == [] and len(made.resources) > 1


def test_a_digest_of_any_image_of_the_library_is_accepted() -> None:
    """One map of digests serves all components, on clusters of any version."""
    digests = {each: f"sha256:{'0' * 64}" for each in images.of_library()}
    assert len([each for each in digests if "cluster-autoscaler" in each]) == len(versions.CLUSTER_AUTOSCALER_IMAGE)

    def program() -> None:
        for component, args in CHART_COMPONENTS.items():
            component(component.__name__, {**args, "images": {"digests": digests}}, aws_options(component.__name__))

    assert len(run(program).all(RELEASE)) == len(CHART_COMPONENTS)


def test_the_resource_of_an_add_on_is_an_attribute() -> None:
    found: dict[str, pulumi.Resource] = {}

    def program() -> None:
        for name, make in COMPONENTS.items():
            if name != "dashboards":  # several ConfigMaps
                found[name] = make(name, aws_options(name)).resource

    run(program)
    kinds = {name: type(each).__name__ for name, each in found.items()}
    assert kinds == {name: "CustomResource" if name == "alerts" else "Release" for name in found}


def test_storage_class_and_rule_labels_can_be_set() -> None:
    """The storage class of the cluster, and the labels by which its operator selects rules."""

    def program() -> None:
        Monitoring("monitoring", {"storage_class": "gp3"}, aws_options())
        labels = {"release": "prometheus"}
        Alerts("alerts", {"system": "prometheus_operator", "namespace": "ops", "rule_labels": labels}, aws_options("b"))

    made = run(program)
    spec = made.one(RELEASE).inputs["values"]["prometheus"]["prometheusSpec"]
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "gp3"
    metadata = made.one("PrometheusRule").inputs["metadata"]
    assert metadata == {"name": "alerts", "namespace": "ops", "labels": {"release": "prometheus"}}


@pytest.mark.parametrize(
    ("component", "args", "words"),
    [
        (Monitoring, {"retention_days": 0}, "retention_days = 0: out of range"),
        (Monitoring, {"charts": {"mirror": "http://x.example.com"}}, r"charts\.mirror = .*unencrypted"),
        (Monitoring, {"charts": {"digests": {"grafana": "sha256:0"}}}, r"charts\.digests\.grafana = .*not a chart"),
        (Monitoring, {"images": {"registry": "quay.io"}}, r"images\.registry = .*public registry"),
        *[
            (
                component,
                {**args, "images": {"digests": {"quay.io/prom:v1": f"sha256:{'0' * 64}"}}},
                "not an image that is",
            )
            for component, args in CHART_COMPONENTS.items()
        ],
        (
            DcgmExporter,
            {"node_pools": POOLS, "scrape_labels": {"a": "b"}},
            "without `scrape` there is no ServiceMonitor",
        ),
        (DcgmExporter, {"node_pools": POOLS, "scrape": True, "scrape_labels": {"a b": "c"}}, r"scrape_labels\.a b"),
        (NvidiaDevicePlugin, {"node_pools": {"gpu": {**GUIDE_GPU, "min": -1}}}, r"node_pools\.gpu\.min = -1"),
        (NvidiaDevicePlugin, {"node_pools": POOLS, "chart_mirror": "x"}, "chart_mirror = .*unknown key"),
        (
            DcgmExporter,
            {"node_pools": {"gpu": pool(GUIDE_GPU, machine_types=["g6.x"])}},
            r"machine_types\[0\] = 'g6.x'",
        ),
        (Alerts, {"system": "prometheus_operator", "rule_labels": {"a b": "c"}}, r"rule_labels\.a b = 'c'"),
        (
            Alerts,
            {"system": "prometheus_operator", "namespace": "A"},
            "namespace = 'A': not a valid Kubernetes namespace name",
        ),
        (
            ClusterAutoscaler,
            {"cluster": "c", "region": "us-east-1", "kubernetes_version": "1.2", "node_pools": {}},
            "1.2",
        ),
    ],
)
def test_a_wrong_argument_is_one_clear_error(component: Any, args: dict[str, Any], words: str) -> None:
    with pytest.raises(pulumi.RunError, match=words) as caught:
        run(lambda: component("x", args, aws_options()))
    assert "one value cannot work" in str(caught.value)


# -- several clusters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", COMPONENTS)
def test_two_clusters_in_one_program_have_an_add_on_each(component: str) -> None:
    def program() -> None:
        for name in ("first", "second"):
            COMPONENTS[component](name, aws_options(name))

    made = run(program)
    children = [each.name for each in made.resources.values() if each.custom and not each.is_provider]
    assert children and len(children) % 2 == 0
    for name in children:
        assert name.startswith(("first-", "second-")), name
    for release in made.all(RELEASE):
        cluster = release.name.removesuffix("-release")
        assert release.provider.endswith(f"::{cluster}-k8s"), "each on its own cluster"


def test_two_autoscalers_resize_only_the_groups_of_their_cluster() -> None:
    def program() -> None:
        for name in ("first", "second"):
            COMPONENTS["autoscaler"](name, aws_options(name))

    made = run(program)
    for name in ("first", "second"):
        policy = made.one("RolePolicy", f"{name}-policy").inputs["policy"]
        assert f"k8s.io/cluster-autoscaler/{name}" in policy and f"nodegroup/{name}/" in policy
        values = made.one(RELEASE, f"{name}-release").inputs["values"]
        assert values["autoDiscovery"] == {"clusterName": name}


def test_resources_of_the_first_version_are_aliases_of_todays() -> None:
    """seed row S24: a renamed child with its old name as an alias is not replaced."""
    made = dev()
    old = {"cluster-autoscaler", "nvidia-device-plugin", "kube-prometheus-stack", "dcgm-exporter"}
    assert {_old_name(release) for release in made.all(RELEASE)} == old
    homes = {_old_name(each) for each in made.all("Namespace")}
    assert homes == {"nvidia-device-plugin", "monitoring", "node-exporter", "dcgm-exporter"}


def _old_name(resource: Any) -> str:
    (alias,) = resource.options["aliases"]
    return alias.spec.name


def test_an_output_may_name_the_cluster_of_an_autoscaler() -> None:
    def program() -> None:
        args: Any = {"cluster": pulumi.Output.from_input("later"), **AUTOSCALER}
        ClusterAutoscaler("a", args, aws_options())

    made = run(program)
    assert "k8s.io/cluster-autoscaler/later" in made.one("RolePolicy").inputs["policy"]
    assert made.one(RELEASE).inputs["values"]["autoDiscovery"] == {"clusterName": "later"}
