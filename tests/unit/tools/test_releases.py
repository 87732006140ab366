"""Official releases: accepted only with the published digest; the host may send wrong data, stall or disconnect."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tools import manifest, provide, releases
from tools.manifest import TOOLS
from tools.releases import Release

HELM = "#!/bin/sh\necho v3.20.2\n"
OLD = "#!/bin/sh\necho v2.0.0\n"


def archive(program: str, path: str = "linux-amd64/helm", padding: int = 0) -> bytes:
    """A release of helm; `padding`: bytes that do not compress, so that it is sent in several pieces."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in (("README", os.urandom(padding)), (path, program.encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Host:
    """A local host of releases. `behaviour`: what it does with a download; `asked`: the Range header of each
    request."""

    def __init__(self) -> None:
        self.content, self.behaviour, self.asked = b"", "serves", []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.send_response(404 if host.behaviour == "lacks it" else 200)
                self.end_headers()

            def do_GET(self) -> None:
                host.asked.append(self.headers.get("Range", ""))
                first = int(self.headers.get("Range", "bytes=0-")[6:-1])
                sent = host.content[first:]
                if host.behaviour == "lies":
                    sent = archive(HELM.replace("v3", "v3.20.2 stolen; v3"))[first:]
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                half = len(sent) // 2
                if host.behaviour == "stalls":
                    self.wfile.write(sent[:half])
                    time.sleep(5)
                elif host.behaviour == "drips":
                    for byte in range(40):
                        self.wfile.write(sent[byte : byte + 1])
                        time.sleep(0.1)
                elif host.behaviour == "breaks off" or (host.behaviour == "breaks off once" and not first):
                    self.wfile.write(sent[:half])
                else:
                    self.wfile.write(sent)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def offers(self, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Release:
        """Publishes helm with this content."""
        self.content = content
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        release = Release("helm", "3.20.2", {"helm": "linux-amd64/helm"}, f"{self.address}/helm.tar.gz", digest)
        monkeypatch.setattr(releases, "releases", lambda machine="": {"helm": release})
        return release


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host, a machine without tools, and a build from source that writes `built`."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("GPUYARD_TOOLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GPUYARD_RELEASES", raising=False)
    monkeypatch.setattr(provide, "machines_own", lambda tool: None)

    def build(missing: list[manifest.Tool], store: Path, say: provide.Report) -> dict[str, Path]:
        return {tool.name: Path("built") for tool in missing}

    monkeypatch.setattr(provide, "_build", build)
    for name, seconds in (("LOOK", 1.0), ("CONNECT", 1.0), ("SILENCE", 1.0)):
        monkeypatch.setattr(releases, name, seconds)
    made = Host()
    yield made
    made.server.shutdown()
    made.server.server_close()


def got(lines: list[str]) -> Path:
    return provide.provide(["helm"], lines.append)["helm"]


def test_a_release_is_downloaded_once_and_runs(host: Host, monkeypatch) -> None:
    host.offers(archive(HELM), monkeypatch)
    lines: list[str] = []
    path = got(lines)
    assert path.read_text() == HELM
    assert os.access(path, os.X_OK)
    assert "official releases are downloaded" in lines[0]
    assert got([]) == path
    assert len(host.asked) == 1
    assert sorted(each.name for each in path.parent.parent.iterdir() if each.suffix != ".lock") == [path.parent.name]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("lies", "NOT the published file"),
        ("stalls", "the download failed 3 times: ReadTimeoutError"),
        ("drips", "less than 0.5 MB/s"),
        ("breaks off", "the download failed 3 times"),
    ],
)
def test_a_failing_host_is_reported_in_one_line_and_the_program_is_built(
    host: Host, monkeypatch, behaviour, message
) -> None:
    host.offers(archive(HELM, padding=300_000), monkeypatch)
    host.behaviour = behaviour
    lines: list[str] = []
    begun = time.monotonic()
    assert got(lines) == Path("built")
    assert time.monotonic() - begun < 15
    assert any(message in line and "built from source instead" in line for line in lines), lines
    assert [each.name for each in (provide.cache() / "helm").iterdir() if each.suffix != ".lock"] == []


