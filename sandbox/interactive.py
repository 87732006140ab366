"""Starts the user's shell for `make shell` so that its start files (such as `~/.bashrc`) do not override the variables.

Many of them export AWS_PROFILE, KUBECONFIG or a longer PATH. The sandbox's variables are set again after them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from sandbox import environment, paths


def start(program: str, variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command line for the shell `program`, and what its environment needs in addition to `variables`. For a shell
    other than bash, zsh and fish, the start files are read last and can override variables.
    """
    name = Path(program).name
    own = [f"export PATH={shlex.quote(environment.path(''))}:$PATH"]
    rest = {key: value for key, value in variables.items() if key != "PATH"}
    lines = [*environment.lines(rest).splitlines(), *own]
    if name == "bash":
        return [program, "--rcfile", str(_write("bashrc", ["[ -r ~/.bashrc ] && . ~/.bashrc", *lines]))], {}
    if name == "zsh":
        user_folder = shlex.quote(variables["ZDOTDIR"]) if variables.get("ZDOTDIR") else "$HOME"
        ours = shlex.quote(str(paths.folder("shell", "zsh")))
        source = "[ -r $ZDOTDIR/{0} ] && . $ZDOTDIR/{0}".format
        # Many ~/.zshenv files set the folder of the other start files.
        after = ["GPUYARD_ZDOTDIR=${ZDOTDIR:-$HOME}", f"ZDOTDIR={ours}"]
        _write("zsh/.zshenv", [f"ZDOTDIR={user_folder}", source(".zshenv"), *after])
        _write("zsh/.zshrc", ["ZDOTDIR=$GPUYARD_ZDOTDIR", source(".zshrc"), *lines])
        return [program], {"ZDOTDIR": str(paths.folder("shell", "zsh"))}
    if name == "fish":
        set_ = [f"set -gx {key} {shlex.quote(value)}" for key, value in sorted(variables.items())]
        erase = [f"set -e {key}" for key in environment.unset(variables)]
        return [program, "--init-command", "; ".join([*erase, *set_])], {}
    return [program], {}


def _write(name: str, lines: list[str]) -> Path:
    path = paths.folder("shell") / name
    path.write_text("\n".join(lines) + "\n")
    return path
