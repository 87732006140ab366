"""What a program gets of the pod that it runs for: arguments, variables, files, and where it listens."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from sandbox.controllers import listening
from sandbox.controllers.container import Container
from sandbox.controllers.programs import FILTER, PROGRAMS, deployment_of, program_of

KUEUE, JOBSET = PROGRAMS[:2]


class FakeApi:
    """An API server with a ConfigMap, a Secret, and tokens. `calls`: what was posted."""

    endpoint = "https://127.0.0.1:1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict]] = []
        settings = {"webhook": {"port": 9443}, "leaderElection": {"leaderElect": True}, "fairSharing": {}}
        self.objects = {
            "/api/v1/namespaces/team/configmaps/settings": {"data": {"manager.yaml": yaml.safe_dump(settings)}},
            "/api/v1/namespaces/team/secrets/cert": {"data": {"tls.crt": base64.b64encode(b"certificate").decode()}},
        }

    def get(self, path: str) -> dict | None:
        return self.objects.get(path)

    def request(self, method: str, path: str, body: dict) -> dict:
        self.calls.append((path, body))
        return {"status": {"token": f"token {len(self.calls)}"}}


def pod(image: str = "mirror.example.com/a/kueue/kueue:v1", **labels: str) -> dict:
    container = {
        "name": "manager",
        "image": image,
        "args": ["--config=/manager.yaml", "--name=$(POD)", "--not=$(ABSENT)"],
        "env": [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "cert", "key": "tls.crt"}}},
            {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "x", "optional": True}}},
        ],
        "volumeMounts": [
            {"name": "settings", "mountPath": "/manager.yaml", "subPath": "manager.yaml"},
            {"name": "cert", "mountPath": listening.CERTIFICATES},
        ],
    }
    volumes = [
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "cert", "secret": {"secretName": "cert"}},
    ]
    meta = {
        "name": "kueue-5d-x",
        "namespace": "team",
        "uid": "u",
        "labels": labels or {"pod-template-hash": "5d"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "kueue-5d"}],
    }
    return {"metadata": meta, "spec": {"containers": [container], "volumes": volumes, "serviceAccountName": "manager"}}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    (tmp_path / "pods").mkdir()
    (tmp_path / "ca.crt").write_text("authority")
    found = pod()
    made = Container(FakeApi(), found, found["spec"]["containers"][0], tmp_path / "pods" / "team.kueue")  # type: ignore[arg-type]
    made.prepare(tmp_path / "ca.crt")
    return made


@pytest.mark.parametrize(
    ("image", "tool"),
    [
        ("registry.k8s.io/kueue/kueue:v0.19.2", "kueue"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/k8s/jobset/jobset@sha256:1", "jobset"),
        ("kueue/kueue", "kueue"),
        ("registry.k8s.io/kueue/kueue-viz:v1", ""),
        ("example.org/notkueue/kueue:v1", ""),
    ],
)
def test_a_pod_is_recognized_by_the_path_of_its_image(image: str, tool: str) -> None:
    found = program_of(pod(image))
    assert (found[0].tool if found else "") == tool
    assert deployment_of(pod(image)) == "kueue"


def test_a_pod_of_no_deployment_is_only_simulated() -> None:
    assert program_of(pod(app="kueue")) is None
    assert 'pod-template-hash"] != null' in FILTER


def test_arguments_and_variables_are_those_of_the_container(container: Container) -> None:
    config = container.folder / "volumes" / "settings" / "manager.yaml"
    assert container.arguments() == [f"--config={config}", "--name=kueue-5d-x", "--not=$(ABSENT)"]
    assert container.environment() == {"POD": "kueue-5d-x", "KEY": "certificate"}


def test_a_path_here_is_not_replaced_again(container: Container) -> None:
    temporary = container.folder / "volumes" / "temporary"  # the folder is below /tmp as well
    container.mounts |= {"/tmp": temporary, "/tmp/deep": container.folder}
    config = container.folder / "volumes" / "settings" / "manager.yaml"
    assert container.here("--config=/manager.yaml,/tmp/x") == f"--config={config},{temporary}/x"
    assert container.here("/tmp/deep/y") == f"{container.folder}/y"


def test_volumes_follow_the_cluster_and_only_their_owner_can_read_them(container: Container) -> None:
    file = container.folder / "volumes" / "cert" / "tls.crt"
    assert file.read_bytes() == b"certificate"
    path = "/api/v1/namespaces/team/secrets/cert"
    container.api.objects[path] = {"data": {"tls.crt": base64.b64encode(b"renewed").decode()}}  # type: ignore[attr-defined]
    container.sync_volumes()
    root = container.folder / "root"
    assert file.read_bytes() == (root / listening.CERTIFICATES[1:] / "tls.crt").read_bytes() == b"renewed"
    assert (root / "var/run/secrets/kubernetes.io/serviceaccount/namespace").read_text() == "team"
    assert {each.stat().st_mode & 0o077 for each in (container.folder, *container.folder.rglob("*"))} == {0}


def test_the_token_is_its_accounts_and_bound_to_the_pod(container: Container) -> None:
    ((path, body),) = container.api.calls  # type: ignore[attr-defined]
    assert path == "/api/v1/namespaces/team/serviceaccounts/manager/token"
    assert body["spec"]["boundObjectRef"] == {"kind": "Pod", "apiVersion": "v1", "name": "kueue-5d-x", "uid": "u"}
    container.renew_token()
    assert (container.folder / "token").read_text() == "token 2"
    (user,) = yaml.safe_load(container.kubeconfig.read_text())["users"]
    assert user["user"] == {"tokenFile": str(container.folder / "token")}


def test_its_configuration_is_the_charts_except_for_where_it_runs(container: Container) -> None:
    ports = {8081: 1, 8082: 2, 8443: 3, 9443: 4}
    *_, config, kubeconfig = listening.arguments(KUEUE, container, ports, lambda host, port: 0)
    assert kubeconfig == f"--kubeconfig={container.kubeconfig}"
    assert yaml.safe_load(Path(config.removeprefix("--config=")).read_text()) == {
        "fairSharing": {},
        "health": {"healthProbeBindAddress": "127.0.0.1:1"},
        "leaderElection": {"leaderElect": False},
        "metrics": {"bindAddress": "127.0.0.1:3"},
        "namespace": "team",
        "visibilityServer": {"bindAddress": "127.0.0.1", "bindPort": 2},
        "webhook": {"certDir": str(container.folder / "volumes" / "cert"), "host": "127.0.0.1", "port": 4},
    }
    assert {"namespace", "visibilityServer"}.isdisjoint(listening.configuration(JOBSET, {}, container, ports))
