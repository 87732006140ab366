"""The `pulumi` of a sandbox shell: the real one, after which the tracked stack files are as the person left them.

Pulumi notes the salt of the sandbox's throw-away passphrase in `Pulumi.STACK.yaml`, and writes the file anew in its own
spelling when it does. A file that says the same as before gets its very bytes back; one that the person changed with
`pulumi config set` only loses the salt; one that had a salt of its own, or now holds a secret, is left alone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox import environment, paths

_SALT = re.compile(rb"^encryptionsalt:.*\n?", re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Runs pulumi with those arguments and returns its exit code."""
    pulumi = environment.linked().get("pulumi")
    if pulumi is None:
        print("the sandbox is not up: make up", file=sys.stderr)
        return 1
    before = dict(_unsalted())
    os.environ.pop("PYTHONPATH", None)  # ours, to get here
    # Ctrl-C is pulumi's to handle; it gets it from the terminal as well.
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(
        [pulumi, *arguments], preexec_fn=lambda: signal.signal(signal.SIGINT, ours or signal.SIG_DFL)
    )
    code = child.wait()
    restore(before)
    return code if code >= 0 else 128 - code


def restore(before: Mapping[Path, bytes]) -> None:
    """Takes the salt out of the files again; see the module."""
    for path, text in before.items():
        now = path.read_bytes() if path.exists() else b""
        if now == text or b"secure:" in now or not _SALT.search(now):
            continue
        without = _SALT.sub(b"", now)
        path.write_bytes(text if _meaning(without) == _meaning(text) else without)


def _unsalted() -> Iterator[tuple[Path, bytes]]:
    for path in paths.ROOT.glob("Pulumi.?*.yaml"):
        text = path.read_bytes()
        if not _SALT.search(text):
            yield path, text


def _meaning(text: bytes) -> Any:
    """The document with scalars as Pulumi spells them, so that `false` and `"false"` are the same."""
    try:
        return _plain(yaml.safe_load(text))
    except yaml.YAMLError:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
