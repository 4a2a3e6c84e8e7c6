"""From a scenario file to results: plan, execute what is missing, record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from attrs import evolve, frozen

from testbed.contract.cells import STATUS, Cell, CellResult
from testbed.errors import Mistake, ScenarioError, TestbedError
from testbed.loading import Registry, load_registry
from testbed.planning.files import load_scenario
from testbed.planning.plan import Plan, make_plan
from testbed.results.groups import estimators
from testbed.results.record import record
from testbed.results.store import RunFolder, read_tree
from testbed.running import executors
from testbed.scenario.scenario import Scenario
from testbed.soundness import examine, with_findings

if TYPE_CHECKING:
    import xarray as xr

WRITE_EVERY = 60.0  # seconds after which results.nc is renewed during a run


class Watcher(Protocol):
    """Who wants to see a run go on."""

    def started(self, plan: Plan, done: int) -> None: ...

    def finished(self, cell: Cell, result: CellResult) -> None: ...


@frozen
class Outcome:
    """How a run ended."""

    folder: Path
    tree: xr.DataTree
    plan: Plan
    failed: tuple[tuple[Cell, str], ...]  # cells that failed, with their errors
    reused: int  # cells that were in the journal before


def run(
    scenario: Scenario | str | Path,
    folder: str | Path | None = None,
    *,
    executor: Literal["serial", "processes"] = "serial",
    workers: int | None = None,
    overrides: Sequence[str] = (),
    fresh: bool = False,
) -> xr.DataTree:
    """Run a scenario and return its results as an xarray.DataTree.

    Results go to `folder`, by default `runs/<name>/`; finished cells found there are not computed
    again unless `fresh`. Failed cells are data: look at `status` and `error` of each group. Raises
    ScenarioError before anything is computed if the scenario cannot be run.

    >>> tree = run("scenarios/quickstart.toml", overrides=["replicates=4"])  # doctest: +SKIP
    """
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario, overrides)
    return execute_run(scenario, folder, executor, workers, fresh).tree


def open_results(path: str | Path) -> xr.DataTree:
    """Open a result file, or the results in a run folder, as an xarray.DataTree in memory.

    Plain `xarray.open_datatree` does as well; this one explains what is wrong with a damaged file.
    """
    return read_tree(path)


def checked_plan(scenario: Scenario, registry: Registry | None = None) -> Plan:
    """The plan, with the objections of plugins; ScenarioError if there are any."""
    registry = registry or load_registry()
    plan = make_plan(scenario)
    reasons = [
        reason for group in registry.hook("testbed_check_scenario")(plan=plan) for reason in group
    ]
    if reasons:
        raise ScenarioError(dict.fromkeys(_placed(scenario, reason) for reason in reasons))
    return plan


def _placed(scenario: Scenario, reason: str | Mistake) -> Mistake:
    """A plugin's objection in its file; one in words alone stands for the whole scenario."""
    if isinstance(reason, Mistake):
        return evolve(reason, where=f"{scenario.path}: {reason.where}")
    return Mistake(f"{scenario.path}: $", reason)


def execute_run(
    scenario: Scenario,
    folder: str | Path | None = None,
    executor: str = "serial",
    workers: int | None = None,
    fresh: bool = False,
    watcher: Watcher | None = None,
) -> Outcome:
    """Plan, execute what the journal does not hold, look whether the results are sound, and put
    results.nc in place."""
    if executor not in ("serial", "processes"):
        raise TestbedError(f"found the executor {executor!r}, expected serial or processes")
    registry = load_registry()
    plan = checked_plan(scenario, registry)
    path = Path(folder) if folder is not None else Path("runs") / scenario.name
    with RunFolder(path, scenario.name, fresh) as store:
        results = {
            result.key: result
            for result in store.results(cell.key for cell in plan.cells)
            if not result.error
        }
        reused = len(results)
        missing = [cell for cell in plan.cells if cell.key not in results]
        if watcher:
            watcher.started(plan, reused)
        registry.hook("testbed_run_started")(plan=plan, folder=path)
        for cell, result in _journaled(store, missing, executor, workers):
            results[cell.key] = result
            registry.hook("testbed_cell_finished")(cell=cell, result=result)
            if watcher:
                watcher.finished(cell, result)
            if store.seconds_since_written() > WRITE_EVERY:
                store.write_results(_recorded(plan, results, registry))
        tree = _recorded(plan, results, registry)
        tree = with_findings(tree, examine(plan, tree, registry))
        store.write_results(tree)
        registry.hook("testbed_run_finished")(plan=plan, folder=path)
    failed = tuple((cell, results[cell.key].error) for cell in missing if results[cell.key].error)
    return Outcome(path, tree, plan, failed, reused)


def _journaled(
    store: RunFolder, cells: Sequence[Cell], executor: str, workers: int | None
) -> Iterator[tuple[Cell, CellResult]]:
    """Execute cells, committing each result before it is passed on."""
    by_key = {cell.key: cell for cell in cells}
    if executor == "processes":
        results = executors.processes(cells, workers or os.cpu_count() or 1)
    else:
        results = executors.serial(cells)
    for result in results:
        store.add(result)
        yield by_key[result.key], result


def _recorded(plan: Plan, results: Mapping[str, CellResult], registry: Registry) -> xr.DataTree:
    """What is known so far, as a labelled tree."""
    names = [row.distribution for row in registry.plugins if not row.error]
    return record(plan, results.values(), names)


def statuses(tree: xr.DataTree) -> dict[str, int]:
    """How many replicates of a result have each status, over all groups."""
    counts = dict.fromkeys(STATUS, 0)
    for group in estimators(tree).values():
        for word, value in STATUS.items():
            counts[word] += int((group["status"] == value).sum())
    return {word: count for word, count in counts.items() if count}
