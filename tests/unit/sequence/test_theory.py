"""Theories of sequence models against simulation and published exponents."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve

from testbed.planning.fitting import theory_objection
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spans import OracleProjectionRisk
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.models.orthogonal import Orthogonal
from testbed_sequence.targets.signals import SparsePower
from testbed_sequence.theories.sequences import ExpectedRisk, Rates, SpanBounds
from tests.helpers.cells import make_cell, run_cell

DESIGN, TARGET = GaussianSequence(n=400, modes=100), SparsePower(p=1.0, q=2.0)
TIMES = (0.0, 3.0, 20.0, 200.0)


@pytest.mark.parametrize(
    "model", [Fixed(gamma=1.5), *(Diagonal(gamma=1.5, depth=d) for d in range(4))], ids=str
)
def test_expected_risk_is_the_mean_of_replicates(model):
    """Sixteen comparisons of 800 replicates each at 4 standard errors: false alarm below 0.2%."""
    cell = make_cell(DESIGN, TARGET, model, GradientFlow(), TIMES, [ExcessRisk()], replicates=800)
    risk = run_cell(DESIGN, TARGET, model, GradientFlow(), TIMES, [ExcessRisk()], replicates=800)
    expected = ExpectedRisk().predict(cell, TIMES)["excess_risk"]
    mean, error = risk["excess_risk"].mean(0), risk["excess_risk"].std(0) / np.sqrt(800)
    assert (np.abs(mean - expected)[1:] < 4 * error[1:]).all()
    np.testing.assert_allclose(mean[0], expected[0], rtol=1e-12)


def test_rates_are_the_published_exponents():
    def exponents(model):
        design = evolve(DESIGN, modes=1000)
        cell = make_cell(design, TARGET, model, GradientFlow(), TIMES, [ExcessRisk()])
        assert theory_objection(Rates(), cell) is None
        return tuple(float(v) for v in Rates().predict(cell, TIMES).values())

    assert exponents(Fixed(gamma=1.5)) == pytest.approx((-1 / 3, 1.0))
    assert exponents(Diagonal(gamma=1.5)) == pytest.approx((-1 / 2, 1 / 2))
    assert exponents(Diagonal(gamma=3.0, depth=1)) == pytest.approx((-1 / 2, 2 / 3))


def test_theories_say_where_they_do_not_apply():
    def reason(theory, model, optimizer=None, target=TARGET):
        optimizer = optimizer or GradientFlow()
        return theory_objection(theory, make_cell(DESIGN, target, model, optimizer, TIMES, []))

    assert "sequence.orthogonal has no power law" in reason(ExpectedRisk(), Orthogonal())
    descent = GradientDescent(learning_rate=0.1)
    assert "not descent" in reason(ExpectedRisk(), Fixed(gamma=1.0), descent)
    assert "needs γ > 1" in reason(Rates(), Diagonal(gamma=1.0))
    smaller = SparsePower(p=1.0, q=2.0, nonzeros=3)
    assert "nonzeros" in reason(Rates(), Fixed(gamma=1.0), target=smaller)


def test_span_bounds_hold_at_the_initial_order():
    for n in (10, 300, 10000):
        design = GaussianSequence(n=n, modes=100)
        model = Fixed(gamma=1.5)
        cell = make_cell(design, TARGET, model, GradientFlow(), TIMES, [OracleProjectionRisk()])
        values = run_cell(design, TARGET, model, GradientFlow(), TIMES, [OracleProjectionRisk()])
        bounds = SpanBounds().predict(cell, TIMES)
        risk = values["oracle_projection_risk"]
        assert (bounds["lower"] <= risk).all() and (risk <= bounds["upper"]).all()
