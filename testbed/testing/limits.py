"""Time limits, so that the kit ends whatever a component does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LAW_SECONDS = 30.0
"""The longest time of one law."""
COMPONENT_SECONDS = 100.0
"""The longest time of all laws of one component."""


class OutOfTime(BaseException):
    """Raised inside a law that takes too long; no Exception, so that no component catches it."""


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in the body after so many seconds; None sets no limit.

    Signals reach the main thread only, so that there is no limit in other threads. A timer that was
    set before, such as that of a test runner, goes on afterwards.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, stop)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        left = max(remaining - (time.monotonic() - started), 1e-3) if remaining else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left, interval)
