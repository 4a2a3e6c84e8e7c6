"""What kept states and earlier cells save of the cells that a run lacks.

A cell whose states are kept measures the metrics that no earlier cell holds with the same code, and
trains nothing. States that other code made are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from attrs import evolve, field, frozen

from testbed.contract.cells import Cell, CellResult
from testbed.contract.components import Estimator
from testbed.contract.states import MAIN, Kept
from testbed.planning.keys import (
    companion_name,
    origin_of_training,
    part_keys,
    path_key,
    request_of,
)
from testbed.results.journal import Journal
from testbed.results.states import StateFiles, StateFolder

NOT_KEPT = "their states were not kept"
Donors = Mapping[str, str]
"""Variable → the journal's key of the cell that holds it."""


@frozen
class Reuse:
    """A cell with kept states: which variables are there, and what else has to be trained."""

    cell: Cell  # with `kept`
    donors: Donors = field(hash=False)
    measured: tuple[str, ...]  # variables that this run measures
    companions: tuple[str, ...] = ()  # the estimators whose states those need and nobody kept
    libraries: Mapping[str, tuple[str, str]] = field(factory=dict, hash=False)
    """Libraries of other versions than when the states were made: name → (then, now)."""


@frozen
class Reusable:
    """The cells that need no training, and why the others do; all by the plan's keys."""

    cells: Mapping[str, Reuse] = field(factory=dict, hash=False)
    reasons: Mapping[str, str] = field(factory=dict, hash=False)
    failed: Mapping[str, str] = field(factory=dict, hash=False)
    """The errors of cells that failed when they were trained."""


def reusable(
    missing: Sequence[Cell], journal: Journal, folder: StateFolder, mix_versions: bool = False
) -> Reusable:
    """What can be reused for cells that a run lacks. Files are checked for damage. States that
    other versions of libraries made are used only if `mix_versions`."""
    cells, reasons, failed = {}, {}, {}
    present = _Present(journal, folder, mix_versions)
    for cell in missing:
        if not cell.replicates:
            continue
        answer = present.reuse(cell)
        if isinstance(answer, Reuse):
            cells[cell.key] = answer
            continue
        reasons[cell.key] = answer
        error = present.error(cell)
        if error:
            failed[cell.key] = error
    return Reusable(cells, reasons, failed)


class _Present:
    """What lies in a run folder, read once."""

    def __init__(self, journal: Journal, folder: StateFolder, mix_versions: bool):
        self._journal, self._folder, self._mix = journal, folder, mix_versions
        self._files = set(folder.sizes())
        self._trained = journal.trained() if self._files else {}
        self._intact: dict[str, bool] = {}
        self._rows: dict[str, bool] = {}
        self._errors = journal.errors() if self._files else {}

    def error(self, cell: Cell) -> str:
        """What a cell with these states raised when it was trained; empty if it did not fail."""
        rows = self._trained.get(path_key(cell), {})
        errors = [
            self._errors[key] for key, parts in rows.items() if not parts and key in self._errors
        ]
        return errors[-1] if errors else ""

    def reuse(self, cell: Cell) -> Reuse | str:
        """What can be reused for a cell, or why nothing can."""
        training = path_key(cell)
        reason = self._objection(training, cell)
        if reason:
            return reason
        libraries = self._libraries(training, cell)
        if libraries and not self._mix:
            return ", ".join(
                f"{name} {then} (here {now}) made their states, which --mix-versions uses"
                for name, (then, now) in libraries.items()
            )
        donors = dict(self._donors(cell, training))
        wanted = {name: p for p in cell.metrics for name in p.names.values() if name not in donors}
        files = {MAIN: self._folder.file(training)}
        untrained: dict[str, None] = {}
        for companion in companions_of(cell):
            key = path_key(cell, companion)
            if key in self._files and self._is_whole(key):
                files[companion_name(companion)] = self._folder.file(key)
            elif any(planned.companion == companion for planned in wanted.values()):
                untrained[_named(companion)] = None
        kept = Kept(StateFiles(files), frozenset(donors))
        return Reuse(evolve(cell, kept=kept), donors, tuple(wanted), tuple(untrained), libraries)

    def _objection(self, key: str, cell: Cell) -> str:
        """Why the states of a cell cannot be used; empty if they can."""
        if key in self._files:
            if self._is_whole(key):
                return ""
            self._folder.remove([key])
            return "the file of their states was damaged"
        stale = self._folder.of_request(request_of(key))
        if stale is None:
            return NOT_KEPT
        origin = self._folder.origin(stale)
        changes = origin_of_training(cell).changes_since(origin) if origin else []
        return f"other code made their kept states: {', '.join(changes) or 'nobody recorded which'}"

    def _libraries(self, key: str, cell: Cell) -> dict[str, tuple[str, str]]:
        """Libraries of other versions than when the states were made: name → (then, now)."""
        then = self._folder.origin(key)
        return origin_of_training(cell).other_libraries(then) if then else {}

    def _is_whole(self, key: str) -> bool:
        if key not in self._intact:
            self._intact[key] = self._folder.is_whole(key)
        return self._intact[key]

    def _donors(self, cell: Cell, training: str) -> Iterator[tuple[str, str]]:
        """The variables of a cell that earlier cells hold, the newest of each."""
        rows = self._trained.get(training, {})
        for variable, part in part_keys(cell, training).items():
            for key in reversed(rows):
                if rows[key].get(variable) == part and self._is_readable(key):
                    yield variable, key
                    break

    def _is_readable(self, key: str) -> bool:
        if key not in self._rows:
            self._rows[key] = any(True for _ in self._journal.stored([key]))
        return self._rows[key]


