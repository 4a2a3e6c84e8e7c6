"""What a notebook shows without being asked: the progress of a run."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.running.progress import ProgressWatcher


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return "ipykernel" in sys.modules


def progress_bar(shown: bool | None) -> AbstractContextManager[ProgressWatcher | None]:
    """The progress of a run as a bar, where it is asked for; by default in notebooks."""
    if not (in_notebook() if shown is None else shown):
        return nullcontext()
    from rich.console import Console

    from testbed.running.progress import ProgressWatcher

    return ProgressWatcher(Console(stderr=True))
