"""Testbed: claims about neural networks, kernels and adaptive features as files; labelled answers.

    scenario.toml  →  load_scenario  →  plan: cells  →  execute: draw, fit, measure
                   →  journal  →  results.nc  →  figures, summary, your own xarray

    import testbed
    tree = testbed.run("scenarios/quickstart.toml")       # an xarray.DataTree
    tree["adaptive"]["excess_risk"].sel(depth=1)          # dims: n, replicate, time

Plugins offer components: frozen attrs classes derived from Design, Target, Model, Optimizer, Metric
or Theory, their fields declared with `parameter`, returned by functions marked `hookimpl`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.contract.cells import Cell
    from testbed.contract.components import (
        Advance,
        Design,
        Eigensystem,
        Estimator,
        Metric,
        Model,
        Optimizer,
        PopulationSpectrum,
        Target,
        Theory,
        Variable,
    )
    from testbed.contract.findings import Finding
    from testbed.contract.grids import Grid
    from testbed.contract.hooks import hookimpl
    from testbed.contract.parameters import parameter
    from testbed.contract.values import Data, Fit, Problem, Sample, Spectrum
    from testbed.errors import (
        DoesNotApply,
        ParameterError,
        PluginError,
        ResultError,
        ScenarioError,
        TestbedError,
        UnsuitableError,
    )
    from testbed.planning.files import load_scenario
    from testbed.runs import open_results, run
    from testbed.scenario.scenario import Scenario

__version__ = "0.2.0"

_HOMES = {
    "testbed.contract.cells": ("Cell",),
    "testbed.contract.components": (
        "Advance",
        "Design",
        "Eigensystem",
        "Estimator",
        "Metric",
        "Model",
        "Optimizer",
        "PopulationSpectrum",
        "Target",
        "Theory",
        "Variable",
    ),
    "testbed.errors": (
        "DoesNotApply",
        "ParameterError",
        "PluginError",
        "ResultError",
        "ScenarioError",
        "TestbedError",
        "UnsuitableError",
    ),
    "testbed.contract.findings": ("Finding",),
    "testbed.contract.grids": ("Grid",),
    "testbed.contract.hooks": ("hookimpl",),
    "testbed.contract.parameters": ("parameter",),
    "testbed.runs": ("open_results", "run"),
    "testbed.planning.files": ("load_scenario",),
    "testbed.scenario.scenario": ("Scenario",),
    "testbed.contract.values": ("Data", "Fit", "Problem", "Sample", "Spectrum"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Advance",
    "Cell",
    "Data",
    "Design",
    "DoesNotApply",
    "Eigensystem",
    "Estimator",
    "Finding",
    "Fit",
    "Grid",
    "Metric",
    "Model",
    "Optimizer",
    "ParameterError",
    "PluginError",
    "PopulationSpectrum",
    "Problem",
    "ResultError",
    "Sample",
    "Scenario",
    "ScenarioError",
    "Spectrum",
    "Target",
    "TestbedError",
    "Theory",
    "UnsuitableError",
    "Variable",
    "hookimpl",
    "load_scenario",
    "open_results",
    "parameter",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import testbed` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'testbed' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
