"""How long cells take on this machine, and how much memory: learned from those that it has run.

A kind of cell is its components by name; measurements with other metrics stand in where there are
none of the kind itself. For each kind, the logarithm of the seconds is a line in the logarithms of
numbers that describe the cell (sample size, replicates, times, …), fitted to what was measured and,
where little was measured, to expectations: work is proportional to replicates, times and sizes. No
number of a result depends on this; it orders cells and tells what to expect.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import numpy as np
from attrs import frozen
from filelock import FileLock, Timeout

from testbed.contract.cells import Cell
from testbed.contract.components import Component
from testbed.contract.parameters import fields_of, names_with
from testbed.planning.cache import cache_folder, write_cache

FILE = "calibration.json"
KEPT = 200  # measurements of each kind; the newest replace the oldest
LEARNED = 50  # cells of each kind that one run adds
EXPECTED = {"replicates": 1.0, "times": 0.7, "sample size": 1.0}
SPREAD = 1.0  # how far exponents may be from the expected ones
NOISE = 0.3  # of one measurement, in logarithms
PATIENCE = 5.0  # seconds to wait for another run that saves
SEPARATOR = " | "  # of the parts of a kind's name

Record = tuple[dict[str, float], float, float]
"""Logarithms that describe a cell, its seconds, and the bytes of the process that ran it."""
Measured = tuple[Cell, float, float]
"""A cell with its seconds, and the bytes of the process that ran it."""


@frozen
class Forecast:
    """What some cells are expected to take, one after another; `memory` is that of the largest.

    `unknown` counts the cells of which nothing alike was measured.
    """

    seconds: float = 0.0
    memory: float = 0.0
    unknown: int = 0

    def __str__(self) -> str:
        if self.unknown:
            return (
                f"unknown, since this machine has not run cells like {self.unknown} of these; "
                "`testbed plan --costs` tries a few replicates"
            )
        size = f", {self.memory / 2**20:.0f} MiB of memory a process" if self.memory else ""
        return f"about {self.seconds:.2g} s in one process{size}, by what ran on this machine"


class Calibration:
    """The measurements of this machine."""

    def __init__(self, records: Mapping[str, list[Record]] | None = None) -> None:
        self._records = dict(records or {})
        self._added: dict[str, list[Record]] = {}  # since the last `save`
        self._lines: dict[str, Line | None] = {}
        self._kinds: dict[tuple[int, ...], str] = {}
        self._kept: list[object] = []  # so that no identity is used twice

    def seconds(self, cell: Cell) -> float | None:
        """What a cell is expected to take; None if nothing alike was measured."""
        line = self._line(cell)
        return None if line is None else line.seconds(description(cell))

    def memory(self, cell: Cell) -> float | None:
        """The bytes of a process that runs the cell: the most that cells of its kind took."""
        line = self._line(cell)
        return None if line is None or not line.memory else line.memory

    def forecast(self, cells: Iterable[Cell]) -> Forecast:
        """What cells are expected to take together."""
        seconds, memory, unknown = 0.0, 0.0, 0
        for cell in cells:
            expected = self.seconds(cell)
            unknown += expected is None
            seconds += expected or 0.0
            memory = max(memory, self.memory(cell) or 0.0)
        return Forecast(seconds, memory, unknown)

    def longest_first(self, cells: Sequence[Cell]) -> list[Cell]:
        """The same cells, groups that are expected to take longest first. Groups of which nothing
        alike was measured come before them, in the order of the plan."""
        groups = [list(group) for _, group in groupby(cells, key=lambda cell: cell.group)]
        expected = [[self.seconds(cell) for cell in group] for group in groups]
        costs = [
            math.inf if None in seconds else sum(filter(None, seconds)) for seconds in expected
        ]
        order = sorted(range(len(groups)), key=lambda position: (-costs[position], position))
        return [cell for position in order for cell in groups[position]]

    def learn(self, measured: Sequence[Measured]) -> None:
        """Add the measurements of cells of one run. The first of a kind is left out if there are
        others, since it paid for the first calls of libraries."""
        by_kind: dict[str, list[Measured]] = {}
        for entry in measured:
            by_kind.setdefault(self._kind(entry[0]), []).append(entry)
        for kind, cells in by_kind.items():
            chosen = cells[1:] if len(cells) > 1 else cells
            step = max(1, len(chosen) // LEARNED)
            added = [(description(c), seconds, memory) for c, seconds, memory in chosen[::step]]
            for records in (self._records, self._added):
                records[kind] = [*records.get(kind, []), *added][-KEPT:]
            self._lines.pop(kind, None)

    def _kind(self, cell: Cell) -> str:
        parts = (cell.design, cell.target, cell.model, cell.optimizer, cell.metrics, cell.compute)
        key = tuple(map(id, parts))
        if key not in self._kinds:
            self._kept.append(parts)
            self._kinds[key] = kind_of(cell)
        return self._kinds[key]

    def _line(self, cell: Cell) -> Line | None:
        kind = self._kind(cell)
        if kind not in self._lines:
            records = self._records.get(kind) or self._with_other_metrics(kind)
            self._lines[kind] = Line(records) if records else None
        return self._lines[kind]

    def _with_other_metrics(self, kind: str) -> list[Record]:
        """The measurements of the kind that differs in its metrics alone and was measured most."""
        trained, _, ending = kind.split(SEPARATOR)
        candidates = [
            records
            for name, records in self._records.items()
            if name.split(SEPARATOR)[:1] == [trained] and name.split(SEPARATOR)[2:] == [ending]
        ]
        return max(candidates, key=len, default=[])

    # --- file -----------------------------------------------------------------------------------

    @classmethod
    def load(cls) -> Calibration:
        """The measurements that earlier runs left; none if they cannot be read."""
        try:
            stored = json.loads(calibration_file().read_text(encoding="utf-8"))
            return cls(
                {
                    str(kind): [(dict(about), float(s), float(m)) for about, s, m in records]
                    for kind, records in stored.items()
                }
            )
        except (OSError, ValueError, TypeError, AttributeError):
            return cls()

    def save(self) -> None:
        """Add what was learned to what runs have kept, also those that ended since this one began;
        a folder that cannot be written does not matter."""
        with suppress(OSError, Timeout):
            cache_folder().mkdir(parents=True, exist_ok=True)
            with FileLock(f"{calibration_file()}.lock", timeout=PATIENCE):
                kept = Calibration.load()._records
                for kind, records in self._added.items():
                    kept[kind] = [*kept.get(kind, []), *records][-KEPT:]
                write_cache(FILE, json.dumps(kept))
            self._added.clear()


def calibration_file() -> Path:
    """The file of this machine's measurements."""
    return cache_folder() / FILE


