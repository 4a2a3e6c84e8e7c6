"""The most memory that this process has held, measured for one cell at a time."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_FORGET_PEAK = "5"


def forget_peak() -> None:
    """Begin to measure anew, where the system can."""
    with suppress(OSError):
        _CLEAR.write_text(_FORGET_PEAK)


def peak() -> float:
    """Bytes of memory at the peak since `forget_peak`; of the process's life where the system
    cannot forget, and 0 where it does not tell."""
    with suppress(OSError, ValueError, IndexError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    with suppress(ImportError):
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return 0.0
