"""From a scenario to cells: points, what is measured where, keys, and what it will cost.

Everything that can be wrong with a well-typed scenario is found here, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from testbed.cells import Cell, PlannedMetric, PlannedTheory
from testbed.components import Estimator, Metric, Model, Optimizer
from testbed.dimensions import Dimension, chosen, dimensions, points
from testbed.errors import Mistake, ScenarioError, did_you_mean
from testbed.fitting import served_needs
from testbed.keys import fingerprint
from testbed.names import variable_name
from testbed.scenario import EstimatorSpec, MetricSpec, Scenario
from testbed.seeds import choice_stream
from testbed.specs import Scalar, Spec


@frozen
class PlannedEstimator:
    """One group of the result: its dimensions, times and scalar coordinates."""

    name: str
    dims: tuple[Dimension, ...]
    times: tuple[float, ...]
    fixed: Mapping[str, Scalar] = field(factory=dict, hash=False)


@frozen
class Omission:
    """Something that is not measured or predicted, and why."""

    estimator: str
    what: str
    reason: str


@frozen
class Plan:
    """Everything a run will do."""

    scenario: Scenario
    cells: tuple[Cell, ...]
    estimators: tuple[PlannedEstimator, ...]
    omissions: tuple[Omission, ...] = ()
    warnings: tuple[str, ...] = ()
    bytes: int = 0  # of the result, before compression

    @property
    def preparations(self) -> tuple[int, int]:
        """How many preparations are made, and how many cells they serve."""
        sharing = [cell for cell in self.cells if cell.replicates and cell.model.reads == "inputs"]
        return len({cell.group for cell in sharing}), len(sharing)


def make_plan(scenario: Scenario) -> Plan:
    """Plan a scenario; ScenarioError with every mistake found."""
    planner = _Planner(scenario)
    plan = planner.plan()
    if planner.mistakes:
        raise ScenarioError(dict.fromkeys(planner.mistakes))
    bound = scenario.compute.results * 2**30
    if plan.bytes > bound:
        largest, size = planner.largest()
        raise ScenarioError(
            [
                Mistake(
                    f"{scenario.path}: $",
                    f"found a result of {plan.bytes / 2**20:.1f} MiB",
                    f"at most {scenario.compute.results * 2**10:g} MiB",
                    f"thin a grid of {largest} ({size / 2**20:.1f} MiB of it), keep "
                    'replicates = "mean", or raise compute.results',
                )
            ]
        )
    return plan


class _Planner:
    def __init__(self, scenario: Scenario):
        self.scenario = scenario
        self.mistakes: list[Mistake] = []
        self.omissions: dict[Omission, None] = {}
        self.sizes: dict[str, int] = {}
        self.specs = {spec.name: spec for spec in scenario.estimators}
        self.dims = {
            spec.name: dimensions(scenario, spec, self.mistakes) for spec in scenario.estimators
        }
        self.metrics = [(spec, self._build(spec.spec, {})) for spec in scenario.metrics]
        self.theories = [(spec, self._build(spec.spec, {})) for spec in scenario.theories]
        self.measured: set[int] = set()  # positions of metrics that are measured somewhere

    def object(self, path: str, found: str, expected: str = "", fix: str = "") -> None:
        self.mistakes.append(Mistake(f"{self.scenario.path}: {path}", found, expected, fix))

    def plan(self) -> Plan:
        planned, cells = [], []
        for spec in self.scenario.estimators:
            own = list(self._cells(spec)) if not self.mistakes else []
            cells += own
            times = own[0].times if own else ()
            fixed = self._fixed(spec, self.dims[spec.name])
            planned.append(PlannedEstimator(spec.name, self.dims[spec.name], times, fixed))
        if not self.mistakes:
            self._unmeasured()
        return Plan(
            self.scenario,
            tuple(_grouped(cells)),
            tuple(planned),
            tuple(self.omissions),
            tuple(self._warnings(planned)),
            sum(self.sizes.values()),
        )

    # --- building -----------------------------------------------------------------------------

    def _build(self, spec: Spec, at: Mapping[str, int]) -> Any:
        try:
            return spec.build(at, self._model_of)
        except (ValueError, TypeError) as error:
            found, _, expected = str(error).partition(", expected ")
            self.object(spec.path, found, expected)
            return None

    def _model_of(self, name: str) -> Model:
        """The model of `"estimator:NAME"`, which may not be swept."""
        if name not in self.specs:
            raise ValueError(f"found no estimator {name!r}; {did_you_mean(name, self.specs)}")
        spec = self.specs[name].model
        if any(True for _ in spec.sweeps()):
            raise ValueError(
                f"found the swept model of estimator {name!r}, expected one without a sweep"
            )
        model: Any = spec.build({}, self._model_of)
        return model

    def _cells(self, spec: EstimatorSpec) -> Iterator[Cell]:
        dims = self.dims[spec.name]
        at_points = list(points(dims))
        simulated = self._simulated(spec, len(at_points))
        for position, at in enumerate(at_points):
            cell = self._point(spec, dims, at)
            if cell is None:
                continue
            simulate = simulated[position]
            if isinstance(spec.simulate, int) and not isinstance(spec.simulate, bool):
                size = getattr(cell.design, "n", None) or cell.design.derived().get("n", 0)
                simulate = size <= spec.simulate
            yield from self._blocks(cell, bool(simulate))

    def _simulated(self, spec: EstimatorSpec, count: int) -> list[bool]:
        """Which points are simulated; a share of them is chosen by the seed."""
        if not isinstance(spec.simulate, float):
            return [spec.simulate is not False] * count
        order = choice_stream(self.scenario.seed).permutation(count)
        kept = set(order[: max(1, round(spec.simulate * count))].tolist())
        return [position in kept for position in range(count)]

    def _point(
        self, spec: EstimatorSpec, dims: tuple[Dimension, ...], at: Mapping[str, int]
    ) -> Cell | None:
        """The cell at a point of the sweep, without replicates and key."""
        scenario = self.scenario
        design_spec, option = chosen(scenario.designs, "design", at)
        target_spec, _ = chosen(scenario.targets, "target", at)
        parts = [
            self._build(part, at) for part in (design_spec, target_spec, spec.model, spec.optimizer)
        ]
        if any(part is None for part in parts):
            return None
        design, target, model, optimizer = parts
        times = self._times(spec, optimizer)
        reason = optimizer.accepts(model)
        if reason:
            self.object(
                spec.optimizer.path,
                f"found {optimizer.name} on {model.name}, which do not fit: {reason}",
                "a pair that fits",
            )
        if not times or reason:
            return None
        cell = Cell(
            estimator=spec.name,
            point={dim.name: dim.coordinate[at[dim.name]] for dim in dims},
            index=tuple(at[dim.name] for dim in dims),
            replicates=(),
            design=design,
            target=target,
            model=model,
            optimizer=optimizer,
            times=times,
            metrics=(),
            theories=(),
            seed=scenario.seed,
            compute=scenario.compute,
            shared_design=option.shared,
        )
        others = _Others(self, dims, at)
        own = Estimator(spec.name, model, optimizer)
        metrics = tuple(self._planned_metrics(cell, own, others))
        return evolve(cell, metrics=metrics, theories=tuple(self._planned_theories(cell)))

    def _times(self, spec: EstimatorSpec, optimizer: Optimizer) -> tuple[float, ...]:
        grid = optimizer.times or self.scenario.times
        path = f"{spec.optimizer.path}.times"
        if grid is None:
            self.object(path, "found no times", "a grid of training times", "add times = { … }")
            return ()
        if grid.values[0] < 0:
            self.object(path, f"found the time {grid.values[0]:g}", "times of at least 0")
            return ()
        reached = optimizer.reached(grid.values)
        for asked, got in zip(grid.values, reached, strict=True):
            if asked > 0 and abs(got - asked) > 0.05 * asked:
                self.object(
                    path,
                    f"found the time {asked:g}; whole steps reach {got:g}, more than 5% off",
                    "times that whole steps can reach",
                    "lower the learning rate or drop early times",
                )
                return ()
        if len(set(reached)) < len(reached):
            twice = next(b for a, b in pairwise(reached) if a == b)
            self.object(
                path,
                f"found two times that fall on one step, at {twice:g}",
                "times at least one step apart",
                "thin the grid or lower the learning rate",
            )
            return ()
        return grid.values

    # --- metrics and theories -----------------------------------------------------------------

    def _planned_metrics(
        self, cell: Cell, own: Estimator, others: Mapping[str, Estimator]
    ) -> Iterator[PlannedMetric]:
        taken: dict[str, str] = {}
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is None or (spec.of and own.name not in spec.of):
                continue
            planned, reason = self._fit(spec, metric, cell, own, others)
            if planned is None:
                self._omit(spec, own.name, metric.name, reason)
                continue
            self.measured.add(position)
            for name in planned.names.values():
                if name in taken:
                    self.object(
                        spec.spec.path,
                        f"found the variable {name!r} also from {taken[name]}",
                        "each variable once",
                        'name this metric with name = "…"',
                    )
                taken[name] = spec.spec.path
            yield planned

    def _fit(
        self,
        spec: MetricSpec,
        metric: Metric,
        cell: Cell,
        own: Estimator,
        others: Mapping[str, Estimator],
    ) -> tuple[PlannedMetric | None, str]:
        reason = metric.applies(cell)
        if reason:
            return None, reason
        try:
            companion = metric.companion(own, others)
        except (KeyError, ValueError) as error:
            return None, str(error.args[0])
        needs, reason = served_needs(metric, own, companion)
        if reason:
            return None, reason
        declared = metric.declared()
        base = spec.name.replace("-", "_")
        names = {name: name for name in declared}
        if base:
            names = {name: base if len(declared) == 1 else f"{base}_{name}" for name in declared}
        times = self._subset(spec, cell)
        return PlannedMetric(metric, names, needs, times, spec.mean, companion), ""

    def _subset(self, spec: MetricSpec, cell: Cell) -> tuple[float, ...] | None:
        """The asked times nearest to the metric's own grid."""
        if spec.times is None:
            return None
        grid = np.asarray(cell.times)
        return tuple(float(grid[np.abs(grid - time).argmin()]) for time in spec.times.values)

    def _omit(self, spec: MetricSpec, estimator: str, what: str, reason: str) -> None:
        if spec.of:
            self.object(
                spec.spec.path, f"found {what} of {estimator!r}: {reason}", "a metric that fits"
            )
        else:
            self.omissions[Omission(estimator, what, reason)] = None

    def _unmeasured(self) -> None:
        for position, (spec, metric) in enumerate(self.metrics):
            if metric is not None and position not in self.measured:
                reasons = [o.reason for o in self.omissions if o.what == metric.name]
                self.object(
                    spec.spec.path,
                    f"found {metric.name}, which no estimator can be measured by",
                    "a metric that fits at least one",
                    "; ".join(dict.fromkeys(reasons)),
                )

    def _planned_theories(self, cell: Cell) -> Iterator[PlannedTheory]:
        for spec, theory in self.theories:
            if theory is None or (spec.of and cell.estimator not in spec.of):
                continue
            reason = theory.applies(cell)
            if reason:
                self.omissions[Omission(cell.estimator, theory.name, reason)] = None
            short = variable_name(theory.name)
            names = {
                own: f"{variable.predicts or own}__{short}"
                for own, variable in theory.variables.items()
            }
            yield PlannedTheory(theory, names)

    # --- cells --------------------------------------------------------------------------------

    def _blocks(self, cell: Cell, simulate: bool) -> Iterator[Cell]:
        """Blocks of replicates of one point, and its theory cell."""
        self._count(cell)
        if any(not planned.theory.conditional for planned in cell.theories):
            yield self._keyed(evolve(cell, metrics=()))
        if not simulate:
            return
        one_by_one = "loop" in (cell.model.batching, cell.optimizer.batching)
        size = 1 if one_by_one else self.scenario.compute.block
        total = self.scenario.replicates
        conditional = tuple(one for one in cell.theories if one.theory.conditional)
        for first in range(0, total, size):
            replicates = tuple(range(first, min(first + size, total)))
            yield self._keyed(evolve(cell, replicates=replicates, theories=conditional))

    def _keyed(self, cell: Cell) -> Cell:
        compute = evolve(cell.compute, time_limit=None, results=0.0)
        key = fingerprint(evolve(cell, compute=compute), cell.point)
        group = key
        if cell.replicates and cell.model.reads == "inputs":
            group = fingerprint(
                cell.design, cell.shared_design, cell.model, cell.replicates, cell.seed
            )
        return evolve(cell, key=key, group=group)

    def _count(self, cell: Cell) -> None:
        """Add a point's share to the size of the result."""
        sizes = {"modes": cell.design.sizes().get("train", 1), **cell.design.sizes()}
        for planned in cell.metrics:
            declared = planned.metric.declared()
            try:
                coordinates = planned.metric.coordinates(sizes)
            except ValueError:
                coordinates = {}
            for own, name in planned.names.items():
                variable = declared[own]
                count = 1 if planned.mean else self.scenario.replicates
                count *= len(cell.times) if variable.time else 1
                for dim in variable.dims:
                    count *= len(coordinates.get(dim, (0,)))
                label = f"{cell.estimator}/{name}"
                self.sizes[label] = self.sizes.get(label, 0) + 8 * count

    def largest(self) -> tuple[str, int]:
        """The variable that takes most of the result."""
        return max(self.sizes.items(), key=lambda pair: pair[1])

    # --- labels -------------------------------------------------------------------------------

    def _fixed(self, spec: EstimatorSpec, dims: tuple[Dimension, ...]) -> dict[str, Scalar]:
        """Parameters without a sweep, under their own names where these are free."""
        parts: list[tuple[str, Spec]] = []
        if len(self.scenario.designs) == 1:
            parts.append(("design", self.scenario.designs[0].spec))
        if len(self.scenario.targets) == 1:
            parts.append(("target", self.scenario.targets[0].spec))
        parts += [("model", spec.model), ("optimizer", spec.optimizer)]
        found: dict[str, Scalar] = {}
        taken = {dim.name for dim in dims} | {name for dim in dims for name in dim.tied}
        for kind, part in parts:
            found[kind] = Scalar(part.component.name, long_name=f"the {kind}'s name")
            for name, value in part.fixed().items():
                free = name not in found and name not in taken and name not in _KINDS
                found[name if free else f"{kind}_{name}"] = value
        return {name: value for name, value in found.items() if name not in taken}

    def _warnings(self, planned: list[PlannedEstimator]) -> Iterator[str]:
        grids = {estimator.times for estimator in planned}
        if len(grids) > 1:
            yield (
                "the estimators record different times: xarray returns an empty result, without a "
                "word, when they are subtracted; give them one grid, or compare by nearest time"
            )


