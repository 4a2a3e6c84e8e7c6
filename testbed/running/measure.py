"""One metric along a cell: from the needs of each block of states to arrays on the cell's times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from testbed.contract.cells import PlannedMetric
from testbed.contract.values import Problem, Spectrum
from testbed.errors import UnsuitableError
from testbed.numerics.trees import tree_map
from testbed.running.batching import measured
from testbed.running.paths import States


class MetricSeries:
    """Collects a metric's variables; NaN where a replicate has diverged or a time is not asked."""

    def __init__(self, planned: PlannedMetric, times: Sequence[float]):
        self.planned = planned
        self.times = np.asarray(times)  # those that training stops at
        self.coordinates: dict[tuple[str, str], np.ndarray] = {}
        self._blocks: dict[str, list[tuple[list[int], np.ndarray]]] = {}
        self._still: dict[str, np.ndarray] = {}

    def add(
        self, positions: range, asked: list[float], states: States, companion: States | None,
        alive: Tensor,
    ) -> None:  # fmt: skip
        """Measure the states of one block; `alive` (replicates, times) says which are finite."""
        subset = self.planned.times
        chosen = tuple(i for i, time in enumerate(asked) if subset is None or time in subset)
        if not chosen:
            return
        metric, problem = self.planned.metric, states.path.fit.problem
        moving, still = self._needs(states.at(chosen), companion and companion.at(chosen))
        values = measured(metric, problem, moving, still)
        if not self.coordinates:
            self._locate(problem, moving)
        finite = alive[:, list(chosen)].cpu().numpy()  # (replicates, chosen)
        for own, name in self.planned.names.items():
            if own in metric.concluded:
                continue
            variable = metric.declared()[own]
            array = values[own].detach().double().cpu().numpy()  # (replicates, chosen, own…)
            self._check(name, own, array.shape[2:])
            array = np.where(finite.reshape(*finite.shape, *(1,) * (array.ndim - 2)), array, np.nan)
            if variable.time:
                at = [positions[i] for i in chosen]
                self._blocks.setdefault(name, []).append((at, array))
            else:
                self._still.setdefault(name, array[:, 0])

    def _needs(
        self, states: States, companion: States | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """What moves with time, and what belongs to time 0, under the names the metric declared."""
        kernel = getattr(self.planned.metric, "kernel", "features")
        points = getattr(self.planned.metric, "points", "train")
        matrix = getattr(self.planned.metric, "matrix", "hessian")
        moving, still = {}, {}
        for need in self.planned.needs:
            if need.startswith("initial_"):
                name = need.removeprefix("initial_")
                value = states.path.initial.need(name, kernel, points, matrix)
                still[need.replace("exact_", "")] = tree_map(lambda leaf: leaf[:, 0], value)
            elif need.startswith("companion_"):
                assert companion is not None  # the plan gives one to every metric that asks
                name = need.removeprefix("companion_")
                value = companion.need(name, kernel, points, matrix)
                moving[need.replace("exact_", "")] = value
            else:
                moving[need.replace("exact_", "")] = states.need(need, kernel, points, matrix)
        return moving, still

    def _locate(self, problem: Problem, moving: Mapping[str, Any]) -> None:
        """Ask the metric for the coordinates of its own dims, now that sizes are known."""
        sizes = {
            "train": problem.train.weight.shape[-1],
            "test": problem.test.weight.shape[-1],
        }
        for value in moving.values():
            if isinstance(value, Spectrum):
                sizes["modes"] = value.eigenvalue.shape[-1]
        if isinstance(moving.get("basis"), Tensor):
            sizes["modes"] = moving["basis"].shape[-1]
        coordinates = self.planned.metric.coordinates(sizes)
        for own, name in self.planned.names.items():
            for dim in self.planned.metric.declared()[own].dims:
                self.coordinates[name, dim] = np.asarray(coordinates[dim])

    def _check(self, name: str, own: str, shape: tuple[int, ...]) -> None:
        dims = self.planned.metric.declared()[own].dims
        expected = tuple(len(self.coordinates[name, dim]) for dim in dims)
        if shape != expected:
            raise UnsuitableError(
                f"metric {self.planned.metric.name}: found {own} of shape {shape} for one "
                f"replicate at one time, expected {expected} for its dims {dims}; mend its "
                "measure or its coordinates"
            )

    def _full(self, name: str) -> np.ndarray:
        blocks = self._blocks[name]
        shape = blocks[0][1].shape
        full = np.full((shape[0], len(self.times), *shape[2:]), np.nan)
        for at, array in blocks:
            full[:, at] = array
        return full

    def _all(self) -> dict[str, np.ndarray]:
        moving = {name: self._full(name) for name in self._blocks}
        return moving | self._still | self._concluded(moving)

    def _concluded(self, moving: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the metric makes of its whole path."""
        metric, names = self.planned.metric, self.planned.names
        if not metric.concluded:
            return {}
        own = {name: moving[given] for name, given in names.items() if given in moving}
        found = metric.conclude(self.times, own)
        return {names[name]: np.asarray(found[name]) for name in metric.concluded}

    def variables(self) -> dict[str, np.ndarray]:
        """(replicates, times, own…) each; for means, sums over replicates (times, own…)."""
        arrays = self._all()
        if self.planned.mean:
            return {name: np.nansum(array, 0) for name, array in arrays.items()}
        return arrays

    def counts(self) -> dict[str, np.ndarray]:
        """For means: how many replicates each sum holds, of the shape of the sum."""
        if not self.planned.mean:
            return {}
        return {name: np.isfinite(array).sum(0) for name, array in self._all().items()}
