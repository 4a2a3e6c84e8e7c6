"""Commands for authors: begin a plugin or a scenario, and check a plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from testbed.console.commands.common import CELLS_FAILED, explained

if TYPE_CHECKING:
    from testbed.testing.distributions import Outcome

KINDS = (
    "model", "torch-module", "kernel", "fit-predict", "optimizer", "target", "design", "metric",
    "theory",
)  # fmt: skip


@click.command(name="new-plugin")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(KINDS), default="kernel", show_default=True,
    help="The component that it begins with.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    help="The folder to write it into; the present one unless given.",
)  # fmt: skip
@explained
def new_plugin(name: str, kind: str, output: Path) -> None:
    """Write a small distribution testbed-NAME with one component, ready to install and test."""
    from testbed.loading import load_registry
    from testbed.scaffold import write_plugin

    taken = {offered.partition(".")[0] for offered in load_registry().offers if "." in offered}
    files = write_plugin(name, kind, output, taken)
    root = files[0].parent
    for file in files:
        click.echo(f"wrote {file}")
    short = root.name.removeprefix("testbed-")
    click.echo(f"\nnext: pip install -e '{root}[test]'")
    click.echo(f"      testbed check-plugin {root.name}")
    click.echo(f"      testbed run {short}")


@click.command(name="new-scenario")
@click.argument("name", default="my-question")
@click.option("--design", default=None, help="Where inputs come from.")
@click.option("--target", default=None, help="The truth.")
@click.option("--model", "models", multiple=True, help="What is fitted. May be repeated.")
@click.option("--optimizer", default=None, help="How it is fitted.")
@click.option("--metric", "metrics", multiple=True, help="What is measured. May be repeated.")
@click.option("--theory", "theories", multiple=True, help="What is predicted. May be repeated.")
@explained
def new_scenario(
    name: str,
    design: str | None,
    target: str | None,
    models: tuple[str, ...],
    optimizer: str | None,
    metrics: tuple[str, ...],
    theories: tuple[str, ...],
) -> None:
    """Write a commented scenario NAME.toml from chosen components; the others are chosen to fit."""
    from testbed.errors import TestbedError
    from testbed.loading import load_registry
    from testbed.planning.files import read_scenario
    from testbed.runs import checked_plan
    from testbed.scaffold import scenario_text

    stem = name.removesuffix(".toml")
    path = Path(f"{stem}.toml")
    if path.exists():
        raise TestbedError(f"found the file {path}, expected no such file; choose another name")
    chosen = {
        "design": [design] if design else [], "target": [target] if target else [],
        "model": models, "optimizer": [optimizer] if optimizer else [],
        "metric": metrics, "theory": theories,
    }  # fmt: skip
    text = scenario_text(Path(stem).name, chosen, load_registry())
    made = checked_plan(read_scenario(text, str(path)))
    path.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}: {len(made.cells)} cells")
    click.echo(f"next: testbed run {path}")


@click.command(name="check-plugin")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=100.0, show_default=True,
    help="The longest time of all laws of one component.",
)  # fmt: skip
@click.option("--quiet", is_flag=True, help="Show broken laws and the sum only.")
@explained
def check_plugin(names: tuple[str, ...], seconds: float, quiet: bool) -> None:
    """Try the laws of the contract on every component of a distribution, a plugin or a component.

    Partners are those of the component's `examples()`. Shown are the seconds of each law; the exit
    code is 1 if a law is broken. Limits count seconds of the processor, so that a busy machine
    makes no difference; a law takes at most the greater of 30 s and 30 % of --seconds.
    """
    from testbed.testing.distributions import outcomes, trials
    from testbed.testing.limits import watching_the_stuck

    ended: list[Outcome] = []
    with watching_the_stuck(lambda place: _stop(place, ended)):
        for name in names:
            for outcome in outcomes(trials(name), seconds):
                _show(outcome, ended, quiet)
                ended.append(outcome)
    broken = sum(bool(outcome.objection) for outcome in ended)
    click.echo(_sum(ended, broken))
    if broken:
        sys.exit(CELLS_FAILED)


def _show(outcome: Outcome, ended: list[Outcome], quiet: bool) -> None:
    """A line for the law, below that of its component, and what is broken as soon as it is."""
    if not quiet:
        if not ended or ended[-1].trial.label != outcome.trial.label:
            click.echo(outcome.trial.label)
        click.echo(f"  {_state(outcome):8} {outcome.seconds:7.2f} s  {_named(outcome)}")
    if outcome.objection:
        click.echo(f"\n{outcome.trial.label}: {outcome.objection}\n", err=True)


def _stop(place: str, ended: list[Outcome]) -> None:
    """End the process, since a component does not let itself be stopped."""
    after = f" after {ended[-1].trial}" if ended else ""
    click.echo(
        f"found no end{after}, and the component does not stop when told to ({place}), expected "
        "code that returns; the laws behind it were not tried",
        err=True,
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(CELLS_FAILED)


def _state(outcome: Outcome) -> str:
    from testbed.testing.check import timed_out

    if outcome.objection:
        return "NO END" if timed_out(outcome.objection) else "BROKEN"
    return "expected" if outcome.trial.excuse else "kept"


def _named(outcome: Outcome) -> str:
    """The law, and why it is expected to be broken."""
    excuse = outcome.trial.excuse
    return f"{outcome.trial.law.name} is broken: {excuse}" if excuse else outcome.trial.law.name


def _sum(ended: list[Outcome], broken: int) -> str:
    components = len({outcome.trial.label for outcome in ended})
    expected = sum(1 for outcome in ended if outcome.trial.excuse and not outcome.objection)
    kept, seconds = len(ended) - broken - expected, sum(outcome.seconds for outcome in ended)
    plural = "" if components == 1 else "s"
    return (
        f"{len(ended)} laws of {components} component{plural}: {kept} kept, "
        f"{expected} broken as expected, {broken} broken, in {seconds:.1f} s"
    )
