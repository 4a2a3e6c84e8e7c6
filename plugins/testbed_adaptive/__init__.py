"""Adaptive feature models, and the bridge from networks to sequence models."""

from __future__ import annotations

from testbed import hookimpl
from testbed.components import Metric, Model, Theory


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Models whose features move."""
    from testbed_adaptive.diagonal import DiagonalKernel
    from testbed_adaptive.directional import Directional
    from testbed_adaptive.features import Features
    from testbed_adaptive.one_step import OneStep
    from testbed_adaptive.rfm import RecursiveFeatureMachine
    from testbed_adaptive.twin import SequenceTwin

    return [OneStep, RecursiveFeatureMachine, Features, Directional, DiagonalKernel, SequenceTwin]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """What only features that move have."""
    from testbed_adaptive.overlap import Overlap
    from testbed_adaptive.path_gap import PathGap

    return [Overlap, PathGap]


@hookimpl
def testbed_theories() -> list[type[Theory]]:
    """Population flows, escape times and rates."""
    from testbed_adaptive.population_flow import EscapeTime, PopulationFlow
    from testbed_adaptive.rates import Rates

    return [PopulationFlow, EscapeTime, Rates]
