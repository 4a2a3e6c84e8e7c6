"""From a scenario file to results: plan, execute what is missing, record.

Other packages use `runs.merging`, which joins runs that were made apart, and `runs.measuring`,
which adds metrics to a finished run.
"""

from __future__ import annotations

import gc
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attrs import evolve, field, frozen

from testbed.claims import claim_kinds, rounds_of
from testbed.contract.cells import Cell, CellResult
from testbed.errors import TestbedError
from testbed.loading import Registry, load_registry
from testbed.planning.files import load_scenario
from testbed.planning.keys import origin_of_cell
from testbed.planning.plan import Plan
from testbed.results.current import results_state
from testbed.results.files import read_tree
from testbed.results.forecast import remember_forecast, with_forecast
from testbed.results.record import record
from testbed.results.resume import (
    JournaledResults,
    changed_cells,
    expect_same_experiment,
    expect_same_libraries,
    kept_cells,
    made_by,
)
from testbed.results.store import EARLIER, RunFolder
from testbed.running.calibration import Calibration, Measured, expected_seconds
from testbed.running.executors import EXECUTORS, Workplace, results_of
from testbed.running.notebooks import in_notebook, progress_bar
from testbed.running.pool import Pool
from testbed.runs.answers import answered, checked_plan
from testbed.runs.keeping import KeptStates
from testbed.runs.options import Options, Outcome, RunWarning, Watcher
from testbed.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Options",
    "Outcome",
    "RunWarning",
    "Watcher",
    "answered",
    "checked_plan",
    "execute_run",
    "open_results",
    "run",
]

WRITE_EVERY = 60.0  # seconds after which results.nc is renewed during a run


def run(
    scenario: Scenario | str | Path,
    folder: str | Path | None = None,
    *,
    executor: Literal["serial", "processes", "dask"] = "serial",
    workers: int | None = None,
    scheduler: str = "",
    overrides: Sequence[str] = (),
    fresh: bool = False,
    mix_versions: bool = False,
    keep_stale: bool = False,
    keep_failed: bool = False,
    fail_fast: bool = False,
    progress: bool | None = None,
    figures: bool = False,
) -> xr.DataTree:
    """Run a scenario and return its results as an xarray.DataTree.

    Results go to `folder`, by default `runs/<name>/`; finished cells found there are not computed
    again unless `fresh`, or unless their code has changed (`keep_stale` keeps and marks those).
    Failed cells are data: look at `status` and `error` of each group; the next run tries them again
    unless `keep_failed`. Raises ScenarioError before anything is computed if the scenario cannot
    be run, and ResultError where other versions of libraries made finished cells, unless
    `mix_versions`. `progress` shows a bar, by default in notebooks only; `figures` draws figures
    into the folder. In a notebook, `tree.testbed` shows the answer.

    >>> tree = run("scenarios/quickstart.toml", overrides=["replicates=4"])  # doctest: +SKIP
    """
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario, overrides)
    elif overrides:
        scenario = scenario.with_(*overrides)
    options = Options(
        executor=executor,
        workers=workers,
        scheduler=scheduler,
        fresh=fresh,
        mix_versions=mix_versions,
        keep_stale=keep_stale,
        keep_failed=keep_failed,
        fail_fast=fail_fast,
    )
    with progress_bar(progress) as watcher:
        outcome = execute_run(scenario, folder, options, watcher)
    if figures:
        from testbed.figures import draw_figures

        draw_figures(outcome.tree, outcome.folder / "figures", scenario.figures)
    _show_answers()
    return outcome.tree


def _show_answers() -> None:
    """Let `tree.testbed` show the answer, where this process is the kernel of a notebook."""
    if in_notebook():
        import testbed.report  # noqa: F401


def open_results(path: str | Path) -> xr.DataTree:
    """Open a result file, or the results in a run folder, as an xarray.DataTree in memory.

    `xarray.open_datatree` opens the file too; this function also checks its checksum, and explains
    what is wrong with a damaged file.
    """
    _show_answers()
    return read_tree(path)


def execute_run(
    scenario: Scenario,
    folder: str | Path | None = None,
    options: Options | None = None,
    watcher: Watcher | None = None,
) -> Outcome:
    """Plan, execute the cells that the journal lacks, check whether the results are sound, and
    write results.nc."""
    options = options or Options()
    if options.executor not in EXECUTORS:
        allowed = " or ".join(EXECUTORS)
        raise TestbedError(f"found the executor {options.executor!r}, expected {allowed}")
    registry = load_registry()
    plan = checked_plan(scenario, registry, sized=False)
    path = Path(folder) if folder is not None else Path("runs") / scenario.name
    with RunFolder(path, scenario.name, options.fresh) as store:
        return _Run(plan, store, options, registry, watcher).outcome()


