"""Commands about run folders and result files: status, verify, replay, merge, prune, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from testbed.console.commands.common import CELLS_FAILED, explained

ROWS = 40  # cells that `status` lists unless all are asked for


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="List every cell.")
@explained
def status(folder: Path, every: bool) -> None:
    """List the cells of a run FOLDER with their states, and why each would run again."""
    from testbed.console.tables import Table, show
    from testbed.results.status import (
        cell_states,
        counted,
        named,
        open_journal,
        states_text,
        stored_plan,
    )

    journal = open_journal(folder)
    try:
        plan = stored_plan(folder, journal)
        states = list(cell_states(plan, journal))
    finally:
        journal.close()
    counts = [(state, count, why) for state, why, count in counted(states)]
    listed = states if every else [state for state in states if state.state != "finished"][:ROWS]
    rows = [(state.state, named(state.cell), state.why) for state in listed]
    parts: list[str | Table] = [Table("", counts, ("state", "cells", "why it would run again"))]
    if rows:
        parts.append(Table("", rows, ("state", "cell", "why")))
    parts += filter(None, [states_text(plan, folder)])
    show(parts)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@explained
def verify(results: Path) -> None:
    """Check RESULTS: checksum, completeness, provenance. Exits with 1 if something is not right."""
    from testbed.results.verify import verify as verdicts

    right = True
    for verdict in verdicts(results):
        click.echo(f"{'ok      ' if verdict.right else 'problem '} {verdict.text}")
        right = right and verdict.right
    if not right:
        sys.exit(CELLS_FAILED)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--cell",
    required=True,
    metavar="ESTIMATOR,DIM=VALUE…",
    help="The point to compute again, e.g. 'adaptive, n=100, depth=1'; with replicate=3 its block.",
)
@explained
def replay(results: Path, cell: str) -> None:
    """Compute a cell of RESULTS again from the file alone, and say whether it is identical."""
    from testbed.results.replay import replay as replayed
    from testbed.results.status import named
    from testbed.running.executors import serial

    outcome = replayed(results, cell, serial)
    for computed in outcome.cells:
        click.echo(named(computed))
    if outcome.identical:
        click.echo("identical to the bit")
    for difference in outcome.differences:
        click.echo(
            f"{difference.variable}: {difference.count} numbers differ, by {difference.largest:.3g}"
        )
    for line in outcome.origin:
        click.echo(f"not as it was: {line}")
    if not outcome.identical:
        if not outcome.origin:
            click.echo("code, data and libraries are as they were: look at machine and threads")
        sys.exit(CELLS_FAILED)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Run folder.")
@click.option(
    "--scenario", type=click.Path(path_type=Path), help="The scenario that holds the cells of all."
)
@click.option(
    "--mix-versions", is_flag=True, help="Join cells that different versions of libraries made."
)
@explained
def merge(
    folders: tuple[Path, ...], output: Path, scenario: Path | None, mix_versions: bool
) -> None:
    """Join run FOLDERS of one scenario that were made apart: more replicates, more points."""
    from testbed.runs.merging import merge_runs

    outcome, added = merge_runs(folders, output, scenario, mix_versions)
    cells = len(outcome.plan.cells)
    click.echo(f"{added} cells joined; {outcome.reused} of the scenario's {cells} are finished")
    click.echo(f"results: {output / 'results.nc'}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@explained
def prune(folder: Path) -> None:
    """Compress the journal of a run FOLDER, and drop cells and kept states that its scenario does
    not know."""
    from testbed.results.reuse import keys_of_states
    from testbed.results.states import StateFolder
    from testbed.results.status import open_journal, stored_plan

    journal = open_journal(folder)
    try:
        cells, states = stored_plan(folder, journal).cells, StateFolder(folder)
        dropped, freed = journal.prune({cell.key for cell in cells})
        freed += states.remove(set(states.sizes()) - set(keys_of_states(cells)))
    finally:
        journal.close()
    click.echo(f"{dropped} cells dropped, {freed / 2**20:.2f} MiB freed")


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the tables.")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv")
@explained
def export(results: Path, output: Path | None, kind: Literal["csv", "parquet"]) -> None:
    """Write RESULTS as tidy tables: a file for each estimator and each set of dimensions."""
    from testbed.results.export import export as exported

    home = results if results.is_dir() else results.parent
    for file in exported(results, output or home / "tables", kind):
        click.echo(file)
