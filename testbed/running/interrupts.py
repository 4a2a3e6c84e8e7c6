"""Signals that end a run: the first stops it cleanly, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_received: list[int] = []
_watched: list[bool] = []


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end. It is no Exception, so that components do not catch it."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(signal.Signals(number).name)

    @property
    def exit_code(self) -> int:
        """The exit code that shells expect from a program that a signal ended."""
        return 128 + self.number


@contextmanager
def interrupts() -> Iterator[None]:
    """While the context lasts, signals raise Interrupted; a second one ends the process at once.

    Does nothing outside the main thread, where no signal arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received.clear()
    _watched.append(True)
    # SIGHUP stays ignored under nohup
    taken = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _handle) for number in taken}
    try:
        yield
    finally:
        _watched.pop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if len(_received) > 1:
        os._exit(128 + number)
    raise Interrupted(number)


def watched() -> bool:
    """Whether signals arrive as Interrupted, so that KeyboardInterrupt comes from a component."""
    return bool(_watched)


def expect_none() -> None:
    """Interrupted if a signal came and a component swallowed what it raised."""
    if _watched and _received:
        raise Interrupted(_received[0])
