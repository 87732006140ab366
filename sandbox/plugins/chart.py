"""Finds the chart of a Helm release: a local chart, one from its repository, or a stand-in if neither can be reached.

Each repository is checked at most once a minute, within a few seconds, by one thread; other threads wait for its
answer. Without this check, helm would retry for each release. A chart that a repository does not have is an error and
never becomes a stand-in. Fetched charts are kept in `.sandbox/helm/charts/`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox import paths
from sandbox.plugins import stand_in
from sandbox.plugins.provider import ProviderError
from sandbox.plugins.values import working_directory
from tools.provide import provide

REACH_SECONDS = 4.0
FRESH_SECONDS = 60.0
FETCH_SECONDS = 60.0


@dataclass(frozen=True)
class Chart:
    """A chart on disk. `unreachable`: why a stand-in replaces it; '' for the real chart."""

    name: str
    version: str
    path: Path
    app_version: str = ""
    unreachable: str = ""

    @property
    def warning(self) -> str:
        """A one-line warning for the user about a stand-in."""
        if self.name in stand_in.STAND_INS:
            what = "using a stand-in that schedules in the same way"
        elif self.name in stand_in.KINDS:
            what = "using only its CRDs for rules and pods, without its other objects"
        else:
            what = "using none of its objects"
        return (
            f"chart {self.name} {self.version} could not be reached ({self.unreachable}): {what}; "
            "to render the real one, set gpuyard:charts.mirror to a folder of charts (docs/air-gapped.md)"
        )


def locate(inputs: Mapping[str, Any]) -> Chart:
    """The chart that a release's inputs name. Raises ProviderError if the chart does not exist."""
    name, version = str(inputs["chart"]), str(inputs.get("version") or "")
    options: Mapping[str, Any] = inputs.get("repositoryOpts") or {}
    repository = str(options.get("repo") or "")
    local = working_directory.get() / Path(name).expanduser()
    if not repository and local.exists():
        return _local(local, version)
    if repository.startswith("oci://"):
        name, repository = f"{repository.rstrip('/')}/{name}", ""
    if not repository and not name.startswith("oci://"):
        place = "path" if local.suffix == ".tgz" or name.startswith((".", "/", "~")) else "repository"
        raise ProviderError(
            f"chart {name!r} was not found: the file or folder does not exist"
            + ("" if place == "path" else ", and repositoryOpts.repo is not set")
        )
    url = name if name.startswith("oci://") else repository
    short = name.rsplit("/", 1)[-1]
    reason = unreachable(url)
    if reason:
        exact = stand_in.semver(version)
        folder = _cache("stand-ins", f"{short} {exact}")
        with _lock(folder):
            return Chart(short, exact, stand_in.write(folder, short, exact), stand_in.APP_VERSION, reason)
    return _fetch(name, short, version, repository, options, bool(inputs.get("devel")))


def unreachable(url: str) -> str:
    """Why a repository or registry cannot be reached; '' if it can."""
    return _reachability.reason(url)


def helm(*args: str, timeout: float | None = None, input: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs helm with the sandbox's folders. It never reads or writes the user's."""
    return subprocess.run(
        command(*args), env=environment(), timeout=timeout, input=input, capture_output=True, text=True, check=False
    )


def command(*args: str) -> list[str]:
    return [str(provide(["helm"])["helm"]), *args]


def environment() -> dict[str, str]:
    """The environment variables for helm, without the user's Helm and Kubernetes settings."""
    home = paths.folder("helm")
    own = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HELM_") and k != "KUBECONFIG"}
    return {**kept, **own}


def trouble(text: str) -> str:
    """The last lines of helm's stderr, without the `Error:` prefix."""
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.startswith("WARNING")]
    return "\n".join(lines[-3:]).removeprefix("Error: ") or "helm failed without a message"


# Parses YAML as Kubernetes does: a lone `=`, a matcher operator in the Prometheus operator's kinds, is a string.
_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def objects(manifest: str) -> Iterator[dict[str, Any]]:
    """The objects of a rendered manifest. Skips templates that contain only comments."""
    for obj in yaml.load_all(manifest, Loader=_Loader):
        if isinstance(obj, dict) and obj.get("kind"):
            yield obj


