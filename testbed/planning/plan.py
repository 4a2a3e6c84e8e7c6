"""From a scenario to cells: points, what is measured where, keys, and what it will cost.

Everything that can be wrong with a well-typed scenario is found here, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from attrs import evolve, field, frozen

from testbed.contract.border import ComponentFault
from testbed.contract.cells import Cell
from testbed.contract.components import Design, Model, Optimizer, Target, sample_size
from testbed.contract.seeds import choice_stream
from testbed.errors import Mistake, ScenarioError
from testbed.planning.building import Builder, Others
from testbed.planning.counts import excessive
from testbed.planning.dimensions import Dimension, chosen, points, swept_names
from testbed.planning.fitting import pair_objection, times_objection
from testbed.planning.inspection import inspect, misfit_of
from testbed.planning.keys import cell_key, preparation_key
from testbed.planning.selection import Omission, Selection
from testbed.planning.shapes import unsuitable_figures
from testbed.planning.sizes import oversized, variable_sizes
from testbed.scenario.component import Scalar, Spec
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import Alternative, EstimatorTable, UpTo

__all__ = ["Omission", "Plan", "PlannedEstimator", "further_mistakes", "make_plan"]


@frozen
class PlannedEstimator:
    """One group of the result: its dimensions, times and scalar coordinates."""

    name: str
    dims: tuple[Dimension, ...]
    times: tuple[float, ...]
    fixed: Mapping[str, Scalar] = field(factory=dict, hash=False)


@frozen
class Plan:
    """Everything a run will do."""

    scenario: Scenario
    cells: tuple[Cell, ...]
    estimators: tuple[PlannedEstimator, ...]
    omissions: tuple[Omission, ...] = ()
    warnings: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(factory=dict, hash=False)
    """Bytes of each variable of the result before compression, by `estimator/variable`."""

    @property
    def bytes(self) -> int:
        """Bytes of the result before compression."""
        return sum(self.sizes.values())

    @property
    def preparations(self) -> tuple[int, int]:
        """How many preparations are made, and how many cells they serve."""
        sharing = [cell for cell in self.cells if _shares(cell)]
        return len({cell.group for cell in sharing}), len(sharing)


def make_plan(scenario: Scenario) -> Plan:
    """Plan a scenario; ScenarioError with every mistake found."""
    planner = _Planner(scenario)
    large = list(excessive(scenario, planner.builder.dims))
    if large:
        raise ScenarioError([*planner.builder.mistakes, *large])
    plan = planner.plan()
    mistakes = planner.builder.mistakes or [
        *oversized(scenario, plan.sizes),
        *unsuitable_figures(plan),
    ]
    if mistakes:
        raise ScenarioError(dict.fromkeys(mistakes))
    return plan


def further_mistakes(scenario: Scenario) -> list[Mistake]:
    """What is wrong besides, in those parts of a scenario that could be read.

    Looks at dimensions and at pairs of model and optimizer; metrics are left, since what they ask
    for may be in the parts that could not be read.
    """
    builder = Builder(scenario)
    large = list(excessive(scenario, builder.dims))
    if large:
        return [*builder.mistakes, *large]
    for spec in scenario.estimators:
        if scenario.times is None and spec.optimizer.values.get("times") is None:
            continue  # the times at the top may be what could not be read
        referring = any(True for part in (spec.model, spec.optimizer) for _ in part.references())
        if spec.name in builder.dims and not referring:
            for at in points(builder.dims[spec.name]):
                _pair(builder, spec, at)
    return list(dict.fromkeys(builder.mistakes))


def _pair(
    builder: Builder, spec: EstimatorTable, at: Mapping[str, int]
) -> tuple[Model, Optimizer, tuple[float, ...]] | None:
    """Model, optimizer and times at a point; None, and mistakes, if they do not fit."""
    model, optimizer = builder.build(spec.model, at), builder.build(spec.optimizer, at)
    if model is None or optimizer is None:
        return None
    times = optimizer.times or builder.scenario.times
    try:
        misfit = pair_objection(model, optimizer)
        mistimed = times_objection(model, optimizer, times)
    except ComponentFault as fault:
        builder.object(spec.optimizer.path, str(fault))
        return None
    if misfit:
        builder.object(spec.optimizer.path, *misfit)
    if mistimed:
        builder.object(f"{spec.optimizer.path}.times", *mistimed)
    return None if misfit or mistimed or times is None else (model, optimizer, times.values)


class _Planner:
    def __init__(self, scenario: Scenario):
        self.scenario = scenario
        self.builder = Builder(scenario)
        self.selection = Selection(self.builder)

    def plan(self) -> Plan:
        cells: list[Cell] = []
        planned = []
        for spec in self.scenario.estimators:
            if spec.name not in self.builder.dims:
                continue
            at_points = self._points(spec)
            own = [block for cell, simulate in at_points for block in self._blocks(cell, simulate)]
            if at_points and not own:
                where = f"{spec.model.path.removesuffix('.model')}.simulate"
                found = f"found nothing to compute for {spec.name!r}"
                self.builder.object(where, found, "a simulation, or a theory that needs none")
            cells += own
            times = at_points[0][0].times if at_points else ()
            dims = self.builder.dims[spec.name]
            planned.append(PlannedEstimator(spec.name, dims, times, self._fixed(spec)))
        if not self.builder.mistakes:
            self.selection.note_unused()
        counts = {one.name: prod(map(len, one.dims)) for one in planned}
        return Plan(
            self.scenario,
            tuple(_grouped(cells)),
            tuple(planned),
            tuple(self.selection.omissions),
            (*_warnings(planned), *self.selection.faults),
            variable_sizes(cells, counts, self.scenario.replicates),
        )

    # --- points -------------------------------------------------------------------------------

    def _points(self, spec: EstimatorTable) -> list[tuple[Cell, bool]]:
        """A cell without replicates for every point, and whether it is simulated."""
        at_points = list(points(self.builder.dims[spec.name]))
        simulated = self._simulated(spec, len(at_points))
        cells = [self._point(spec, at) for at in at_points]
        return [
            (cell, simulate and _small_enough(spec, cell))
            for cell, simulate in zip(cells, simulated, strict=True)
            if cell is not None
        ]

    def _simulated(self, spec: EstimatorTable, count: int) -> list[bool]:
        """Which points are simulated; a share of them is chosen by the seed."""
        if not isinstance(spec.simulate, float):
            return [spec.simulate is not False] * count
        order = choice_stream(self.scenario.seed).permutation(count)
        kept = set(order[: max(1, round(spec.simulate * count))].tolist())
        return [position in kept for position in range(count)]

    def _point(self, spec: EstimatorTable, at: Mapping[str, int]) -> Cell | None:
        """The cell at a point of the sweep, without replicates and key."""
        scenario, dims = self.scenario, self.builder.dims[spec.name]
        option = chosen(scenario.designs, "design", at)
        design = self.builder.build(option.spec, at)
        target = self.builder.build(chosen(scenario.targets, "target", at).spec, at)
        pair = _pair(self.builder, spec, at)
        if design is None or target is None or pair is None:
            return None
        model, optimizer, times = pair
        place_of_target = chosen(scenario.targets, "target", at).spec.path
        if not self._fits(design, target, place_of_target, model, spec.model.path):
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
        try:
            inspect(cell)
        except ComponentFault as fault:
            paths = {"design": option.spec.path, "optimizer": spec.optimizer.path}
            self.builder.object(paths.get(fault.component.kind, spec.model.path), str(fault))
            return None
        metrics = self.selection.metrics_of(cell, Others(self.builder, spec, at))
        return evolve(cell, metrics=metrics, theories=self.selection.theories_of(cell))

    def _fits(
        self, design: Design, target: Target, target_path: str, model: Model, model_path: str
    ) -> bool:
        """Whether target and model are defined where the design's points lie; mistakes if not."""
        fitting = True
        for part, path in ((target, target_path), (model, model_path)):
            try:
                mistake = misfit_of(part, design)
            except ComponentFault as fault:
                mistake = Mistake("", str(fault))
            if mistake:
                fitting = False
                where = f"{path}.{mistake.where}" if mistake.where else path
                self.builder.mistakes.append(mistake.at(where).in_file(self.scenario.path))
        return fitting

    # --- cells --------------------------------------------------------------------------------

    def _blocks(self, cell: Cell, simulate: bool) -> Iterator[Cell]:
        """The theory cell of a point, and its blocks of replicates."""
        if any(not planned.theory.facts().conditional for planned in cell.theories):
            yield _keyed(evolve(cell, metrics=()))
        if not simulate:
            return
        looped = "loop" in (cell.model.facts().batching, cell.optimizer.facts().batching)
        one_by_one = looped or cell.optimizer.facts().times_per_replicate
        size = 1 if one_by_one else self.scenario.compute.block
        total = self.scenario.replicates
        conditional = tuple(one for one in cell.theories if one.theory.facts().conditional)
        for first in range(0, total, size):
            replicates = tuple(range(first, min(first + size, total)))
            yield _keyed(evolve(cell, replicates=replicates, theories=conditional))

    # --- labels -------------------------------------------------------------------------------

    def _fixed(self, spec: EstimatorTable) -> dict[str, Scalar]:
        """Parameters without a sweep, under their own names where these are free."""
        swept = swept_names(self.builder.dims[spec.name])
        variables = self.selection.variables.get(spec.name, set())
        taken = {*_KINDS, *swept, *variables, *self.selection.own_dims.get(spec.name, set())}
        found: dict[str, Scalar] = {}
        for kind, part in _parts(self.scenario, spec):
            found[kind] = Scalar(part.component.name, long_name=f"the {kind}'s name")
            for name, value in part.fixed().items():
                free = name not in found and name not in taken
                found[name if free else f"{kind}_{name}"] = value
        return {name: value for name, value in found.items() if name not in swept}


