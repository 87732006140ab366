"""A cluster's API as plain JSON, for code that runs in a program's dynamic resources. The official client only logs in.

Import it late: the client takes half a second to load, which a preview does not need.
"""

import json
import shutil
from typing import Any

Object = dict[str, Any]

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


class Unreachable(Exception):
    """The API server does not answer, or another server does: no connection, unknown host, another certificate."""


class Refused(Exception):
    """The cluster exists and denies access; the message has the reason."""


class ApiError(Exception):
    """The API server answered with an error; `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The API server of a kubeconfig's current context.

    Raises:
        Refused: the kubeconfig's login command is missing, or returns no credentials.
    """

    def __init__(self, kubeconfig: str) -> None:
        from kubernetes.client import ApiClient, Configuration
        from kubernetes.config import load_kube_config_from_dict
        from kubernetes.dynamic import DynamicClient

        document = json.loads(kubeconfig) if kubeconfig.lstrip().startswith("{") else _yaml(kubeconfig)
        login = _login(document)
        command = [login["command"], *(login.get("args") or [])] if login else []
        if command and shutil.which(command[0]) is None:
            hint = f"; it says: {login['installHint']}" if login.get("installHint") else ""
            text = f"the kubeconfig logs in with `{' '.join(command)}`, and there is no {command[0]} on PATH{hint}"
            raise Refused(text)
        configuration = Configuration()
        configuration.retries = 0  # the caller decides how long to try
        load_kube_config_from_dict(document, client_configuration=configuration, persist_config=False)
        # If the login command fails, the client only logs it and continues as anonymous.
        if command and not (configuration.api_key or configuration.cert_file):
            raise Refused(f"`{' '.join(command)}` gave no credentials; run it to see why")
        # Without discovery, which would first list every API group of the cluster: the paths are known.
        self._client = DynamicClient(ApiClient(configuration), discoverer=lambda *_: None)

    def list(self, path: str) -> list[Object]:
        """All objects of a collection; empty if the cluster does not have the kind."""
        try:
            return self._ask("get", path).get("items") or []
        except ApiError as error:
            if error.status == 404:
                return []
            raise

    def create(self, path: str, body: Object) -> None:
        """Creates an object, unless one of that name exists."""
        try:
            self._ask("post", path, body)
        except ApiError as error:
            if error.status != 409:
                raise

    def delete(self, path: str) -> None:
        """Deletes an object, if it still exists."""
        try:
            self._ask("delete", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise

    def patch(self, path: str, body: Object) -> None:
        """Changes an object: maps are merged, everything else is replaced."""
        self._ask("patch", path, body, "application/merge-patch+json")

    def _ask(self, method: str, path: str, body: Object | None = None, content: str = "application/json") -> Object:
        from kubernetes.client.rest import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self._client.request(
                method,
                path,
                body=body,
                # The client changes these two in place.
                query_params=[],
                header_params={},
                serialize=False,
                content_type=content,
                _request_timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            )
        except HTTPError as error:
            raise Unreachable(_reason(error)) from None
        except ApiException as error:
            if not error.status:
                raise Unreachable(str(error.reason).splitlines()[-1]) from None
            message = _message(error.body) or str(error.reason)
            if error.status == 401:
                raise Refused(f"it answers {message}") from None
            raise ApiError(error.status, message) from None
        return json.loads(answer.data)


def _yaml(text: str) -> Object:
    import yaml

    return yaml.safe_load(text)


def _login(kubeconfig: Object) -> Object:
    """The `exec` section with the login command of the current context's user; empty for a token or certificate."""
    current = kubeconfig.get("current-context")
    contexts = {each["name"]: each["context"] for each in kubeconfig.get("contexts") or []}
    users = {each["name"]: each.get("user") or {} for each in kubeconfig.get("users") or []}
    return users.get(contexts.get(current, {}).get("user"), {}).get("exec") or {}


def _reason(error: Exception) -> str:
    """The innermost cause on one line. urllib3 wraps it in messages about its pool and its retries."""
    inner = getattr(error, "reason", None)
    while isinstance(inner, Exception) and inner is not error:
        error, inner = inner, getattr(inner, "reason", None)
    return " ".join(str(error).split())


def _message(body: str | bytes | None) -> str:
    try:
        return json.loads(body or "{}").get("message", "")
    except ValueError:
        return ""
