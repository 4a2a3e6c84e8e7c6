"""General designs, targets, optimizers and metrics: what every family of models uses."""

from __future__ import annotations

from testbed import hookimpl
from testbed.components import Metric, Optimizer


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
