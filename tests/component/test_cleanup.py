"""ClusterCleanup: a resource that does nothing but in its delete, and never by accident."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import dill
import pulumi
import pytest
from pulumi.dynamic.dynamic import serialize_provider

from components.addons import cleanup
from components.addons.cleanup import ClusterCleanup
from components.gcp import control_plane
from tests.recorder import run
from tests.recording import Recording

CONTENTS = "pulumi-python:dynamic/gpuyard:ClusterContents"
STATE = {"kubeconfig": "{}", "enabled": True, "minutes": 10.0, "__provider": "x"}


def made(**args: Any) -> Recording:
    """A recorded ClusterCleanup."""
    return run(lambda: ClusterCleanup("cleanup", {"kubeconfig": "{}", **args}))  # type: ignore[typeddict-item]


def test_the_kubeconfig_is_secret_and_the_reference_to_the_code_is_none() -> None:
    """Also when the caller's kubeconfig is not: whoever has it may delete everything."""
    contents = made().one(CONTENTS)
    assert contents.secrets == {"kubeconfig"}
    assert "kubeconfig" in contents.options["additionalSecretOutputs"]
    assert contents.inputs["enabled"] is True and contents.inputs["minutes"] == 10


def test_it_is_protected_like_the_cluster_whose_contents_it_deletes() -> None:
    assert made().one(CONTENTS).options["protect"] is True
    assert not made(deletion_protection=False).one(CONTENTS).options.get("protect")


def test_switching_it_off_keeps_the_resource() -> None:
    """Its removal would be its work."""
    assert made(enabled=False).one(CONTENTS).inputs["enabled"] is False


def test_no_change_of_it_is_a_replacement() -> None:
    """Whose second half would empty a cluster that runs."""
    provider = cleanup._Provider()
    assert provider.diff("id", STATE, STATE).changes is False
    for key, value in {"kubeconfig": "{1}", "enabled": False, "minutes": 20.0}.items():
        found = provider.diff("id", STATE, {**STATE, key: value})
        assert (found.changes, found.replaces) == (True, [])
    assert provider.diff("id", STATE, {**STATE, "__provider": "another Python's"}).changes is False
    assert provider.update("id", STATE, {**STATE, "minutes": 20.0}).outs == {**STATE, "minutes": 20.0}


def test_state_holds_a_reference_to_the_code_and_not_the_code() -> None:
    """A destroy runs what is checked out, so a fix needs no `up` first."""
    pickled = base64.b64decode(serialize_provider(cleanup._Provider()))
    assert len(pickled) < 200 and b"components.addons.cleanup" in pickled
    assert type(dill.loads(pickled)) is cleanup._Provider


def test_up_and_preview_ask_the_cluster_nothing() -> None:
    """It may not even exist yet."""
    found = cleanup._Provider().create({**STATE, "kubeconfig": "no kubeconfig at all"})
    assert found.id and found.outs == {**STATE, "kubeconfig": "no kubeconfig at all"}


@pytest.mark.parametrize("minutes", [0, 61])
def test_a_destroy_has_a_sensible_deadline(minutes: int) -> None:
    with pytest.raises(pulumi.RunError, match="minutes"):
        made(minutes=minutes)


def test_a_missing_login_command_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On GKE gke-gcloud-auth-plugin, as the kubeconfig itself says."""
    monkeypatch.setenv("PATH", str(tmp_path))
    kubeconfig = control_plane.kubeconfig("yard", "https://127.0.0.1:1", "Q0E=")
    with pytest.raises(cleanup.NotEmpty, match="there is no gke-gcloud-auth-plugin on PATH") as error:
        cleanup._Provider().delete("id", {**STATE, "kubeconfig": kubeconfig})
    assert "gcloud components install gke-gcloud-auth-plugin" in str(error.value)
    sys.__dict__.pop("tracebacklimit", None)
