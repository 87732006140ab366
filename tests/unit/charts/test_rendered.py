"""Charts are fetched once, rendered once, and refused with one clear error."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import versions
from components.charts import helm, rendered
from components.charts.rendered import Request
from tests.unit.charts import fake_helm

MANIFEST = """
# a comment only
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {operator: =}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ServiceAccount
  metadata: {name: listed}
"""
HOOK = """
apiVersion: batch/v1
kind: Job
metadata: {name: download, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
"""
PACKAGE = f"sha256:{hashlib.sha256(b'package').hexdigest()}"
ARGO: Any = versions.Chart("argo-workflows", "https://argoproj.github.io/argo-helm", "1.0.18", "2026-08", ())


def request(**changes: Any) -> Request:
    return Request(**{"chart": versions.KUEUE, "namespace": "kueue-system", "values": {}, **changes})


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def test_a_chart_is_fetched_and_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helm = fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    first = rendered.objects(request())
    assert names(first) == ["settings", "listed"]
    assert first[0]["data"] == {"operator": "="}
    first.clear()
    assert names(rendered.objects(request())) == ["settings", "listed"], "a caller may change what it gets"
    rendered._memory.clear()  # another program
    assert names(rendered.objects(request())) == ["settings", "listed"]
    assert len(helm.calls("pull")) == len(helm.calls("template")) == 1
    rendered.objects(request(values={"replicas": 2}))
    assert (len(helm.calls("pull")), len(helm.calls("template"))) == (1, 2)


def test_helm_gets_the_chart_by_its_address_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helm = fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    digest = f"sha256:{'0' * 64}"
    rendered.objects(request(charts={"digests": {"kueue": digest}}))
    rendered.objects(request(charts={"mirror": "oci://registry.example.com/charts"}))
    rendered.objects(request(chart=ARGO))
    rendered.objects(request(chart=ARGO, charts={"mirror": "https://charts.example.com"}))
    asked = [call.partition(" --destination")[0] for call in helm.calls("pull")]
    assert asked == [
        f"pull {versions.KUEUE.repository}@{digest} --version 0.19.2",
        "pull oci://registry.example.com/charts/kueue --version 0.19.2",
        "pull argo-workflows --repo https://argoproj.github.io/argo-helm --version 1.0.18",
        "pull argo-workflows --repo https://charts.example.com --version 1.0.18",
    ]
    options = helm.calls("template")[0]
    assert "--include-crds" in options and "--namespace kueue-system" in options
    assert f"--kube-version {versions.EKS_VERSION}" in options


def test_images_are_those_that_the_library_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart in a source repository names images of a development registry."""
    show = 'for f in "$@"; do case "$f" in *.json) cp "$f" "$XDG_CACHE_HOME/values";; esac; done'
    fake_helm.install(tmp_path, monkeypatch, template=show)
    (tmp_path / "cache").mkdir()
    rendered.objects(request(values={"controllerManager": {"replicas": 2}}))
    values = (tmp_path / "cache" / "values").read_text()
    assert '"repository": "registry.k8s.io/kueue/kueue", "tag": "v0.19.2"' in values
    assert '"replicas": 2' in values


def test_the_cache_is_the_users_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    rendered.objects(request())
    root = tmp_path / "cache" / "gpuyard" / "charts"
    for path in [root, *root.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_a_package_with_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an https repository as well, whose packages Helm does not compare."""
    fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    assert rendered.objects(request(chart=ARGO, charts={"digests": {"argo-workflows": PACKAGE}}))
    other = f"sha256:{'1' * 64}"
    with pytest.raises(pulumi.RunError) as error:
        rendered.objects(request(chart=ARGO, charts={"digests": {"argo-workflows": other}}))
    assert f"its package is another one: {PACKAGE}, not {other}" in str(error.value)


def test_a_chart_of_a_folder_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helm = fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    mirror = tmp_path / "charts"
    (mirror / "kueue").mkdir(parents=True)
    (mirror / "kueue" / "Chart.yaml").write_text("name: kueue")
    assert rendered.objects(request(charts={"mirror": str(mirror)}))
    (mirror / "kueue" / "Chart.yaml").write_text("name: kueue # changed")
    assert rendered.objects(request(charts={"mirror": str(mirror)}))
    assert not helm.calls("pull") and len(helm.calls("template")) == 2, "a changed chart is rendered again"


def test_a_hook_is_refused_and_a_test_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argo's and Trainer's hooks download programs from inside the cluster."""
    fake_helm.install(tmp_path, monkeypatch, HOOK)
    with pytest.raises(pulumi.RunError, match=r"chart kueue 0.19.2: Job download is a Helm hook \(pre-install"):
        rendered.objects(request())
    fake_helm.install(tmp_path, monkeypatch, HOOK.replace("pre-install,pre-upgrade", "test"))
    rendered._memory.clear()
    assert rendered.objects(request(values={"x": 1})) == []


@pytest.mark.parametrize(
    ("version", "error"),
    [("", "there is no helm on PATH"), ("v3.12.3", "is helm 3.12; 3.13 or later is needed")],
)
def test_a_missing_or_old_helm_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, error: str
) -> None:
    fake_helm.install(tmp_path, monkeypatch, MANIFEST, version)
    if not version:
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pulumi.RunError, match=error) as raised:
        rendered.objects(request())
    assert "fix: install it from https://helm.sh" in str(raised.value)


