"""General designs, targets, optimizers and metrics: what every family of models uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed import Design, Metric, Model, Optimizer, Target, hookimpl
from testbed_basics.runlog import RunLog

if TYPE_CHECKING:
    from testbed import Cell, CellResult, Mistake, Plan

_LOG = RunLog()


@hookimpl
def testbed_designs() -> list[type[Design]]:
    """Random points, and data sets."""
    from testbed_basics.designs import points
    from testbed_basics.designs.dataset import Dataset

    return [
        points.Sphere,
        points.Gaussian,
        points.AnisotropicGaussian,
        points.Torus,
        points.Hypercube,
        Dataset,
    ]


@hookimpl
def testbed_targets() -> list[type[Target]]:
    """Functions of points, and the labels of real data."""
    from testbed_basics.targets.gegenbauer import Gegenbauer
    from testbed_basics.targets.hermite import MultiIndex, SingleIndex
    from testbed_basics.targets.indicator import IndicatorProduct
    from testbed_basics.targets.kernel_function import KernelFunction
    from testbed_basics.targets.labels import Labels
    from testbed_basics.targets.linear import Linear
    from testbed_basics.targets.polynomial import Polynomial
    from testbed_basics.targets.source import Source
    from testbed_basics.targets.trigonometric import Trigonometric

    return [
        Gegenbauer,
        Source,
        Linear,
        Polynomial,
        Trigonometric,
        SingleIndex,
        MultiIndex,
        IndicatorProduct,
        KernelFunction,
        Labels,
    ]


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Models: estimators of other libraries, for comparison."""
    from testbed_basics.models.forest import RandomForest
    from testbed_basics.models.neighbours import NearestNeighbours

    return [RandomForest, NearestNeighbours]


@hookimpl
def testbed_optimizers() -> list[type[Optimizer]]:
    """Gradient flow, descent by steps, and spectral algorithms."""
    from testbed_basics.optimizers.adam import Adam
    from testbed_basics.optimizers.fit import Fit
    from testbed_basics.optimizers.gradient_descent import GradientDescent
    from testbed_basics.optimizers.gradient_flow import GradientFlow
    from testbed_basics.optimizers.langevin import Langevin
    from testbed_basics.optimizers.nesterov import Nesterov
    from testbed_basics.optimizers.sgd import Sgd
    from testbed_basics.optimizers.spectral_filter import SpectralFilter

    return [GradientFlow, GradientDescent, Sgd, Adam, Nesterov, Langevin, SpectralFilter, Fit]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """Risks and feature metrics."""
    from testbed_basics.metrics import alignment, labels, risks, spans, spectra, validation

    return [
        risks.ExcessRisk,
        risks.TrainingLoss,
        risks.Gap,
        labels.TestError,
        labels.Misclassification,
        labels.CrossEntropy,
        validation.LeaveOneOutRisk,
        validation.GeneralisedCrossValidation,
        alignment.TargetAlignment,
        alignment.SourceCondition,
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
    """The shipped scenarios: inside an installed wheel, or next to the plugins of a checkout."""
    package = Path(__file__).parent
    folders = (package / "scenarios", package.parents[1] / "scenarios")
    return sorted(file for folder in folders for file in folder.glob("*.toml"))


@hookimpl
def testbed_published() -> list[Path]:
    """The published numbers in `data/`: inside an installed wheel, or in a checkout."""
    package = Path(__file__).parent
    folders = (package / "published", package.parents[1] / "data")
    return sorted(file for folder in folders for file in folder.glob("*.csv"))


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


@hookimpl
def testbed_check_scenario(plan: Plan) -> list[Mistake]:
    """Refuse batches larger than the sample, missing data, and modes beyond the spectrum."""
    from testbed_basics.checks import objections

    return objections(plan)