@frozen
class _Run:
    """One run in its folder. The journal holds the results; memory holds their keys."""

    plan: Plan
    store: RunFolder
    options: Options
    registry: Registry
    watcher: Watcher | None
    finished: dict[str, str] = field(factory=dict)  # the plan's key → the journal's
    stale: dict[str, str] = field(factory=dict)
    errors: dict[str, str] = field(factory=dict)
    deadly: set[str] = field(factory=set)
    reached: list[Cell] = field(factory=list)  # of the rounds so far; all unless adaptive
    calibration: Calibration = field(factory=Calibration.load)
    measured: list[Measured] = field(factory=list)
    kept: list[KeptStates] = field(factory=list)  # one, once the journal has been read
    pool: Pool = field(factory=Pool)

    def outcome(self) -> Outcome:
        missing = self._resume()
        reused = len(self.finished)
        tree = self._settled(missing)
        rounds = iter(()) if tree is not None else self._rounds()
        first = next(rounds, ())
        self._announce(first if tree is None else self._kept_cells(), missing)
        self._tell_notes()
        self.registry.hook("testbed_run_started")(plan=self.plan, folder=self.store.path)
        with self.pool:
            stopped = self._run_rounds(first, rounds, {cell.key for cell in missing})
        if self.measured:
            self.calibration.learn(self.measured)
            self.calibration.save()
        ran = len(self.finished) > reused or (bool(missing) and not self._adaptive)
        tree = self._results(ran, stopped) if tree is None else tree
        self._tell_notes()
        self.registry.hook("testbed_run_finished")(plan=self.plan, folder=self.store.path)
        cells = {cell.key: cell for cell in self.plan.cells}
        failed = tuple((cells[key], error) for key, error in self.errors.items())
        measured = sum(key in self.finished for key in self.kept[0].reusable.cells)
        return Outcome(self.store.path, tree, self.plan, failed, reused, stopped, measured)

    def _resume(self) -> list[Cell]:
        """Take over the finished cells of the journal, and return the missing cells."""
        scenario, journal, options = self.plan.scenario, self.store.journal, self.options
        file = Path(scenario.path)
        place = str(file.resolve()) if file.is_file() else scenario.path
        kept = kept_cells(
            self.plan, journal, keep_stale=options.keep_stale, keep_failed=options.keep_failed
        )
        missing = [cell for cell in self.plan.cells if cell.key not in kept.keys]
        states = self._kept_states(missing)
        if not options.record_only:
            states.expect_room(missing)
        if not states.reusable.cells:
            expect_same_experiment(self.plan, journal, str(self.store.path), place)
        if not options.mix_versions:
            expect_same_libraries(self.plan, journal, kept)
        self._tell_of_moved(self.store.begin(scenario.text, place))
        if not options.record_only:
            remember_forecast(journal, self.plan, self.calibration)
        self.finished.update(kept.keys)
        self.stale.update(kept.stale)
        self.errors.update(kept.errors)
        self.deadly.update(kept.deadly)
        changed = changed_cells(self.plan, journal) if missing and not options.keep_stale else {}
        again = Counter(why for key, why in changed.items() if key not in states.reusable.cells)
        for reason, count in again.items():
            self.store.notes.append(f"{count} finished cells run again: {reason}")
        states.tell(self.watcher is not None)
        return missing

    def _kept_states(self, missing: Sequence[Cell]) -> KeptStates:
        """The kept states that serve the missing cells; ResultError if a run that trains nothing
        needs others."""
        states = KeptStates.for_run(self.plan, self.store, missing, self.options.mix_versions)
        self.kept.append(states)
        if self.options.measure_only and isinstance(self.plan.scenario.replicates, int):
            states.expect_no_training(missing)
        return states

    @property
    def _adaptive(self) -> bool:
        """Whether results decide which cells run."""
        return not isinstance(self.plan.scenario.replicates, int)

    def _settled(self, missing: Sequence[Cell]) -> xr.DataTree | None:
        """The results of an adaptive run that ended with the very cells that are finished now: the
        same results would end it there again."""
        if not self._adaptive or not missing or self.options.record_only:
            return None
        return self.store.results_of(self._state())

    def _kept_cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.plan.cells if cell.key in self.finished)

    def _announce(self, cells: Sequence[Cell], missing: Sequence[Cell]) -> None:
        """Tell the watcher which cells the run begins with."""
        if self.watcher is None:
            return
        keys = {cell.key for cell in cells}
        begun = [cell for cell in missing if cell.key in keys]
        plan = evolve(self.plan, cells=tuple(cells)) if self._adaptive else self.plan
        self.watcher.started(plan, expected_seconds(begun, self.calibration))

    def _rounds(self) -> Iterator[tuple[Cell, ...]]:
        """The cells of each round. Which they are depends on the results of the rounds before, and
        on nothing else."""
        if self.options.record_only:
            return iter([self.plan.cells])
        kinds = claim_kinds(self.registry)
        return rounds_of(self.plan, self._recorded, kinds, self.registry.published)

    def _run_rounds(
        self, first: tuple[Cell, ...], later: Iterator[tuple[Cell, ...]], missing: set[str]
    ) -> bool:
        """Execute the missing cells of each round; True if a failure stopped the run."""
        for number, cells in enumerate(chain([first], later)):
            self.reached.extend(cells)
            if self.options.record_only:
                continue
            now = [cell for cell in cells if cell.key in missing]
            if number and self.watcher:
                self.watcher.extended(len(cells), expected_seconds(now, self.calibration))
            if self._execute(now):
                return True
        return False

    def _execute(self, missing: Sequence[Cell]) -> bool:
        """Execute cells, and commit each before it is reported; True if a failure stopped the
        run."""
        for cell, result in self._journaled(missing):
            self.finished[cell.key] = cell.key
            if result.failure:
                self.errors[cell.key] = result.failure
            self.registry.hook("testbed_cell_finished")(cell=cell, result=result.read_only())
            if self.watcher:
                self.watcher.finished(cell, result)
            if result.failure and self.options.fail_fast:
                return True
            if self.store.seconds_since_written() > WRITE_EVERY:
                self.store.write_results(self._recorded(self._part()))
                gc.collect()  # the tree, which refers to itself and may be large
        return False

    def _journaled(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, CellResult]]:
        by_key = {cell.key: cell for cell in cells}
        (states,) = self.kept
        if self.options.measure_only:
            states.expect_no_training(cells)
            for result in states.carried_over(cells):
                self.store.add(result, origin_of_cell(by_key[result.key]))
                yield by_key[result.key], result
            cells = [cell for cell in cells if cell.key not in states.reusable.failed]
        if self.options.executor != "serial":
            cells = self.calibration.longest_first(cells)
        suspect = self.store.running()
        if suspect in by_key:
            self.deadly.add(suspect)
            self.store.notes.append(
                "the last run ended while a cell was running: that cell runs in a separate process"
            )
            self._tell_notes()
        results = results_of(
            states.with_states(cells),
            self._workplace(),
            isolated=frozenset(self.deadly),
            note=self.store.note_running,
        )
        for result in results:
            cell = by_key[result.key]
            result = states.finished(cell, result)
            self.store.add(result, states.origin(cell))
            if not result.error and states.reuse(cell) is None:
                self.measured.append((cell, result.seconds, result.memory))
            yield cell, result

    def _state(self, stopped: bool = False) -> str:
        """A digest of what results.nc depends on; another one where the rounds did not end."""
        published = [file for files in self.registry.hook("testbed_published")() for file in files]
        ended = {"ended": str(not stopped and not self.options.record_only)}
        cells = [self.finished, self.stale, self.errors]
        cells += [ended] if self._adaptive else []
        return results_state(self.plan, cells, map(Path, published))

    def _results(self, ran: bool, stopped: bool) -> xr.DataTree:
        """The contents of results.nc, written again if cells ran or if what it depends on has
        changed."""
        state = self._state(stopped)
        tree = None if ran else self.store.results_of(state)
        if tree is None:
            tree = answered(self.plan, self._recorded(self._part()), self.registry)
            self.store.write_results(tree, state)
        return tree

    def _workplace(self) -> Workplace:
        options = self.options
        return Workplace(
            options.executor,
            options.workers,
            options.scheduler,
            self.store.path,
            self._tell,
            self.calibration.memory,
            self.pool,
        )

    def _part(self) -> Plan:
        """The plan with the cells of the rounds so far."""
        if not self._adaptive:
            return self.plan
        keys = {cell.key for cell in self.reached}
        return evolve(self.plan, cells=tuple(c for c in self.plan.cells if c.key in keys))

    def _recorded(self, plan: Plan) -> xr.DataTree:
        """The results of a plan's cells so far, as a labelled tree."""
        journal = self.store.journal
        keys = {cell.key for cell in plan.cells}
        finished = {key: place for key, place in self.finished.items() if key in keys}
        results = JournaledResults(journal, plan.cells, finished)
        made = made_by(plan, journal, finished.values(), self.stale)
        return with_forecast(record(plan, results, made), journal)

    def _tell_of_moved(self, names: Sequence[str]) -> None:
        """Say where files of the scenario as it was before are now, to those who watch."""
        if names and self.watcher:
            what = ", ".join(names)
            earlier = self.store.path / EARLIER
            self.watcher.noted(f"the scenario has changed: earlier {what} moved to {earlier}")

    def _tell_notes(self) -> None:
        """Report damage and cells that run again, each once."""
        for text in self.store.notes:
            self._tell(text)
        self.store.notes.clear()

    def _tell(self, text: str) -> None:
        if self.watcher:
            self.watcher.noted(text)
        else:
            warnings.warn(text, RunWarning, stacklevel=6)
