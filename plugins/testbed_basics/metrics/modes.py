"""Which modes and ranks a metric records."""

from __future__ import annotations

import numpy as np

from testbed import Grid, UnsuitableError

SHOWN = 100


def chosen(grid: Grid | None, available: int, what: str) -> np.ndarray:
    """The grid's numbers, from 1 to `available`; without a grid at most 100, log-spaced."""
    if grid is None:
        if available <= SHOWN:
            return np.arange(1, available + 1)
        return np.unique(np.round(np.geomspace(1, available, SHOWN)).astype(int))
    numbers = np.unique(np.round(grid.values).astype(int))
    if numbers[0] < 1 or numbers[-1] > available:
        raise UnsuitableError(
            f"found {what} from {numbers[0]} to {numbers[-1]}",
            f"numbers from 1 to {available}, as many as the spectrum has",
            "ask for fewer",
        )
    return numbers
