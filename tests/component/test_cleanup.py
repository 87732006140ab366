"""ClusterCleanup: a resource that acts only when it is deleted, and is never deleted by accident."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import dill
import pulumi
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from components.cleanup import cluster_contents
from components.cleanup import component as cleanup
from components.cleanup.component import ClusterCleanup
from components.gcp import control_plane
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record
from tests.config.test_errors import changed

CONTENTS = "pulumi-python:dynamic/gpuyard:ClusterContents"
STATE = {"kubeconfig": "{}", "enabled": True, "minutes": 10.0, "__provider": "x"}


def made(**args: Any) -> Recording:
    """A recorded ClusterCleanup."""
    return run(lambda: ClusterCleanup("cleanup", {"kubeconfig": "{}", **args}))  # type: ignore[typeddict-item]


def test_the_kubeconfig_is_secret_and_the_code_reference_is_not() -> None:
    """Also if the caller's kubeconfig is not a secret, because it allows deleting everything."""
    contents = made().one(CONTENTS)
    assert contents.secrets == {"kubeconfig"}
    assert "kubeconfig" in contents.options["additionalSecretOutputs"]
    assert contents.inputs["enabled"] is True and contents.inputs["minutes"] == 10


def test_the_cleanup_is_protected_like_the_cluster() -> None:
    assert made().one(CONTENTS).options["protect"] is True
    assert not made(deletion_protection=False).one(CONTENTS).options.get("protect")


def test_disabling_the_cleanup_keeps_the_resource() -> None:
    """Removing the resource would delete the contents of the cluster."""
    assert made(enabled=False).one(CONTENTS).inputs["enabled"] is False


def test_the_cleanup_is_never_replaced() -> None:
    """A replacement would delete the contents of a running cluster."""
    provider = cleanup._Provider()
    assert provider.diff("id", STATE, STATE).changes is False
    for key, value in {"kubeconfig": "{1}", "enabled": False, "minutes": 20.0}.items():
        found = provider.diff("id", STATE, {**STATE, key: value})
        assert (found.changes, found.replaces) == (True, [])
    assert provider.diff("id", STATE, {**STATE, "__provider": "another Python's"}).changes is False
    assert provider.update("id", STATE, {**STATE, "minutes": 20.0}).outs == {**STATE, "minutes": 20.0}


def test_kept_file_systems_are_checked_only_on_gke_with_a_new_network() -> None:
    """field case G8: Filestore is peered with the VPC and blocks its deletion; EFS and disks do not."""
    assert made(network_drivers=["files"]).one(CONTENTS).inputs["network_drivers"] == ["files"]
    assert "network_drivers" not in made().one(CONTENTS).inputs, "an existing environment has no change"
    on_gke = record(changed("dev-gke", {}), "dev-gke").one(CONTENTS).inputs
    assert on_gke["network_drivers"] == ["filestore.csi.storage.gke.io"]
    assert "network_drivers" not in record(changed("dev", {}), "dev").one(CONTENTS).inputs


class Cluster:
    """An API server with these volumes, which records deletions."""

    def __init__(self, *volumes: dict[str, Any]) -> None:
        self.volumes = list(volumes)
        self.deleted: list[str] = []

    def list(self, path: str) -> list[dict[str, Any]]:
        return self.volumes if path.endswith("/persistentvolumes") else []

    def delete(self, path: str) -> None:
        self.deleted.append(path)


def volume(reclaim: str, driver: str = "filestore.csi.storage.gke.io", made_by: str = "") -> dict[str, Any]:
    annotations = {"pv.kubernetes.io/provisioned-by": made_by or driver} if made_by != "unknown" else {}
    handle = "modeInstance/us-central1-a/pvc-1/vol1"
    return {
        "metadata": {"name": "pvc-1", "annotations": annotations},
        "spec": {"persistentVolumeReclaimPolicy": reclaim, "csi": {"driver": driver, "volumeHandle": handle}},
    }


