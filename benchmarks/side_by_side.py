"""What the benchmarks share: timing contestants in one run, and a Markdown table of ratios."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Row(NamedTuple):
    """A contestant's seconds for the whole work; `share` of it was run, the rest extrapolated."""

    contestant: str
    wall: float
    cpu: float
    answer: Any = None
    share: float = 1.0


def timed(contestant: str, work: Callable[[], Any], *, share: float = 1.0, rounds: int = 1) -> Row:
    """The best of `rounds` runs of `work`, which does `share` of the whole. One answer is held at a
    time: memory that was never touched is slow to come by."""
    best = Row(contestant, float("inf"), 0.0)
    answer = None
    for _ in range(rounds):
        answer = None
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        best = min(best, Row(contestant, spent[0] / share, spent[1] / share), key=lambda r: r.wall)
    return best._replace(answer=answer, share=share)


def table(work: str, rows: list[Row]) -> str:
    """Markdown; ratios are to the first contestant."""
    lines = [
        f"**{work}**\n",
        "| contestant | wall s | processor s | times ours | share that was run |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.contestant} | {row.wall:.3g} | {row.cpu:.3g} "
            f"| {row.wall / rows[0].wall:.3g} | {row.share:.2%} |"
        )
    return "\n".join(lines)


def conditions(*distributions: str) -> str:
    """Cores, threads and versions, for the line below the tables."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in distributions]
    return (
        f"{os.cpu_count()} cores, {torch.get_num_threads()} torch thread(s), load "
        f"{os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {', '.join(versions)}"
    )
