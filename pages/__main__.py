"""Writes all generated documentation: docs/api, Pulumi.yaml's keys, tables of docs/pools.md, docs/upgrades.md and
docs/alerts.md, and the clouds' pictures and tables.

    make pages                    writes the pages
    python -m pages --check       exits 1, with instructions, if a page is not up to date

Not included: the transcripts (`make record`), which need a sandbox.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from .alerts.__main__ import main as alerts
from .api.__main__ import main as api
from .config.__main__ import main as config
from .picture.__main__ import main as picture

GENERATORS: tuple[Callable[[Sequence[str] | None], int], ...] = (api, config, picture, alerts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every generator and returns the highest exit status."""
    return max([generate(arguments) for generate in GENERATORS])


if __name__ == "__main__":
    sys.exit(main())
