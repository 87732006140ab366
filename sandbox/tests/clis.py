"""Programs `aws` and `gcloud` for tests that run the command in a message: see aws_cli.py and gcloud_cli.py.

`aws` only forwards its arguments to a thread of the test, because botocore takes a second to load.
"""

from __future__ import annotations

import json
import shlex
import socketserver
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.paths import ROOT
from sandbox.tests import aws_cli

_AWS = """\
#!{python} -ESs
import json, os, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as connection, connection.makefile("rw") as stream:
    stream.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
    stream.flush()
    code, out, err = json.loads(stream.readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
_GCLOUD = '#!/bin/sh\nPYTHONPATH={root} exec {python} -m sandbox.tests.gcloud_cli "$@"\n'


class _Asked(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        try:
            answer = aws_cli.run(*json.loads(self.rfile.readline()))
        except (Exception, SystemExit):  # the shell reports a wrong command line as well
            answer = (252, "", traceback.format_exc())
        self.wfile.write(json.dumps(answer).encode() + b"\n")


@contextmanager
def programs(folder: Path) -> Iterator[Path]:
    """A folder for the PATH with both programs."""
    folder.mkdir(parents=True, exist_ok=True)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _write(folder / "aws", _AWS.format(python=sys.executable, port=server.server_address[1]))
        python = shlex.quote(sys.executable)
        _write(folder / "gcloud", _GCLOUD.format(python=python, root=shlex.quote(str(ROOT))))
        yield folder
        server.shutdown()


def _write(program: Path, text: str) -> None:
    program.write_text(text)
    program.chmod(0o755)
