"""A kubeconfig that a program passes to the kubernetes provider, and the sandbox's control plane that it refers to.

Kubeconfigs of the clouds log in with a command (`aws eks get-token`, `gke-gcloud-auth-plugin`), which cannot work here
because there is no account. Instead, the sandbox checks the form of the login and the cluster that it names, and then
uses the control plane's own admin credentials. The server and its CA must be the control plane's: a kubeconfig that
would not reach the cluster in the real cloud does not reach it here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster import control_plane
from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins.provider import ProviderError
from sandbox.plugins.values import working_directory

_GKE_NAMES = ".gke.goog"


class Unreachable(Exception):
    """The API server does not answer; the message is that of a real client."""


@dataclass(frozen=True)
class Kubeconfig:
    """The cluster, user and namespace of a kubeconfig's chosen context."""

    context: str
    server: str
    ca_data: str
    user: Mapping[str, Any]
    namespace: str = "default"


def parse(text: Any, context: str | None = None, cluster: str | None = None) -> Kubeconfig:
    """Parses the content of a kubeconfig (YAML or JSON text, or the path of a file, or an object).

    Raises ProviderError, which says which part is missing.
    """
    config = _load(text)
    name = context or config.get("current-context")
    if not name:
        raise ProviderError("the kubeconfig has no current-context")
    chosen = _named(config, "contexts", name).get("context") or {}
    target = _named(config, "clusters", cluster or chosen.get("cluster")).get("cluster") or {}
    user = _named(config, "users", chosen.get("user")).get("user") or {}
    if not target.get("server"):
        raise ProviderError(f"the kubeconfig's cluster of context {name!r} has no server")
    ca_data = target.get("certificate-authority-data") or ""
    return Kubeconfig(name, target["server"].rstrip("/"), ca_data, user, chosen.get("namespace") or "default")


def find(kubeconfig: Kubeconfig) -> ControlPlane | None:
    """The control plane that the kubeconfig reaches; None if there is none at that address.

    Raises:
        ProviderError: the real cluster would refuse it: another CA, or a login for another cluster.
        Unreachable: the cluster's endpoints do not answer at the user's location.
    """
    if kubeconfig.server.endswith(_GKE_NAMES):
        return _by_name(kubeconfig)
    plane = control_plane.find(kubeconfig.server)
    if plane is None:
        return None
    if kubeconfig.ca_data != plane.ca_data:
        have = "is not the CA of" if kubeconfig.ca_data else "has no certificate-authority-data for"
        raise ProviderError(f"x509: certificate signed by unknown authority: the kubeconfig {have} {plane.endpoint}")
    _check_login(kubeconfig.user, plane.key)
    if plane.key.startswith("eks-"):
        from sandbox.aws import reach  # imported here, because a GKE cluster's provider does not need it

        if reason := reach.blocked(plane.key):
            raise Unreachable(reason)
    return plane


def _by_name(kubeconfig: Kubeconfig) -> ControlPlane | None:
    """The control plane behind a DNS endpoint of GKE. Its certificate is signed by a public CA."""
    from sandbox.gcp import gke  # imported here, because an EKS cluster's provider does not need it

    key = gke.key_of(kubeconfig.server)
    plane = control_plane.get(key) if key else None
    if plane is not None and kubeconfig.ca_data:
        raise ProviderError(
            f"x509: certificate signed by unknown authority: {kubeconfig.server} has a public certificate, the "
            "kubeconfig names other certificate-authority-data"
        )
    if plane is not None:
        _check_login(kubeconfig.user, plane.key)
    return plane


def _check_login(user: Mapping[str, Any], key: str) -> None:
    login = user.get("exec")
    if login is None:
        if user.get("client-certificate-data") or user.get("client-certificate") or user.get("token"):
            return
        raise ProviderError("Unauthorized: the kubeconfig's user has no credentials (exec, token or certificate)")
    command, args = Path(str(login.get("command") or "")).name, [str(arg) for arg in login.get("args") or []]
    pairs = list(itertools.pairwise(args))
    if not str(login.get("apiVersion") or "").startswith("client.authentication.k8s.io/"):
        raise ProviderError("exec plugin: the kubeconfig's exec needs apiVersion client.authentication.k8s.io/…")
    if key.startswith("gke-"):
        if command != "gke-gcloud-auth-plugin":
            raise ProviderError(f"exec plugin: a GKE cluster needs gke-gcloud-auth-plugin, not {command!r}")
        return
    if command != "aws" or ("eks", "get-token") not in pairs:
        raise ProviderError(f"exec plugin: an EKS cluster needs `aws eks get-token`, not {command!r}")
    name = next((after for option, after in pairs if option == "--cluster-name"), "")
    if not name or not key.endswith(f"-{name}"):
        raise ProviderError(f"Unauthorized: the token is for cluster {name!r}, but the server belongs to {key}")


def _load(text: Any) -> dict[str, Any]:
    if isinstance(text, Mapping):
        return dict(text)
    text = str(text)
    if "\n" not in text and "{" not in text:
        path = working_directory.get() / Path(text).expanduser()
        try:
            text = path.read_text()
        except OSError:
            raise ProviderError(f"the kubeconfig is neither YAML nor a file path: {text[:80]!r}") from None
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProviderError(f"failed to parse the kubeconfig: {str(error).splitlines()[0]}") from None
    if not isinstance(config, dict):
        raise ProviderError("failed to parse the kubeconfig: it is not an object")
    return config


def _named(config: Mapping[str, Any], section: str, name: str | None) -> Mapping[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return entry
    raise ProviderError(f"the kubeconfig has no entry {name!r} under {section}")
