"""The `pulumi` of a sandbox shell: the real one, which leaves the user's stack files unchanged.

Pulumi writes the salt of the sandbox's passphrase into `Pulumi.STACK.yaml`, and reformats the whole file. A file with
unchanged content gets its original bytes back. From a file that the user changed with `pulumi config set`, only the
salt is removed. A file that already had a salt or secrets is not changed.

The passphrase is in this repository, so a secret that it encrypts in a committed file would be public. If a command
writes such a secret into a file, the file is restored, or deleted if it is new, and the command exits with 1.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox import environment, paths

_SALT = re.compile(rb"^encryptionsalt:.*\n?", re.MULTILINE)
_SECURE = re.compile(rb"\bsecure:.*")
_EXPOSED = """\
Not kept: the secret in {files}. The sandbox's passphrase is public: every reader of the repository could read it.
Fix: set it outside of this shell, where your own backend and passphrase count (pulumi config set --secret KEY);
     `make up` takes your passphrase from PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE."""


def main(arguments: Sequence[str]) -> int:
    """Runs pulumi with those arguments and returns its exit code."""
    pulumi = environment.linked().get("pulumi")
    if pulumi is None:
        print("the sandbox is not up: make up", file=sys.stderr)
        return 1
    before = {path: path.read_bytes() for path in _stack_files()}
    os.environ.pop("PYTHONPATH", None)  # ours, to get here
    # pulumi handles Ctrl-C; it also gets it from the terminal.
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(
        [pulumi, *arguments],
        env={**os.environ, **environment.caches()},
        preexec_fn=lambda: signal.signal(signal.SIGINT, ours or signal.SIG_DFL),
        umask=0o077,  # for the state, whose kubeconfigs are encrypted with a public passphrase
    )
    code = child.wait()
    exposed = withdraw(before)
    restore(before)
    if exposed:
        print(_EXPOSED.format(files=", ".join(sorted(exposed))), file=sys.stderr)
        return code or 1
    return code if code >= 0 else 128 - code


def withdraw(before: Mapping[Path, bytes]) -> list[str]:
    """Restores the stack files in which the command wrote new secrets; returns their names."""
    exposed = []
    for path in _stack_files():
        now, text = path.read_bytes(), before.get(path)
        if Counter(_SECURE.findall(now)) - Counter(_SECURE.findall(text or b"")):
            exposed.append(path.name)
            if text is None:
                path.unlink()
            else:
                path.write_bytes(text)
    return exposed


def restore(before: Mapping[Path, bytes]) -> None:
    """Removes the salt from the files again; see the module's docstring."""
    for path, text in before.items():
        now = path.read_bytes() if path.exists() else b""
        if now == text or b"secure:" in text or _SALT.search(text) or not _SALT.search(now):
            continue
        without = _SALT.sub(b"", now)
        path.write_bytes(text if _meaning(without) == _meaning(text) else without)


def _stack_files() -> list[Path]:
    folders = {paths.ROOT, Path.cwd()}
    return [path for folder in folders for path in folder.glob("Pulumi.?*.yaml") if path.is_file()]


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
