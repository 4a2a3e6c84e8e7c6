"""Measure one metric in a cell: compute its needs per block, collect arrays over times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from testbed.contract.answers import coordinates_of, expect_names, real_array
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import PlannedMetric
from testbed.contract.components import Metric
from testbed.contract.needs import options_of
from testbed.contract.values import Problem, Spectrum
from testbed.numerics.trees import tree_map
from testbed.running.batching import measured
from testbed.running.border import (
    CellFault,
    Handed,
    WriteFault,
    measured_array,
    read_only,
)
from testbed.running.paths import States

if TYPE_CHECKING:
    from torch import Tensor


class MetricSeries:
    """Collects a metric's variables; NaN where a replicate diverged or a time is not requested.

    A fault of the metric, or of the model called for it, ends this series only: `fault` holds the
    text, and there are no variables.
    """

    def __init__(self, planned: PlannedMetric, times: Sequence[float]):
        self.planned = planned
        self.times = np.asarray(times)  # those that training stops at
        self.coordinates: dict[tuple[str, str], np.ndarray] = {}
        self.fault = ""
        self._blocks: dict[str, list[tuple[list[int], np.ndarray]]] = {}
        self._still: dict[str, np.ndarray] = {}

    def add(
        self, positions: range, times: list[float], states: States, companion: States | None,
        alive: Tensor,
    ) -> None:  # fmt: skip
        """Measure the states of one block; `alive` (replicates, times) says which are finite."""
        subset = self.planned.times
        chosen = tuple(i for i, time in enumerate(times) if subset is None or time in subset)
        if not chosen or self.fault:
            return
        try:
            moving, still = self._needs(
                states.chosen(chosen), companion and companion.chosen(chosen)
            )
            values = self._measured(states.path.fit.problem, moving, still)
            finite = alive[:, list(chosen)].cpu().numpy()  # (replicates, chosen)
            self._keep([positions[i] for i in chosen], values, finite)
        except (WriteFault, CellFault):
            raise
        except Exception as error:
            self.fault = _fault(self.planned.metric, error)

    def _measured(
        self, problem: Problem, moving: dict[str, Any], still: dict[str, Any]
    ) -> Mapping[str, Any]:
        """The values that the metric's `measure` returns, after a check that it changed none of its
        inputs."""
        metric = self.planned.metric
        if not self.coordinates:
            self._locate(problem, moving)
        handed = Handed(metric, {"problem": problem, **moving, **still})
        own_problem, needs = handed.values["problem"], handed.values
        try:
            with calling(metric, "measure"):
                values = measured(
                    metric,
                    own_problem,
                    {name: needs[name] for name in moving},
                    {name: needs[name] for name in still},
                )
        finally:
            handed.expect_unchanged()
        names = [name for name in self.planned.names if name not in metric.concluded]
        expect_names(metric, "measure", values, names)
        return values

    def _keep(self, positions: list[int], values: Mapping[str, object], finite: np.ndarray) -> None:
        """Keep the values at these positions of time, NaN where a replicate is not finite."""
        metric = self.planned.metric
        for variable, name in self.planned.names.items():
            if variable in metric.concluded:
                continue
            shape = self._own_shape(name, variable)
            array = measured_array(metric, variable, values[variable], finite.shape, shape)
            array = np.where(finite.reshape(*finite.shape, *(1,) * len(shape)), array, np.nan)
            if metric.declared()[variable].time:
                self._blocks.setdefault(name, []).append((positions, array))
            else:
                self._still.setdefault(name, array[:, 0])

    def _needs(
        self, states: States, companion: States | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The needs that change with time, and those that do not, by argument name of `measure`."""
        moving, still = {}, {}
        for request in self.planned.needs:
            options = options_of(request.need, self.planned.metric)
            source = companion if request.moment == "companion" else states
            assert source is not None  # the plan gives a companion to every metric that needs one
            if request.moment == "initial":
                value = states.path.initial.need(request.need, options)
                still[request.handed_over] = (
                    tree_map(lambda leaf: leaf[:, 0], value) if request.need.per_time else value
                )
            elif request.need.per_time:
                moving[request.handed_over] = source.need(request.need, options)
            else:
                still[request.handed_over] = source.need(request.need, options)
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
        if isinstance(moving.get("basis"), torch.Tensor):
            sizes["modes"] = moving["basis"].shape[-1]
        metric = self.planned.metric
        coordinates = coordinates_of(metric, metric.declared(), sizes)
        for variable, name in self.planned.names.items():
            for dim in metric.declared()[variable].dims:
                self.coordinates[name, dim] = coordinates[dim]

    def _own_shape(self, name: str, variable: str) -> tuple[int, ...]:
        """The lengths of a variable's dims other than replicate and time."""
        dims = self.planned.metric.declared()[variable].dims
        return tuple(len(self.coordinates[name, dim]) for dim in dims)

    def _full(self, name: str) -> np.ndarray:
        blocks = self._blocks[name]
        shape = blocks[0][1].shape
        full = np.full((shape[0], len(self.times), *shape[2:]), np.nan)
        for positions, array in blocks:
            full[:, positions] = array
        return full

    def _all(self) -> dict[str, np.ndarray]:
        """Every variable, (replicates, times, own…); none once there is a fault."""
        if self.fault:
            return {}
        moving = {name: self._full(name) for name in self._blocks}
        try:
            return moving | self._still | self._concluded(moving)
        except Exception as error:
            self.fault = _fault(self.planned.metric, error)
            return {}

    def _concluded(self, moving: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The variables that the metric concludes from its full path."""
        metric, names = self.planned.metric, self.planned.names
        if not metric.concluded:
            return {}
        paths = {variable: moving[name] for variable, name in names.items() if name in moving}
        with calling(metric, "conclude"):
            answer = metric.conclude(read_only(self.times), read_only(paths))
        expect_names(metric, "conclude", answer, metric.concluded)
        replicates = next(iter(paths.values())).shape[0]
        return {
            names[variable]: real_array(
                metric,
                variable,
                answer[variable],
                (replicates, *self._own_shape(names[variable], variable)),
            )
            for variable in metric.concluded
        }

    def finish(self) -> SeriesResult:
        """The collected arrays; for means, the sums over replicates and their counts."""
        arrays = self._all()
        counts: dict[str, np.ndarray] = {}
        if self.planned.mean:
            counts = {name: np.isfinite(array).sum(0) for name, array in arrays.items()}
            arrays = {name: np.nansum(array, 0) for name, array in arrays.items()}
        coordinates = {} if self.fault else self.coordinates
        faults = dict.fromkeys(self.planned.names.values(), self.fault) if self.fault else {}
        return SeriesResult(arrays, counts, coordinates, faults)


def _fault(metric: Metric, error: Exception) -> str:
    """What a metric did wrong, also where its values could not be taken as numbers at all."""
    if isinstance(error, ComponentFault):
        return str(error)
    words = f"its values cannot be used: {type(error).__name__}: {error}"
    return str(ComponentFault(metric, words))


class SeriesResult(NamedTuple):
    """A metric's part of a cell's result."""

    variables: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    coordinates: dict[tuple[str, str], np.ndarray]
    faults: dict[str, str]  # variable → what went wrong
