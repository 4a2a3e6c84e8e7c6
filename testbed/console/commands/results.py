"""Commands that look at results: summarise them, draw their figures."""

from __future__ import annotations

from pathlib import Path

import click

from testbed.console.commands.common import explained


@click.command(name="show")
@click.argument("results", type=click.Path(path_type=Path))
@explained
def show_results(results: Path) -> None:
    """Summarise RESULTS: a run folder or a results.nc."""
    from testbed.running.postponed import ASKED, go_without

    for name in ASKED:
        go_without(name)
    from testbed.console.summary import summary
    from testbed.results.files import read_tree

    click.echo(summary(read_tree(results)))


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the figures.")
@explained
def plot(results: Path, output: Path | None) -> None:
    """Draw the figures of RESULTS: a run folder or a results.nc."""
    from testbed.figures import draw_figures
    from testbed.runs import open_results
    from testbed.scenario.scenario import read_figures

    tree = open_results(results)
    home = results if results.is_dir() else results.parent
    figures = read_figures(tree.attrs.get("scenario", ""))
    paths, problems = draw_figures(tree, output or home / "figures", figures)
    for problem in problems:
        click.echo(problem, err=True)
    for path in paths:
        click.echo(path)
