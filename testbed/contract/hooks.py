"""Every hook that a plugin can implement: the catalogue.

A plugin is a module, found through the entry-point group ``testbed.plugins``, with functions marked
by ``testbed.hookimpl``. Six hooks register components, one for each kind; the others ship
scenarios, check them and their results, and watch a run. No hook runs inside the numerics.
`docs/hooks.md` explains each.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import xarray as xr

    from testbed.contract.cells import Cell, CellResult
    from testbed.contract.claims import ClaimKind
    from testbed.contract.components import Design, Metric, Model, Optimizer, Target, Theory
    from testbed.contract.findings import Finding
    from testbed.errors import Mistake
    from testbed.planning.plan import Plan

PROJECT = "testbed"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def testbed_designs() -> list[type[Design]]:
    """Return the designs that the plugin offers: where inputs come from."""


@hookspec
def testbed_targets() -> list[type[Target]]:
    """Return the targets that the plugin offers: truths f*."""


@hookspec
def testbed_models() -> list[type[Model]]:
    """Return the models that the plugin offers: what is fitted."""


@hookspec
def testbed_optimizers() -> list[type[Optimizer]]:
    """Return the optimizers that the plugin offers: how a model is fitted over time."""


@hookspec
def testbed_metrics() -> list[type[Metric]]:
    """Return the metrics that the plugin offers: what is measured on a state."""


@hookspec
def testbed_theories() -> list[type[Theory]]:
    """Return the theories that the plugin offers: what is predicted from parameters alone."""


@hookspec
def testbed_scenarios() -> list[Path]:
    """Return the scenario files that the plugin ships; `testbed run NAME` finds them by stem."""


@hookspec
def testbed_published() -> list[Path]:
    """Return the files of published numbers that the plugin ships; claims name them by key."""


@hookspec
def testbed_check_scenario(plan: Plan) -> list[str | Mistake]:
    """Return reasons why a well-typed scenario is unsound; each is shown before anything runs."""


@hookspec
def testbed_check_results(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Return what makes a finished run unsound; findings are printed and stored with it."""


@hookspec
def testbed_claims() -> list[ClaimKind]:
    """Return the kinds of claims that the plugin offers, for `that = "…"` in `[[claim]]`."""


@hookspec
def testbed_run_started(plan: Plan, folder: Path) -> None:
    """Called once before the first cell."""


@hookspec
def testbed_cell_finished(cell: Cell, result: CellResult) -> None:
    """Called in the main process after a cell's result is in the journal."""


@hookspec
def testbed_run_finished(plan: Plan, folder: Path) -> None:
    """Called once after results.nc is in place."""
