"""Run one cell: draw, fit, measure. Here components (attrs) become tensors.

Everything random is drawn first, replicate by replicate; what follows is a pure function of
tensors. Block sizes follow from the shapes of the draws and the scenario's memory bound alone, so
that the numbers do not depend on where a cell runs or on what runs at the same time.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from attrs import evolve

from testbed.contract.answers import coordinates_of, expect_names, real_array
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import STATUS, Cell, CellResult, PlannedTheory
from testbed.contract.components import Estimator, Theory
from testbed.contract.seeds import Streams
from testbed.contract.values import Problem
from testbed.errors import DoesNotApply, TestbedError
from testbed.numerics.trees import as_tensors, bounded, floats, stack, tensors, tree_map
from testbed.planning.fitting import clock_objection, companion_objection
from testbed.running.border import WriteFault, measured_array, private
from testbed.running.measure import MetricSeries
from testbed.running.paths import Keep, Path, States

Arrays = dict[str, np.ndarray]


class PreparationCache:
    """The preparations of the current group of cells; a new group replaces them."""

    def __init__(self) -> None:
        self._group = ""
        self._made: dict[str, object] = {}

    def clear(self) -> None:
        """Drop all preparations, since a component may have written into them."""
        self._group, self._made = "", {}

    def get(self, group: str, name: str, make: Callable[[], Any]) -> Any:
        """The value stored under `name` for this group; `make` computes it the first time."""
        if group != self._group:
            self._group, self._made = group, {}
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


def execute_cell(cell: Cell, cache: PreparationCache | None = None) -> CellResult:
    """Run a cell. Whatever a component raises becomes a failed result, never an exception."""
    started = time.perf_counter()
    try:
        with torch.no_grad():
            result = (
                _simulate(cell, cache or PreparationCache()) if cell.replicates else _predict(cell)
            )
    except (Exception, SystemExit) as error:  # a component may call sys.exit
        status = np.full(len(cell.replicates), STATUS["failed"], dtype=np.int8)
        result = CellResult(cell.key, status, error=_describe(error))
    return evolve(result, seconds=time.perf_counter() - started)


def _describe(error: BaseException) -> str:
    """An error of a cell in words, with its place in the code if testbed did not raise it."""
    if isinstance(error, TestbedError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        f" (at {frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    )
    return f"{type(error).__name__}: {error}{where}"


def draw_problem(cell: Cell, replicate: int) -> Problem:
    """The regression problem of one replicate, cast to the cell's dtype and device."""
    rng = Streams(cell.seed, replicate, cell.shared_design)
    with calling(cell.design, "draw"):
        sample = cell.design.draw(rng)._replace(design=cell.design)
    with calling(cell.target, "draw"):
        drawn = cell.target.draw(rng, sample)
    with calling(cell.target, "problem"):
        return _cast(cell, cell.target.problem(drawn, sample))


def _cast(cell: Cell, tree: object) -> Any:
    return as_tensors(tree, getattr(torch, cell.compute.dtype), cell.compute.device)


# --- theories ---------------------------------------------------------------------------------


def _predict(cell: Cell, problem: Problem | None = None) -> CellResult:
    """Evaluate the cell's theories: those given a drawn `problem`, or else the others."""
    variables: Arrays = {}
    coordinates: dict[tuple[str, str], np.ndarray] = {}
    omitted: dict[str, str] = {}
    faults: dict[str, str] = {}
    for planned in cell.theories:
        if planned.theory.facts().conditional != (problem is not None):
            continue
        names = planned.names.values()
        try:
            arrays, located = _prediction(planned, cell, problem)
        except DoesNotApply as reason:
            omitted |= dict.fromkeys(names, str(reason))
        except ComponentFault as fault:
            faults |= dict.fromkeys(names, str(fault))
        else:
            variables |= arrays
            coordinates |= located
    status = np.zeros(0, dtype=np.int8)
    return CellResult(cell.key, status, variables, coordinates, omitted=omitted, faults=faults)


def _prediction(
    planned: PlannedTheory, cell: Cell, problem: Problem | None
) -> tuple[Arrays, dict[tuple[str, str], np.ndarray]]:
    """A theory's variables and their coordinates, under the result's names."""
    theory = planned.theory
    labels = theory_coordinates(theory, cell)
    values = predicted(theory, cell, cell.reached, problem)
    arrays: Arrays = {}
    coordinates: dict[tuple[str, str], np.ndarray] = {}
    for variable, name in planned.names.items():
        declared = theory.variables[variable]
        times = (len(cell.times),) if declared.time else ()
        shape = (*times, *(len(labels[dim]) for dim in declared.dims))
        arrays[name] = real_array(theory, variable, values[variable], shape)
        coordinates |= {(name, dim): labels[dim] for dim in declared.dims}
    return arrays, coordinates


def theory_coordinates(theory: Theory, cell: Cell) -> dict[str, np.ndarray]:
    """The coordinates of a theory's own dims in a cell."""
    with calling(cell.design, "sizes"):
        sizes = cell.design.sizes()
    return coordinates_of(theory, theory.variables, sizes)


def predicted(
    theory: Theory, cell: Cell, times: Sequence[float], problem: Problem | None
) -> Mapping[str, Any]:
    """The predictions of a theory for a cell, by declared name. The theory gets copies of its
    arguments, so that it cannot change them."""
    reason = clock_objection(theory, cell)
    if reason:
        raise DoesNotApply(reason)
    with calling(theory, "predict"):
        values = theory.predict(cell, times, tree_map(private, problem))
    expect_names(theory, "predict", values, list(theory.variables))
    return values


