"""The command line: each group of commands has a file of its own in `commands/`."""

from __future__ import annotations

from typing import Any

import click

from testbed import __version__
from testbed.console.commands import authors, catalogue, folders, reports, results, scenarios
from testbed.running.postponed import postpone

HEAVY = (
    "numpy.ctypeslib",
    "numpy.f2py",
    "numpy.testing",
    "torch",
    "scipy.integrate",
    "scipy.linalg",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "testbed.analysis",
    "xarray",
)
"""What most commands import, and few of them use; SciPy asks for every part of NumPy."""


class Program(click.Group):
    """The commands; called as a function, they are the whole program of this process."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        postpone(HEAVY)
        return super().__call__(*args, **options)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Testbed: theories of neural networks as scenario files, answered with labelled data."""


COMMANDS: tuple[click.Command, ...] = (
    scenarios.run,
    scenarios.measure,
    scenarios.plan,
    scenarios.check,
    results.show_results,
    results.plot,
    reports.report,
    reports.compare,
    folders.status,
    folders.verify,
    folders.replay,
    folders.merge,
    folders.prune,
    folders.export,
    catalogue.list_components,
    catalogue.describe,
    catalogue.plugins,
    catalogue.schema,
    authors.new_plugin,
    authors.new_scenario,
    authors.check_plugin,
)
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