def _named(companion: Estimator) -> str:
    return companion.name or companion.model.name


def completed(result: CellResult, reuse: Reuse, journal: Journal) -> CellResult:
    """The result of a cell whose missing metrics were measured, with the variables of its donors.

    If measuring failed as a whole, the cell lacks the variables that it was to measure.
    """
    donors = {key: None for key in reuse.donors.values()}
    rows = {stored.result.key: stored.result for stored in journal.stored(donors)}
    if len(rows) < len(donors):
        return evolve(result, error="the earlier numbers of this cell were damaged; run it again")
    if result.error and rows:
        donor = list(rows.values())[-1]
        noted = _only(donor.variables, set(reuse.cell.optimizer.declared()))
        faults = dict.fromkeys(reuse.measured, result.error)
        blank = evolve(donor, variables=noted, coordinates={}, counts={}, faults=faults)
        result = evolve(blank, key=result.key, seconds=result.seconds)
    variables, counts = dict(result.variables), dict(result.counts)
    coordinates = dict(result.coordinates)
    for variable, key in reuse.donors.items():
        row = rows[key]
        variables[variable] = row.variables[variable]
        counts |= _only(row.counts, {variable})
        coordinates |= {pair: a for pair, a in row.coordinates.items() if pair[0] == variable}
    return evolve(
        result,
        variables=variables,
        counts=counts,
        coordinates=coordinates,
        seconds=result.seconds + max((row.seconds for row in rows.values()), default=0.0),
        memory=max([result.memory, *(row.memory for row in rows.values())]),
    )


def _only(arrays: Mapping[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if name in names}


def keys_of_states(cells: Iterable[Cell]) -> Iterator[str]:
    """The keys of all states that cells train, their companions' included."""
    for cell in cells:
        if cell.replicates:
            for companion in (None, *companions_of(cell)):
                yield path_key(cell, companion)


def companions_of(cell: Cell) -> tuple[Estimator, ...]:
    """The companions that a cell's metrics compare with, each once."""
    return tuple(dict.fromkeys(p.companion for p in cell.metrics if p.companion))


def keep_states(
    folder: StateFolder,
    cell: Cell,
    result: CellResult,
    bound: float,
    needed: Callable[[], set[str]],
) -> str:
    """Write the states that a cell's result brings; why some are not kept, or nothing.

    Where they would exceed `bound` bytes, files of states that no cell of the plan uses make room;
    `needed` returns the requests of the others.
    """
    origin = origin_of_training(cell)
    keys = {MAIN: path_key(cell)}
    keys |= {companion_name(c): path_key(cell, c) for c in companions_of(cell)}
    for name, path in result.states.items():
        if folder.bytes + path.bytes > bound:
            used = needed()
            folder.remove(key for key in folder.sizes() if request_of(key) not in used)
        if folder.bytes + path.bytes > bound:
            return "kept states would exceed compute.states; raise it to keep more"
        about = {"estimator": cell.estimator, "point": repr(dict(cell.point)), "path": name}
        folder.write(keys[name], path, origin, about)
    return result.unkept