# --- simulation -------------------------------------------------------------------------------


def _simulate(cell: Cell, cache: PreparationCache) -> CellResult:
    """Run a cell. If a metric writes into shared values, run it again without that metric."""
    faults: dict[str, str] = {}
    while True:
        try:
            result = _simulated(cell, cache)
        except WriteFault as fault:
            cache.clear()
            guilty = [entry for entry in cell.metrics if entry.metric is fault.component]
            faults |= {name: str(fault) for entry in guilty for name in entry.names.values()}
            cell = evolve(
                cell, metrics=tuple(entry for entry in cell.metrics if entry not in guilty)
            )
        else:
            return evolve(result, faults={**result.faults, **faults})


def _simulated(cell: Cell, cache: PreparationCache) -> CellResult:
    problems = [draw_problem(cell, replicate) for replicate in cell.replicates]
    size = _chunk_size(cell, problems[0])
    parts = [
        _Simulation(
            cell, cell.replicates[start : start + size], problems[start : start + size], cache
        ).run()
        for start in range(0, len(problems), size)
    ]
    merged = parts[0] if len(parts) == 1 else _merge(cell, parts)
    theory = _conditional(cell, problems)
    predicted = _until_divergence(cell, theory.variables, np.asarray(merged.diverged_at))
    return evolve(
        merged,
        variables={**merged.variables, **predicted},
        coordinates={**merged.coordinates, **theory.coordinates},
        omitted={**merged.omitted, **theory.omitted},
        faults={**merged.faults, **theory.faults},
    )


def _chunk_size(cell: Cell, problem: Problem) -> int:
    """Replicates per chunk, so that eight recorded times of a chunk fit into the memory bound."""
    if cell.optimizer.facts().times_per_replicate:  # companions of a chunk share its times
        return 1
    numbers = 8 * floats(problem) * min(len(cell.times), 8)
    return max(1, min(len(cell.replicates), int(_budget(cell) / max(8 * numbers, 1))))


def _budget(cell: Cell) -> float:
    """Bytes that blocks may take: half of the bound; temporaries take the other half."""
    return cell.compute.memory * 2**30 / 2


def block_length(cell: Cell, count: int, numbers: float) -> int:
    """How many recorded times to take at once, for `count` replicates of `numbers` each a time."""
    return max(1, min(len(cell.times), int(_budget(cell) / (8 * count * numbers))))


def _merge(cell: Cell, parts: Sequence[CellResult]) -> CellResult:
    """Join the results of chunks of replicates: add sums, concatenate all other arrays.

    A variable that is missing from one chunk is left out of the result.
    """
    faults = {name: text for part in reversed(parts) for name, text in part.faults.items()}
    kept = [name for part in parts for name in part.variables if name not in faults]
    variables, counts = {}, {}
    for name in dict.fromkeys(kept):
        arrays = [part.variables[name] for part in parts]
        summed = name in parts[0].counts
        variables[name] = np.sum(arrays, 0) if summed else np.concatenate(arrays)
        if summed:
            counts[name] = np.sum([part.counts[name] for part in parts], 0)
    coordinates = {key: array for key, array in parts[0].coordinates.items() if key[0] in variables}
    status = np.concatenate([part.status for part in parts])
    diverged = np.concatenate([np.asarray(part.diverged_at) for part in parts])
    return CellResult(
        cell.key, status, variables, coordinates, counts, diverged_at=diverged, faults=faults
    )


def tried(cell: Cell, count: int) -> tuple[float, float]:
    """Simulate the cell's first replicates; return the seconds and the bytes of the whole cell."""
    replicates, total = cell.replicates[:count], len(cell.replicates)
    started = time.perf_counter()
    with torch.no_grad():
        problems = [draw_problem(cell, replicate) for replicate in replicates]
        total = min(total, _chunk_size(cell, problems[0]))
        simulation = _Simulation(cell, replicates, problems, PreparationCache())
        simulation.run()
    staying, moving = simulation.held()
    numbers = staying + moving * block_length(cell, total, moving)
    return time.perf_counter() - started, 8 * total * numbers


def _conditional(cell: Cell, problems: Sequence[Problem]) -> CellResult:
    if not any(planned.theory.facts().conditional for planned in cell.theories):
        return CellResult(cell.key, np.zeros(0, dtype=np.int8))
    results = [_predict(cell, problem) for problem in problems]
    faults = {name: text for result in reversed(results) for name, text in result.faults.items()}
    omitted = {name: text for result in reversed(results) for name, text in result.omitted.items()}
    kept = [name for name in results[0].variables if name not in faults and name not in omitted]
    variables = {name: np.stack([result.variables[name] for result in results]) for name in kept}
    return evolve(results[0], variables=variables, omitted=omitted, faults=faults)


def _until_divergence(
    cell: Cell, predicted: Mapping[str, np.ndarray], diverged_at: np.ndarray
) -> Arrays:
    """Predictions given a replicate, NaN from the time at which that replicate diverged: from there
    on no simulated value can be compared with them."""
    moving = {
        name
        for planned in cell.theories
        for variable, name in planned.names.items()
        if planned.theory.variables[variable].time
    }
    gone = np.asarray(cell.reached) >= diverged_at[:, None]  # (replicates, times)

    def masked(values: np.ndarray) -> np.ndarray:
        return np.where(gone.reshape(*gone.shape, *(1,) * (values.ndim - 2)), np.nan, values)

    return {name: masked(v) if name in moving else v for name, v in predicted.items()}


class _Simulation:
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
            functools.partial(_cast, self.cell),
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
        if any(need.need.name == "gram" for planned in self.cell.metrics for need in planned.needs):
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
