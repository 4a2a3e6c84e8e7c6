"""General designs, targets, optimizers and metrics: what every family of models uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed import hookimpl
from testbed.components import Metric, Optimizer
from testbed_basics.runlog import RunLog

if TYPE_CHECKING:
    from testbed.cells import Cell, CellResult
    from testbed.plan import Plan

_LOG = RunLog()


@hookimpl
def testbed_optimizers() -> list[type[Optimizer]]:
    """Gradient flow and descent."""
    from testbed_basics.optimizers.gradient_descent import GradientDescent
    from testbed_basics.optimizers.gradient_flow import GradientFlow

    return [GradientFlow, GradientDescent]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """Risks and feature metrics."""
    from testbed_basics.metrics import risks, spans, spectra

    return [
        risks.ExcessRisk,
        risks.TrainingLoss,
        risks.Gap,
        spectra.Eigenvalues,
        spectra.Eigenvectors,
        spectra.TopProjection,
        spans.SpanDimension,
        spans.SpanProfile,
        spans.FeatureError,
        spans.OracleProjectionRisk,
        spans.ProjectionError,
    ]


@hookimpl
def testbed_scenarios() -> list[Path]:
    """The scenarios of a source checkout; an installed wheel has none."""
    return sorted((Path(__file__).parents[2] / "scenarios").glob("*.toml"))


@hookimpl
def testbed_run_started(plan: Plan, folder: Path) -> None:
    """Begin `run.jsonl` in the run folder."""
    _LOG.started(plan, folder)


@hookimpl
def testbed_cell_finished(cell: Cell, result: CellResult) -> None:
    """Log a cell's duration and error."""
    _LOG.cell(cell, result)


@hookimpl
def testbed_run_finished(plan: Plan, folder: Path) -> None:
    """Log the end."""
    _LOG.finished(folder)
