"""The start of a worker process: first it makes sure that it ends with its parent.

This module imports nothing that takes time, so that no worker outlives a run that is killed while
its workers load their modules.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, wait

_PDEATHSIG = 1  # of prctl: the signal to get when the parent dies


def begin(pipe: Connection, main: bool, arguments: bytes) -> None:
    """The first function of a worker; `arguments` are pickled, and their modules load here.

    `main`: the main thread of the parent has started this process.
    """
    die_with_parent(main)
    from testbed.running.worker import work

    work(pipe, *pickle.loads(arguments))


def die_with_parent(main: bool) -> None:
    """End this process when its parent is gone, even in the middle of a cell.

    A thread waits for the end of the parent. On Linux a signal kills the process as well, even if
    its code never lets other threads run. Linux sends the signal when the thread that started this
    process ends, so that it is used only if that was the main thread.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    if main and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
