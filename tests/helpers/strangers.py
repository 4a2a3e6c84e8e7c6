"""Running scenarios beside a stranger's plugin, which is made of classes in a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import testbed.runs
from testbed.loading import Plugin, Registry, entry_points, make_registry
from testbed.planning.files import read_scenario
from testbed.planning.plan import Plan
from testbed.runs import checked_plan, execute_run
from tests.helpers.mistakes import mistakes_of
from tests.helpers.tiny import Entry, Module

SCENARIO = """
format = 1
name = "strangers"
seed = 1
replicates = 2
[design]
use = "gaussian"
n = 20
dim = 3
[target]
use = "linear"
[[estimator]]
name = "m"
model = { use = "ntk.rbf" }
optimizer = { use = "gradient-flow", times = [1.0, 10.0] }
[[metric]]
use = "excess-risk"
"""


def registry_with(module: object) -> Registry:
    """The installed plugins and a stranger's."""
    return make_registry([*entry_points(), (Plugin("strange", "strange", "9.0"), Entry(module))])


def plan_with(module: object, text: str) -> Plan:
    """The plan of a scenario, with the objections of plugins."""
    registry = registry_with(module)
    return checked_plan(read_scenario(text, "s.toml", (), registry), registry)


def mistakes_with(module: object, text: str) -> list[str]:
    """What reading and planning object to."""
    return mistakes_of(lambda: plan_with(module, text))


def run_with(
    module: object, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[xr.DataTree, list[str]]:
    """The results of a scenario, and what failed."""
    registry = registry_with(module)
    monkeypatch.setattr(testbed.runs, "load_registry", lambda: registry)
    outcome = execute_run(read_scenario(text, "s.toml", (), registry), folder)
    return outcome.tree, [text for _, text in outcome.failed]


__all__ = ["SCENARIO", "Module", "mistakes_with", "plan_with", "registry_with", "run_with"]