def _local(path: Path, version: str) -> Chart:
    about = _metadata(path)
    found = str(about.get("version"))
    if version and stand_in.semver(version) == version and version.lstrip("v") != found.lstrip("v"):
        raise ProviderError(f"the chart at {path} is version {found}, not {version}")
    return Chart(str(about.get("name")), found, path, str(about.get("appVersion") or ""))


def _metadata(path: Path) -> dict[str, Any]:
    """Chart.yaml of a folder or a package. Read without helm, which takes half a second each time."""
    try:
        if path.is_dir():
            text = (path / "Chart.yaml").read_bytes()
        else:
            with tarfile.open(path) as package:
                member = next(m for m in package.getnames() if m.count("/") == 1 and m.endswith("/Chart.yaml"))
                file = package.extractfile(member)
                text = file.read() if file else b""
        about = yaml.safe_load(text)
    except (OSError, tarfile.TarError, StopIteration, yaml.YAMLError):
        about = None
    if not isinstance(about, dict) or not about.get("name") or not about.get("version"):
        raise ProviderError(f"{path} is not a chart: it has no Chart.yaml with a name and a version")
    return about


def _fetch(name: str, short: str, version: str, repository: str, options: Mapping[str, Any], devel: bool) -> Chart:
    folder = _cache("charts", f"{repository} {name} {version} {devel}")
    with _lock(folder):
        kept = sorted(folder.glob("*.tgz"))
        if not kept or not version:
            done = helm(
                *_pull(name, version, repository, options, devel), "--destination", str(folder), timeout=FETCH_SECONDS
            )
            if done.returncode:
                raise ProviderError(f"chart {short} {version}: {trouble(done.stderr)}")
            kept = sorted(folder.glob("*.tgz"), key=lambda path: path.stat().st_mtime)
        return _local(kept[-1], "")


def _pull(name: str, version: str, repository: str, options: Mapping[str, Any], devel: bool) -> list[str]:
    args = ["pull", name]
    for flag, value in (("--repo", repository), ("--version", version)):
        args += [flag, value] if value else []
    for key in ("username", "password", "caFile", "certFile", "keyFile"):
        flag = "--" + "".join(f"-{c.lower()}" if c.isupper() else c for c in key)
        args += [flag, str(options[key])] if options.get(key) else []
    return [*args, "--devel"] if devel else args


def _cache(kind: str, what: str) -> Path:
    return paths.folder("helm", kind, hashlib.sha256(what.encode()).hexdigest()[:16])


_locks: dict[Path, threading.Lock] = {}


def _lock(path: Path) -> threading.Lock:
    return _locks.setdefault(path, threading.Lock())


@dataclass
class _Reachability:
    """Caches why each repository cannot be reached; '' for one that can."""

    known: dict[str, tuple[float, str]] = field(default_factory=dict)
    locks: dict[str, threading.Lock] = field(default_factory=dict)

    def reason(self, url: str) -> str:
        host = urllib.parse.urlsplit(url).netloc
        with self.locks.setdefault(host, threading.Lock()):
            when, reason = self.known.get(host, (-FRESH_SECONDS, ""))
            if time.monotonic() - when > FRESH_SECONDS:
                reason = _probe(url)
                self.known[host] = (time.monotonic(), reason)
            return reason


_reachability = _Reachability()


def _probe(url: str) -> str:
    """Sends a request to the repository. Any answer from it, 404 included, means that it can be reached."""
    split = urllib.parse.urlsplit(url)
    target = f"https://{split.netloc}/v2/" if split.scheme == "oci" else f"{url.rstrip('/')}/index.yaml"
    found: list[str] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(target, timeout=REACH_SECONDS).close()
            found.append("")
        except urllib.error.HTTPError as error:
            gateway = error.code in (407, 502, 503, 504)
            found.append(f"{split.netloc}: {error.code} {error.reason}" if gateway else "")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            found.append(f"{split.netloc}: {getattr(reason, 'strerror', None) or reason}")

    # In a thread, because name resolution has no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REACH_SECONDS + 1)
    return found[0] if found else f"{split.netloc}: no answer within {REACH_SECONDS:.0f} s"
