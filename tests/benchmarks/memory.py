"""Memory that a command takes, with the processes that it starts."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path


def peak_of(child: subprocess.Popen[bytes]) -> float:
    """Wait for a process; the peaks of it and of its children together, in MiB. Linux only.

    Each peak is a process's own: what a system tells of an ended child has in it what the parent held. So does a child that has not yet become
    another program; hence one counts from when it is seen for the second time.
    """
    seen: dict[str, list[float]] = {}
    while child.poll() is None:
        for process in _family(str(child.pid)):
            seen.setdefault(process, []).append(_own(process))
        time.sleep(0.01)
    return sum(max(peaks[1:], default=0.0) for peaks in seen.values())


def _family(process: str) -> list[str]:
    """A process and those that it has started and that live."""
    with contextlib.suppress(OSError):
        return [process, *Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()]
    return []


def _own(process: str) -> float:
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
        return max((float(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line), default=0.0)
    return 0.0