class Line:
    """The line fitted to the measurements of one kind: a ridge regression whose coefficients lean
    towards the expected exponents."""

    def __init__(self, records: list[Record]) -> None:
        self.names = sorted({name for about, _, _ in records for name in about})
        rows = np.array([[about.get(name, 0.0) for name in self.names] for about, _, _ in records])
        logs = np.log([seconds for _, seconds, _ in records])
        self.memory = max(memory for _, _, memory in records)
        self._centre, self._mean = rows.mean(0), float(logs.mean())
        prior = np.array([EXPECTED.get(name, 0.0) for name in self.names])
        moved = rows - self._centre
        matrix = moved.T @ moved / NOISE**2 + np.eye(len(self.names)) / SPREAD**2
        residuals = logs - self._mean - moved @ prior
        self._slopes = prior + np.linalg.solve(matrix, moved.T @ residuals / NOISE**2)

    def seconds(self, about: Mapping[str, float]) -> float:
        """The expected seconds of a cell."""
        row = np.array([about.get(name, 0.0) for name in self.names])
        exponent = self._mean + float((row - self._centre) @ self._slopes)
        return math.exp(min(exponent, 50.0))


def expected_costs(
    cells: Sequence[Cell], calibration: Calibration | None = None
) -> dict[str, Forecast]:
    """What the cells of each estimator are expected to take on this machine."""
    calibration = calibration or Calibration.load()
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.estimator, []).append(cell)
    return {name: calibration.forecast(group) for name, group in groups.items()}


def expected_seconds(cells: Sequence[Cell], calibration: Calibration) -> dict[str, float]:
    """The expected seconds of cells by key. Cells of which nothing alike was measured count as the
    mean of the others, or as a second each."""
    expected = {cell.key: calibration.seconds(cell) for cell in cells}
    numbers = [seconds for seconds in expected.values() if seconds is not None]
    mean = sum(numbers) / len(numbers) if numbers else 1.0
    return {key: mean if seconds is None else seconds for key, seconds in expected.items()}


def kind_of(cell: Cell) -> str:
    """A cell's components by name: what is trained, its metrics, and how it is computed."""
    parts: list[Component] = [cell.design, cell.target, cell.model, cell.optimizer]
    names = [name for part in parts for name in _names(part)]
    metrics = sorted(planned.metric.name for planned in cell.metrics)
    ending = [cell.compute.dtype, cell.compute.device, "" if cell.replicates else "theory"]
    return SEPARATOR.join(" ".join(part) for part in (names, metrics, ending))


def description(cell: Cell) -> dict[str, float]:
    """The logarithms of the numbers that describe a cell."""
    numbers: dict[str, float] = {
        "replicates": len(cell.replicates) or 1,
        "times": len(cell.times) or 1,
        "last time": 1 + min(cell.times[-1], 1e300) if cell.times else 1,
    }
    for part in (cell.design, cell.target, cell.model, cell.optimizer):
        numbers |= _numbers(part)
    return {name: math.log(value) for name, value in numbers.items() if value > 0}


def _names(component: Component) -> list[str]:
    nested = [value for value in _values(component).values() if isinstance(value, Component)]
    words = [v for v in _values(component).values() if isinstance(v, str) and len(v) < 20]
    return [component.name, *words, *(name for part in nested for name in _names(part))]


def _numbers(component: Component) -> dict[str, float]:
    sizes = names_with(component, "sample_size")
    numbers: dict[str, float] = {}
    for name, value in _values(component).items():
        if isinstance(value, Component):
            numbers |= _numbers(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            word = "sample size" if name in sizes else f"{component.name} {name}"
            numbers[word] = float(min(max(value, -1e300), 1e300))
    return numbers


def _values(component: Component) -> dict[str, object]:
    return {field.name: getattr(component, field.name) for field in fields_of(component)}
