"""Records the transcripts of the README: runs `make up` and `make demo` and writes their output into the page.

    make record          runs in a temporary copy of the clone; the tools must be installed already

With internet access, the real charts are installed. Without it, `$GPUYARD_CHARTS` names a folder of them
(docs/air-gapped.md): the stack file of the copy then has `charts.mirror`, and the output is the same.

The README has a pair of comments for each command, `<!-- transcript: make up -->` and `<!-- transcript: end -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = ("make up", "make demo")
COLUMNS = "118"


def copied(folder: Path, charts: str) -> Path:
    """A copy of the clone without sandbox and caches. Its `dev` takes charts from the folder `charts`, if it is set."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    clone = Path(shutil.copytree(ROOT, folder / "gpuyard", ignore=ignored))
    if charts:
        file = clone / "Pulumi.dev.yaml"
        file.write_text(f"{file.read_text().rstrip()}\n  gpuyard:charts: {{mirror: {charts}}}\n")
    return clone


def output(command: str, clone: Path) -> str:
    """The output of `command` in `clone`, stdout and stderr together, without the path of the clone.

    Raises:
        SystemExit: the command fails.
    """
    # Without make's variables: otherwise the inner make prints its folders.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    done = subprocess.run(
        command.split(),
        cwd=clone,
        env={**plain, "GPUYARD_VENV": sys.prefix, "COLUMNS": COLUMNS, "STACK": "dev"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"`{command}` failed; nothing was recorded.\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.replace(f"{clone}/", "").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def placed(page: str, command: str, text: str) -> str:
    """`page` with `text` between the comments of `command`.

    Raises:
        ValueError: the page does not have these comments.
    """
    begin, end = f"<!-- transcript: {command} -->\n", "<!-- transcript: end -->"
    found = re.compile(f"{re.escape(begin)}.*?{end}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"{README.name} has no place for the transcript of `{command}`")
    return found.sub(lambda _: f"{begin}```console\n$ {command}\n{text}\n```\n{end}", page, count=1)


def main() -> None:
    """Records every command, then writes the page once."""
    page = README.read_text()
    with tempfile.TemporaryDirectory(prefix="gpuyard-record-") as folder:
        clone = copied(Path(folder), os.environ.get("GPUYARD_CHARTS", ""))
        try:
            for command in COMMANDS:
                print(f"recording `{command}`", file=sys.stderr)
                page = placed(page, command, output(command, clone))
        finally:
            output("make down", clone)
    README.write_text(page)


if __name__ == "__main__":
    main()
