"""Writes all that is generated: docs/api, Pulumi.yaml's keys, docs/pools.md, and the clouds' pictures and tables.

    make pages                    writes the pages
    python -m pages --check       exits 1, and says what to do, when a page is not what it would write

Not here: the README's transcripts (`make record`), which need a sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from .api.__main__ import main as api
from .config.__main__ import main as config
from .picture.__main__ import main as picture

GENERATORS: tuple[Callable[[Sequence[str] | None], int], ...] = (api, config, picture)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status: the highest of the generators'. Every one of them runs."""
    return max([generate(arguments) for generate in GENERATORS])


if __name__ == "__main__":
    sys.exit(main())
