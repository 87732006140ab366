"""The resource helm.sh/v3:Release, installed by the real helm on the sandbox's control plane.

Helm keeps its releases in the cluster as usual (in Secrets), so any `helm list` shows them. Charts are found by
chart.py; a stand-in is installed like any other chart and is recognized by its appVersion.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins import chart, log, stand_in
from sandbox.plugins.chart import Chart
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Diff, Props, ProviderError
from sandbox.plugins.values import changes, has_unknown

DEFAULT_TIMEOUT = 300
"""Seconds; the real provider's default for `timeout`."""

_FLAGS = {
    # input → helm's flag, for boolean inputs that work the same on install and upgrade.
    "atomic": "--atomic",
    "createNamespace": "--create-namespace",
    "dependencyUpdate": "--dependency-update",
    "disableOpenapiValidation": "--disable-openapi-validation",
    "disableWebhooks": "--no-hooks",
    "forceUpdate": "--force",
    "renderSubchartNotes": "--render-subchart-notes",
    "skipCrds": "--skip-crds",
    "takeOwnership": "--take-ownership",
    "waitForJobs": "--wait-for-jobs",
}
_UPGRADE_FLAGS = {
    "cleanupOnFail": "--cleanup-on-fail",
    "resetValues": "--reset-values",
    "reuseValues": "--reuse-values",
}
_TAKEN, _LOCKED, _ABSENT = "cannot re-use a name", "another operation", "has no deployed releases"
"""helm's messages for: the name is in use, a killed helm holds the release, there is nothing to upgrade."""

_NO_SCHEMAS = ("unable to build kubernetes objects", "/openapi/", "Client.Timeout")
TRIES = 4

