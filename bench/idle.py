"""What an idle sandbox costs: CPU per process, as a share of one core.

    python -m bench.idle [SECONDS]     of the sandbox that runs (make up first); 30 s by default

Counted are user and system time of every process of the sandbox and its children, from /proc (Linux only).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from sandbox import process

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds() -> dict[int, tuple[str, float]]:
    """CPU seconds so far by pid, with the process's name."""
    names = {each.pid: each.name for each in process.all()}
    found = {}
    for pid in {*names, *process.strays()}:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = (names.get(pid, f"child {pid}"), (int(fields[11]) + int(fields[12])) / _TICKS)
    return found


def shares(over: float) -> dict[str, float]:
    """Percent of one core that each process takes while nobody asks for anything."""
    before, begun = seconds(), time.monotonic()
    time.sleep(over)
    after, took = seconds(), time.monotonic() - begun
    return {name: 100 * (spent - before[pid][1]) / took for pid, (name, spent) in after.items() if pid in before}


def main() -> None:
    found = shares(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
    if not found:
        sys.exit("no sandbox runs here: make up")
    for name, share in sorted(found.items(), key=lambda entry: -entry[1]):
        print(f"{share:6.1f} %  {name}")
    print(f"{sum(found.values()):6.1f} %  of one core in all")


if __name__ == "__main__":
    main()
