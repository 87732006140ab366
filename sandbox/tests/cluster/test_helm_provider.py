"""helm.sh/v3:Release by the real helm: charts from folders and repositories, stand-ins, upgrades, recovery."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox import conflicts
from sandbox.cluster.api import Api
from sandbox.cluster.cloud import Taint
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.plugins import chart, helm, log
from sandbox.plugins.kubernetes import RELEASE, KubernetesProvider
from sandbox.plugins.provider import ProviderError
from sandbox.plugins.values import working_directory
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.fake_fleet import FakeFleet

URN = f"urn:pulumi:test::gpuyard::{RELEASE}::rel"
NOWHERE = "http://127.0.0.1:9/charts"
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture
def provider(plane: ControlPlane) -> KubernetesProvider:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    return provider


@pytest.fixture
def lines() -> Iterator[list[str]]:
    reported: list[str] = []
    with log.scope(lambda level, text, passing: reported.append(text)):
        yield reported


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mirror with one chart, which creates a ConfigMap from its values, and a Pod if `pod` is set."""
    root = tmp_path / "mirror" / "notes"
    (root / "templates").mkdir(parents=True)
    (root / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "notes", "version": "1.2.3"}))
    (root / "values.yaml").write_text("text: nothing\npod: false\n")
    (root / "templates" / "all.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
        "data: {text: {{ .Values.text | quote }}}\n"
        "{{- if .Values.pod }}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\n"
        "spec: {nodeSelector: {no: such-node}, containers: [{name: a, image: example.org/a}]}\n{{- end }}\n"
    )
    return root