def test_a_chart_that_cannot_be_fetched_names_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_helm.install(tmp_path, monkeypatch, pull='echo "Error: lookup registry.k8s.io: no such host" >&2; exit 1')
    with pytest.raises(pulumi.RunError) as error:
        rendered.objects(request())
    text = str(error.value)
    assert "chart kueue 0.19.2: `helm pull oci://registry.k8s.io/kueue/charts/kueue` failed: lookup" in text
    assert "set `charts.mirror` to a source that has kueue 0.19.2" in text


def test_what_helm_says_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_helm.install(tmp_path, monkeypatch, template='echo "Error: parse error at values" >&2; exit 1')
    with pytest.raises(pulumi.RunError) as raised:
        rendered.objects(request())
    error, fix = str(raised.value).split("\n")
    assert error == "chart kueue 0.19.2: `helm template kueue` failed: parse error at values"
    assert fix.startswith("    fix: check the component's arguments") and "the published kueue 0.19.2" in fix
    assert fix.endswith("kueue-0.19.2.tgz")


@pytest.mark.parametrize(
    ("slow", "call", "fix"),
    [
        ("template", "helm template kueue", "check the load of this machine, and run again"),
        ("pull", "helm pull oci://registry.k8s.io/kueue/charts/kueue", "if this machine cannot reach oci://registry"),
    ],
)
def test_a_call_that_does_not_end_has_the_fix_of_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str, call: str, fix: str
) -> None:
    """Only the fetch needs a network."""
    given: Any = {slow: "exec sleep 30"}
    fake_helm.install(tmp_path, monkeypatch, MANIFEST, **given)
    monkeypatch.setattr(helm, "_SECONDS", 1)
    with pytest.raises(pulumi.RunError) as raised:
        rendered.objects(request())
    first, *rest = str(raised.value).split("\n")
    assert first == f"chart kueue 0.19.2: `{call}` did not end within 1 seconds."
    assert len(rest) == 1 and rest[0].startswith(f"    fix: {fix}")


def test_old_results_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_helm.install(tmp_path, monkeypatch, MANIFEST)
    monkeypatch.setattr(rendered, "_KEPT", 2)
    for replicas in range(4):
        rendered.objects(request(values={"replicas": replicas}))
    assert len(os.listdir(tmp_path / "cache" / "gpuyard" / "charts" / "rendered")) == 2
