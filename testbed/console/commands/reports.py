"""Commands that put results on a page, or compare two of them."""

from __future__ import annotations

from pathlib import Path

import click

from testbed.console.commands.common import explained


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The page; report.html unless given."
)
@explained
def report(results: tuple[Path, ...], output: Path | None) -> None:
    """Write RESULTS (run folders or results.nc files) as one page that needs no network.

    Up to four results are shown with their figures; more become an index of verdicts and findings.
    """
    from testbed.report import write_report

    path = write_report(results, output)
    click.echo(f"report: {path}")


@click.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@explained
def compare(first: Path, second: Path) -> None:
    """Show what differs from the results FIRST to SECOND: scenario, versions, verdicts, numbers."""
    from testbed.report import comparison
    from testbed.runs import open_results

    click.echo(comparison(open_results(first), open_results(second)))
