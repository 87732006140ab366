"""Finding charts: the reachability check, and the names of stand-ins."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.plugins import chart, helm, stand_in
from sandbox.plugins.chart import Chart
from sandbox.plugins.provider import ProviderError


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server without any content, and its received requests."""
    asked: list[str] = []

    class Nothing(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(503 if "gateway" in self.path else 404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_any_answer_means_reachable_except_a_gateway_error(server) -> None:
    url, _ = server
    assert chart._probe(f"{url}/charts") == ""
    assert "503" in chart._probe(f"{url}/gateway")


def test_a_closed_port_and_an_unknown_host_have_different_errors() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert chart._probe(f"http://127.0.0.1:{port}") == f"127.0.0.1:{port}: Connection refused"
    assert chart._probe("https://charts.invalid").startswith("charts.invalid: ")
    assert chart._probe("oci://charts.invalid/x").startswith("charts.invalid: ")


def test_a_server_that_never_answers_times_out_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "REACH_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert chart._probe(f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        assert time.monotonic() - began < 3


def test_concurrent_releases_check_a_repository_once(server) -> None:
    url, asked = server
    reachability = chart._Reachability()
    threads = [threading.Thread(target=reachability.reason, args=(url,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["/index.yaml"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"chart": "./missing"}, "the file or folder does not exist$"),
        ({"chart": "missing.tgz"}, "the file or folder does not exist$"),
        ({"chart": "nginx"}, "repositoryOpts.repo is not set"),
    ],
)
def test_a_chart_that_does_not_exist_is_an_error_and_gets_no_stand_in(inputs: dict, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        chart.locate(inputs)


def test_a_stand_in_is_cached_and_has_a_one_line_warning() -> None:
    inputs = {"chart": "dcgm-exporter", "version": "4.8.2", "repositoryOpts": {"repo": "http://127.0.0.1:9"}}
    found = chart.locate(inputs)
    assert (found.name, found.version, found) == ("dcgm-exporter", "4.8.2", chart.locate(inputs))
    assert "appVersion: stand-in" in (found.path / "Chart.yaml").read_text()
    assert "\n" not in found.warning and "127.0.0.1:9: Connection refused" in found.warning


def test_a_stand_in_that_helm_is_reading_is_replaced_and_not_overwritten(tmp_path: Path) -> None:
    """Regression: of two clusters that installed one chart at once, one found an empty Chart.yaml."""
    (folder := tmp_path / "charts").mkdir()
    root = stand_in.write(folder, "kube-prometheus-stack", "1.0.0")
    files = [path for path in root.rglob("*") if path.is_file()]
    with contextlib.ExitStack() as reading:
        before = {path: reading.enter_context(path.open()) for path in files}
        stand_in.write(folder, "kube-prometheus-stack", "2.0.0")
        assert "version: 1.0.0" in before[root / "Chart.yaml"].read()
        assert all(os.fstat(file.fileno()).st_ino != path.stat().st_ino for path, file in before.items())
    assert [*root.parent.iterdir()] == [root]


def test_the_warning_names_what_is_missing() -> None:
    assert "schedules in the same way" in Chart("nvidia-device-plugin", "1.0.0", Path(), "", "why").warning
    assert "using only its CRDs" in Chart("kube-prometheus-stack", "1.0.0", Path(), "", "why").warning
    assert "using none of its objects" in Chart("kueue", "1.0.0", Path(), "", "why").warning


def test_a_chart_on_disk_is_read_without_helm(tmp_path: Path) -> None:
    root = tmp_path / "notes"
    root.mkdir()
    with pytest.raises(ProviderError, match="is not a chart"):
        chart.locate({"chart": str(root)})
    (root / "Chart.yaml").write_text('{name: notes, version: 1.2.3, appVersion: "4"}')
    with tarfile.open(tmp_path / "notes-1.2.3.tgz", "w:gz") as package:
        package.add(root, "notes")
    for path in (root, tmp_path / "notes-1.2.3.tgz"):
        assert chart.locate({"chart": str(path), "version": "1.2.3"}) == Chart("notes", "1.2.3", path, "4")
        with pytest.raises(ProviderError, match=r"is version 1\.2\.3, not 2\.0\.0"):
            chart.locate({"chart": str(path), "version": "2.0.0"})
    (tmp_path / "broken.tgz").write_text("no archive")
    with pytest.raises(ProviderError, match="is not a chart"):
        chart.locate({"chart": str(tmp_path / "broken.tgz")})


@pytest.mark.parametrize(
    ("asked", "given"),
    [("1.2.3", "1.2.3"), ("v0.5.30", "v0.5.30"), ("1.2.3-rc.1+b", "1.2.3-rc.1+b"), (">=1.2", "0.0.0"), ("", "0.0.0")],
)
def test_a_stand_in_has_a_version_that_helm_accepts(asked: str, given: str) -> None:
    assert stand_in.semver(asked) == given


@pytest.mark.parametrize(
    ("listed", "split"),
    [
        ("nvidia-device-plugin-0.20.0", ("nvidia-device-plugin", "0.20.0")),
        ("aws-efa-k8s-device-plugin-v0.5.30", ("aws-efa-k8s-device-plugin", "v0.5.30")),
        ("kueue-0.19.2-rc.1", ("kueue", "0.19.2-rc.1")),
        ("odd", ("odd", "")),
    ],
)
def test_the_charts_in_helm_list_are_parsed(listed: str, split: tuple[str, str]) -> None:
    assert helm._split_chart(listed) == split


def test_the_last_lines_of_helms_stderr() -> None:
    output = "WARNING: Kubernetes configuration file is group-readable.\nError: INSTALLATION FAILED: no\n"
    assert chart.trouble(output) == "INSTALLATION FAILED: no"
    assert chart.trouble("") == "helm failed without a message"


def test_a_manifest_is_parsed_as_kubernetes_parses_it() -> None:
    """field case C1: a lone `=`, as in the Prometheus operator's kinds, fails no release; plain text is not an
    object."""
    kind = "kind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {enum: [!=, =, =~]}".replace("!=", "'!='")
    found = list(chart.objects(f"{kind}\n---\n# nothing\n---\njust words\n"))
    assert found == [
        {"kind": "CustomResourceDefinition", "metadata": {"name": "a"}, "spec": {"enum": ["!=", "=", "=~"]}}
    ]


def test_helm_retries_while_the_api_server_processes_large_crds(monkeypatch: pytest.MonkeyPatch) -> None:
    """field case C4: with the Prometheus operator's kinds its first answer may take longer than helm waits."""
    slow = (
        'unable to build kubernetes objects from release manifest: Get "https://127.0.0.1/openapi/v2": (Client.Timeout'
    )
    answers: list[str | ProviderError] = []

    def run(self: helm.Releases, *args: str) -> str:
        answer = answers.pop(0)
        if isinstance(answer, ProviderError):
            raise answer
        return answer

    monkeypatch.setattr(helm.Releases, "_run", run)
    releases = helm.Releases(None, {}, threading.Event())
    answers += [ProviderError(slow), ProviderError(slow), "done"]
    assert releases._patiently("install") == "done" and answers == []
    answers += [ProviderError("unable to build kubernetes objects: no matches for kind"), "never"]
    with pytest.raises(ProviderError, match="no matches for kind"):
        releases._patiently("install")
    answers[:] = [ProviderError(slow)] * helm.TRIES
    with pytest.raises(ProviderError, match="Timeout"):
        releases._patiently("install")