_KINDS = ("design", "target", "model", "optimizer", "replicate", "time", "status", "error")


class _Others(Mapping[str, Estimator]):
    """The estimators of a scenario at one point of another's sweep."""

    def __init__(self, planner: _Planner, dims: tuple[Dimension, ...], at: Mapping[str, int]):
        self.planner = planner
        self.here = {dim.name: dim.coordinate[at[dim.name]] for dim in dims}

    def __getitem__(self, name: str) -> Estimator:
        if name not in self.planner.specs:
            known = did_you_mean(name, self.planner.specs)
            raise KeyError(f"there is no estimator {name!r}; {known}")
        at = {}
        for dim in self.planner.dims[name]:
            if self.here.get(dim.name) not in dim.coordinate:
                raise KeyError(
                    f"the estimator {name!r} is swept over {dim.name!r}, which this one is not at "
                    "the same values"
                )
            at[dim.name] = dim.coordinate.index(self.here[dim.name])
        spec = self.planner.specs[name]
        model: Any = spec.model.build(at, self.planner._model_of)
        optimizer: Any = spec.optimizer.build(at, self.planner._model_of)
        return Estimator(name, model, optimizer)

    def __iter__(self) -> Iterator[str]:
        return iter(self.planner.specs)

    def __len__(self) -> int:
        return len(self.planner.specs)


def _grouped(cells: list[Cell]) -> Iterator[Cell]:
    """The cells with those of one group next to each other, in the order of first appearance."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    for group in groups.values():
        yield from group
