"""Shared parts of commands: showing errors, naming scenario files, common options.

Heavy imports stay inside functions, so that `testbed --help` answers at once.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from testbed.errors import TestbedError, printable_lines
from testbed.running.interrupts import Interrupted, interrupts

CELLS_FAILED, WRONG_REQUEST, CLAIM_REFUTED, FAULT = 1, 2, 3, 70
"""Exit codes; 128 + N after the signal N. 70 is EX_SOFTWARE of sysexits.h."""
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def explained(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Show testbed's errors without a traceback; exit codes say what happened (`docs/running.md`).

    Signals end a command with two lines; any other exception is a fault of the program.
    """

    @wraps(command)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            with interrupts():
                return command(*args, **kwargs)
        except TestbedError as error:
            click.echo(printable_lines(str(error)), err=True)
            _mention_broken_plugins()
            sys.exit(WRONG_REQUEST)
        except KeyboardInterrupt as error:
            click.echo(f"interrupted by {str(error) or 'SIGINT'}", err=True)
            click.echo("finished cells are kept: run the same command again to go on", err=True)
            sys.exit(error.exit_code if isinstance(error, Interrupted) else 130)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception:
            traceback.print_exc()
            click.echo(
                "this is a fault of testbed or of a plugin, not of your request; finished cells "
                "are kept",
                err=True,
            )
            sys.exit(FAULT)

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


def executor_options(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Add the options that say where cells run."""
    options = (
        click.option(
            "--executor",
            type=click.Choice(["serial", "processes", "dask"]),
            default=None,
            help="Where cells run.",
        ),
        click.option(
            "--scheduler", default="", help="Address of a dask scheduler that is running."
        ),
        click.option("--workers", type=click.IntRange(1), default=None, help="Worker processes."),
    )
    for option in reversed(options):
        command = option(command)
    return command


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
