"""The simulated kubernetes provider: applies objects to the sandbox's real control plane and awaits them.

The API server, scheduler and controllers are the real ones, and so are their refusals and actions. The simulated part
is pulumi-kubernetes in its default mode: server-side apply with a separate field manager for each object, auto-naming,
forced replacements, awaiting, foreground deletion. Not simulated: rendering to YAML files, client-side apply, `waitFor`
expressions, and the components inside the plugin (helm.sh/v4 Chart, yaml/v2, kustomize/v2).
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.cluster.api import ApiError
from sandbox.cluster.control_plane import ControlPlane
from sandbox.controllers import state
from sandbox.plugins import kubeconfig, log, manifest, readiness, replacement
from sandbox.plugins.helm import Releases
from sandbox.plugins.objects import NoSuchKind, Object, Objects
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Diff, Props, ProviderError, SimulatedProvider
from sandbox.plugins.schema import Schema
from sandbox.plugins.values import changes, has_unknown

RELEASE = "kubernetes:helm.sh/v3:Release"
AUTONAMED = "pulumi.com/autonamed"
PATIENCE = 15.0
"""Seconds for which a creation is retried while its namespace or kind does not exist yet; about the real provider's."""
ANSWER = 120.0
"""Seconds for one answer: a busy API server needs more than ten for a large definition of a kind."""


