"""`python -m tools [NAME...]`: provides the named programs and prints their paths.

Without a name it provides all of them except those that only the examples in other languages need.
"""

from __future__ import annotations

import argparse
import sys

from tools.errors import ToolError
from tools.manifest import TOOLS
from tools.provide import cached, machines_own, provide


def main() -> int:
    usual = [name for name, tool in TOOLS.items() if not tool.on_demand]
    parser = argparse.ArgumentParser(prog="python -m tools", description="Provides the programs that gpuyard needs.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of: {', '.join(TOOLS)} (default: {', '.join(usual)})"
    )
    parser.add_argument(
        "--list", action="store_true", help="show what each program is, its pinned version and its location"
    )
    arguments = parser.parse_args()
    try:
        if arguments.list:
            for name, tool in TOOLS.items():
                where = machines_own(tool) or cached(tool) or "not here yet"
                print(f"{name:25} {tool.pinned:10} {tool.what:38} {where}")
            return 0
        for name, path in provide(arguments.names or usual).items():
            print(f"{name}\t{path}")
    except ToolError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; run it again, it continues from there.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
