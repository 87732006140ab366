"""The CPU use of an idle sandbox, for each process, as a share of one core.

    python -m bench.idle [SECONDS]     measures the running sandbox (make up first); 30 s by default

It adds user and system time of every process of the sandbox and its children, from /proc (Linux only).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from sandbox import process

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds() -> dict[int, tuple[str, float]]:
    """Pid → (name of the process, CPU seconds so far)."""
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
    """Process → percent of one core that it uses during `over` seconds."""
    before, begun = seconds(), time.monotonic()
    time.sleep(over)
    after, took = seconds(), time.monotonic() - begun
    return {name: 100 * (spent - before[pid][1]) / took for pid, (name, spent) in after.items() if pid in before}


def main() -> None:
    found = shares(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
    if not found:
        sys.exit("no sandbox is running: run `make up` first")
    for name, share in sorted(found.items(), key=lambda entry: -entry[1]):
        print(f"{share:6.1f} %  {name}")
    print(f"{sum(found.values()):6.1f} %  of one core in all")


if __name__ == "__main__":
    main()