class KubernetesProvider(SimulatedProvider):
    """One kubernetes provider, for one cluster."""

    package = "kubernetes"

    def __init__(self) -> None:
        self.schema = Schema("kubernetes")
        self.version = self.schema.version
        self.config: Mapping[str, Any] = {}
        self.cancelled = threading.Event()
        self._plane: ControlPlane | None = None
        self._objects: Objects | None = None
        self._unreachable = "the provider is not configured"
        self._namespace = ""

    # -- the provider itself ----------------------------------------------------------------------------------------

    def configure(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self._namespace = str(config.get("namespace") or "")
        if not config.get("kubeconfig"):
            self._unreachable = "the provider has no kubeconfig; the sandbox does not use those of this machine"
            return
        parsed = kubeconfig.parse(config["kubeconfig"], config.get("context"), config.get("cluster"))
        self._namespace = self._namespace or parsed.namespace
        try:
            self._plane = kubeconfig.find(parsed)
        except kubeconfig.Unreachable as error:
            self._unreachable = f'unable to load schema information from the API server: Get "{parsed.server}": {error}'
            return
        if self._plane is None:
            self._unreachable = f"the sandbox has no cluster at {parsed.server}"
            return
        self._unreachable = f"the cluster at {parsed.server} does not answer: `make up` starts it again"
        self._objects = Objects(self._plane.api(timeout=ANSWER))

    def diff_config(self, olds: Props, news: Props) -> Diff:
        changed = sorted(k for k in {*olds, *news} if olds.get(k) != news.get(k))
        diff = Diff(changes=changed)
        target = ("kubeconfig", "context", "cluster")
        # As in the real provider: another identifier means another cluster; without identifiers, another server.
        was, now = olds.get("clusterIdentifier"), news.get("clusterIdentifier")
        if was is not None and now is not None and now is not UNKNOWN:
            diff.replaces = ["clusterIdentifier"] if was != now else []
        elif any(news.get(key) is UNKNOWN for key in target) or manifest.cluster_of(olds) != manifest.cluster_of(news):
            diff.replaces = [key for key in target if key in changed]
        return diff

    def cancel(self) -> None:
        self.cancelled.set()

    def invoke(self, token: str, args: Props) -> Props:
        if token == "kubernetes:yaml:decode":
            documents = yaml.safe_load_all(args.get("text") or "")
            return {"result": [document for document in documents if document]}
        raise ProviderError(f"the sandbox's kubernetes provider has no function {token}")

    # -- resources --------------------------------------------------------------------------------------------------

    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes) -> tuple[Props, list[CheckFailure]]:
        failures = self.schema.check_inputs(token, news)
        if token == RELEASE:
            return self._releases(needed=False).check(urn, olds, news, seed, failures)
        kind = str(news.get("kind") or "")
        if kind.endswith("List") and "items" in news:
            failures.append(CheckFailure("", "list resources cannot be created directly; use the type of the items"))
        inputs = copy.deepcopy(news)
        meta = inputs.setdefault("metadata", {})
        if meta is UNKNOWN or failures:
            return inputs, failures
        if meta.get("generateName"):
            failures.append(CheckFailure("metadata.generateName", "is not supported with server-side apply"))
        if not meta.get("name") and meta.get("name") is not UNKNOWN:
            if token.endswith("Patch"):
                failures.append(CheckFailure("metadata.name", "is required for a patch"))
            else:
                self._autoname(urn, olds, meta, seed)
        if meta.get("annotations") == {}:
            del meta["annotations"]
        omitted = not meta.get("namespace") and meta.get("namespace") is not UNKNOWN
        if self._namespace and omitted and self._namespaced(inputs):
            meta["namespace"] = self._namespace
        return manifest.hide_secrets(inputs), failures

    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        if token == RELEASE:
            return self._releases(needed=False).diff(old_inputs, news)
        before, after = self._comparable(old_inputs), self._comparable(news)
        changed = list(changes(before, after))
        forced = replacement.IDENTITY if token.endswith("Patch") else replacement.forced(news, self.config)
        replaces = replacement.replacing(changed, forced)
        was, now = before.get("metadata") or {}, after.get("metadata")
        if not isinstance(now, dict):
            return Diff(changed, replaces)
        same_place = all(was.get(key) == now.get(key) for key in ("name", "namespace"))
        autonamed = manifest.annotation(news, AUTONAMED) == "true"
        return Diff(changed, replaces, delete_before_replace=bool(replaces) and same_place and not autonamed)

    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float) -> tuple[str, Props]:
        if token == RELEASE:
            return self._releases(needed=not preview).create(urn, inputs, preview)
        manager = (
            manifest.annotation(inputs, "pulumi.com/patchFieldManager") or f"pulumi-kubernetes-{os.urandom(4).hex()}"
        )
        if preview:
            return "", self._preview(inputs, manager, patch=token.endswith("Patch"))
        objects = self._cluster_objects()
        live = self._create(objects, urn, inputs, manager, patch=token.endswith("Patch"))
        live = self._await(objects, urn, inputs, live, manager, timeout, "created")
        return manifest.id_of(live), manifest.outputs(live, manager, inputs["apiVersion"])

    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        if token == RELEASE:
            return self._releases().read(id, inputs, state)
        if not self._reachable() and (
            self.config.get("deleteUnreachable") or os.environ.get("PULUMI_K8S_DELETE_UNREACHABLE") == "true"
        ):
            return None
        objects = self._cluster_objects()
        api_version, kind = self._kind(token, inputs or state)
        namespace, name = manifest.split_id(id)
        live = _refused(objects.get, api_version, kind, namespace, name)
        if live is None:
            return None
        found = manifest.pruned(live, inputs) if inputs else self._imported(token, live)
        manager = state.get(manifest.MANAGER) or f"pulumi-kubernetes-{os.urandom(4).hex()}"
        return id, manifest.hide_secrets(found), manifest.outputs(live, manager, api_version)

    def update(
        self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props, preview: bool, timeout: float
    ) -> Props:
        if token == RELEASE:
            return self._releases(needed=not preview).update(urn, olds, news, preview)
        manager = olds.get(manifest.MANAGER) or f"pulumi-kubernetes-{os.urandom(4).hex()}"
        if preview and (has_unknown(news) or not self._reachable()):
            return {**news, manifest.MANAGER: manager}
        objects = self._cluster_objects()
        force = token.endswith("Patch") or manifest.annotation(news, "pulumi.com/patchForce") == "true"
        try:
            live = objects.apply(
                manifest.wire(news), manager, dry_run=preview, force=force or bool(self.config.get("enablePatchForce"))
            )
        except (ApiError, NoSuchKind) as error:
            raise ProviderError(_explain(error)) from None
        if not preview:
            live = self._await(objects, urn, news, live, manager, timeout, "updated")
        return manifest.outputs(live, manager, news["apiVersion"])

    def delete(self, token: str, urn: str, id: str, inputs: Props, outputs: Props, timeout: float) -> None:
        if token == RELEASE:
            return self._releases().delete(inputs, outputs)
        objects = self._cluster_objects()
        api_version, kind = self._kind(token, outputs or inputs)
        namespace, name = manifest.split_id(id)
        live = _refused(objects.get, api_version, kind, namespace, name)
        if live is None:
            return None
        if token.endswith("Patch"):
            # Deleting a patch releases the fields that it owns; the object stays.
            bare = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}
            if live["metadata"].get("namespace"):
                bare["metadata"]["namespace"] = live["metadata"]["namespace"]
            _refused(objects.apply, bare, outputs.get(manifest.MANAGER) or "pulumi-kubernetes", force=True)
            return None
        policy = manifest.annotation(inputs, "pulumi.com/deletionPropagationPolicy").capitalize()
        policy = policy if policy in ("Orphan", "Background") else "Foreground"
        _refused(objects.delete, api_version, kind, namespace, name, policy)
        if manifest.annotation(inputs, "pulumi.com/skipAwait") == "true":
            return None
        try:
            readiness.wait_gone(objects, live, manifest.timeout(inputs, timeout), self.cancelled)
        except readiness.Failed as error:
            raise ProviderError(f"{kind} {id}: {error}") from None
        except (ApiError, OSError) as error:
            raise ProviderError(_explain(error)) from None

    # -- parts ------------------------------------------------------------------------------------------------------

    def _reachable(self) -> bool:
        return self._objects is not None and self._objects.api.ready()

    def _cluster_objects(self) -> Objects:
        if self._objects is None or not self._objects.api.ready():
            raise ProviderError(f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        return self._objects

    def _releases(self, needed: bool = True) -> Releases:
        if needed:
            self._cluster_objects()
        return Releases(self._plane, self.config, self.cancelled)

    def _autoname(self, urn: str, olds: Props, meta: Props, seed: bytes) -> None:
        old = olds.get("metadata")
        old_name = old.get("name") if isinstance(old, dict) and manifest.annotation(olds, AUTONAMED) == "true" else None
        if meta.get("annotations") is UNKNOWN:
            return
        suffix = hashlib.sha256(seed or os.urandom(8)).hexdigest()[:8]
        meta["name"] = old_name or f"{urn.rsplit('::', 1)[-1]}-{suffix}"
        meta["annotations"] = {**(meta.get("annotations") or {}), AUTONAMED: "true"}

    def _namespaced(self, obj: Props) -> bool:
        """An unknown kind counts as namespaced, as in the real provider."""
        try:
            return self._objects is None or self._objects.kind(obj["apiVersion"], obj["kind"]).namespaced
        except (NoSuchKind, ApiError, OSError):
            return True

    def _comparable(self, inputs: Props) -> Props:
        """Inputs with the default namespace filled in, so that adding `default` is not a change."""
        meta = inputs.get("metadata")
        if not isinstance(meta, dict) or meta.get("namespace"):
            return inputs
        if not self._namespaced(inputs):
            return inputs
        return {**inputs, "metadata": {**meta, "namespace": self._namespace or "default"}}

    def _kind(self, token: str, obj: Props) -> tuple[str, str]:
        if obj.get("apiVersion") and obj.get("kind"):
            return obj["apiVersion"], obj["kind"]
        _, group_version, kind = token.split(":")
        return group_version.removeprefix("core/"), kind.removesuffix("Patch")

    def _preview(self, inputs: Props, manager: str, patch: bool) -> Props:
        """A dry run by the API server if possible; otherwise the inputs unchanged."""
        if patch or has_unknown(inputs) or not self._reachable():
            return inputs
        objects = self._cluster_objects()
        wire = manifest.wire(inputs)
        try:
            if readiness.get(objects, wire) is not None:
                return inputs
            live = objects.apply(wire, manager, dry_run=True)
        except NoSuchKind:
            return inputs
        except (ApiError, OSError) as error:
            if isinstance(error, ApiError) and error.status in (403, 404):
                return inputs  # the namespace is created later in the same update
            raise ProviderError(_explain(error)) from None
        live.pop("status", None)
        return manifest.outputs(live, manager, inputs["apiVersion"])

    def _create(self, objects: Objects, urn: str, inputs: Props, manager: str, patch: bool) -> Object:
        wire = manifest.wire(inputs)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                exists = None if patch else readiness.get(objects, wire)
                if exists is not None and not self.config.get("upsertExistingObjects"):
                    kind = objects.kind(wire["apiVersion"], wire["kind"])
                    raise ProviderError(
                        f'resource "{urn}" was not successfully created by the Kubernetes API server: '
                        f'{kind.plural} "{wire["metadata"]["name"]}" already exists'
                    )
                return objects.apply(wire, manager, force=patch)
            except (ApiError, NoSuchKind, OSError) as error:
                # A dependency may be created soon: the namespace, its service account, the CRD.
                missing = isinstance(error, NoSuchKind) or (
                    isinstance(error, ApiError) and (error.status == 404 or "serviceaccount" in str(error))
                )
                if not missing or time.monotonic() > deadline:
                    raise ProviderError(
                        f'resource "{urn}" was not successfully created by the Kubernetes API server: {_explain(error)}'
                    ) from None
                log.status(f"waiting for its dependencies: {error}")
                if self.cancelled.wait(readiness.POLL):
                    raise ProviderError("the operation was cancelled") from None

    def _await(
        self, objects: Objects, urn: str, inputs: Props, live: Object, manager: str, timeout: float, done: str
    ) -> Object:
        if manifest.annotation(inputs, "pulumi.com/skipAwait") == "true":
            return live
        began = time.monotonic()
        try:
            seconds = manifest.timeout(inputs, timeout)
            return readiness.wait_ready(objects, live, seconds, self.cancelled, self._building)
        except (readiness.Failed, ApiError, OSError) as error:
            with contextlib.suppress(ApiError, OSError):
                live = readiness.get(objects, live) or live
            text = (
                f'resource "{urn}" was successfully {done}, but the Kubernetes API server reported that it failed to '
                f"fully initialize or become live (after {time.monotonic() - began:.0f} s): {error}"
            )
            raise ProviderError(
                text, partial=(manifest.id_of(live), manifest.outputs(live, manager, inputs["apiVersion"]))
            ) from None

    def _building(self) -> list[str]:
        """The messages about controllers of the cluster whose programs are being built."""
        return state.building(self._plane.folder) if self._plane else []

    def _imported(self, token: str, live: Object) -> Props:
        """Inputs for an object that no program has described yet: the live ones without the server's additions."""
        try:
            names = set(self.schema.shape(token).inputs)
        except LookupError:
            names = set(live) - {"status"}
        inputs = {key: copy.deepcopy(value) for key, value in live.items() if key in names}
        meta = inputs["metadata"]
        for key in manifest.SERVERS_OWN:
            meta.pop(key, None)
        (meta.get("annotations") or {}).pop("deployment.kubernetes.io/revision", None)
        return inputs


def _explain(error: Exception) -> str:
    text = str(error)
    if isinstance(error, ApiError) and error.reason == "Conflict" and "conflict" in text:
        text += '; the annotation pulumi.com/patchForce: "true" takes the fields over'
    return text


def _refused(call: Any, *args: Any, **options: Any) -> Any:
    try:
        return call(*args, **options)
    except (ApiError, NoSuchKind, OSError) as error:
        raise ProviderError(_explain(error)) from None
