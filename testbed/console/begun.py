"""How far the run folder of a scenario is, for its plan."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from attrs import frozen

from testbed.contract.cells import Cell
from testbed.errors import ResultError
from testbed.planning.plan import Plan
from testbed.results.status import cell_states, open_journal


@frozen
class Begun:
    """The cells of a plan that a run would compute, and in words which are finished."""

    missing: tuple[Cell, ...]
    text: str = ""


def begun(plan: Plan, folder: Path) -> Begun:
    """What the journal of a run folder holds of a plan; all is missing where there is none."""
    try:
        journal = open_journal(folder)
    except ResultError:
        return Begun(plan.cells)
    try:
        states = list(cell_states(plan, journal))
    finally:
        journal.close()
    counts = Counter(state.state for state in states)
    unfinished = [
        f"{counts[word]} {word}" for word in ("failed", "stale", "missing") if counts[word]
    ]
    missing = tuple(state.cell for state in states if state.state != "finished")
    finished = f"{folder}: {counts['finished']} of {len(states)} cells are finished"
    return Begun(missing, f"{finished}; to run: {', '.join(unfinished) or 'none'}")
