"""Turn the results of cells into an xarray.DataTree with labels.

One group per estimator, with dims (sweep…, replicate, time, own…); the root holds attributes only.
`docs/analysis.md` describes what a reader finds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

import xarray as xr

from testbed.contract.cells import Cell, CellResult
from testbed.planning.plan import Plan
from testbed.results import provenance
from testbed.results.dataset import GroupRecord, joined
from testbed.results.provenance import Made


def record(plan: Plan, results: Iterable[CellResult], made: Made | None = None) -> xr.DataTree:
    """The results of a plan's cells as a labelled tree; cells without a result are `not_run`.

    `made` says what made the numbers; without it, what is installed here. Results are read
    twice and never all held in memory, so that recording takes little more memory than its result.
    """
    results = list(results) if isinstance(results, Iterator) else results
    made = made or provenance.made_here(plan.cells)
    groups = []
    for estimator in plan.estimators:
        cells = [cell for cell in plan.cells if cell.estimator == estimator.name]
        groups.append(GroupRecord(plan, estimator, cells, made.stale))
    homes = {cell.key: (group, cell) for group in groups for cell in group.cells}
    for step in (GroupRecord.survey, GroupRecord.fill):
        _for_each(results, homes, step)
    root = xr.Dataset(attrs=_root_attributes(plan, made))
    trees = {f"/{group.estimator.name}": group.dataset() for group in groups}
    return xr.DataTree.from_dict({"/": root, **trees})


def _for_each(
    results: Iterable[CellResult],
    homes: Mapping[str, tuple[GroupRecord, Cell]],
    step: Callable[[GroupRecord, Cell, CellResult], None],
) -> None:
    """Hand every result to its group. A loop's variable would hold a result while the next is
    read; these may be large."""

    def hand_over(result: CellResult) -> None:
        if result.key in homes:
            step(*homes[result.key], result)

    deque(map(hand_over, results), maxlen=0)


def _component_references(plan: Plan) -> str:
    """The references of the components of all cells, a line each."""
    references: dict[str, None] = {}
    for cell in plan.cells:
        parts = [cell.design, cell.target, cell.model, cell.optimizer]
        parts += [planned.metric for planned in cell.metrics]
        parts += [planned.theory for planned in cell.theories]
        references |= dict.fromkeys(text for part in parts for text in part.references)
    return "\n".join(references)


def _root_attributes(plan: Plan, made: Made) -> dict[str, str | int]:
    scenario = plan.scenario
    attributes: dict[str, str | int] = {
        "title": scenario.title,
        "Conventions": "CF-1.11",
        "history": provenance.history(scenario.name),
        "source": made.source(),
        "machine": provenance.machine(),
        "code": made.code_text(),
        "stale": made.stale_text(),
        "references": ", ".join(scenario.references),
        "component_references": _component_references(plan),
        "comment": scenario.description,
        "scenario": scenario.text,
        "scenario_sha256": provenance.digest(scenario.text),
        "seed": scenario.seed,
        "dtype": scenario.compute.dtype,
    }
    texts: dict[str, list[str]] = {}
    for design in {id(cell.design): cell.design for cell in plan.cells}.values():
        for name, text in design.attributes().items():
            texts.setdefault(f"data_{name}", []).append(text)
    attributes |= {name: joined(several) for name, several in texts.items()}
    return {name: value for name, value in attributes.items() if value != ""}
