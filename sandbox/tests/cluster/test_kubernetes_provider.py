"""The kubernetes provider against a real API server: apply, dry run, await, drift, replace, delete."""

from __future__ import annotations

import base64
import json
import threading

import pytest

from sandbox.cluster.api import Api
from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.provider import UNKNOWN, ProviderError
from sandbox.plugins.values import Secret
from sandbox.tests.cluster.conftest import KEY
from sandbox.tests.cluster.objects import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    QUOTA,
    SECRET,
    STORAGE_CLASS,
    checked,
    config_map,
    deployment,
    eks_kubeconfig,
    made,
    urn,
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"certificate-authority-data": base64.b64encode(b"another").decode()}, "unknown authority"),
        ({"certificate-authority-data": ""}, "no certificate-authority-data"),
        ({"login": {"command": "gke-gcloud-auth-plugin"}}, "aws eks get-token"),
        ({"login": {"args": ["eks", "get-token", "--cluster-name", "other"]}}, "the token is for cluster 'other'"),
        ({"login": {"apiVersion": "v1"}}, "client.authentication.k8s.io"),
    ],
)
def test_a_kubeconfig_that_the_real_cluster_would_refuse_is_refused(
    plane: ControlPlane, changes: dict, message: str
) -> None:
    with pytest.raises(ProviderError, match=message):
        KubernetesProvider().configure({"kubeconfig": eks_kubeconfig(plane, **changes)})


def test_a_missing_cluster_is_named_at_the_first_use(plane: ControlPlane) -> None:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": eks_kubeconfig(plane, server="https://127.0.0.1:1")})
    inputs = checked(provider, CONFIG_MAP, config_map("default", a="b"))
    assert provider.create(CONFIG_MAP, urn(CONFIG_MAP), inputs, True, 0) == ("", inputs)
    with pytest.raises(ProviderError, match=r"unreachable: the sandbox has no cluster at https://127\.0\.0\.1:1"):
        provider.create(CONFIG_MAP, urn(CONFIG_MAP), inputs, False, 0)


def test_the_admin_kubeconfig_of_the_cluster_works_too(plane: ControlPlane) -> None:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    id, _, _ = made(provider, NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "t-admin"}})
    provider.delete(NAMESPACE, urn(NAMESPACE), id, {}, {}, 60)


def test_create_read_update_delete_round_trip(provider: KubernetesProvider, api: Api, namespace: str) -> None:
    id, inputs, outputs = made(provider, CONFIG_MAP, config_map(namespace, a="1"))
    name = inputs["metadata"]["name"]
    assert id == f"{namespace}/{name}" and name.startswith("it-")
    assert outputs["data"] == {"a": "1"} and outputs["metadata"]["uid"]

    read = provider.read(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs)
    assert read is not None and read[0] == id and read[1] == inputs
    assert not provider.diff(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, inputs).changes

    news = checked(
        provider,
        CONFIG_MAP,
        {**config_map(namespace, a="1"), "metadata": {"namespace": namespace, "labels": {"new": "yes"}}},
        inputs,
    )
    assert news["metadata"]["name"] == name, "the old auto-name is kept"
    diff = provider.diff(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news)
    assert diff.changes == ["metadata.labels"] and not diff.replaces
    outputs = provider.update(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news, False, 60)
    assert outputs["metadata"]["labels"] == {"new": "yes"}
    outputs = provider.update(CONFIG_MAP, urn(CONFIG_MAP), id, news, outputs, inputs, False, 60)
    assert "labels" not in outputs["metadata"], "what the program no longer says is removed"

    provider.delete(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, 60)
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}") is None
    assert provider.read(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs) is None
    provider.delete(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, 60)


def test_drift_shows_only_in_properties_that_the_program_sets(
    provider: KubernetesProvider, api: Api, namespace: str
) -> None:
    id, inputs, outputs = made(provider, CONFIG_MAP, config_map(namespace, a="1"))
    path = f"/api/v1/namespaces/{namespace}/configmaps/{inputs['metadata']['name']}"
    api.patch(path, {"data": {"a": "2"}, "metadata": {"labels": {"owner": "another"}}})
    found = provider.read(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs)
    assert found is not None
    assert found[1]["data"] == {"a": "2"} and "labels" not in found[1]["metadata"]
    assert provider.diff(CONFIG_MAP, urn(CONFIG_MAP), id, found[1], found[2], inputs).changes == ["data.a"]


