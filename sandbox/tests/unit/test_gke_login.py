"""The sandbox's `gke-gcloud-auth-plugin`, and the lookup of clusters by their DNS endpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.cleanup.cluster_api import Refused
from components.gcp.control_plane import kubeconfig
from sandbox import gke_login, paths
from sandbox.cluster.address import plane_at
from sandbox.gcp.store import Store
from sandbox.plugins.dynamic import by_number

KEY = "gke-my-project-us-central1-yard"
NUMBER, NAME = "https://127.0.0.1:6443", "https://gke-123.us-central1.gke.goog"
CLUSTER = ("container.clusters", "projects/my-project/locations/us-central1/clusters/yard")


def open_name(allowed: bool = True) -> None:
    """The cluster's DNS endpoint, open or not."""
    dns = {"endpoint": NAME.removeprefix("https://"), "allowExternalTraffic": allowed}
    ways = {"controlPlaneEndpointsConfig": {"dnsEndpointConfig": dns}}
    store = Store()
    if store.find(*CLUSTER):
        store.delete(*CLUSTER)
    store.insert(*CLUSTER, ways)


@pytest.fixture(autouse=True)
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A control plane's folder, and the cluster in the store."""
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    folder = paths.folder("clusters", KEY)
    (folder / "pki").mkdir()
    facts = {"key": KEY, "endpoint": NUMBER, "issuer": "https://issuer", "version": "1.35"}
    (folder / "cluster.json").write_text(json.dumps(facts))
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (folder / "pki" / name).write_text(name)
    open_name()
    return folder


def login(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: str | None) -> dict:
    """The plugin's output for a caller that names a server, or none."""
    spec = {"interactive": False, **({"cluster": {"server": server}} if server else {})}
    asked = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "spec": spec}
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", json.dumps(asked))
    assert gke_login.main([]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("server", [NUMBER, NAME])
def test_it_logs_in_to_the_named_cluster(monkeypatch, capsys, server: str) -> None:
    found = login(monkeypatch, capsys, server)
    assert found["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert found["status"] == {"clientCertificateData": "admin.crt", "clientKeyData": "admin.key"}


@pytest.mark.parametrize("server", [None, "https://127.0.0.1:1", "https://gke-456.us-central1.gke.goog"])
def test_other_callers_get_an_invalid_token(monkeypatch, capsys, server: str | None) -> None:
    assert login(monkeypatch, capsys, server)["status"] == {"token": "ya29.sandbox"}


def test_a_closed_dns_endpoint_finds_no_cluster() -> None:
    assert plane_at(NAME) is not None
    open_name(False)
    assert plane_at(NAME) is None


def test_dynamic_resources_reach_a_cluster_by_its_name(cluster: Path) -> None:
    """As ClusterCleanup does with the kubeconfig of a stack with a DNS endpoint."""
    found = json.loads(by_number(kubeconfig("yard", NAME, "")))
    assert found["clusters"][0]["cluster"]["server"] == NUMBER
    assert found["clusters"][0]["cluster"]["certificate-authority-data"]
    assert found["users"][0]["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"


def test_other_kubeconfigs_are_unchanged() -> None:
    elsewhere = kubeconfig("other", "https://203.0.113.7", "Q0E=")
    assert by_number(elsewhere) == elsewhere


def test_a_dns_endpoint_with_a_ca_is_refused_like_the_real_one() -> None:
    with pytest.raises(Refused, match="x509"):
        by_number(kubeconfig("yard", NAME, "Q0E="))