_KINDS = ("design", "target", "model", "optimizer", "replicate", "time", "status", "error", "seed")


def _parts(scenario: Scenario, spec: EstimatorTable) -> Iterator[tuple[str, Spec]]:
    """The components that are the same at every point, by kind."""
    alone: list[tuple[str, Sequence[Alternative]]] = [
        ("design", scenario.designs),
        ("target", scenario.targets),
    ]
    for kind, options in alone:
        if not options[0].name:
            yield kind, options[0].spec
    yield "model", spec.model
    yield "optimizer", spec.optimizer


def _small_enough(spec: EstimatorTable, cell: Cell) -> bool:
    """Whether a cell is within `simulate = { n = 5000 }`, where that is asked."""
    if not isinstance(spec.simulate, UpTo):
        return True
    return sample_size(cell.design) <= spec.simulate.n


def _keyed(cell: Cell) -> Cell:
    key = cell_key(cell)
    return evolve(cell, key=key, group=preparation_key(cell) if _shares(cell) else key)


def _shares(cell: Cell) -> bool:
    """Whether a cell's preparation may serve other cells."""
    return bool(cell.replicates) and cell.model.facts().reads == "inputs"


def _grouped(cells: Iterable[Cell]) -> Iterator[Cell]:
    """The cells with those of one group next to each other, in the order of first appearance."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.group, []).append(cell)
    for group in groups.values():
        yield from group


def _warnings(planned: list[PlannedEstimator]) -> Iterator[str]:
    """What xarray would do to these estimators' arrays without a word."""
    if len({estimator.times for estimator in planned}) > 1:
        yield (
            "the estimators record different times: xarray returns an empty result, without a "
            "word, when they are subtracted; give them one grid, or compare by nearest time"
        )
    coordinates: dict[str, set[tuple[Any, ...]]] = {}
    for estimator in planned:
        for dim in estimator.dims:
            coordinates.setdefault(dim.name, set()).add(dim.coordinate)
    for name, several in coordinates.items():
        if len(several) > 1:
            yield (
                f"the estimators are swept over different values of {name}: xarray keeps only the "
                "values they share, without a word, when they are subtracted"
            )