def test_an_interrupted_download_resumes(host: Host, monkeypatch) -> None:
    host.offers(archive(HELM, padding=300_000), monkeypatch)
    host.behaviour = "breaks off once"
    assert got([]).read_text() == HELM
    assert host.asked[0] == ""
    assert host.asked[1].startswith("bytes=1")


@pytest.mark.parametrize("behaviour", ["lacks it", "is not there"])
def test_an_unresponsive_host_is_skipped(host: Host, monkeypatch, behaviour) -> None:
    host.offers(archive(HELM), monkeypatch)
    host.behaviour = behaviour
    if behaviour == "is not there":
        host.server.shutdown()
        host.server.server_close()
    lines: list[str] = []
    assert got(lines) == Path("built")
    assert (lines, host.asked) == ([], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (archive(OLD), "helm of version 3.20.2 does not run here"),
        (archive("#!/bin/sh\nexit 126\n"), "does not run here"),
        (archive(HELM, "elsewhere/helm"), "helm is not in helm.tar.gz"),
        (b"<html>a login page</html>", "ReadError"),
    ],
)
def test_an_unusable_download_is_deleted(host: Host, monkeypatch, content, message) -> None:
    host.offers(content, monkeypatch)
    lines: list[str] = []
    assert got(lines) == Path("built")
    assert any(message in line for line in lines), lines


def test_a_killed_download_resumes_at_the_next_run(host: Host, monkeypatch, tmp_path) -> None:
    release = host.offers(archive(HELM, padding=300_000), monkeypatch)
    host.behaviour = "stalls"
    code = (
        "from pathlib import Path; from tools.releases import *; import sys;"
        f"Download(Release(**{vars(release)!r}), Path({str(provide.cache())!r}), lambda folder: '').run()"
    )
    run = subprocess.Popen([sys.executable, "-c", code], cwd=manifest.HERE.parent)
    part = release.kept(provide.cache()).with_name(f"{release.kept(provide.cache()).name}.part")
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    host.behaviour = "serves"
    assert got([]).read_text() == HELM
    assert host.asked[-1].startswith("bytes=1")


def test_the_projects_hosts_are_replaced_by_a_mirror(monkeypatch) -> None:
    monkeypatch.setenv("GPUYARD_RELEASES", "https://mirror.example.com/all/")
    address = releases.releases("linux-amd64")["kubectl"].address
    assert address == "https://mirror.example.com/all/dl.k8s.io/v1.36.0/kubernetes-server-linux-amd64.tar.gz"


def test_everything_is_built_if_releases_are_disabled(monkeypatch) -> None:
    monkeypatch.setenv("GPUYARD_RELEASES", "off")
    assert releases.releases("linux-amd64") == {}


@pytest.mark.parametrize("machine", ["linux-amd64", "linux-arm64"])
def test_linux_has_an_accepted_release_of_every_tool(monkeypatch, machine) -> None:
    monkeypatch.delenv("GPUYARD_RELEASES", raising=False)
    found = releases.releases(machine)
    for tool in TOOLS.values():
        if tool.package.startswith("./") or not tool.released:
            continue  # a command of this repository, and a program of which its project publishes only images
        release = found[tool.name]
        assert tool.accepts(manifest.parse(release.version))
        extra_programs = {Path(file).name for file in tool.extra_files}
        assert extra_programs <= set(release.programs)


def test_every_digest_is_complete_and_has_a_source() -> None:
    sizes = {"sha256": 64, "sha512": 128}
    for entry in yaml.safe_load((manifest.HERE / "releases.yaml").read_text()):
        assert len(entry["source"]) > 10
        for file in entry["files"].values():
            (algorithm,) = set(file) - {"url"}
            assert file["url"].startswith("https://")
            assert entry["version"] in file["url"]
            assert len(bytes.fromhex(file[algorithm])) * 2 == sizes[algorithm]
