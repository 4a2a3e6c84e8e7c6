"""The status of every cell of a run folder, and why some would run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from testbed.contract.cells import Cell
from testbed.errors import ResultError
from testbed.planning.files import read_scenario
from testbed.planning.keys import path_key
from testbed.planning.plan import Plan, make_plan
from testbed.results.files import RESULTS, read_tree
from testbed.results.journal import JOURNAL, Journal
from testbed.results.resume import changed_cells
from testbed.results.states import StateFolder

STATES = ("finished", "failed", "stale", "missing")


@frozen
class CellState:
    """A cell with its state: finished, failed, stale (other code made it) or missing."""

    cell: Cell
    state: str
    why: str = ""


def cell_states(plan: Plan, journal: Journal) -> Iterator[CellState]:
    """The state of every cell of a plan; all but finished ones would run."""
    present, errors = journal.cell_keys(), journal.errors()
    changed = changed_cells(plan, journal)
    for cell in plan.cells:
        if cell.key in errors:
            yield CellState(cell, "failed", errors[cell.key].splitlines()[0])
        elif cell.key in present:
            yield CellState(cell, "finished")
        elif cell.key in changed:
            yield CellState(cell, "stale", changed[cell.key])
        else:
            yield CellState(cell, "missing")


def states_text(plan: Plan, folder: Path) -> str:
    """Of how many cells the states are kept, and how large they are; empty where nobody asked to
    keep them."""
    kept = StateFolder(folder)
    if not plan.scenario.compute.keep_states and not kept.sizes():
        return ""
    simulated = [cell for cell in plan.cells if cell.replicates]
    count = sum(path_key(cell) in kept.sizes() for cell in simulated)
    return (
        f"states: kept for {count} of {len(simulated)} cells, {kept.bytes / 2**20:.1f} MiB of at "
        f"most {plan.scenario.compute.states:g} GiB"
    )


def open_journal(folder: Path) -> Journal:
    """The journal of a run folder; ResultError if there is none."""
    if not (folder / JOURNAL).is_file():
        raise ResultError(
            f"{folder}: found no {JOURNAL}, expected a run folder. Name the folder of a run"
        )
    return Journal(folder)


def stored_plan(folder: Path, journal: Journal) -> Plan:
    """The plan of the scenario that a folder was last run with."""
    return plan_of_text(*stored_text(folder, journal))


def stored_text(folder: Path, journal: Journal) -> tuple[str, str]:
    """The scenario that a folder was last run with, and the file that it was read from."""
    text, file = journal.fact("text"), journal.fact("file")
    if not text and (folder / RESULTS).is_file():
        text, file = str(read_tree(folder).attrs["scenario"]), str(folder / RESULTS)
    if not text:
        raise ResultError(f"{folder}: found no scenario in the journal, expected one. Run it again")
    return text, file


def plan_of_text(text: str, file: str) -> Plan:
    """The plan of a stored scenario."""
    return make_plan(read_scenario(text, file))


def named(cell: Cell) -> str:
    """A cell in words: `adaptive(n=100, depth=1), replicates 0 to 15`."""
    where = ", ".join(f"{dim}={value}" for dim, value in cell.point.items())
    text = f"{cell.estimator}({where})"
    if not cell.replicates:
        return f"{text}, theory"
    first, last = min(cell.replicates), max(cell.replicates)
    return f"{text}, replicate{f' {first}' if first == last else f's {first} to {last}'}"


def counted(states: list[CellState]) -> list[tuple[str, str, int]]:
    """The number of cells in each state, by reason."""
    counts = Counter((state.state, state.why) for state in states)
    order = sorted(counts, key=lambda pair: (STATES.index(pair[0]), pair[1]))
    return [(state, why, counts[state, why]) for state, why in order]
