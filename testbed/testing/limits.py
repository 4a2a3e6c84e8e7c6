"""Time limits, so that the kit ends whatever a component does.

Seconds are those of the processor, so that a busy machine does not turn a right component into a
wrong one; for a component that waits, they are those of the clock.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

LAW_SECONDS = 30.0
"""The longest time of one law."""
COMPONENT_SECONDS = 100.0
"""The longest time of all laws of one component."""
LAW_SHARE = LAW_SECONDS / COMPONENT_SECONDS
"""The share of a component's time that one law may take."""
GRACE = 10.0
"""Seconds that a component may take to stop when it is told to."""
IDLE = 0.02
"""The share of processor time below which a component waits for something."""
TICK = 0.5
MEMORY = 4 * 2**30
"""Bytes that a law may take besides those of the process before it."""


class OutOfTime(BaseException):
    """Raised inside a law that takes too long; no Exception, so that no component catches it."""


class Stopwatch:
    """Seconds since it was made: of the processor, or of the clock where nothing is computed."""

    def __init__(self) -> None:
        self._clock, self._processor = time.monotonic(), time.process_time()

    def seconds(self) -> float:
        clock = time.monotonic() - self._clock
        processor = time.process_time() - self._processor
        return clock if processor < IDLE * clock else min(processor, clock)


class _Watched:
    """What is limited at present: the time it has taken, and the time it may take."""

    def __init__(self, seconds: float):
        self.watch, self.seconds = Stopwatch(), seconds


_present: list[_Watched] = []


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in the body after so many seconds; None sets no limit.

    Signals reach the main thread only, so that there is no limit in other threads. A timer that was
    set before, such as that of a test runner, goes on afterwards.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    watched = _Watched(max(seconds, 1e-3))
    due = watched.seconds

    def look(number: int, frame: FrameType | None) -> None:
        nonlocal due
        if watched.watch.seconds() >= due:
            due += GRACE / 2  # time to unwind, before code that catches everything is told again
            raise OutOfTime

    started = time.monotonic()
    tick = min(TICK, watched.seconds)
    handler = signal.signal(signal.SIGALRM, look)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, tick, tick)
    _present.append(watched)
    try:
        with _bounded_memory():
            yield
    finally:
        _present.remove(watched)
        left = max(remaining - (time.monotonic() - started), 1e-3) if remaining else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let allocations fail that would take the machine's memory; on Linux alone."""
    size = Path("/proc/self/statm")
    if not size.exists():
        yield
        return
    import resource

    pages = int(size.read_text(encoding="utf-8").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + MEMORY
    if hard != resource.RLIM_INFINITY:
        bound = min(bound, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def watching_the_stuck(report: Callable[[str], None]) -> Iterator[None]:
    """Call `report` with the place at which the main thread is stuck, if a limit passes and nothing
    stops: compiled code that never returns, or code that catches every exception."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1.0):
            late = any(
                running.watch.seconds() > running.seconds + GRACE for running in list(_present)
            )
            if late:
                report(_place())
                return

    threading.Thread(target=watch, daemon=True, name="testbed-kit").start()
    try:
        yield
    finally:
        ended.set()


def _place() -> str:
    """The line of the main thread outside testbed and torch, innermost first; any if there is
    none."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    lines = []
    while frame is not None:
        lines.append((frame.f_globals.get("__name__", ""), frame))
        frame = frame.f_back
    foreign = [
        frame
        for name, frame in lines
        if name.partition(".")[0] not in ("testbed", "torch", "numpy")
    ]
    chosen = foreign[0] if foreign else lines[0][1]
    return f"{chosen.f_code.co_filename}:{chosen.f_lineno}, in {chosen.f_code.co_name}"