def test_a_retained_file_system_in_the_network_stops_the_destroy_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """field case G8: it stops before anything is deleted, and names both alternatives."""
    there = Cluster(volume("Retain"))
    monkeypatch.setattr("components.cleanup.cluster_api.Api", lambda kubeconfig: there)
    with pytest.raises(cleanup.ClusterNotEmptyError) as refused:
        cleanup._empty("{}", 1, ["filestore.csi.storage.gke.io"])
    text = str(refused.value)
    assert "volume pvc-1" in text and "modeInstance/us-central1-a/pvc-1/vol1" in text and "Nothing was deleted" in text
    assert "persistentVolumeReclaimPolicy" in text and "pulumi state protect URN" in text
    assert there.deleted == []


@pytest.mark.parametrize(
    ("found", "drivers"),
    [
        (volume("Retain"), []),
        (volume("Retain", "pd.csi.storage.gke.io"), ["filestore.csi.storage.gke.io"]),
        (volume("Retain", made_by="unknown"), ["filestore.csi.storage.gke.io"]),
    ],
)
def test_retained_volumes_that_block_nothing_do_not_stop_the_destroy(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], drivers: list[str]
) -> None:
    """field case G8: an existing VPC, a disk, and the instance that the program itself creates and deletes."""
    there = Cluster(found)
    monkeypatch.setattr("components.cleanup.cluster_api.Api", lambda kubeconfig: there)
    cleanup._empty("{}", 1, drivers)
    assert there.deleted == []


def test_state_holds_a_reference_to_the_code_and_not_the_code() -> None:
    """A destroy runs the code of the checkout, so a fix does not require an `up` first."""
    pickled = base64.b64decode(serialize_provider(cleanup._Provider()))
    assert len(pickled) < 200 and b"components.cleanup.component" in pickled
    assert type(dill.loads(pickled)) is cleanup._Provider


def test_up_and_preview_do_not_call_the_cluster() -> None:
    """The cluster may not exist yet."""
    found = cleanup._Provider().create({**STATE, "kubeconfig": "no kubeconfig at all"})
    assert found.id and found.outs == {**STATE, "kubeconfig": "no kubeconfig at all"}


@pytest.mark.parametrize("minutes", [0, 61])
def test_a_destroy_has_a_deadline(minutes: int) -> None:
    with pytest.raises(pulumi.RunError, match="minutes"):
        made(minutes=minutes)


def test_a_missing_login_command_is_reported_with_its_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On GKE gke-gcloud-auth-plugin, with the hint in the kubeconfig."""
    monkeypatch.setenv("PATH", str(tmp_path))
    kubeconfig = control_plane.kubeconfig("yard", "https://127.0.0.1:1", "Q0E=")
    with pytest.raises(cleanup.ClusterNotEmptyError, match="there is no gke-gcloud-auth-plugin on PATH") as error:
        cleanup._Provider().delete("id", {**STATE, "kubeconfig": kubeconfig})
    assert "gcloud components install gke-gcloud-auth-plugin" in str(error.value)
    sys.__dict__.pop("tracebacklimit", None)


class Quotas:
    """An API server that supports only resource quotas."""

    def __init__(self, **present: dict[str, str]) -> None:
        self.hard = dict(present)

    def list(self, path: str) -> list[dict[str, Any]]:
        return [
            {
                "metadata": {"namespace": namespace, "name": cluster_contents.QUOTA},
                "spec": {"hard": hard},
                "status": {"hard": hard},
            }
            for namespace, hard in self.hard.items()
        ]

    def create(self, path: str, body: dict[str, Any]) -> None:
        self.hard.setdefault(path.split("/")[4], body["spec"]["hard"])  # one of that name may exist

    def delete(self, path: str) -> None:
        del self.hard[path.split("/")[4]]


def test_an_existing_quota_with_the_cleanups_name_is_replaced() -> None:
    """Otherwise objects that are still created would delay a destroy."""
    api, closed = Quotas(research={"persistentvolumeclaims": "100"}, other={"pods": "3"}), set()
    cluster_contents._close(api, ["research", "training"], closed)  # type: ignore[arg-type]
    nothing = {"persistentvolumeclaims": "0", "services.loadbalancers": "0"}
    assert api.hard == {"research": nothing, "training": nothing, "other": {"pods": "3"}}
    assert closed == {"research", "training"}


def test_a_state_of_the_first_version_loads_the_cleanup() -> None:
    """The state has a reference to the class's former module, and a destroy without an `up` before it loads that
    module."""
    reference = b"ccomponents.addons.cleanup\n_Provider\n."
    assert dill.loads(reference) is cleanup._Provider
