"""Gaussian sequence models: z_j = θ*_j + ξ_j, fitted by fixed and by learned features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import Design, Metric, Model, Target, Theory, hookimpl

if TYPE_CHECKING:
    import xarray as xr

    from testbed import Finding, Plan


@hookimpl
def testbed_designs() -> list[type[Design]]:
    """Designs of sequences."""
    from testbed_sequence.designs.gaussian import GaussianSequence
    from testbed_sequence.designs.linear_model import LinearModel

    return [GaussianSequence, LinearModel]


@hookimpl
def testbed_targets() -> list[type[Target]]:
    """Truths of sequences."""
    from testbed_sequence.designs.linear_model import LinearCoefficients
    from testbed_sequence.targets import signals as targets

    return [
        targets.SparsePower,
        targets.Power,
        targets.Block,
        targets.Coefficients,
        LinearCoefficients,
    ]


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Fixed and over-parameterized sequence models."""
    from testbed_sequence.models.diagonal import Diagonal
    from testbed_sequence.models.fixed import Fixed
    from testbed_sequence.models.orthogonal import Orthogonal

    return [Fixed, Diagonal, Orthogonal]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """The drift of conserved quantities."""
    from testbed_sequence.metrics.invariants import InvariantDrift

    return [InvariantDrift]


@hookimpl
def testbed_theories() -> list[type[Theory]]:
    """Expected risks, rates and bounds."""
    from testbed_sequence.theories import sequences as theory

    return [theory.ExpectedRisk, theory.Rates, theory.SpanBounds]


@hookimpl
def testbed_check_scenario(plan: Plan) -> list[str]:
    """Refuse deep models whose default start b₀ is 0, and signals that do not fit."""
    from testbed_sequence.checks import objections

    return objections(plan)


@hookimpl
def testbed_check_results(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Find truncated sequences, and conserved quantities that drift."""
    from testbed_sequence.checks import findings

    return findings(plan, tree)