_NOT_INPUTS = ("resourceNames", "status", "manifest", "compat")
_UNSET: Props = {
    **dict.fromkeys(
        (
            *("allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "dependencyUpdate", "devel", "lint"),
            *("disableCRDHooks", "disableOpenapiValidation", "disableWebhooks", "forceUpdate", "recreatePods"),
            *("renderSubchartNotes", "replace", "resetValues", "reuseValues", "skipAwait", "skipCrds", "verify"),
            "waitForJobs",
        ),
        False,
    ),
    **dict.fromkeys(("description", "keyring", "postrender"), ""),
}
"""The real provider's value for an input that the program omits (`Release` in helm_release.go)."""


def releases(plane: ControlPlane) -> list[dict[str, Any]]:
    """Every release of a cluster: name, namespace, chart, version, status, and `rendered`: chart or stand-in."""
    done = chart.helm(
        "list", "--all", "--all-namespaces", "-o", "json", "--kubeconfig", str(plane.kubeconfig), timeout=60
    )
    if done.returncode:
        raise ProviderError(f"helm list: {chart.trouble(done.stderr)}")
    found = []
    for entry in json.loads(done.stdout or "[]"):
        name, version = _split_chart(entry["chart"])
        rendered = "stand-in" if entry["app_version"] == stand_in.APP_VERSION else "chart"
        found.append(
            {
                "name": entry["name"],
                "namespace": entry["namespace"],
                "chart": name,
                "version": version,
                "status": entry["status"],
                "rendered": rendered,
            }
        )
    return found


class Releases:
    """Manages the releases of one cluster for the kubernetes provider."""

    def __init__(self, plane: ControlPlane | None, config: Mapping[str, Any], cancelled: threading.Event) -> None:
        self.plane = plane
        self.config = config
        self.cancelled = cancelled

    def check(
        self, urn: str, olds: Props, news: Props, seed: bytes, failures: list[CheckFailure]
    ) -> tuple[Props, list[CheckFailure]]:
        """Fills in defaults, auto-name and exact version. A chart that does not exist is a failure of `chart`."""
        inputs = {**_UNSET, **{key: value for key, value in news.items() if key not in _NOT_INPUTS}}
        if not inputs.get("name") and inputs.get("name") is not UNKNOWN:
            inputs["name"] = olds.get("name") or f"{urn.rsplit('::', 1)[-1]}-{(seed.hex() or os.urandom(4).hex())[:8]}"
        if not inputs.get("namespace") and inputs.get("namespace") is not UNKNOWN:
            settings = self.config.get("namespace")
            inputs["namespace"] = settings or "default"
        if not inputs.get("skipAwait"):
            inputs.setdefault("timeout", DEFAULT_TIMEOUT)
        if not failures and not has_unknown({key: inputs.get(key) for key in ("chart", "version", "repositoryOpts")}):
            try:
                inputs["version"] = chart.locate(inputs).version
            except ProviderError as error:
                failures.append(CheckFailure("chart", f"{error}; check the chart name and repository configuration"))
        return inputs, failures

    def diff(self, old_inputs: Props, news: Props) -> Diff:
        """A changed name or namespace forces a replacement; any other change is an upgrade."""
        olds = {**_UNSET, **{key: value for key, value in old_inputs.items() if key not in _NOT_INPUTS}}
        changed = list(changes(olds, news))
        return Diff(changed, [path for path in changed if path in ("name", "namespace")])

    def create(self, urn: str, inputs: Props, preview: bool) -> tuple[str, Props]:
        """Installs the release. First removes the remains of a failed or killed install of the same name.

        Refuses a release that is deployed, as the real provider does, even if an earlier create of this resource
        installed it and the answer was lost.
        """
        found = self._announce(inputs)
        if preview or found is None:
            return "", {**inputs, "status": UNKNOWN}
        try:
            outputs = self._install(["install"], inputs, found)
        except ProviderError as error:
            if _TAKEN not in str(error):
                raise
            left = self._status(inputs["namespace"], inputs["name"])
            if left and left["status"] == "deployed":
                raise
            log.info(f"removing the remains of an earlier install of {inputs['name']}")
            self._uninstall(inputs)
            outputs = self._install(["install"], inputs, found)
        return self._id(inputs), outputs

    def update(self, urn: str, olds: Props, news: Props, preview: bool) -> Props:
        """Upgrades the release. Installs it again if another program removed it or if it never became ready."""
        found = self._announce(news)
        if preview or found is None:
            return {**news, "status": UNKNOWN}
        flags = [flag for key, flag in _UPGRADE_FLAGS.items() if news.get(key)]
        if news.get("maxHistory") is not None:
            flags += ["--history-max", str(news["maxHistory"])]
        upgrade = ["upgrade", *flags]
        try:
            return self._install(upgrade, news, found)
        except ProviderError as error:
            if _LOCKED not in str(error) and _ABSENT not in str(error):
                raise
        left = self._status(news["namespace"], news["name"])
        if left and left["revision"] > 1:
            # A killed helm never releases its lock: roll back to the last deployed revision.
            self._run("rollback", news["name"], "-n", news["namespace"])
            return self._install(upgrade, news, found)
        self._uninstall(news)
        return self._install(["install"], news, found)

    def read(self, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        """The release as helm has it; None if it is gone."""
        namespace, _, name = id.rpartition("/")
        namespace = namespace or "default"
        status = self._status(namespace, name)
        if status is None:
            return None
        if not inputs:
            values = json.loads(self._run("get", "values", name, "-n", namespace, "-o", "json") or "null") or {}
            inputs = {
                "chart": status["chart"],
                "version": status["version"],
                "name": name,
                "namespace": namespace,
                "timeout": DEFAULT_TIMEOUT,
                "values": values,
            }
        return id, inputs, self._outputs(inputs, status)

    def delete(self, inputs: Props, outputs: Props) -> None:
        """Uninstalls and waits; does nothing if the release does not exist."""
        self._uninstall({**inputs, **{key: outputs[key] for key in ("name", "namespace") if outputs.get(key)}})

    # -- parts ------------------------------------------------------------------------------------------------------

    def _announce(self, inputs: Props) -> Chart | None:
        """The chart, after a one-line warning if it is a stand-in; None if the inputs are not known yet."""
        if has_unknown({key: inputs.get(key) for key in ("chart", "version", "repositoryOpts")}):
            return None
        found = chart.locate(inputs)
        if found.unreachable:
            log.warn(found.warning)
        return found

    def _install(self, verb: list[str], inputs: Props, found: Chart) -> Props:
        """Runs helm install or upgrade. Raises ProviderError with the release's state if it did not become ready."""
        name, namespace = inputs["name"], inputs["namespace"]
        flags = [flag for key, flag in _FLAGS.items() if inputs.get(key)]
        if inputs.get("atomic") or not inputs.get("skipAwait"):
            flags.append("--wait")
        for key, flag in (("description", "--description"), ("postrender", "--post-renderer")):
            flags += [flag, str(inputs[key])] if inputs.get(key) else []
        if verb[0] == "install":
            flags += ["--replace"] if inputs.get("replace") else []
        elif "--create-namespace" in flags:
            flags.remove("--create-namespace")  # only valid for install
        flags += ["--timeout", f"{int(inputs.get('timeout') or DEFAULT_TIMEOUT)}s", "-o", "json"]
        if inputs.get("lint"):
            self._run("lint", str(found.path))
        with tempfile.TemporaryDirectory(prefix="gpuyard-") as folder:
            texts = [*map(str, inputs.get("valueYamlFiles") or []), json.dumps(inputs.get("values") or {})]
            for index, text in enumerate(texts):
                path = Path(folder) / f"{index}.yaml"
                path.touch(mode=0o600)  # values may contain passwords
                path.write_text(text)
                flags += ["--values", str(path)]
            try:
                release = json.loads(self._patiently(*verb, name, str(found.path), "-n", namespace, *flags))
            except ProviderError as error:
                if any(message in str(error) for message in (_TAKEN, _LOCKED, _ABSENT)):
                    raise
                status = self._status(namespace, name)
                if status is None:
                    raise
                done = "created" if verb[0] == "install" else "updated"
                text = f'Helm release "{namespace}/{name}" was {done}, but failed to initialize completely: {error}'
                raise ProviderError(text, partial=(self._id(inputs), self._outputs(inputs, status))) from None
        status = {
            "name": name,
            "namespace": namespace,
            "revision": int(release["version"]),
            "version": found.version,
            "chart": found.name,
            "appVersion": found.app_version,
            "status": release["info"]["status"],
        }
        return self._outputs(inputs, status, release["manifest"])

    def _outputs(self, inputs: Props, status: dict[str, Any], manifest: str | None = None) -> Props:
        if manifest is None:
            manifest = self._run("get", "manifest", status["name"], "-n", status["namespace"], tolerate="not found")
        names: dict[str, list[str]] = {}
        for obj in chart.objects(manifest):
            api_version = str(obj.get("apiVersion") or "")
            group = api_version.rpartition("/")[0]
            key = f"{obj['kind']}{'.' + group if group else ''}/{api_version}"
            # One entry per document, as in the real provider (manifest_json.go): a `kind: List` has no name.
            meta = obj.get("metadata") or {}
            name = str(meta.get("name") or "")
            place = f"{meta['namespace']}/{name}" if meta.get("namespace") else name
            if place not in names.setdefault(key, []):
                names[key].append(place)
        names = {key: sorted(places) for key, places in names.items()}
        return {**inputs, "version": status["version"], "resourceNames": names, "status": status}

    def _status(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The release's status output; None if helm does not find the release."""
        text = self._run("list", "--all", "-n", namespace, "--filter", f"^{name}$", "-o", "json")
        for entry in json.loads(text or "[]"):
            if entry["name"] == name:
                chart_name, version = _split_chart(entry["chart"])
                return {
                    "name": name,
                    "namespace": namespace,
                    "revision": int(entry["revision"]),
                    "version": version,
                    "chart": chart_name,
                    "appVersion": entry["app_version"],
                    "status": entry["status"],
                }
        return None

    def _uninstall(self, inputs: Props) -> None:
        wait = [] if inputs.get("skipAwait") and not inputs.get("atomic") else ["--wait"]
        timeout = f"{int(inputs.get('timeout') or DEFAULT_TIMEOUT)}s"
        name, namespace = inputs["name"], inputs["namespace"]
        self._run("uninstall", name, "-n", namespace, *wait, "--timeout", timeout, tolerate="not found")

    def _run(self, *args: str, tolerate: str = "") -> str:
        """helm's stdout. Raises ProviderError with its last lines, unless they contain `tolerate`. Cancellable."""
        if self.plane is None:
            raise ProviderError("configured Kubernetes cluster is unreachable: it is not a cluster of the sandbox")
        process = subprocess.Popen(
            chart.command(*args, "--kubeconfig", str(self.plane.kubeconfig)),
            env=chart.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while True:
            try:
                out, errors = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if self.cancelled.is_set():
                    process.terminate()  # helm marks the release as failed on SIGTERM
        if process.returncode == 0:
            return out
        text = chart.trouble(errors)
        if tolerate and tolerate in text:
            return ""
        raise ProviderError(f"helm {args[0]}: {text}")

    def _patiently(self, *args: str) -> str:
        """Like `_run`, but retries while the API server processes the schemas of new kinds.

        helm requests the schemas before it creates anything, and gives up after 32 s. For large kinds, a busy machine
        needs longer.
        """
        for _ in range(TRIES - 1):
            try:
                return self._run(*args)
            except ProviderError as error:
                if not all(message in str(error) for message in _NO_SCHEMAS):
                    raise
                log.status("waiting for the API server to process the chart's CRDs")
        return self._run(*args)

    def _id(self, inputs: Props) -> str:
        return f"{inputs['namespace']}/{inputs['name']}"


def _split_chart(text: str) -> tuple[str, str]:
    """Splits `name-1.2.3-rc.1` from helm's list before the first part that looks like a version."""
    parts = text.split("-")
    for index in range(1, len(parts)):
        version = "-".join(parts[index:])
        if stand_in.semver(version) == version:
            return "-".join(parts[:index]), version
    return text, ""
