"""`helm pull` in the sandbox: the real one where the chart's repository can be reached, otherwise from a Go module.

The sandbox's `helm` (bin/helm) runs this for `pull`; every other command goes to the real helm. The program that
renders charts does not know it. One line of stderr reports a chart that comes from a module.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox import environment
from sandbox.errors import ReportedError
from sandbox.plugins import chart, module_chart


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("chart", nargs="?", default="")
    for flag in ("--repo", "--version", "--destination", "-d"):
        parser.add_argument(flag, default="")
    given, _ = parser.parse_known_args(arguments)
    real = environment.linked().get("helm")
    address = given.repo or (given.chart if given.chart.startswith("oci://") else "")
    reason = chart.unreachable(address) if address else ""
    if not reason:
        if real is None:
            print("Error: the sandbox has no helm yet: run `make up`", file=sys.stderr)
            return 1
        os.execv(real, [str(real), "pull", *arguments])
    name = given.chart.rsplit("/", 1)[-1].partition("@")[0]
    if name not in module_chart.SOURCES:
        print(
            f"Error: chart {name} {given.version} could not be reached ({reason}): set `gpuyard:charts.mirror` to a "
            "folder or registry that has it (docs/air-gapped.md)",
            file=sys.stderr,
        )
        return 1
    try:
        found: list[str] = []
        module_chart.package(name, given.version, Path(given.destination or given.d or "."), found.append)
    except ReportedError as error:
        print(f"Error: {reason}; {error}", file=sys.stderr)
        return 1
    print(f"chart {name} {given.version} could not be reached ({reason}): taken from {found[0]}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
