"""Commands about a scenario file: run it, plan it, check it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.console.commands.common import explained, overrides_option, scenario_file

if TYPE_CHECKING:
    import xarray as xr

    from testbed.scenario.figure import Figure


@click.command()
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run folder; runs/NAME unless given."
)
@click.option(
    "--executor", type=click.Choice(["serial", "processes"]), default=None, help="Where cells run."
)
@click.option("--workers", type=click.IntRange(1), default=None, help="Worker processes.")
@overrides_option
@click.option("--dry-run", is_flag=True, help="Plan only.")
@click.option("--fresh", is_flag=True, help="Compute everything anew.")
@click.option("--no-figures", is_flag=True, help="Draw no figures.")
@explained
def run(
    file: str,
    output: Path | None,
    executor: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    fresh: bool,
    no_figures: bool,
) -> None:
    """Run a scenario FILE: cells, results.nc, figures, a summary."""
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan, execute_run

    scenario = load_scenario(scenario_file(file), overrides)
    if dry_run:
        click.echo(plan_text(checked_plan(scenario)))
        return
    from rich.console import Console

    from testbed.console.progress import ProgressWatcher

    chosen = executor or ("processes" if workers and workers > 1 else "serial")
    with ProgressWatcher(Console(stderr=True)) as watcher:
        outcome = execute_run(scenario, output, chosen, workers, fresh, watcher)
    _show(outcome.tree, outcome.folder, None if no_figures else scenario.figures)
    if outcome.failed:
        click.echo(f"{len(outcome.failed)} cells failed; their errors are in the results", err=True)
        sys.exit(1)


def _show(tree: xr.DataTree, folder: Path, figures: Sequence[Figure] | None) -> None:
    """Draw the figures unless they are None, print the summary and where everything is."""
    from testbed.console.summary import summary
    from testbed.runs import statuses

    paths: Sequence[Path] = ()
    if figures is not None:
        from testbed.figures import draw_figures

        paths = draw_figures(tree, folder / "figures", figures)
    click.echo(summary(tree))
    counted = ", ".join(f"{count} {word}" for word, count in statuses(tree).items())
    click.echo(f"replicates: {counted}")
    click.echo(f"results: {folder / 'results.nc'}")
    for path in paths:
        click.echo(f"figure:  {path}")


@click.command()
@click.argument("file")
@overrides_option
@click.option(
    "--costs", is_flag=True, help="Try a few replicates, and say how long the whole will take."
)
@explained
def plan(file: str, overrides: tuple[str, ...], costs: bool) -> None:
    """Show what a scenario FILE would do: cells, dimensions, sizes, omissions, costs."""
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan

    made = checked_plan(load_scenario(scenario_file(file), overrides))
    estimated = None
    if costs:
        from testbed.running.costs import costs_of

        estimated = costs_of(made)
    click.echo(plan_text(made, estimated))


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
