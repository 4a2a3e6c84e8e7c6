"""Train and measure a chunk of a cell's replicates, block by block of recorded times."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from testbed.contract.answers import expect_names
from testbed.contract.border import ComponentFault
from testbed.contract.cells import STATUS, Cell, CellResult, PlannedMetric
from testbed.contract.components import Estimator
from testbed.contract.seeds import Streams
from testbed.contract.states import MAIN, KeptPath
from testbed.contract.values import Problem
from testbed.numerics.trees import bounded, floats, stack, tensors
from testbed.planning.fitting import companion_objection
from testbed.planning.keys import companion_name
from testbed.running.border import measured_array
from testbed.running.chunks import block_length
from testbed.running.draws import cast
from testbed.running.kept import Restored
from testbed.running.measure import MetricSeries
from testbed.running.paths import Keep, Path, States
from testbed.running.preparations import PreparationCache
from testbed.running.trails import Note, Trail

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
        self.kept = cell.kept.source.load() if cell.kept else {}
        self.records: dict[str, list[np.ndarray]] = {}
        self.faults: dict[str, str] = {}  # of the optimizer's own variables
        main = Estimator(cell.estimator, cell.model, cell.optimizer)
        self.main, restored = self._path(main, MAIN, cache)
        self.reached = restored.times if restored else self.main.reached(cell.times)
        self.trail = self._trail(self.main, cell.times, restored, self._note)
        if restored:
            self.records = {name: [array] for name, array in restored.records().items()}
        missing = [planned for planned in cell.metrics if not self._is_measured(planned)]
        self.series = [MetricSeries(planned, self.reached) for planned in missing]
        self.companions: dict[Estimator, Trail] = {}
        for companion in dict.fromkeys(planned.companion for planned in cell.metrics):
            if companion is not None:
                self._add_companion(companion)
        self.alive = torch.ones(len(problems), dtype=torch.bool, device=cell.compute.device)
        self.diverged_at = np.full(len(problems), np.nan)

    def _is_measured(self, planned: PlannedMetric) -> bool:
        """Whether an earlier run has measured a metric in this cell."""
        return self.cell.kept is not None and self.cell.kept.measured >= {*planned.names.values()}

    def _add_companion(self, companion: Estimator) -> None:
        """Begin a companion's path. If it fails, drop the metrics that compare with it.

        Where times are known only in the run, the run checks that the companion reaches them.
        """
        unplanned = self.cell.optimizer.facts().times_per_replicate
        reason = companion_objection(companion, self.reached) if unplanned else ""
        try:
            if not reason:
                path, restored = self._path(companion, companion_name(companion), None)
                self.companions[companion] = self._trail(path, self.reached, restored)
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

    def _path(
        self, estimator: Estimator, name: str, cache: PreparationCache | None
    ) -> tuple[Path, Restored | None]:
        """An estimator ready to be trained, and its states if an earlier run kept them."""
        keep: Keep = _make
        if cache is not None and estimator.model.facts().reads == "inputs":
            group = f"{self.cell.group}/{self.replicates}/{self.cell.compute.dtype}"
            keep = functools.partial(cache.get, group)
        restored = None
        if name in self.kept:
            first = self.cell.replicates.index(self.replicates[0])
            restored = Restored(self.kept[name], first, self.cell.compute.device)
        path = Path(
            estimator,
            self.problem,
            self.problems,
            self.rngs,
            functools.partial(cast, self.cell),
            keep,
            restored.prepared() if restored else None,
        )
        return path, restored

    def _trail(
        self,
        path: Path,
        times: Sequence[float],
        restored: Restored | None,
        note: Note | None = None,
    ) -> Trail:
        """The states of a path. Only the cell's own path is noted."""
        count = len(self.rngs)
        length = block_length(self.cell, count, 8 * (floats(path.fit.start) / count + self._points))
        trail = Trail(path, times, length, restored=restored, note=note)
        if self.cell.compute.keep_states:
            trail.keep()
        return trail

    @property
    def _points(self) -> int:
        return self.problem.train.weight.shape[-1] + self.problem.test.weight.shape[-1]

    def run(self) -> CellResult:
        for positions in self._blocks():
            self._advance(positions)
        records = {k: v for k, v in self.records.items() if k not in self.faults}
        noted = {name: np.concatenate(blocks, 1) for name, blocks in records.items()}
        variables = dict(noted)
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
        states, unkept = self.states(noted)
        return CellResult(
            self.cell.key,
            status.astype(np.int8),
            variables,
            coordinates,
            counts,
            diverged_at=self.diverged_at,
            faults=faults,
            states=states,
            unkept=unkept,
        )

    def states(self, records: Mapping[str, np.ndarray]) -> tuple[dict[str, KeptPath], str]:
        """The paths that were trained and are to be kept, by name; why others cannot be."""
        trails = {MAIN: self.trail}
        trails |= {companion_name(c): trail for c, trail in self.companions.items()}
        kept = {
            name: trail.kept(self.reached, records if name == MAIN else {})
            for name, trail in trails.items()
        }
        reasons = dict.fromkeys(trail.unkept for trail in trails.values() if trail.unkept)
        return {name: path for name, path in kept.items() if path is not None}, "; ".join(reasons)

    def held(self) -> tuple[float, float]:
        """Numbers held for one replicate: those without a time, and those of one recorded time."""
        count, paths = len(self.rngs), [self.main, *(t.path for t in self.companions.values())]
        moving = sum(floats(path.fit.start) for path in paths) / count + len(paths) * self._points
        if any(need.need.square for planned in self.cell.metrics for need in planned.needs):
            moving += self.problem.train.weight.shape[-1] ** 2 / 2
        staying = floats(self.problem) + sum(floats(path.fit.prepared) for path in paths)
        return staying / count, 8 * moving  # eight: temporaries of training and measuring

    def _blocks(self) -> Iterator[range]:
        """Positions of recorded times that are measured at once: within the memory bound, and
        within one block of training of every path."""
        length = block_length(self.cell, len(self.rngs), self.held()[1])
        trails, total = [self.trail, *self.companions.values()], len(self.cell.times)
        start = 0
        while start < total:
            stop = min(start + length, *(trail.end(start) for trail in trails))
            yield range(start, stop)
            start = stop

    def _advance(self, positions: range) -> None:
        """Train every path through one block of times, then measure."""
        times = [self.cell.times[position] for position in positions]
        reached = [self.reached[position] for position in positions]
        states = self.trail.states(positions)
        followed = self._followed(positions)
        alive = self._watch(states, reached)
        for series in self.series:
            companion = series.planned.companion
            beside = followed.get(companion) if companion else None
            series.add(positions, times, states, beside, alive)

    def _followed(self, positions: range) -> dict[Estimator, States]:
        """The states of the companions that metrics need, at the times that training reached."""
        needed = {series.planned.companion for series in self.series if not series.fault}
        followed = {}
        for companion, trail in list(self.companions.items()):
            try:
                if companion in needed:
                    followed[companion] = trail.states(positions)
            except ComponentFault as fault:
                self._forsake(companion, str(fault))
        return followed

    def _note(self, record: Mapping[str, object], count: int) -> None:
        """Keep what the optimizer noted at `count` times, (replicates, times) each."""
        optimizer, shape = self.cell.optimizer, (len(self.rngs), count)
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