@pytest.fixture
def repository(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The same chart in a reachable repository."""
    served = tmp_path / "served"
    served.mkdir()
    assert chart.helm("package", str(folder), "-d", str(served)).returncode == 0
    assert chart.helm("repo", "index", str(served)).returncode == 0

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def install(provider: KubernetesProvider, inputs: dict) -> tuple[str, dict, dict]:
    inputs, failures = provider.check(RELEASE, URN, {}, inputs, b"seed")
    assert not failures, failures
    id, outputs = provider.create(RELEASE, URN, inputs, False, 0)
    return id, inputs, outputs


def text_of(api: Api, namespace: str, name: str) -> str:
    return api.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")["data"]["text"]


def test_a_local_chart_is_installed_upgraded_read_and_removed(
    provider: KubernetesProvider, plane: ControlPlane, api: Api, namespace: str, folder: Path, lines: list[str]
) -> None:
    reported = {"chart": str(folder), "namespace": namespace, "values": {"text": "one"}}
    id, inputs, outputs = install(provider, reported)
    name = inputs["name"]
    assert id == f"{namespace}/{name}" and name.startswith("rel-") and inputs["version"] == "1.2.3"
    assert outputs["status"] == {
        "name": name,
        "namespace": namespace,
        "revision": 1,
        "version": "1.2.3",
        "chart": "notes",
        "appVersion": "",
        "status": "deployed",
    }
    assert outputs["resourceNames"] == {"ConfigMap/v1": [name]}
    assert text_of(api, namespace, name) == "one" and lines == []
    assert {"name": name, "chart": "notes", "version": "1.2.3", "rendered": "chart"}.items() <= next(
        r for r in helm.releases(plane) if r["name"] == name
    ).items()

    again, failures = provider.check(RELEASE, URN, inputs, reported, b"other seed")
    assert not failures and not provider.diff(RELEASE, URN, id, inputs, outputs, again).changes

    news = {**inputs, "values": {"text": "two"}}
    assert provider.diff(RELEASE, URN, id, inputs, outputs, news).changes == ["values.text"]
    outputs = provider.update(RELEASE, URN, id, inputs, outputs, news, False, 0)
    assert outputs["status"]["revision"] == 2 and text_of(api, namespace, name) == "two"

    found = provider.read(RELEASE, URN, id, {}, {})
    assert found is not None and found[1]["values"] == {"text": "two"} and found[1]["chart"] == "notes"
    assert provider.diff(RELEASE, URN, id, news, outputs, {**news, "name": "x"}).replaces == ["name"]

    provider.delete(RELEASE, URN, id, news, outputs, 0)
    assert provider.read(RELEASE, URN, id, news, outputs) is None
    provider.delete(RELEASE, URN, id, news, outputs, 0)


def test_a_relative_chart_path_is_resolved_from_the_programs_folder(
    provider: KubernetesProvider, namespace: str, folder: Path
) -> None:
    token = working_directory.set(folder.parent)
    try:
        _, failures = provider.check(RELEASE, URN, {}, {"chart": "./notes", "namespace": namespace}, b"")
        assert not failures
    finally:
        working_directory.reset(token)
    _, failures = provider.check(RELEASE, URN, {}, {"chart": "./notes", "namespace": namespace}, b"")
    assert "chart './notes' was not found: the file or folder does not exist" in failures[0].reason


def test_a_reachable_repository_must_contain_the_chart(
    provider: KubernetesProvider, api: Api, namespace: str, repository: str
) -> None:
    base = {"chart": "notes", "repositoryOpts": {"repo": repository}, "namespace": namespace}
    id, inputs, outputs = install(provider, base)
    assert inputs["version"] == "1.2.3" and text_of(api, namespace, inputs["name"]) == "nothing"
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)
    for wrong in ({"chart": "nodes"}, {"version": "9.9.9"}):
        _, failures = provider.check(RELEASE, URN, {}, {**base, **wrong}, b"")
        assert failures[0].property == "chart" and "not found" in failures[0].reason, failures


def test_a_local_chart_of_another_version_is_refused(provider: KubernetesProvider, folder: Path) -> None:
    _, failures = provider.check(RELEASE, URN, {}, {"chart": str(folder), "version": "2.0.0"}, b"")
    assert "is version 1.2.3, not 2.0.0" in failures[0].reason


def test_a_device_plugin_that_cannot_be_reached_schedules_like_the_real_one(
    provider: KubernetesProvider,
    plane: ControlPlane,
    api: Api,
    namespace: str,
    fleet: FakeFleet,
    controllers: Controller,
    lines: list[str],
) -> None:
    """seed row S05: the stand-in runs only on the GPU node, which then advertises the GPU."""
    fleet.change("asg-gpu", desired=1)
    wait(lambda: len(api.list("/api/v1/nodes")) == 3, "three nodes")
    inputs = {
        "chart": "nvidia-device-plugin",
        "version": "0.20.0",
        "repositoryOpts": {"repo": NOWHERE},
        "namespace": namespace,
        "name": "device-plugin",
        "values": {"tolerations": [TOLERATION]},
    }
    id, inputs, outputs = install(provider, inputs)
    assert lines[0].startswith("chart nvidia-device-plugin 0.20.0 could not be reached (127.0.0.1:9: ")
    assert "using a stand-in that schedules in the same way; to render the real one, set" in lines[0]
    assert len([line for line in lines if "could not be reached" in line]) == 1
    assert outputs["status"]["appVersion"] == "stand-in" and outputs["status"]["version"] == "0.20.0"
    pods = api.list(f"/api/v1/namespaces/{namespace}/pods")
    assert [pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods] == ["nvidia-device-plugin"]
    node = api.request("GET", f"/api/v1/nodes/{pods[0]['spec']['nodeName']}")
    assert node["metadata"]["labels"]["gpuyard.dev/pool"] == "gpu-workers"
    wait(
        lambda: api.request("GET", f"/api/v1/nodes/{node['metadata']['name']}")["status"]["allocatable"].get(
            "nvidia.com/gpu"
        ),
        "the GPU",
    )
    assert next(r for r in helm.releases(plane) if r["name"] == "device-plugin")["rendered"] == "stand-in"
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)


def test_the_device_plugins_default_affinity_survives_an_empty_override(
    provider: KubernetesProvider, api: Api, namespace: str
) -> None:
    """helm merges maps, so `affinity: {}` removes nothing, as with the real chart."""
    values = {"affinity": {}, "nodeSelector": {"workload": "gpu-training"}, "resources": {"limits": {"cpu": "1"}}}
    inputs = {"chart": "nvidia-device-plugin", "repositoryOpts": {"repo": NOWHERE}, "values": values}
    id, inputs, outputs = install(provider, {**inputs, "namespace": namespace, "name": "dp"})
    name = outputs["resourceNames"]["DaemonSet.apps/apps/v1"][0].split("/")[-1]
    spec = api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")["spec"]["template"]["spec"]
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert "nvidia.com/gpu.present" in str(terms)
    assert spec["nodeSelector"] == {"workload": "gpu-training"} and spec["priorityClassName"] == "system-node-critical"
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)
    inputs = {**inputs, "namespace": "default", "name": "dp-default"}
    with pytest.raises(ProviderError, match="cannot be installed in the namespace default"):
        provider.create(RELEASE, URN, inputs, False, 0)


@pytest.mark.parametrize(
    ("name", "kind", "account"),
    [
        ("cluster-autoscaler", "Deployment", {"rbac": {"serviceAccount": {"name": "ca", "annotations": {"a": "b"}}}}),
        ("dcgm-exporter", "DaemonSet", {"serviceAccount": {"name": "ca", "annotations": {"a": "b"}}}),
        ("aws-efa-k8s-device-plugin", "DaemonSet", {}),
    ],
)
def test_the_workloads_of_the_table_use_their_service_account(
    provider: KubernetesProvider, api: Api, namespace: str, name: str, kind: str, account: dict
) -> None:
    values = {**account, "priorityClassName": "system-cluster-critical", "podLabels": {"team": "x"}}
    inputs = {"chart": name, "repositoryOpts": {"repo": NOWHERE}, "values": values, "skipAwait": True}
    id, inputs, outputs = install(provider, {**inputs, "namespace": namespace, "name": name})
    plural = f"{kind.lower()}s"
    live = api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")
    pod = live["spec"]["template"]
    assert pod["spec"]["priorityClassName"] == "system-cluster-critical" and pod["metadata"]["labels"]["team"] == "x"
    # AWS's chart selects its pods by one label.
    key = "app.kubernetes.io/instance" if account else "name"
    assert pod["metadata"]["labels"][key] == live["spec"]["selector"]["matchLabels"][key] == name
    if account:
        assert pod["spec"]["serviceAccountName"] == "ca"
        made = api.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/ca")
        assert made["metadata"]["annotations"]["a"] == "b"
    else:
        assert pod["spec"]["serviceAccountName"] == "default"
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)


def test_an_unknown_chart_that_cannot_be_reached_is_only_recorded(
    provider: KubernetesProvider, api: Api, namespace: str, lines: list[str]
) -> None:
    inputs = {"chart": "oci://127.0.0.1:9/charts/kueue", "version": "0.19.2", "namespace": namespace, "name": "kueue"}
    id, inputs, outputs = install(provider, inputs)
    assert outputs["resourceNames"] == {"ConfigMap/v1": ["kueue"]}
    assert "using none of its objects" in lines[0]
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)


def test_a_release_that_does_not_become_ready_is_kept_and_the_next_update_recovers(
    provider: KubernetesProvider, api: Api, namespace: str, folder: Path
) -> None:
    bad = {"chart": str(folder), "namespace": namespace, "name": "slow", "values": {"pod": True}, "timeout": 3}
    inputs, _ = provider.check(RELEASE, URN, {}, bad, b"")
    with pytest.raises(ProviderError, match="failed to initialize completely") as caught:
        provider.create(RELEASE, URN, inputs, False, 0)
    assert caught.value.partial is not None
    id, outputs = caught.value.partial
    assert id == f"{namespace}/slow" and outputs["status"]["status"] == "failed"
    good = {**inputs, "values": {"text": "better"}}
    outputs = provider.update(RELEASE, URN, id, inputs, outputs, good, False, 0)
    assert outputs["status"]["status"] == "deployed" and text_of(api, namespace, "slow") == "better"
    with pytest.raises(ProviderError, match="cannot re-use a name that is still in use"):
        provider.create(RELEASE, f"{URN}-of-another", good, False, 0)
    provider.delete(RELEASE, URN, id, good, outputs, 0)


def test_the_remains_of_a_killed_install_are_removed_by_the_next_install(
    provider: KubernetesProvider, api: Api, namespace: str, folder: Path, lines: list[str]
) -> None:
    slow = {"chart": str(folder), "namespace": namespace, "name": "killed", "values": {"pod": True}}
    inputs, _ = provider.check(RELEASE, URN, {}, slow, b"")
    cancelled = KubernetesProvider()
    cancelled.config, cancelled._plane, cancelled._objects = provider.config, provider._plane, provider._objects
    threading.Timer(2, cancelled.cancel).start()
    with pytest.raises(ProviderError):
        cancelled.create(RELEASE, URN, inputs, False, 0)
    good = {**inputs, "values": {"text": "again"}}
    id, outputs = provider.create(RELEASE, URN, good, False, 0)
    assert any("removing the remains of an earlier install" in line for line in lines)
    assert text_of(api, namespace, "killed") == "again"
    provider.delete(RELEASE, URN, id, good, outputs, 0)


def test_a_release_whose_answer_was_lost_blocks_the_next_create_until_it_is_uninstalled(
    provider: KubernetesProvider, plane: ControlPlane, api: Api, namespace: str, folder: Path
) -> None:
    """field case C2, reliability case R7: the real provider refuses it in every later run, so the error contains the
    command."""
    inputs, _ = provider.check(RELEASE, URN, {}, {"chart": str(folder), "namespace": namespace, "name": "lost"}, b"")
    provider.create(RELEASE, URN, inputs, False, 0)  # the answer is lost
    news = {**inputs, "values": {"text": "again"}}
    with pytest.raises(ProviderError, match="cannot re-use a name that is still in use") as refused:
        provider.create(RELEASE, URN, news, False, 0)
    assert text_of(api, namespace, "lost") == "nothing"
    (command,) = conflicts.commands([(RELEASE, news, str(refused.value))])
    assert command == f"helm uninstall lost --namespace {namespace}"
    subprocess.run(chart.command(*command.split()[1:], "--kubeconfig", str(plane.kubeconfig)), check=True)
    id, outputs = provider.create(RELEASE, URN, news, False, 0)
    assert text_of(api, namespace, "lost") == "again"
    provider.delete(RELEASE, URN, id, news, outputs, 0)


def test_a_list_and_an_empty_template_are_accepted(
    provider: KubernetesProvider, api: Api, namespace: str, folder: Path
) -> None:
    """field case C1: kube-prometheus-stack renders our scrape of the autoscaler as a `kind: List`."""
    (folder / "templates" / "list.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: in-list}\n"
        "---\n# nothing but words\n---\n{{ if .Values.pod }}x{{ end }}\n"
    )
    id, inputs, outputs = install(provider, {"chart": str(folder), "namespace": namespace, "name": "list"})
    assert outputs["resourceNames"] == {"ConfigMap/v1": ["list"], "List/v1": [""]}
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/in-list") is not None
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/in-list") is None


def test_a_namespace_is_created_on_request(
    provider: KubernetesProvider, plane: ControlPlane, api: Api, folder: Path
) -> None:
    reported = {"chart": str(folder), "namespace": "t-made", "name": "rel"}
    inputs, _ = provider.check(RELEASE, URN, {}, reported, b"")
    with pytest.raises(ProviderError, match="not found"):
        provider.create(RELEASE, URN, inputs, False, 0)
    id, inputs, outputs = install(provider, {**reported, "createNamespace": True})
    provider.update(RELEASE, URN, id, inputs, outputs, {**inputs, "values": {"text": "x"}}, False, 0)
    provider.delete(RELEASE, URN, id, inputs, outputs, 0)
    api.delete("/api/v1/namespaces/t-made")


def test_the_exporter_needs_a_toleration_for_tainted_nodes(
    provider: KubernetesProvider, api: Api, namespace: str, fleet: FakeFleet, controllers: Controller
) -> None:
    """seed row S18: with its default values the exporter runs on no tainted GPU node; with a toleration it does."""
    fleet.change("asg-gpu", desired=1)
    wait(lambda: len(api.list("/api/v1/nodes")) == 3, "three nodes")
    gpu = next(m for m in fleet.machines() if m.pool == "gpu-workers")
    assert Taint("nvidia.com/gpu", "true", "NoSchedule") in gpu.node.taints
    base = {"chart": "dcgm-exporter", "repositoryOpts": {"repo": NOWHERE}, "namespace": namespace, "name": "dcgm"}
    id, inputs, outputs = install(provider, base)

    def hosts() -> set[str]:
        return {pod["spec"].get("nodeName", "") for pod in api.list(f"/api/v1/namespaces/{namespace}/pods")}

    assert gpu.node_name not in hosts()
    news = {**inputs, "values": {"tolerations": [TOLERATION], "nodeSelector": {"workload": "gpu-training"}}}
    outputs = provider.update(RELEASE, URN, id, inputs, outputs, news, False, 0)
    wait(lambda: hosts() == {gpu.node_name}, "the exporter on the GPU node only")
    provider.delete(RELEASE, URN, id, news, outputs, 0)


PATTERNS = {20: [r"^eks-a-spot-\d{18}"], 10: [r"^eks-a-\d{18}"]}


@pytest.mark.parametrize(("expander", "held"), [("priority,least-waste", PATTERNS), ("random", None)])
def test_the_autoscalers_stand_in_contains_its_priorities(
    provider: KubernetesProvider, api: Api, namespace: str, expander: str, held: dict | None
) -> None:
    """seed row S04: in the place where its pods read them, and only if its expander uses them."""
    priorities = {str(rank): patterns for rank, patterns in PATTERNS.items()}
    values = {"extraArgs": {"expander": expander}, "expanderPriorities": priorities}
    inputs = {"chart": "cluster-autoscaler", "repositoryOpts": {"repo": NOWHERE}, "values": values, "skipAwait": True}
    install(provider, {**inputs, "namespace": namespace, "name": "ca"})
    found = api.get(f"/api/v1/namespaces/{namespace}/configmaps/cluster-autoscaler-priority-expander")
    assert (found and yaml.safe_load(found["data"]["priorities"])) == held