def test_an_object_is_imported_by_namespace_and_name(provider: KubernetesProvider, api: Api, namespace: str) -> None:
    body = {"metadata": {"name": "found", "labels": {"a": "b"}}, "data": {"k": "v"}}
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", body)
    found = provider.read(CONFIG_MAP, urn(CONFIG_MAP), f"{namespace}/found", {}, {})
    assert found is not None
    assert found[1] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "found", "namespace": namespace, "labels": {"a": "b"}},
        "data": {"k": "v"},
    }


def test_an_object_that_exists_already_is_not_taken_over(
    provider: KubernetesProvider, api: Api, namespace: str
) -> None:
    api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "taken"}})
    inputs = checked(
        provider, CONFIG_MAP, {**config_map(namespace), "metadata": {"namespace": namespace, "name": "taken"}}
    )
    with pytest.raises(ProviderError, match='configmaps "taken" already exists'):
        provider.create(CONFIG_MAP, urn(CONFIG_MAP), inputs, False, 60)


def test_preview_asks_the_server_and_changes_nothing(provider: KubernetesProvider, api: Api, namespace: str) -> None:
    inputs = checked(provider, CONFIG_MAP, config_map(namespace, a="1"))
    id, outputs = provider.create(CONFIG_MAP, urn(CONFIG_MAP), inputs, True, 0)
    assert id == "" and outputs["metadata"]["uid"]
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/{inputs['metadata']['name']}") is None

    wrong = deployment(namespace)
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    wrong = checked(provider, DEPLOYMENT, wrong)
    with pytest.raises(ProviderError, match=r"selector.*does not match template"):
        provider.create(DEPLOYMENT, urn(DEPLOYMENT), wrong, True, 0)


def test_preview_lets_pass_what_only_the_update_can_know(provider: KubernetesProvider) -> None:
    unknown = checked(provider, CONFIG_MAP, {**config_map("x"), "data": UNKNOWN})
    assert provider.create(CONFIG_MAP, urn(CONFIG_MAP), unknown, True, 0) == ("", unknown)
    early = checked(provider, CONFIG_MAP, config_map("a-namespace-of-the-same-update", a="1"))
    assert provider.create(CONFIG_MAP, urn(CONFIG_MAP), early, True, 0) == ("", early)
    custom = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "x"}}
    token = "kubernetes:example.org/v1:Thing"
    custom = checked(provider, token, custom)
    assert provider.create(token, urn(token), custom, True, 0) == ("", custom)


