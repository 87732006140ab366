"""Records the transcripts of the README and of docs/queues.md: runs commands and writes their output into the pages.

    make record                   runs in a temporary copy of the clone; the tools must be installed already
    python -m pages.transcripts docs/queues.md      one page only

With internet access, the real charts are installed. Without it, `$GPUYARD_CHARTS` names a folder of them
(docs/air-gapped.md): the stack file of the copy then has `charts.mirror`, and the output is the same.

A page has a pair of comments for each command, `<!-- transcript: make up -->` and `<!-- transcript: end -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Page:
    """A page with transcripts. `stack`: the stack of all its commands. `before`: commands that are run first and not
    recorded."""

    path: str
    stack: str
    commands: tuple[str, ...]
    before: tuple[str, ...] = ()


PAGES = (
    Page("README.md", "dev", ("make up", "make demo")),
    Page("docs/queues.md", "teams", ("make demo STORY=teams", "make demo STORY=roll"), ("make up",)),
)
COLUMNS = "118"


def copied(folder: Path, charts: str) -> Path:
    """A copy of the clone without sandbox and caches. Its stacks take charts from the folder `charts`, if it is set."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "docs")
    clone = Path(shutil.copytree(ROOT, folder / "gpuyard", ignore=ignored))
    for page in PAGES if charts else ():
        file = clone / f"Pulumi.{page.stack}.yaml"
        file.write_text(f"{file.read_text().rstrip()}\n  gpuyard:charts: {{mirror: {charts}}}\n")
    return clone


def output(command: str, clone: Path, stack: str = "") -> str:
    """The output of `command` in `clone`, stdout and stderr together, without the path of the clone. `stack`: the
    command's; empty for all.

    Raises:
        SystemExit: the command fails.
    """
    # Without make's variables: otherwise the inner make prints its folders.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    done = subprocess.run(
        command.split(),
        cwd=clone,
        env={**plain, "GPUYARD_VENV": sys.prefix, "COLUMNS": COLUMNS, "STACK": stack},
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
        raise ValueError(f"the page has no place for the transcript of `{command}`")
    return found.sub(lambda _: f"{begin}```console\n$ {command}\n{text}\n```\n{end}", page, count=1)


def record(page: Page, clone: Path) -> str:
    """The page's text with new transcripts."""
    text = (ROOT / page.path).read_text()
    for command in page.before:
        output(command, clone, page.stack)
    for command in page.commands:
        print(f"recording `{command}`", file=sys.stderr)
        text = placed(text, command, output(command, clone, page.stack))
    return text


def main(arguments: list[str]) -> None:
    """Records every command of the pages, or of those that the arguments name."""
    wanted = [page for page in PAGES if not arguments or page.path in arguments]
    with tempfile.TemporaryDirectory(prefix="gpuyard-record-") as folder:
        clone = copied(Path(folder), os.environ.get("GPUYARD_CHARTS", ""))
        try:
            for page in wanted:
                (ROOT / page.path).write_text(record(page, clone))
        finally:
            output("make down", clone)


if __name__ == "__main__":
    main(sys.argv[1:])
