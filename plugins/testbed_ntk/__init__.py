"""Kernels and kernel regression: exact NTK, classical kernels, their spectra and their theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import Metric, Model, Theory, hookimpl

if TYPE_CHECKING:
    import xarray as xr

    from testbed import Finding, Mistake, Plan


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Kernel regression with neural tangent and classical kernels."""
    from testbed_ntk import models

    return [
        models.ReluTangent,
        models.NetworkTangent,
        models.NetworkProcess,
        models.Laplace,
        models.Rbf,
        models.Matern,
        models.RationalQuadratic,
        models.Periodic,
        models.Polynomial,
        models.DotProduct,
        models.Torus,
        models.Sum,
        models.Product,
    ]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """The exact risk of kernel regression."""
    from testbed_ntk.metrics import population_risk as metrics

    return [metrics.PopulationRisk]


@hookimpl
def testbed_theories() -> list[type[Theory]]:
    """Learning curves, rates and barriers of kernel regression."""
    from testbed_ntk.theories import (
        bias_variance,
        learning_curves as theory,
        population,
        random_features,
    )

    return [
        theory.DeterministicEquivalent,
        theory.Rates,
        theory.LargeDimension,
        theory.PolynomialBarrier,
        population.PopulationEigenvalues,
        bias_variance.BiasVariance,
        random_features.RandomFeatureEquivalent,
    ]


@hookimpl
def testbed_check_scenario(plan: Plan) -> list[Mistake]:
    """Refuse kernels on more points than the memory holds."""
    from testbed_ntk.checks import objections

    return objections(plan)


@hookimpl
def testbed_check_results(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Find targets that were built with another kernel than the model's."""
    from testbed_ntk.checks import findings

    return findings(plan)
