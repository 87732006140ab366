"""What the kubelet and the container runtime do for a container, for a program that runs next to the control plane: its
arguments, environment, volumes, ports and service account.

Everything of a pod is in one folder, `clusters/KEY/pods/NAMESPACE.DEPLOYMENT/`, which is also its working directory.
Paths of mounts become paths in it, for programs that have them fixed also below `root/`; ports become free ports on
127.0.0.1. Only its owner can read it: it holds a token. Does not set where a program listens (listening.py).
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster.api import Api

Object = dict[str, Any]

TOKEN_SECONDS = 3600


class Missing(Exception):
    """Something that the kubelet would wait for before it starts a container."""


_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass
class Container:
    """A container of a pod. `mounts`: path in the container → path here."""

    api: Api
    pod: Object
    spec: Object
    folder: Path
    mounts: dict[str, Path] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.pod["metadata"]["namespace"]

    @property
    def account(self) -> str:
        return self.pod["spec"].get("serviceAccountName") or "default"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def prepare(self, certificate: Path) -> None:
        """Creates the folder with the volumes and the identity. `certificate`: of the API server's authority."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _folder(self.folder)
        self.renew_token()
        user = {"tokenFile": str(self.folder / "token")}
        cluster = {"server": self.api.endpoint, "certificate-authority": str(certificate)}
        context = {"cluster": "cluster", "user": "account", "namespace": self.namespace}
        _write(
            self.kubeconfig,
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "cluster", "cluster": cluster}],
                    "users": [{"name": "account", "user": user}],
                    "contexts": [{"name": "pod", "context": context}],
                    "current-context": "pod",
                }
            ).encode(),
        )
        _write(self._root(_ACCOUNT) / "namespace", self.namespace.encode())
        (self._root(_ACCOUNT) / "token").symlink_to(self.folder / "token")
        _write(self._root(_ACCOUNT) / "ca.crt", certificate.read_bytes())
        for mount in self.spec.get("volumeMounts", ()):
            if mount["mountPath"] == _ACCOUNT:
                continue
            volume = self.mounts[mount["mountPath"]] = self._volume(mount["name"]) / mount.get("subPath", "")
            place = self._root(mount["mountPath"])
            _folder(place.parent)
            place.symlink_to(volume)
        self.sync_volumes()

    def renew_token(self) -> None:
        """Asks for a token of the pod's service account, bound to the pod, as the kubelet does."""
        meta = self.pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": meta["name"], "uid": meta["uid"]}
        answer = self.api.request(
            "POST",
            f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{self.account}/token",
            {"spec": {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}},
        )
        _write(self.folder / "token", answer["status"]["token"].encode())

    def sync_volumes(self) -> None:
        """Writes what the Secrets and ConfigMaps of the volumes contain now."""
        for volume in self.pod["spec"].get("volumes", ()):
            folder = self._volume(volume["name"])
            _folder(folder)
            for source in volume.get("projected", {}).get("sources", [volume]):
                for name, content in self._files(source).items():
                    _write(folder / name, content)

    def environment(self) -> dict[str, str]:
        """The variables of the container. A source that does not exist is omitted."""
        found: dict[str, str] = {}
        for variable in self.spec.get("env", ()):
            value = self._value(variable)
            if value is not None:
                found[variable["name"]] = _expand(value, found)
        return found

    def arguments(self) -> list[str]:
        """The arguments, with the paths of mounts here."""
        variables = self.environment()
        return [self.here(_expand(argument, variables)) for argument in self.spec.get("args", ())]

    def here(self, text: str) -> str:
        """A text with each path of a mount replaced by its path here."""
        if not self.mounts:
            return text
        paths = "|".join(re.escape(path) for path in sorted(self.mounts, key=len, reverse=True))
        return re.sub(rf"(?<![\w.-])({paths})(?![\w.-])", lambda found: str(self.mounts[found[1]]), text)

    def _root(self, path: str) -> Path:
        return self.folder / "root" / path.lstrip("/")

    def _volume(self, name: str) -> Path:
        return self.folder / "volumes" / name

    def _files(self, source: Mapping[str, Any]) -> dict[str, bytes]:
        secret, config = source.get("secret"), source.get("configMap")
        of = secret or config
        if not of:
            return {}
        name = of.get("secretName") or of.get("name")
        kind = "secrets" if secret else "configmaps"
        found = self.api.get(f"/api/v1/namespaces/{self.namespace}/{kind}/{name}") or {}
        data = found.get("data") or {}
        if not found and not of.get("optional"):
            raise Missing(f"its volume needs {kind} {name}, which does not exist yet")
        content = {key: base64.b64decode(value) if secret else value.encode() for key, value in data.items()}
        if "items" in of:
            return {item["path"]: content[item["key"]] for item in of["items"] if item["key"] in content}
        return content

    def _value(self, variable: Mapping[str, Any]) -> str | None:
        source = variable.get("valueFrom")
        if not source:
            return variable.get("value", "")
        if path := source.get("fieldRef", {}).get("fieldPath"):
            value: Any = self.pod
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            return None if value is None else str(value)
        for kind, reference in (("configMap", "configMapKeyRef"), ("secret", "secretKeyRef")):
            if wanted := source.get(reference):
                files = self._files({kind: {"name": wanted["name"], "optional": True}})
                return files[wanted["key"]].decode() if wanted["key"] in files else None
        return None


def ports(spec: Object) -> dict[str, int]:
    """Name → port of a container's ports; one without a name is named after its number."""
    return {each.get("name", str(each["containerPort"])): each["containerPort"] for each in spec.get("ports", ())}


def _expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` as Kubernetes replaces it."""
    return re.sub(r"\$\(([\w.-]+)\)", lambda found: variables.get(found[1], found[0]), text)


def _folder(path: Path) -> None:
    """Creates a folder and those above it, for their owner only."""
    if not path.is_dir():
        _folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _write(path: Path, content: bytes) -> None:
    """Replaces a file if its content differs, at once: its reader may watch it."""
    if path.exists() and path.read_bytes() == content:
        return
    _folder(path.parent)
    draft = path.with_name(f".{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    os.replace(draft, path)
