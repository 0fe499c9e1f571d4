"""One measurement in a process of its own: python -m benchmarks.child prepare|measure ROW TOOL FOLDER

The last line that it prints is the measurement as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def peak_mb() -> float:
    """The largest resident set of this process so far, in MB.

    Linux's own count: that of getrusage() includes the parent's, from before this process began.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    except (OSError, StopIteration):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(step: str, name: str, tool: str, folder: str) -> None:
    from .rows import ROWS

    row = ROWS[name]
    measured = {}
    if step == "measure":
        measured = row.measure(tool, Path(folder))
    elif row.prepare is not None:
        row.prepare(tool, Path(folder))
    print(json.dumps({"peak_mb": peak_mb(), **measured}))


if __name__ == "__main__":
    main(*sys.argv[1:])
