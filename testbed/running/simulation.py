"""Train and measure a chunk of a cell's replicates, block by block of recorded times."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from testbed.contract.answers import expect_names
from testbed.contract.border import ComponentFault
from testbed.contract.cells import STATUS, Cell, CellResult
from testbed.contract.components import Estimator
from testbed.contract.seeds import Streams
from testbed.contract.values import Problem
from testbed.numerics.trees import bounded, floats, stack, tensors
from testbed.planning.fitting import companion_objection
from testbed.running.border import measured_array
from testbed.running.chunks import block_length
from testbed.running.draws import cast
from testbed.running.measure import MetricSeries
from testbed.running.paths import Keep, Path, States
from testbed.running.preparations import PreparationCache

Arrays = dict[str, np.ndarray]


class Simulation:
    """One chunk of replicates of a cell, trained and measured block by block of recorded times."""

    def __init__(
        self,
        cell: Cell,
        replicates: Sequence[int],
        problems: Sequence[Problem],
        cache: PreparationCache,
    ):
        self.cell, self.problems, self.problem = cell, problems, stack(problems)
        self.rngs = [Streams(cell.seed, replicate, cell.shared_design) for replicate in replicates]
        self.replicates = tuple(replicates)
        self.main = self._path(Estimator(cell.estimator, cell.model, cell.optimizer), cache)
        self.reached = self.main.reached(cell.times)
        self.series = [MetricSeries(planned, self.reached) for planned in cell.metrics]
        self.companions: dict[Estimator, Path] = {}
        for companion in dict.fromkeys(planned.companion for planned in cell.metrics):
            if companion is not None:
                self._add_companion(companion)
        self.alive = torch.ones(len(problems), dtype=torch.bool, device=cell.compute.device)
        self.diverged_at = np.full(len(problems), np.nan)
        self.records: dict[str, list[np.ndarray]] = {}
        self.faults: dict[str, str] = {}  # of the optimizer's own variables

    def _add_companion(self, companion: Estimator) -> None:
        """Begin a companion's path. If it fails, drop the metrics that compare with it.

        Where times are known only in the run, the run checks that the companion reaches them.
        """
        unplanned = self.cell.optimizer.facts().times_per_replicate
        reason = companion_objection(companion, self.reached) if unplanned else ""
        try:
            if not reason:
                self.companions[companion] = self._path(companion, None)
        except ComponentFault as fault:
            reason = str(fault)
        if reason:
            self._forsake(companion, reason)

    def _forsake(self, companion: Estimator, reason: str) -> None:
        """Give up the metrics that compare with a companion."""
        self.companions.pop(companion, None)
        for series in self.series:
            if series.planned.companion == companion:
                series.fault = (
                    f"{series.planned.metric.name}: its companion cannot be used: {reason}"
                )

    def _path(self, estimator: Estimator, cache: PreparationCache | None) -> Path:
        keep: Keep = _make
        if cache is not None and estimator.model.facts().reads == "inputs":
            group = f"{self.cell.group}/{self.replicates}/{self.cell.compute.dtype}"
            keep = functools.partial(cache.get, group)
        return Path(
            estimator,
            self.problem,
            self.problems,
            self.rngs,
            functools.partial(cast, self.cell),
            keep,
        )

    def run(self) -> CellResult:
        for positions in self._blocks():
            self._advance(positions)
        records = {k: v for k, v in self.records.items() if k not in self.faults}
        variables = {name: np.concatenate(blocks, 1) for name, blocks in records.items()}
        counts: Arrays = {}
        coordinates: dict[tuple[str, str], np.ndarray] = {}
        faults = dict(self.faults)
        for series in self.series:
            finished = series.finish()
            variables |= finished.variables
            counts |= finished.counts
            coordinates |= finished.coordinates
            faults |= finished.faults
        status = np.where(np.isnan(self.diverged_at), STATUS["ok"], STATUS["diverged"])
        return CellResult(
            self.cell.key,
            status.astype(np.int8),
            variables,
            coordinates,
            counts,
            diverged_at=self.diverged_at,
            faults=faults,
        )

    def held(self) -> tuple[float, float]:
        """Numbers held for one replicate: those without a time, and those of one recorded time."""
        count, paths = len(self.rngs), [self.main, *self.companions.values()]
        points = self.problem.train.weight.shape[-1] + self.problem.test.weight.shape[-1]
        moving = sum(floats(path.fit.start) for path in paths) / count + len(paths) * points
        if any(need.need.square for planned in self.cell.metrics for need in planned.needs):
            moving += self.problem.train.weight.shape[-1] ** 2 / 2
        staying = floats(self.problem) + sum(floats(path.fit.prepared) for path in paths)
        return staying / count, 8 * moving  # eight: temporaries of training and measuring

    def _blocks(self) -> Iterator[range]:
        """Positions of recorded times, in blocks that fit into the memory bound."""
        length = block_length(self.cell, len(self.rngs), self.held()[1])
        total = len(self.cell.times)
        for start in range(0, total, length):
            yield range(start, min(start + length, total))

    def _advance(self, positions: range) -> None:
        """Train every path through one block of times, then measure."""
        times = [self.cell.times[position] for position in positions]
        reached = [self.reached[position] for position in positions]
        states, record = self.main.advance(times)
        followed = self._followed(reached)
        alive = self._watch(states, reached)
        self._note(record, (len(self.rngs), len(times)))
        for series in self.series:
            companion = series.planned.companion
            beside = followed.get(companion) if companion else None
            series.add(positions, times, states, beside, alive)

    def _followed(self, reached: Sequence[float]) -> dict[Estimator, States]:
        """The companions' states at the times that training reached."""
        followed = {}
        for companion, path in list(self.companions.items()):
            try:
                followed[companion] = path.follow(reached)
            except ComponentFault as fault:
                self._forsake(companion, str(fault))
        return followed

    def _note(self, record: Mapping[str, object], shape: tuple[int, int]) -> None:
        """Keep what the optimizer noted, (replicates, times) each."""
        optimizer = self.cell.optimizer
        try:
            noted = [
                name for name in optimizer.declared() if name in record
            ]  # a flow may note none
            expect_names(optimizer, "advance", record, noted)
            arrays = {
                name: measured_array(optimizer, name, values, shape, ())
                for name, values in record.items()
            }
        except ComponentFault as fault:
            self.faults = dict.fromkeys(optimizer.declared(), str(fault))
            return
        for name, array in arrays.items():
            self.records.setdefault(name, []).append(array)

    def _watch(self, states: States, reached: Sequence[float]) -> torch.Tensor:
        """Which (replicate, time) are within bounds; a replicate that left them once stays out."""
        finite = torch.stack(
            [bounded(leaf).reshape(*leaf.shape[:2], -1).all(2) for leaf in tensors(states.params)]
        ).all(0)
        bounded_so_far = (finite & self.alive[:, None]).to(torch.int8)
        alive = torch.cummin(bounded_so_far, 1).values.bool()  # (replicates, times)
        first = alive.sum(1).cpu().numpy()  # position of the first time that is not finite
        for replicate in np.flatnonzero((first < len(reached)) & np.isnan(self.diverged_at)):
            self.diverged_at[replicate] = reached[first[replicate]]
        self.alive = alive[:, -1]
        return alive


def _make(name: str, make: Callable[[], Any]) -> Any:
    return make()
