"""A cluster's API on plain JSON, for what runs while a stack is destroyed: the official client logs in, no more.

Imported late by those who use it: the client takes half a second that no preview should pay for.
"""

import json
import shutil
from typing import Any

Object = dict[str, Any]

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


class Unreachable(Exception):
    """Nobody answers, or somebody else does: no connection, no such host, another certificate."""


class Refused(Exception):
    """The cluster is there and does not let us in; the message says why."""


class ApiError(Exception):
    """The API server answered with an error; `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The API server of a kubeconfig's current context.

    Raises:
        Refused: the kubeconfig's login command is missing or gives nothing to log in with.
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
        configuration.retries = 0  # who calls knows how long it is worth trying
        load_kube_config_from_dict(document, client_configuration=configuration, persist_config=False)
        # If the login command fails, the client only logs it and goes on as anonymous.
        if command and not (configuration.api_key or configuration.cert_file):
            raise Refused(f"`{' '.join(command)}` gave no credentials; run it to see why")
        # The paths are known: no discovery, whose first step would ask for every group of the cluster.
        self._client = DynamicClient(ApiClient(configuration), discoverer=lambda *_: None)

    def list(self, path: str) -> list[Object]:
        """All objects of a collection; none of a kind that the cluster does not have."""
        try:
            return self._ask("get", path).get("items") or []
        except ApiError as error:
            if error.status == 404:
                return []
            raise

    def create(self, path: str, body: Object) -> None:
        """Creates an object; one of that name may be there already."""
        try:
            self._ask("post", path, body)
        except ApiError as error:
            if error.status != 409:
                raise

    def delete(self, path: str) -> None:
        """Deletes an object; it may be gone already."""
        try:
            self._ask("delete", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise

    def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        from kubernetes.client.rest import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = self._client.request(
                method,
                path,
                body=body,
                # The client changes these in place.
                query_params=[],
                header_params={},
                serialize=False,
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
    """How the current context's user logs in by a command (`exec`); empty for a token or certificate."""
    current = kubeconfig.get("current-context")
    contexts = {each["name"]: each["context"] for each in kubeconfig.get("contexts") or []}
    users = {each["name"]: each.get("user") or {} for each in kubeconfig.get("users") or []}
    return users.get(contexts.get(current, {}).get("user"), {}).get("exec") or {}


def _reason(error: Exception) -> str:
    """The innermost cause in one line; urllib3 wraps it in the pool's and the retry's words."""
    inner = getattr(error, "reason", None)
    while isinstance(inner, Exception) and inner is not error:
        error, inner = inner, getattr(inner, "reason", None)
    return " ".join(str(error).split())


def _message(body: str | bytes | None) -> str:
    try:
        return json.loads(body or "{}").get("message", "")
    except ValueError:
        return ""
