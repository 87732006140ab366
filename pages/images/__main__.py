"""Lists every container image that a stack pulls, one per line.

    make images STACK=prod                        what nodes pull
    python -m pages.images --stack prod --json also the source of each, and what uses it

The stack runs as in the tests, under the recording engine: no account. The real helm renders the charts that can be
reached. The images of the others come from the library's own table, and a line on stderr names these charts. Exits 1 if
the stack names a registry (`images.registry`) and an image comes from another one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import cast

import pulumi

from components.charts.images import ImagesArgs
from recording.stacks import record, settings
from sandbox.errors import ReportedError
from sandbox.paths import ROOT
from sandbox.plugins.values import working_directory
from sandbox.stacks import Stack

from .listing import Listing, listing


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pages.images", description="Every container image of a stack")
    parser.add_argument("--stack", default=os.environ.get("STACK") or "dev", help="the stack, default $STACK or dev")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of one image a line")
    given = parser.parse_args(arguments)
    try:
        found = images_of(given.stack)
    except (ReportedError, pulumi.RunError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        for image in sorted(found.images):
            print(image)
    for name, why in sorted(found.charts.items()):
        if why:
            print(f"{name}: its chart could not be reached ({why}); its images are those of the table", file=sys.stderr)
    if found.addons and not given.json:
        print(f"also pulled, from EKS's own registry: {', '.join(sorted(found.addons))}", file=sys.stderr)
    outside = found.elsewhere()
    for image in outside:
        print(f"{image}: does not come from {found.source.get('registry')}", file=sys.stderr)
    return 1 if outside else 0


def images_of(stack: str) -> Listing:
    """The images of a stack. Raises SandboxError or pulumi.RunError if its file is wrong."""
    Stack(stack).config  # noqa: B018 - says what is wrong with a file that cannot be read
    config = settings(stack)
    before = os.environ.get("GPUYARD_SANDBOX")
    with tempfile.TemporaryDirectory(prefix="gpuyard-") as folder:
        # A temporary folder for Helm's own files: listing images creates no sandbox.
        os.environ["GPUYARD_SANDBOX"] = folder
        token = working_directory.set(ROOT)
        try:
            source = config.get("gpuyard:images") or {}
            return listing(stack, record(config, stack), cast(ImagesArgs, source))
        finally:
            working_directory.reset(token)
            os.environ.pop("GPUYARD_SANDBOX")
            if before is not None:
                os.environ["GPUYARD_SANDBOX"] = before


if __name__ == "__main__":
    sys.exit(main())
