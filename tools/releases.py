"""Official releases of the tools: downloaded if their hosts can be reached, and used only with the published digest.

`releases.yaml` lists the files, their digests and the source of each digest. A short check finds out whether the hosts
answer. If a host sends a wrong file, stalls or disconnects, one line reports it and the program is built from source.

`$GPUYARD_RELEASES`: `off` builds everything from source; an address (`https://mirror.example.com/releases`) replaces
the projects' own hosts, with paths `ADDRESS/HOST/PATH`. Proxies are read from `$HTTPS_PROXY` as usual.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
import yaml

from tools.manifest import HERE, Tool

# Seconds: for the check of each host, for a connection, and without data until a host counts as stalled.
LOOK, CONNECT, SILENCE = 4.0, 10.0, 20.0
# Bytes per second, averaged over SILENCE, below which building from source is faster.
LEAST = 500_000
TRIES = 3
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Release:
    """One file of a project. `programs`: program → its path in the archive, "" if the file is the program.
    `digest`: `algorithm:hexadecimal digits`, as the project publishes it."""

    folder: str
    version: str
    programs: dict[str, str]
    url: str
    digest: str

    def kept(self, store: Path) -> Path:
        """The folder of its programs, which exists completely or not at all."""
        return store / self.folder / f"release-{self.version}-{self.digest.split(':')[1][:12]}"

    @property
    def address(self) -> str:
        """The download URL: on the project's own host, or on the mirror in `$GPUYARD_RELEASES`."""
        mirror, parts = os.environ.get("GPUYARD_RELEASES", ""), urlsplit(self.url)
        return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}" if mirror else self.url


class Unusable(Exception):
    """A release that cannot be used; the text gives the reason in a few words."""


def releases(machine: str = "") -> dict[str, Release]:
    """Program → its release for this machine. `machine`: for example linux-amd64."""
    if os.environ.get("GPUYARD_RELEASES") == "off":
        return {}
    here = f"{platform.system().lower()}-{_MACHINES.get(platform.machine().lower(), '')}"
    system, arch = (machine or here).split("-")
    found = {}
    for entry in _table():
        file = entry["files"].get(f"{system}-{arch}")
        if file:
            paths = {name: path.format(os=system, arch=arch) for name, path in entry["programs"].items()}
            (algorithm,) = set(file) - {"url"}
            digest = f"{algorithm}:{file[algorithm]}"
            release = Release(entry["folder"], entry["version"], paths, file["url"], digest)
            found |= dict.fromkeys(paths, release)
    return found


@cache
def _table() -> list[dict[str, Any]]:
    return yaml.safe_load((HERE / "releases.yaml").read_text())


def kept(tool: Tool, store: Path) -> Path | None:
    """The tool's program from a release of an earlier download."""
    release = releases().get(tool.name)
    if release is None:
        return None
    path = release.kept(store) / tool.name
    return path if path.exists() else None


def reachable(wanted: Sequence[Release]) -> list[Release]:
    """The releases whose hosts answer a short check; all hosts are checked at once."""

    def answers(release: Release) -> bool:
        try:
            return requests.head(release.address, allow_redirects=True, timeout=LOOK).ok
        except requests.RequestException:
            return False

    with ThreadPoolExecutor(max(1, len(wanted))) as pool:
        return [release for release, there in zip(wanted, pool.map(answers, wanted)) if there]


@dataclass
class Download:
    """The download of one release into the cache. `failed`: the reason of a failure."""

    release: Release
    store: Path
    check: Callable[[Path], str]
    """Checks the new folder of programs; returns why they do not work, "" if they do."""
    activity: str = "starting"
    failed: str = ""
    begun: float = field(default_factory=time.monotonic)
    cancelled: bool = False

    @property
    def name(self) -> str:
        return ", ".join(self.release.programs)

    @property
    def outcome(self) -> str:
        return f"{self.failed}; built from source instead" if self.failed else "done"

    def run(self) -> None:
        """Downloads, compares the digest, unpacks and tries the programs. Never raises an error because of a host."""
        home = self.release.kept(self.store)
        home.parent.mkdir(parents=True, exist_ok=True)
        part = home.with_name(f"{home.name}.part")
        with home.with_name(f"{home.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if home.exists():  # another run has downloaded it meanwhile
                return
            try:
                self._receive(part)
                self._compare(part)
                self._unpack(part, home)
            except Unusable as why:
                self.failed = str(why)
            finally:
                if not self.cancelled:
                    part.unlink(missing_ok=True)

    def cancel(self) -> None:
        self.cancelled = True

    def report_progress(self, report: Callable[[str], None]) -> None:
        report(f"{self.name}: {self.activity} ({time.monotonic() - self.begun:.0f} s)")

    def _receive(self, part: Path) -> None:
        """Downloads the whole file; an interrupted download continues where it stopped."""
        why = ""
        for _ in range(TRIES):
            have = part.stat().st_size if part.exists() else 0
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
            try:
                with requests.get(
                    self.release.address, stream=True, headers=headers, timeout=(CONNECT, SILENCE)
                ) as answer:
                    if answer.status_code == 416:  # the local part is longer than the file
                        part.unlink()
                        continue
                    answer.raise_for_status()
                    self._write(answer, part, have if answer.status_code == 206 else 0)
                    return
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                why = _few_words(error)
        raise Unusable(f"the download failed {TRIES} times: {why}")

    def _write(self, answer: requests.Response, part: Path, have: int) -> None:
        size = have + int(answer.headers.get("Content-Length", 0))
        since, before = time.monotonic(), have
        with part.open("ab" if have else "wb") as out:
            while chunk := answer.raw.read1(1 << 16):
                out.write(chunk)
                have += len(chunk)
                self.activity = f"{have / 1e6:.0f} of {size / 1e6:.0f} MB"
                if self.cancelled:
                    raise Unusable("interrupted")
                if time.monotonic() - since > SILENCE:
                    if have - before < LEAST * SILENCE:
                        raise Unusable(f"less than {LEAST / 1e6:.1f} MB/s")
                    since, before = time.monotonic(), have
        if have != size and "Content-Length" in answer.headers:
            raise requests.ConnectionError(f"it broke off after {have / 1e6:.0f} of {size / 1e6:.0f} MB")

    def _compare(self, part: Path) -> None:
        algorithm, expected = self.release.digest.split(":")
        self.activity = f"comparing its {algorithm}"
        digest = hashlib.new(algorithm)
        with part.open("rb") as data:
            while chunk := data.read(1 << 20):
                digest.update(chunk)
        if digest.hexdigest() != expected:
            host = urlsplit(self.release.address).netloc
            raise Unusable(f"NOT the published file: {host} sent {algorithm} {digest.hexdigest()[:16]}…")

    def _unpack(self, part: Path, home: Path) -> None:
        self.activity = "unpacking"
        work = home.with_name(f"{home.name}.new")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            paths = {path: name for name, path in self.release.programs.items()}
            if list(paths) == [""]:
                shutil.copyfile(part, work / paths[""])
            else:
                with tarfile.open(part) as archive:
                    for member in archive:
                        if member.name in paths and (content := archive.extractfile(member)):
                            with (work / paths[member.name]).open("wb") as out:
                                shutil.copyfileobj(content, out)
            missing = [name for name in self.release.programs if not (work / name).exists()]
            if missing:
                raise Unusable(f"{missing[0]} is not in {self.release.url.rsplit('/', 1)[1]}")
            for path in work.iterdir():
                path.chmod(0o755)
            if wrong := self.check(work):
                raise Unusable(wrong)
            work.rename(home)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise Unusable(_few_words(error)) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _few_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:120]}"