def test_what_the_program_leaves_out_is_written_as_the_real_provider_writes_it(
    plane: ControlPlane, provider: KubernetesProvider
) -> None:
    """Found with the real provider: the default namespace is filled in, and empty annotations are omitted."""
    meta = {"metadata": {"name": "a", "annotations": {}, "labels": {}}}
    inputs = checked(provider, CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", **meta})
    assert inputs["metadata"] == {"name": "a", "labels": {}, "namespace": "default"}
    cluster_wide = checked(provider, NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", **meta})
    assert cluster_wide["metadata"] == {"name": "a", "labels": {}}
    config = json.loads(eks_kubeconfig(plane))
    config["contexts"][0]["context"]["namespace"] = "team-a"
    provider.configure({"kubeconfig": json.dumps(config)})
    inputs = checked(provider, CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", **meta})
    assert inputs["metadata"]["namespace"] == "team-a"


def test_creation_waits_for_its_namespace(provider: KubernetesProvider, api: Api) -> None:
    later = threading.Timer(1, lambda: api.create("/api/v1/namespaces", {"metadata": {"name": "t-later"}}))
    later.start()
    id, _, _ = made(provider, CONFIG_MAP, config_map("t-later", a="1"))
    assert id.startswith("t-later/")
    provider.delete(NAMESPACE, urn(NAMESPACE), "t-later", {"apiVersion": "v1", "kind": "Namespace"}, {}, 60)
    assert api.get("/api/v1/namespaces/t-later") is None, "deletion returns when the namespace is gone"


def test_secrets_stay_secret_and_text_becomes_data(provider: KubernetesProvider, namespace: str) -> None:
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace}, "stringData": {"pw": "hush"}}
    raw, failures = provider.check(SECRET, urn(SECRET), {}, inputs, b"seed")
    assert not failures and isinstance(raw["data"], Secret) and "stringData" not in raw
    id, plain, outputs = made(provider, SECRET, inputs)
    assert isinstance(outputs["data"], Secret) and outputs["data"].value == {"pw": base64.b64encode(b"hush").decode()}
    found = provider.read(SECRET, urn(SECRET), id, plain, {})
    assert found is not None and isinstance(found[1]["data"], Secret)
    diff = provider.diff(SECRET, urn(SECRET), id, plain, {}, {**plain, "data": {"pw": "bmV3"}})
    assert diff.replaces == ["data.pw"] and not diff.delete_before_replace


def test_an_immutable_field_fails_in_the_preview_with_the_servers_words(
    provider: KubernetesProvider, namespace: str
) -> None:
    """The real provider replaces only by its own table; other changes of immutable fields fail at the API server."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace},
        "data": {},
        "immutable": True,
    }
    id, inputs, outputs = made(provider, CONFIG_MAP, body)
    news = {**inputs, "immutable": False}
    assert not provider.diff(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news).replaces
    with pytest.raises(ProviderError, match="field is immutable"):
        provider.update(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news, True, 0)


def test_a_field_that_another_manager_owns_is_a_conflict_unless_it_is_forced(
    provider: KubernetesProvider, api: Api, namespace: str
) -> None:
    id, inputs, outputs = made(provider, CONFIG_MAP, config_map(namespace, a="1"))
    api.patch(f"/api/v1/namespaces/{namespace}/configmaps/{inputs['metadata']['name']}", {"data": {"a": "2"}})
    news = {**inputs, "data": {"a": "3"}}
    with pytest.raises(ProviderError, match=r"conflict(.|\n)*pulumi.com/patchForce"):
        provider.update(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news, False, 60)
    annotations = {**inputs["metadata"]["annotations"], "pulumi.com/patchForce": "true"}
    news["metadata"] = {**inputs["metadata"], "annotations": annotations}
    assert provider.update(CONFIG_MAP, urn(CONFIG_MAP), id, inputs, outputs, news, False, 60)["data"] == {"a": "3"}


def test_a_custom_resource_follows_its_definition(provider: KubernetesProvider, api: Api) -> None:
    definition_token = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Cluster",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    id, inputs, outputs = made(provider, definition_token, definition)
    token = "kubernetes:example.org/v1:Thing"
    # In the background, because the garbage collector looks for new kinds only every half minute.
    meta = {"name": "one", "annotations": {"pulumi.com/deletionPropagationPolicy": "background"}}
    custom_object = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": meta, "spec": {"size": 3}}
    object_id, object_inputs, object_outputs = made(provider, token, custom_object)
    assert object_id == "one" and object_outputs["spec"] == {"size": 3}
    with pytest.raises(ProviderError, match="colour: field not declared"):
        made(provider, token, {**custom_object, "metadata": {"name": "two"}, "spec": {"colour": "red"}})
    provider.delete(token, urn(token), object_id, object_inputs, object_outputs, 60)
    provider.delete(definition_token, urn(definition_token), id, inputs, outputs, 60)


def test_a_patch_changes_what_it_says_and_gives_it_back(provider: KubernetesProvider, api: Api, namespace: str) -> None:
    token = "kubernetes:core/v1:NamespacePatch"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"team": "vision"}}}
    id, inputs, outputs = made(provider, token, body)
    path = f"/api/v1/namespaces/{namespace}"
    assert api.request("GET", path)["metadata"]["labels"]["team"] == "vision"
    provider.delete(token, urn(token), id, inputs, outputs, 60)
    assert "team" not in api.request("GET", path)["metadata"]["labels"]


def test_a_default_namespace_of_the_provider_is_used_where_there_are_namespaces(
    plane: ControlPlane, namespace: str
) -> None:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": eks_kubeconfig(plane), "namespace": namespace})
    without = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert checked(provider, CONFIG_MAP, without)["metadata"]["namespace"] == namespace
    storage_class = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "x"}
    assert "namespace" not in checked(provider, STORAGE_CLASS, storage_class)["metadata"]


def test_a_quota_is_in_force_when_it_is_made(provider: KubernetesProvider, namespace: str) -> None:
    hard = {"requests.nvidia.com/gpu": 4}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"namespace": namespace}, "spec": {"hard": hard}}
    _, _, outputs = made(provider, QUOTA, body)
    assert outputs["status"]["hard"] == {"requests.nvidia.com/gpu": "4"}


def test_the_key_of_the_tests_is_the_one_of_the_kubeconfig() -> None:
    assert KEY.endswith("-cluster-tests")
