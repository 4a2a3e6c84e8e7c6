"""Adaptive feature models, and the bridge from networks to sequence models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import Metric, Model, Theory, hookimpl

if TYPE_CHECKING:
    from testbed import ClaimKind


@hookimpl
def testbed_claims() -> list[ClaimKind]:
    """Claims about feature learning."""
    from testbed_adaptive.claims.escapes import ESCAPES

    return [ESCAPES]


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Models whose features move."""
    from testbed_adaptive.models.diagonal import DiagonalKernel
    from testbed_adaptive.models.directional import Directional
    from testbed_adaptive.models.features import Features
    from testbed_adaptive.models.one_step import OneStep
    from testbed_adaptive.models.rfm import RecursiveFeatureMachine
    from testbed_adaptive.models.twin import SequenceTwin

    return [OneStep, RecursiveFeatureMachine, Features, Directional, DiagonalKernel, SequenceTwin]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """Metrics of features that move."""
    from testbed_adaptive.metrics.overlap import Overlap
    from testbed_adaptive.metrics.path_gap import PathGap

    return [Overlap, PathGap]


@hookimpl
def testbed_theories() -> list[type[Theory]]:
    """Population flows, escape times and rates."""
    from testbed_adaptive.theories.population_flow import EscapeTime, PopulationFlow
    from testbed_adaptive.theories.rates import Rates

    return [PopulationFlow, EscapeTime, Rates]
