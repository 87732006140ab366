"""Deletion of a ClusterCleanup on a real control plane: load balancers and scratch volumes are deleted, data is
kept."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.cleanup import cluster_contents
from components.cleanup import component as cleanup
from components.cleanup.cluster_api import Api as OfficialApi
from components.gcp import control_plane
from sandbox import environment
from sandbox.cluster.api import Api, Object
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.tests.cluster.conftest import Pods, wait
from sandbox.tests.cluster.fake_balancers import FakeBalancers
from sandbox.tests.cluster.objects import eks_kubeconfig
from sandbox.tests.cluster.test_load_balancers import address, service
from sandbox.tests.cluster.test_volumes import CLASSES, claim, using, volume_of

VOLUMES = "/api/v1/persistentvolumes"


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cluster_contents, "PATIENCE", 0.5)
    monkeypatch.setattr(cluster_contents, "PAUSE", 0.2)
    monkeypatch.delenv(cleanup.SKIP, raising=False)
    yield
    sys.__dict__.pop("tracebacklimit", None)


@pytest.fixture
def classes(api: Api) -> Iterator[None]:
    """The library's block classes."""
    made = {"block": "Delete", "block-fast": "Retain"}
    for name, reclaim in made.items():
        spec = {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": reclaim}
        api.create(CLASSES, {"metadata": {"name": name}, **spec})
    yield
    for name in made:
        api.delete(f"{CLASSES}/{name}")


@pytest.fixture
def kubeconfig(plane: ControlPlane) -> str:
    return plane.kubeconfig.read_text()


def destroy(kubeconfig: str, **props: object) -> None:
    """Deletes the resource as the engine does."""
    given = {"kubeconfig": kubeconfig, "enabled": True, "minutes": 1.0, **props}
    cleanup._Provider().delete("cluster-contents", given)


def stateful_set(api: Api, namespace: str, storage_class: str) -> str:
    """A StatefulSet of one pod with a claim, such as a database; returns the claim's path."""
    labels, mount = {"app": "db"}, {"name": "data", "mountPath": "/data"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": "a", "volumeMounts": [mount]}]},
    }
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    spec = {
        "serviceName": "db",
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": template,
        "volumeClaimTemplates": [
            {"metadata": {"name": "data"}, "spec": {"storageClassName": storage_class, **wanted}},
        ],
    }
    api.create(f"/apis/apps/v1/namespaces/{namespace}/statefulsets", {"metadata": {"name": "db"}, "spec": spec})
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data-db-0"


def test_load_balancers_and_volumes_are_deleted_and_not_recreated(
    api: Api,
    controllers: Controller,
    balancers: FakeBalancers,
    pods: Pods,
    classes: None,
    kubeconfig: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Claims are deleted even if a controller recreates them."""
    web = service(api, pods.namespace)
    address(api, web)
    database = stateful_set(api, pods.namespace, "block")
    pods.running("db-0")
    scratch = claim(api, pods.namespace, "scratch", "block", "ReadWriteOnce")
    pods.make("user", using("scratch"))
    pods.running("user")
    to_delete = {volume_of(api, path)["metadata"]["name"] for path in (database, scratch)}

    destroy(kubeconfig)

    assert balancers.made == {} and api.get(web) is None
    assert not to_delete & {volume["metadata"]["name"] for volume in api.list(VOLUMES)}
    time.sleep(3)
    assert api.get(database) is None and api.get(scratch) is None
    output = capfd.readouterr().out
    assert f"Service {pods.namespace}/web" in output and f"claim {pods.namespace}/data-db-0" in output
    api.delete(f"/apis/apps/v1/namespaces/{pods.namespace}/statefulsets/db")


def test_a_retained_volume_is_kept_and_named(
    api: Api,
    controllers: Controller,
    pods: Pods,
    classes: None,
    kubeconfig: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The policy of the volume itself decides; it may differ from that of its class."""
    paths = [claim(api, pods.namespace, name, "block-fast", "ReadWriteOnce") for name in ("dataset", "changed")]
    for name in ("dataset", "changed"):
        pods.make(name, using(name))
        pods.running(name)
    kept, changed = (volume_of(api, path) for path in paths)
    api.patch(f"{VOLUMES}/{changed['metadata']['name']}", {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})

    destroy(kubeconfig)

    assert [volume["metadata"]["name"] for volume in api.list(VOLUMES)] == [kept["metadata"]["name"]]
    assert pods.get("dataset") and not pods.get("changed"), "a pod goes only for the sake of its volume"
    output = capfd.readouterr().out
    line = next(line for line in output.splitlines() if kept["spec"]["csi"]["volumeHandle"] in line)
    assert "500Gi, ebs.csi.aws.com" in line and f"claim {pods.namespace}/dataset" in line
    assert "kept" in output.split(line)[0]
    api.delete(f"{pods.path}/dataset")
    api.delete(paths[0])
    api.delete(f"{VOLUMES}/{kept['metadata']['name']}")


def test_volumes_that_no_driver_made_are_left_alone(
    api: Api, controllers: Controller, pods: Pods, kubeconfig: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file system or a bucket with a manually created volume, whatever its reclaim policy."""
    source = {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-0123"}
    reference = {"namespace": pods.namespace, "name": "lustre"}
    spec: Object = {
        "capacity": {"storage": "1200Gi"},
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Delete",
        "storageClassName": "",
        "csi": source,
    }
    api.create(VOLUMES, {"metadata": {"name": "lustre"}, "spec": {**spec, "claimRef": reference}})
    own = claim(api, pods.namespace, "lustre", "", "ReadWriteMany")
    volume_of(api, own)
    destroy(kubeconfig)
    assert api.get(f"{VOLUMES}/lustre") and api.get(own)
    assert "fs-0123" in capfd.readouterr().out
    api.delete(own)
    api.delete(f"{VOLUMES}/lustre")


def test_an_object_that_is_not_deleted_in_time_stops_the_destroy_with_its_name(
    api: Api, controllers: Controller, namespace: str, kubeconfig: str
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    rule = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    stuck = {"name": "stuck", "finalizers": ["ingress.k8s.aws/resources"]}
    api.create(path, {"metadata": stuck, "spec": rule})
    with pytest.raises(cleanup.ClusterNotEmptyError) as error:
        destroy(kubeconfig, minutes=0.02)
    message = str(error.value)
    assert f"Ingress {namespace}/stuck" in message
    assert "pulumi destroy" in message and cleanup.SKIP in message
    api.patch(f"{path}/stuck", {"metadata": {"finalizers": []}})
    wait(lambda: api.get(f"{path}/stuck") is None, "the end of the ingress")
    destroy(kubeconfig)


def test_an_ingress_without_a_load_balancer_is_left_alone(
    api: Api, controllers: Controller, namespace: str, kubeconfig: str
) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    rule = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    api.create(path, {"metadata": {"name": "nginx"}, "spec": rule})
    destroy(kubeconfig)
    assert api.get(f"{path}/nginx")


def test_disabled_cleanup_deletes_nothing(
    api: Api,
    controllers: Controller,
    balancers: FakeBalancers,
    namespace: str,
    kubeconfig: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = service(api, namespace)
    address(api, path)
    destroy(kubeconfig, enabled=False)
    monkeypatch.setenv(cleanup.SKIP, "1")
    destroy(kubeconfig)
    assert len(balancers.made) == 1 and not api.request("GET", path)["metadata"].get("deletionTimestamp")
    api.delete(path)
    wait(lambda: api.get(path) is None, "the end of the Service")


def test_an_unreachable_server_does_not_stop_the_destroy(
    plane: ControlPlane, capfd: pytest.CaptureFixture[str]
) -> None:
    """The cluster is already deleted, or this machine cannot reach it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed_port = f"https://127.0.0.1:{free.getsockname()[1]}"
    for server in (closed_port, "https://gone.invalid"):
        destroy(plane.kubeconfig.read_text().replace(plane.endpoint, server))
        output = capfd.readouterr().out
        assert output.startswith("warning: the cluster's API server cannot be reached"), output
        assert len(output.splitlines()) == 1


def test_denied_access_is_reported_with_the_reason(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a login nothing can be deleted, and continuing would leave everything in the cloud."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cleanup.ClusterNotEmptyError, match="there is no aws on PATH"):
        destroy(eks_kubeconfig(plane))
    (tmp_path / "aws").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "aws").chmod(0o755)
    with pytest.raises(cleanup.ClusterNotEmptyError, match="gave no credentials"):
        destroy(eks_kubeconfig(plane))
    token = {"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "x"}}
    (tmp_path / "aws").write_text(f"#!/bin/sh\necho '{json.dumps(token)}'\n")
    with pytest.raises(cleanup.ClusterNotEmptyError, match="cannot be deleted: it answers Unauthorized"):
        destroy(eks_kubeconfig(plane))


def test_the_sandboxs_aws_logs_in_with_a_real_kubeconfig(
    plane: ControlPlane, sandbox_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the kubeconfig of the stack, the official client runs `aws eks get-token`."""
    tools = dict.fromkeys(("pulumi", "pulumi-language-python", "helm"), Path("/bin/true"))
    environment.link(tools)
    monkeypatch.setenv("PATH", f"{sandbox_home}/bin:/usr/bin:/bin")
    found = OfficialApi(eks_kubeconfig(plane)).list("/api/v1/namespaces")
    assert "kube-system" in {each["metadata"]["name"] for each in found}


def test_the_sandboxs_gke_plugin_logs_in_with_a_real_kubeconfig(
    plane: ControlPlane, sandbox_home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the kubeconfig of a stack on GKE: the plugin gets the cluster's name, because its own token is valid for all
    clusters."""
    tools = dict.fromkeys(("pulumi", "pulumi-language-python", "helm"), Path("/bin/true"))
    environment.link(tools)
    monkeypatch.setenv("PATH", f"{sandbox_home}/bin:/usr/bin:/bin")
    found = OfficialApi(control_plane.kubeconfig("yard", plane.endpoint, plane.ca_data)).list("/api/v1/namespaces")
    assert "kube-system" in {each["metadata"]["name"] for each in found}
