"""What commands share: how errors are shown, how a scenario file is named, common options.

Heavy imports stay inside functions, so that `testbed --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from testbed.errors import TestbedError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def explained(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Show testbed's errors without a traceback, and exit with 2."""

    @wraps(command)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
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
    """Name the plugins that could not be loaded: one of them may offer what was not found."""
    from testbed.console.describe import broken_text
    from testbed.loading import load_registry

    text = broken_text(load_registry())
    if text:
        click.echo(text, err=True)


overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change a value, e.g. --set estimator.adaptive.model.depth=2. May be repeated.",
)


def scenario_file(name: str) -> Path:
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
