"""Commands about a scenario file: run it, measure its kept states, plan it, check it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.console.commands.common import (
    CELLS_FAILED,
    CLAIM_REFUTED,
    executor_options,
    explained,
    overrides_option,
    scenario_file,
)
from testbed.console.commands.failures import show_failures

if TYPE_CHECKING:
    import xarray as xr

    from testbed.runs import Options, Outcome, Watcher
    from testbed.scenario.figure import Figure


@click.command()
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run folder; runs/NAME unless given."
)
@executor_options
@overrides_option
@click.option("--dry-run", is_flag=True, help="Plan only.")
@click.option("--fresh", is_flag=True, help="Compute everything again.")
@click.option("--no-figures", is_flag=True, help="Draw no figures.")
@click.option(
    "--mix-versions", is_flag=True, help="Keep cells that other versions of libraries made."
)
@click.option(
    "--keep-stale", is_flag=True, help="Keep cells whose code has changed since, and mark them."
)
@click.option("--keep-failed", is_flag=True, help="Do not try failed cells again.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first cell that fails.")
@click.option("--traceback", is_flag=True, help="Run failed cells again and show their tracebacks.")
@click.option("--pdb", is_flag=True, help="The same, and stop in a debugger where each is raised.")
@click.option("--require-claims", is_flag=True, help="Exit with 3 if the results refute a claim.")
@explained
def run(
    file: str,
    output: Path | None,
    executor: str | None,
    scheduler: str,
    workers: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    no_figures: bool,
    require_claims: bool,
    traceback: bool,
    pdb: bool,
    **choices: bool,
) -> None:
    """Run a scenario FILE: cells, results.nc, figures, a summary."""
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.runs import Options, checked_plan, execute_run

    scenario = load_scenario(scenario_file(file), overrides)
    if dry_run:
        click.echo(plan_text(checked_plan(scenario)))
        return
    options = Options(
        executor=_executor(executor, scheduler, workers),
        workers=workers,
        scheduler=scheduler,
        **choices,  # of cells to keep or to run again, named as the fields of Options
    )
    if options.executor != "dask" and scenario.compute.dask is None:
        _leave_out_unused()
    outcome = _outcome(functools.partial(execute_run, scenario, output), options)
    _show(outcome, scenario.figures, draw=not no_figures)
    if outcome.failed:
        show_failures(outcome, traceback, pdb)
        sys.exit(CELLS_FAILED)
    if require_claims:
        _expect_claims(outcome.tree)


def _leave_out_unused() -> None:
    """Do without libraries that xarray and pandas load to ask whether a value is theirs: a fifth of
    the time of a short run. Plugins of others may use them."""
    from testbed.loading import BARE, load_registry
    from testbed.running.postponed import ASKED, go_without, no_longer_without

    if {plugin.distribution for plugin in load_registry().plugins} == {BARE[0]}:
        for name in ASKED:
            go_without(name)
        import pandas  # noqa: F401  (which asks for pyarrow while it is loaded)

        no_longer_without("pyarrow")


def _executor(name: str | None, scheduler: str, workers: int | None) -> str:
    """The executor asked for, by its name or by an option that only it has."""
    if scheduler and name not in (None, "dask"):
        raise click.UsageError(f"found --scheduler with --executor {name}, expected dask")
    if scheduler:
        return "dask"
    return name or ("processes" if workers and workers > 1 else "serial")


def _expect_claims(tree: xr.DataTree) -> None:
    """Exit with CLAIM_REFUTED if a claim is."""
    from testbed.claims import read_verdicts

    refuted = [verdict for verdict in read_verdicts(tree) if verdict.verdict == "refuted"]
    if refuted:
        click.echo(f"refuted: {', '.join(verdict.claim for verdict in refuted)}", err=True)
        sys.exit(CLAIM_REFUTED)


def _outcome(execute: Callable[[Options, Watcher], Outcome], options: Options) -> Outcome:
    """Run or measure, and ask at a terminal whether cells of other versions may be kept."""
    from attrs import evolve
    from rich.console import Console

    from testbed.results.resume import VersionsError
    from testbed.running.progress import ProgressWatcher

    try:
        with ProgressWatcher(Console(stderr=True)) as watcher:
            return execute(options, watcher)
    except VersionsError as error:
        if not sys.stdin.isatty():
            raise
        click.echo(str(error), err=True)
        if not click.confirm("Keep them?", err=True):
            raise
        return _outcome(execute, evolve(options, mix_versions=True))


def _show(outcome: Outcome, figures: Sequence[Figure], draw: bool) -> None:
    """Draw the figures if asked to, print the summary and where everything is."""
    from testbed.console.replicates import replicates_text
    from testbed.console.summary import summary
    from testbed.figures import draw_figures, remove_stale_figures

    tree, folder = outcome.tree, outcome.folder
    paths: Sequence[Path] = ()
    if not draw:
        remove_stale_figures(tree, folder / "figures", figures)
    else:
        paths, problems = draw_figures(tree, folder / "figures", figures)
        for problem in problems:
            click.echo(problem, err=True)
    click.echo(summary(tree))
    click.echo(f"\n{replicates_text(tree, outcome.plan.scenario.replicates)}")
    click.echo(f"results: {folder / 'results.nc'}")
    for path in paths:
        click.echo(f"figure:  {path}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("scenario", required=False)
@click.option(
    "--add",
    multiple=True,
    metavar="METRIC",
    help="A metric to add, e.g. --add training-loss, or --add '{ use = \"energy\", k = [1, 2] }'.",
)
@overrides_option
@executor_options
@click.option("--no-figures", is_flag=True, help="Draw no figures.")
@click.option(
    "--mix-versions", is_flag=True, help="Use states that other versions of libraries made."
)
@explained
def measure(
    folder: Path,
    scenario: str | None,
    add: tuple[str, ...],
    overrides: tuple[str, ...],
    executor: str | None,
    scheduler: str,
    workers: int | None,
    no_figures: bool,
    mix_versions: bool,
) -> None:
    """Add metrics to the run in FOLDER from its kept states, without training.

    The states are there if the run had keep_states = true in [compute]. SCENARIO is the folder's
    scenario with further metrics; unless given, the scenario that the folder was last run with.
    """
    from testbed.planning.files import load_scenario
    from testbed.runs import Options, execute_run
    from testbed.runs.measuring import scenario_to_measure

    edited = load_scenario(scenario_file(scenario), overrides) if scenario else None
    if overrides and edited is None:
        raise click.UsageError("found --set without SCENARIO, expected the scenario to change")
    chosen = scenario_to_measure(folder, edited, add)
    options = Options(
        executor=_executor(executor, scheduler, workers),
        workers=workers,
        scheduler=scheduler,
        mix_versions=mix_versions,
        measure_only=True,
    )
    outcome = _outcome(functools.partial(execute_run, chosen, folder), options)
    _show(outcome, chosen.figures, draw=not no_figures)
    if outcome.failed:
        show_failures(outcome)
        sys.exit(CELLS_FAILED)


@click.command()
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run folder; runs/NAME unless given."
)
@overrides_option
@click.option(
    "--costs", is_flag=True, help="Try a few replicates, and say how long the run will take."
)
@explained
def plan(file: str, output: Path | None, overrides: tuple[str, ...], costs: bool) -> None:
    """Show what a scenario FILE would do: cells, dimensions, sizes, omissions, costs; and how many
    of the cells are finished in the run folder."""
    from testbed.console.begun import begun
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.running.calibration import expected_costs
    from testbed.runs import checked_plan

    made = checked_plan(load_scenario(scenario_file(file), overrides))
    estimated = None
    if costs:
        from testbed.running.costs import costs_of

        estimated = costs_of(made)
    ready = begun(made, output or Path("runs") / made.scenario.name)
    click.echo(plan_text(made, estimated, expected_costs(ready.missing), ready.text))


@click.command()
@click.argument("file")
@overrides_option
@explained
def check(file: str, overrides: tuple[str, ...]) -> None:
    """Look for mistakes in a scenario FILE; all are shown at once."""
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan

    made = checked_plan(load_scenario(scenario_file(file), overrides))
    for warning in made.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{file}: no mistakes, {len(made.cells)} cells")
