"""Decisions of the kubernetes provider without a cluster: names, diffs, replacements, kubeconfigs, pruning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.plugins import kubeconfig, manifest, replacement
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.objects import Kind
from sandbox.plugins.provider import UNKNOWN, ProviderError
from sandbox.plugins.values import Secret

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
POD = "kubernetes:core/v1:Pod"
URN = f"urn:pulumi:test::gpuyard::{CONFIG_MAP}::settings"


@pytest.fixture(scope="module")
def provider() -> KubernetesProvider:
    return KubernetesProvider()


def check(provider: KubernetesProvider, olds: dict, news: dict, seed: bytes = b"seed", token: str = CONFIG_MAP):
    return provider.check(token, URN, olds, {"apiVersion": "v1", "kind": token.rsplit(":", 1)[-1], **news}, seed)


def diff(provider: KubernetesProvider, old: dict, new: dict, token: str = CONFIG_MAP):
    base = {"apiVersion": "v1", "kind": token.rsplit(":", 1)[-1]}
    return provider.diff(token, URN, "default/x", {**base, **old}, {}, {**base, **new})


def test_an_auto_name_starts_with_the_logical_name_and_is_kept(provider: KubernetesProvider) -> None:
    first, failures = check(provider, {}, {})
    name = first["metadata"]["name"]
    assert not failures and name.startswith("settings-") and len(name) == len("settings-") + 8
    assert int(name[-8:], 16) >= 0 and first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    again, _ = check(provider, first, {"metadata": {"labels": {"a": "b"}}}, b"other")
    assert again["metadata"]["name"] == name
    other, _ = check(provider, {}, {}, b"other")
    assert other["metadata"]["name"] != name


def test_an_explicit_name_is_kept_but_not_reused_after_its_removal(provider: KubernetesProvider) -> None:
    given, _ = check(provider, {}, {"metadata": {"name": "fixed"}})
    assert given["metadata"] == {"name": "fixed"}
    unnamed, _ = check(provider, given, {})
    assert unnamed["metadata"]["name"].startswith("settings-")
    later, _ = check(provider, {}, {"metadata": {"name": UNKNOWN}})
    assert later["metadata"] == {"name": UNKNOWN}


def test_inputs_are_not_changed_in_place(provider: KubernetesProvider) -> None:
    news: dict[str, Any] = {"metadata": {"labels": {"a": UNKNOWN}}}
    checked, _ = check(provider, {}, news)
    assert news == {"metadata": {"labels": {"a": UNKNOWN}}} and checked["metadata"]["labels"]["a"] is UNKNOWN


@pytest.mark.parametrize(
    ("token", "news", "path", "reason"),
    [
        (CONFIG_MAP, {"metadata": {"generateName": "x-"}}, "metadata.generateName", "not supported"),
        ("kubernetes:core/v1:ConfigMapList", {"items": []}, "", "cannot be created directly"),
        ("kubernetes:core/v1:NamespacePatch", {}, "metadata.name", "is required for a patch"),
        (CONFIG_MAP, {"dada": {}}, "dada", "did you mean data?"),
    ],
)
def test_invalid_objects_are_refused_at_the_check(provider, token: str, news: dict, path: str, reason: str) -> None:
    kind = token.rsplit(":", 1)[-1].removesuffix("Patch")
    _, failures = provider.check(token, URN, {}, {"apiVersion": "v1", "kind": kind, **news}, b"")
    assert [(f.property, reason in f.reason) for f in failures] == [(path, True)]


def test_a_change_of_identity_replaces_and_deletes_first_with_a_fixed_name(provider: KubernetesProvider) -> None:
    fixed = {"metadata": {"name": "a"}}
    renamed = diff(provider, fixed, {"metadata": {"name": "b"}})
    assert renamed.replaces == ["metadata.name"] and not renamed.delete_before_replace
    moved = diff(provider, fixed, {"metadata": {"name": "a", "namespace": "other"}})
    assert moved.replaces == ["metadata.namespace"] and not moved.delete_before_replace
    data = diff(provider, {**fixed, "data": {"k": "1"}}, {**fixed, "data": {"k": "2"}})
    assert data.replaces == ["data.k"] and data.delete_before_replace
    auto = {"metadata": {"name": "a", "annotations": {"pulumi.com/autonamed": "true"}}}
    assert not diff(provider, {**auto, "data": {"k": "1"}}, {**auto, "data": {"k": "2"}}).delete_before_replace


def test_an_explicit_default_namespace_is_not_a_change(provider: KubernetesProvider) -> None:
    with_default = {"metadata": {"name": "a", "namespace": "default"}}
    assert not diff(provider, {"metadata": {"name": "a"}}, with_default).changes


def test_mutable_config_maps_are_updated_in_place() -> None:
    provider = KubernetesProvider()
    provider.config = {"enableConfigMapMutable": True}
    olds, news = ({"metadata": {"name": "a"}, "data": {"k": v}} for v in "12")
    assert not diff(provider, olds, news).replaces
    assert diff(provider, olds, {**news, "immutable": True}).replaces == ["data.k"]


@pytest.mark.parametrize(
    ("api_version", "kind", "changed", "replaced"),
    [
        ("apps/v1", "Deployment", "spec.replicas", False),
        ("apps/v1", "Deployment", 'spec.selector.matchLabels["a.b/c"]', True),
        ("apps/v1", "StatefulSet", "spec.volumeClaimTemplates[0].spec.storageClassName", True),
        ("batch/v1", "Job", "spec.template.spec.containers[0].image", True),
        ("batch/v1", "Job", "spec.backoffLimit", False),
        ("v1", "Pod", "spec.containers[1].env[0].value", True),
        ("v1", "Pod", "spec.containersX", False),
        ("v1", "Pod", "metadata.labels.a", False),
        ("v1", "Pod", "spec.tolerations[0].key", False),
        ("v1", "PersistentVolumeClaim", "spec.storageClassName", True),
        ("v1", "PersistentVolumeClaim", "spec.resources.requests.storage", False),
        ("v1", "Service", "spec.clusterIP", True),
        ("v1", "Service", "spec.clusterIPs[0]", False),
        ("v1", "Secret", "data.password", True),
        ("storage.k8s.io/v1", "StorageClass", "parameters.type", True),
        ("storage.k8s.io/v1", "StorageClass", "reclaimPolicy", False),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name", True),
        ("policy/v1", "PodDisruptionBudget", "spec.minAvailable", False),
        ("scheduling.k8s.io/v1", "PriorityClass", "metadata.name", True),
    ],
)
def test_the_forced_replacements_match_the_real_provider(
    api_version: str, kind: str, changed: str, replaced: bool
) -> None:
    forced = replacement.forced({"apiVersion": api_version, "kind": kind}, {})
    assert replacement.replacing([changed], forced) == ([changed] if replaced else [])


def test_a_secret_is_hidden_even_while_part_of_it_is_unknown(provider: KubernetesProvider) -> None:
    checked, _ = check(provider, {}, {"stringData": {"a": "b", "c": UNKNOWN}}, token="kubernetes:core/v1:Secret")
    assert checked["stringData"] == Secret({"a": "b", "c": UNKNOWN})


@pytest.mark.parametrize(
    ("live", "inputs", "pruned"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1}),
        ({"a": 3}, {"a": 1, "b": {}}, {"a": 3, "b": {}}),
        ({}, {"a": {"b": 1}}, {}),
        ({"cpu": "1"}, {"cpu": "1000m"}, {"cpu": "1000m"}),
        ({"gpu": "1"}, {"gpu": 1}, {"gpu": 1}),
        ({"m": "2Gi"}, {"m": "1Gi"}, {"m": "2Gi"}),
        ([{"n": "x", "p": 1}, {"n": "y"}], [{"n": "x"}], [{"n": "x"}, {"n": "y"}]),
        ("word", "another", "word"),
    ],
)
def test_pruning_keeps_the_programs_properties_and_shows_drift(live: Any, inputs: Any, pruned: Any) -> None:
    assert manifest.pruned(live, inputs) == pruned


def test_paths_of_kinds() -> None:
    assert Kind("v1", "Pod", "pods", True).path("a", "b") == "/api/v1/namespaces/a/pods/b"
    assert (
        Kind("apps/v1", "Deployment", "deployments", True).path(None) == "/apis/apps/v1/namespaces/default/deployments"
    )
    roles = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", False)
    assert roles.path("ignored", "system:x/y").endswith("/clusterroles/system%3Ax%2Fy")


CONFIG = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c1", "user": "u"}},
        {"name": "two", "context": {"cluster": "c2", "user": "u"}},
    ],
    "clusters": [
        {"name": "c1", "cluster": {"server": "https://one/", "certificate-authority-data": "x"}},
        {"name": "c2", "cluster": {"server": "https://two"}},
        {"name": "c3", "cluster": {}},
    ],
    "users": [{"name": "u", "user": {"token": "t"}}],
}


def test_a_kubeconfig_is_read_as_text_file_or_object(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(json.dumps(CONFIG))
    for given in (CONFIG, json.dumps(CONFIG), str(tmp_path / "config")):
        assert kubeconfig.parse(given).server == "https://one"
    assert kubeconfig.parse(CONFIG, context="two").server == "https://two"
    assert kubeconfig.parse(CONFIG, cluster="c2").server == "https://two"


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("a: [", {}, "no file|neither YAML"),
        ("a: [\n", {}, "failed to parse"),
        ("- a\n", {}, "not an object"),
        ("/no/such/file", {}, "neither YAML nor a file path"),
        ({}, {}, "no current-context"),
        (CONFIG, {"context": "three"}, "no entry 'three' under contexts"),
        (CONFIG, {"cluster": "c3"}, "has no server"),
        ({**CONFIG, "users": []}, {}, "no entry 'u' under users"),
    ],
)
def test_a_broken_kubeconfig_is_named(given: Any, options: dict, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        kubeconfig.parse(given, **options)


def test_another_server_is_another_cluster_and_a_new_token_is_not(provider: KubernetesProvider) -> None:
    token = {**CONFIG, "users": [{"name": "u", "user": {"token": "new"}}]}
    moved = provider.diff_config(
        {"kubeconfig": json.dumps(CONFIG)}, {"kubeconfig": json.dumps(CONFIG), "context": "two"}
    )
    assert moved.replaces == ["context"]
    same = provider.diff_config({"kubeconfig": json.dumps(CONFIG)}, {"kubeconfig": json.dumps(token)})
    assert same.changes == ["kubeconfig"] and not same.replaces
    later = provider.diff_config({"kubeconfig": json.dumps(CONFIG)}, {"kubeconfig": UNKNOWN})
    assert later.replaces == ["kubeconfig"]
    kept = {"clusterIdentifier": "x"}
    assert not provider.diff_config({"kubeconfig": "a: b\n", **kept}, {"kubeconfig": UNKNOWN, **kept}).replaces


def test_yaml_can_be_decoded_and_nothing_else_invoked(provider: KubernetesProvider) -> None:
    found = provider.invoke("kubernetes:yaml:decode", {"text": "a: 1\n---\n---\nb: 2\n"})
    assert found == {"result": [{"a": 1}, {"b": 2}]}
    with pytest.raises(ProviderError, match="no function kubernetes:helm:template"):
        provider.invoke("kubernetes:helm:template", {})


def test_without_a_kubeconfig_those_of_the_machine_are_ignored(provider: KubernetesProvider) -> None:
    fresh = KubernetesProvider()
    fresh.configure({})
    with pytest.raises(ProviderError, match="the sandbox does not use those of this machine"):
        fresh.delete(POD, URN, "default/x", {}, {}, 0)
