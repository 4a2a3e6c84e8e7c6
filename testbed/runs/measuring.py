"""Add metrics to a finished run: measure its kept states, and train nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tomli_w

from testbed.errors import Mistake, ScenarioError, shown
from testbed.planning.files import load_scenario, read_scenario
from testbed.results.status import open_journal, stored_text
from testbed.running.notebooks import progress_bar
from testbed.runs import execute_run
from testbed.runs.options import Options, Outcome, Watcher
from testbed.scenario.scenario import Scenario

if TYPE_CHECKING:
    import xarray as xr


def measure(
    folder: str | Path,
    scenario: Scenario | str | Path | None = None,
    *,
    add: Sequence[str] = (),
    executor: Literal["serial", "processes", "dask"] = "serial",
    workers: int | None = None,
    scheduler: str = "",
    mix_versions: bool = False,
    progress: bool | None = None,
) -> xr.DataTree:
    """Measure the kept states of a run, without training, and return its results.

    The run in `folder` kept its states, by `[compute] keep_states = true`. `scenario` is its
    scenario with further metrics; by default the one that the folder was last run with. `add`
    names metrics to add to it: `"training-loss"`, or a table `'{ use = "energy", modes = [5] }'`.
    Only what is missing is measured: new metrics, and those whose code has changed. Raises
    ResultError before anything is computed if a cell would have to be trained.

    >>> tree = measure("runs/quickstart", add=["training-loss"])  # doctest: +SKIP
    """
    options = Options(
        executor=executor,
        workers=workers,
        scheduler=scheduler,
        mix_versions=mix_versions,
        measure_only=True,
    )
    with progress_bar(progress) as watcher:
        return measured(folder, scenario, add, options, watcher).tree


def measured(
    folder: str | Path,
    scenario: Scenario | str | Path | None,
    add: Sequence[str],
    options: Options,
    watcher: Watcher | None = None,
) -> Outcome:
    """The outcome of measuring the kept states of a run."""
    return execute_run(scenario_to_measure(Path(folder), scenario, add), folder, options, watcher)


def scenario_to_measure(
    folder: Path, scenario: Scenario | str | Path | None, add: Sequence[str]
) -> Scenario:
    """The scenario whose metrics are measured: that of a run folder, unless another is given, with
    the metrics to add."""
    journal = open_journal(folder)
    try:
        text, file = stored_text(folder, journal)
    finally:
        journal.close()
    if isinstance(scenario, str | Path):
        scenario = load_scenario(scenario)
    if scenario is None:
        scenario = read_scenario(text, file)
    return with_metrics(scenario, add) if add else scenario


def with_metrics(scenario: Scenario, metrics: Sequence[str]) -> Scenario:
    """A scenario with further metrics, each a name or an inline table of TOML. What the scenario
    has already is not added again."""
    document = tomllib.loads(str(scenario))
    tables = document.setdefault("metric", [])
    added = [table for table in map(_table, metrics) if table not in tables]
    if not added:
        return scenario
    tables += added
    return read_scenario(tomli_w.dumps(document), scenario.path)


def _table(text: str) -> dict[str, Any]:
    """A metric's table; a bare word is the component's name."""
    if not text.strip().startswith("{"):
        return {"use": text.strip()}
    try:
        table: dict[str, Any] = tomllib.loads(f"metric = {text}")["metric"]
    except (ValueError, RecursionError):
        raise ScenarioError(
            [Mistake("--add", f"found {shown(text)}", "a metric, such as '{ use = \"energy\" }'")]
        ) from None
    return table
