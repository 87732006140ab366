"""`python -m sandbox.aws.moto_server --port N`: serves the simulated AWS (server.py) until SIGTERM or SIGINT.

moto reads `$MOTO_PORT` and similar variables when it is imported, so `main` sets them before `serve` imports it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.aws.access_key import access_key
from sandbox.aws.gate import Gate
from sandbox.aws.server import HEALTH

_PLACES = ("ec2", "eks", "efs", "fsx", "kms", "logs")
# Actions with these prefixes need no snapshot, unless moto creates a backend for them. JSON has the action in a header,
# the query protocol (EC2, Auto Scaling, IAM) in a form.
_READING = ("Describe", "Get", "List")
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")


class Application:
    """moto's dispatcher, with the gate and the health page before it, a lock for each request and the snapshot
    after it."""

    def __init__(self, dispatcher: Callable[..., Iterable[bytes]], account: Any) -> None:
        self.dispatcher = dispatcher
        self.account = account
        self.gate = Gate(self._locked, access_key(), _assumed)
        self.ready = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        from sandbox.aws import state
        from sandbox.aws.eks import cluster

        if environ.get("PATH_INFO") == HEALTH and self.gate.knows_secret(environ):
            found = self.account
            page = {
                "ready": self.ready,
                "restored": found.restored,
                "generation": found.generation,
                "note": " ".join(filter(None, (found.note, found.unsaved))),
                "clusters": cluster.statuses(),
                "regions": sorted({region for service, _, region in list(state.backends()) if service in _PLACES}),
            }
            body = json.dumps(page).encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        return self.gate(environ, start_response)

    def _locked(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        from sandbox.aws import state

        changes = _changes(environ)
        with state.LOCK:
            before = len(state.backends())
            answer = [b"".join(self.dispatcher(environ, start_response))]
            changes = changes or len(state.backends()) > before
        if changes:
            state.touch()
        return answer


def _assumed(id: str) -> str | None:
    """The secret of a temporary key from the simulated STS."""
    from moto.sts.models import sts_backends

    backends = [backend for account in sts_backends.values() for backend in account.values()]
    roles = (backend.get_assumed_role_from_access_key(id) for backend in backends)
    return next((role.secret_access_key for role in roles if role), None)


def _changes(environ: dict[str, Any]) -> bool:
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return False
    action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    body = environ["wsgi.input"]  # in memory if the gate has read it for the signature
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if not action and form and isinstance(body, io.BytesIO) and (found := _ACTION.search(body.getvalue())):
        action = found[1].decode()
    return not action.startswith(_READING)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.aws.moto_server", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--no-control-plane", action="store_true", help="clusters have a made-up endpoint (for tests of the AWS side)"
    )
    args = parser.parse_args(argv)
    if args.no_control_plane:
        os.environ["GPUYARD_SANDBOX_NO_CONTROL_PLANE"] = "1"
    # moto reads these when it is imported. Its IAM has AWS's managed policies only on request.
    os.environ["MOTO_PORT"] = str(args.port)
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        del os.environ[name]
    os.environ["DOCKER_HOST"] = "unix:///dev/null/no-docker-for-the-sandbox"
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ.pop(name, None)
    serve(args.port)


def serve(port: int) -> None:
    """Serves until SIGTERM or SIGINT, which save the account once more."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,  # type: ignore[attr-defined]
        create_backend_app,
    )
    from werkzeug.serving import make_server

    from sandbox.aws import extension, state
    from sandbox.aws.eks import resume

    extension.load()
    account = state.Account()
    account.restore()
    if account.note:
        print(account.note, flush=True)

    class Quiet(MotoRequestHandler):
        protocol_version = "HTTP/1.1"  # keep-alive: a stack makes thousands of requests

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            if str(code).startswith("5"):
                super().log_request(code, size)

    application = Application(DomainDispatcherApplication(create_backend_app), account)
    http = make_server("127.0.0.1", port, application, threaded=True, request_handler=Quiet)

    def end(number: int, frame: Any) -> None:
        threading.Thread(target=http.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=account.keep_saving, daemon=True).start()

    def bring_back() -> None:
        resume.resume_all()
        application.ready = True

    threading.Thread(target=bring_back, daemon=True).start()
    state.touch()
    try:
        http.serve_forever()
    finally:
        account.save()


if __name__ == "__main__":
    main()
