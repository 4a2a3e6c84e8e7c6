"""The command line. Heavy imports happen inside commands, so that --help answers at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from testbed import __version__
from testbed.errors import TestbedError

KINDS = ("designs", "targets", "models", "optimizers", "metrics", "theories")


def _explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show testbed's own errors without a traceback, and exit with 2."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except TestbedError as error:
            click.echo(str(error), err=True)
            _mention_broken_plugins()
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo(
                "interrupted; finished cells are in the journal: run again to go on", err=True
            )
            sys.exit(130)

    return wrapped


def _mention_broken_plugins() -> None:
    """What is missing may be what a broken plugin would have brought."""
    from testbed.console.describe import broken_text
    from testbed.loading import load_registry

    text = broken_text(load_registry())
    if text:
        click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Testbed: theories of neural networks as scenario files, answered with labelled data."""


_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value, e.g. --set estimator.adaptive.model.depth=2. May be repeated.",
)


def _file(name: str) -> Path:
    """A scenario file, or the shipped scenario of that name."""
    path = Path(name)
    if path.is_file() or path.suffix or path.name != name:
        return path
    from testbed.errors import did_you_mean
    from testbed.loading import load_registry

    shipped = load_registry().scenarios()
    if name not in shipped:
        raise TestbedError(
            f"found no file and no shipped scenario {name!r}; {did_you_mean(name, shipped)}"
        )
    return shipped[name]


@main.command()
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run folder; runs/NAME unless given."
)
@click.option(
    "--executor", type=click.Choice(["serial", "processes"]), default=None, help="Where cells run."
)
@click.option("--workers", type=click.IntRange(1), default=None, help="Worker processes.")
@_SET
@click.option("--dry-run", is_flag=True, help="Plan only.")
@click.option("--fresh", is_flag=True, help="Compute everything anew.")
@_explained
def run(
    file: str,
    output: Path | None,
    executor: str | None,
    workers: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    fresh: bool,
) -> None:
    """Run a scenario FILE: cells, results.nc, figures, a summary."""
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan, execute_run

    scenario = load_scenario(_file(file), overrides)
    if dry_run:
        click.echo(plan_text(checked_plan(scenario)))
        return
    from rich.console import Console

    from testbed.console.progress import ProgressWatcher

    chosen = executor or ("processes" if workers and workers > 1 else "serial")
    with ProgressWatcher(Console(stderr=True)) as watcher:
        outcome = execute_run(scenario, output, chosen, workers, fresh, watcher)
    _show(outcome.tree, outcome.folder, scenario.figures)
    if outcome.failed:
        click.echo(f"{len(outcome.failed)} cells failed; their errors are in the results", err=True)
        sys.exit(1)


def _show(tree: Any, folder: Path, figures: Any) -> None:
    """Draw the figures, print the summary and where everything is."""
    from testbed.console.summary import summary
    from testbed.figures import draw_figures
    from testbed.runs import statuses

    paths = draw_figures(tree, folder / "figures", figures)
    click.echo(summary(tree))
    counted = ", ".join(f"{count} {word}" for word, count in statuses(tree).items())
    click.echo(f"replicates: {counted}")
    click.echo(f"results: {folder / 'results.nc'}")
    for path in paths:
        click.echo(f"figure:  {path}")


@main.command()
@click.argument("file")
@_SET
@click.option(
    "--costs", is_flag=True, help="Try a few replicates, and say how long the whole will take."
)
@_explained
def plan(file: str, overrides: tuple[str, ...], costs: bool) -> None:
    """Show what a scenario FILE would do: cells, dimensions, sizes, omissions, costs."""
    from testbed.console.describe import plan_text
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan

    made = checked_plan(load_scenario(_file(file), overrides))
    found = None
    if costs:
        from testbed.running.costs import costs_of

        found = costs_of(made)
    click.echo(plan_text(made, found))


@main.command()
@click.argument("file")
@_SET
@_explained
def check(file: str, overrides: tuple[str, ...]) -> None:
    """Look for mistakes in a scenario FILE; all are shown at once."""
    from testbed.planning.files import load_scenario
    from testbed.runs import checked_plan

    plan = checked_plan(load_scenario(_file(file), overrides))
    for warning in plan.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{file}: no mistakes, {len(plan.cells)} cells")


@main.command(name="list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@_explained
def list_(kind: str | None) -> None:
    """List components, all or of one KIND."""
    from testbed.console.describe import list_tables
    from testbed.console.tables import show
    from testbed.loading import load_registry

    show(list_tables(load_registry(), kind))


@main.command()
@click.argument("name")
@_explained
def describe(name: str) -> None:
    """Describe a component: parameters, bounds, units, references, an example."""
    from testbed.console.describe import component_parts
    from testbed.console.tables import show
    from testbed.loading import load_registry

    show(component_parts(load_registry().find(name)))


@main.command()
@_explained
def plugins() -> None:
    """List the installed plugins, broken ones with their error."""
    from testbed.console.describe import plugins_table
    from testbed.console.tables import show
    from testbed.loading import load_registry

    show([plugins_table(load_registry())])


@main.command(name="show")
@click.argument("results", type=click.Path(path_type=Path))
@_explained
def show_(results: Path) -> None:
    """Summarise RESULTS: a run folder or a results.nc."""
    from testbed.console.summary import summary
    from testbed.runs import open_results

    click.echo(summary(open_results(results)))


@main.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the figures.")
@_explained
def plot(results: Path, output: Path | None) -> None:
    """Draw the figures of RESULTS: a run folder or a results.nc."""
    from testbed.figures import draw_figures
    from testbed.runs import open_results
    from testbed.scenario.scenario import read_figures

    tree = open_results(results)
    home = results if results.is_dir() else results.parent
    figures = read_figures(tree.attrs.get("scenario", ""))
    for path in draw_figures(tree, output or home / "figures", figures):
        click.echo(path)


if __name__ == "__main__":
    main()
