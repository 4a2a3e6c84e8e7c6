"""Wrong components whose parts do not agree: the law of that name finds each of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve

from testbed import (
    HasDescent,
    HasGram,
    HasLeverage,
    HasPopulationSpectrum,
    HasProfile,
    HasRandomStart,
    Metric,
    MetricFacts,
    ModelFacts,
    Optimizer,
    PopulationSpectrum,
    Space,
    Target,
    Theory,
    Variable,
)
from testbed.contract.capabilities import Descent
from testbed.testing import Kernel, Points, Sequence, SequenceModel
from testbed.testing.partners import FilterFlow, PlainDescent, Plane
from tests.helpers.wrong import Linear, objection, slope, wrong


def sampled(**changes):
    """A design whose sample has some parts replaced."""

    def draw(self, rng):
        sample = Points.draw(self, rng)
        return sample._replace(**{name: make(self, sample) for name, make in changes.items()})

    return wrong(Points, draw=draw)


def spectrum(**changes):
    def method(self, prepared, params, problem, kernel, points):
        right = Kernel.spectrum(self, prepared, params, problem, kernel, points)
        return right._replace(**{name: make(right) for name, make in changes.items()})

    return wrong(Kernel, spectrum=method)


def too_far(self, prepared, params, problem, learning_rate, steps, momentum=0.0, velocity=None,
            batches=None):  # fmt: skip
    for step in range(steps):
        rows = None if batches is None else batches[step]
        params = params - 2 * learning_rate * self.gradient(prepared, params, problem, rows)
    return Descent(params, None)


def doubled_covariance(self, problem):
    x = torch.cat([problem.train.x, problem.test.x]).double().numpy()
    return 2 * x @ x.T


def linear_gram(self, prepared, params, x, kernel):
    return x @ x.mT


def unweighted(self, prepared, params, problem, rows=None):
    data = problem.train
    even = data._replace(weight=torch.full_like(data.weight, 1 / len(data.weight)))
    return slope(prepared, params, problem._replace(train=even), rows)


def centred_on_test(self, drawn, problem):
    return problem.test.x.mean(0)


def shares(self, problem, predictions):
    total = predictions.sum(-1)
    return {"a": total / total.abs().max(1, keepdim=True).values}


def risk_of(design, target, times):
    """The expected excess risk of the partners' sequence model."""
    index = np.arange(1.0, design.modes + 1)
    kept = np.exp(-np.asarray(times)[:, None] / index)
    noise = design.noise**2 / design.n
    truth = target.values(None, index)
    return ((kept * truth) ** 2 + (1 - kept) ** 2 * noise).sum(1)


def theory(factor, **statement):
    def predict(self, cell, times, problem=None):
        return {"risk": factor(np.asarray(times)) * risk_of(cell.design, cell.target, times)}

    variables = {"risk": Variable("expected risk", predicts="excess_risk", **statement)}
    return wrong(Theory, variables=variables, predict=predict)


def fast_descent(self, fit, carry, since, times):
    return PlainDescent.advance(self, fit, carry, 1.3 * since, [1.3 * time for time in times])


def of_truth(self, fit, carry, since, times):
    train = fit.problem.train
    blind = fit.problem._replace(train=train._replace(y=train.truth))
    return PlainDescent().advance(fit._replace(problem=blind), carry, since, times)


def half_leverage(self, fit, times):
    return 0.5 * FilterFlow.leverage(self, fit, times)


SEQUENCE = {"design": Sequence(), "model": SequenceModel()}
WRONG = {
    "predictions_are_pointwise": [
        (wrong(Linear, predict=lambda self, p, w, x: (x - x.mean(0)) @ w), {}),
        (wrong(Linear, predict=lambda self, p, w, x: x @ w + torch.arange(len(x)) * w[0]), {}),
    ],
    "fit_reads_no_test_points": [
        (wrong(Linear, prepare=centred_on_test, probe=lambda self, mean, x: x - mean), {}),
    ],
    "gradient_is_that_of_the_loss": [
        (wrong(Linear, gradient=unweighted), {}),
        (
            wrong(
                Linear,
                facts=lambda self: ModelFacts(batching="loop"),
                gradient=lambda self, p, w, q, rows=None: slope(p, w, q, rows, factor=2.0),
            ),
            {},
        ),
    ],
    "gram_belongs_to_any_points": [
        (wrong(Kernel, gram=lambda self, prepared, params, x, kernel: prepared["gram"]), {}),
    ],
    "basis_belongs_to_gram": [
        (wrong(Kernel, basis=lambda self, p, w: Kernel.basis(self, p, w).flip(-1)), {}),
    ],
    "coefficients_belong_to_the_basis": [
        (spectrum(truth=lambda right: 2 * right.truth), {}),
        (spectrum(outside=lambda right: right.outside + 1), {}),
    ],
    "descent_is_that_of_gradient": [
        (
            wrong(
                (Linear, HasDescent),
                descend=too_far,
                gradient=lambda self, p, w, q, rows=None: slope(p, w, q, rows),
            ),
            {},
        ),
    ],
    "population_spectrum_is_the_kernels": [
        (
            wrong(
                (Linear, HasGram, HasPopulationSpectrum),
                gram=linear_gram,
                population_spectrum=lambda self, design: PopulationSpectrum(
                    np.full(1, 2 / 3), np.full(1, 3.0), np.ones(1)
                ),
            ),
            {},
        ),
    ],
    "profile_is_the_kernel": [
        (
            wrong(
                (Linear, HasGram, HasProfile),
                gram=linear_gram,
                profile=lambda self, dim: type("Cube", (), {"value": lambda self, c: c**3})(),
            ),
            {},
        ),
    ],
    "start_has_its_covariance": [
        (
            wrong(
                (Linear, HasRandomStart),
                draw=lambda self, rng, problem: rng("model").standard_normal(2),
                start=lambda self, drawn, prepared, problem: drawn,
                initial_covariance=doubled_covariance,
            ),
            {},
        ),
    ],
    "leverage_is_the_smoothers": [
        (wrong((FilterFlow, HasLeverage), leverage=half_leverage), {}),
    ],
    "optimizer_keeps_the_clock": [
        (wrong(PlainDescent, advance=fast_descent), {"model": Plane()}),
        (
            wrong(PlainDescent, reached=lambda self, times: tuple(1.3 * time for time in times)),
            {"model": Plane()},
        ),
    ],
    "fit_reads_no_truth": [(wrong(Optimizer, advance=of_truth), {"model": Plane()})],
    "measures_a_time_alone": [
        (
            wrong(
                Metric,
                needs=("predictions",),
                variables={"a": Variable("a")},
                facts=lambda self: MetricFacts(batching="batch"),
                measure=shares,
            ),
            {},
        ),
    ],
    "values_are_pointwise": [
        (wrong(Target, values=lambda self, drawn, x: x[:, 0] + 0.1 * np.arange(len(x))), {}),
    ],
    "weights_add_up": [(sampled(weight=lambda params, sample: 2 * sample.weight), {})],
    "test_points_are_new": [(sampled(test_x=lambda params, sample: sample.x[::-1][:9]), {})],
    "test_points_have_the_law_of_training_points": [
        (sampled(test_x=lambda params, sample: sample.test_x + 1), {}),
        (sampled(test_x=lambda params, sample: 1.5 * sample.test_x), {}),
    ],
    "noise_is_independent": [
        (sampled(noise=lambda params, sample: sample.noise + 0.1), {}),
        (sampled(noise=lambda params, sample: np.full(12, sample.noise[0])), {}),
    ],
    "points_lie_in_the_space": [
        (wrong(Points, space=lambda self: Space("sphere", 2, "uniform")), {}),
        (wrong(Points, space=lambda self: Space("euclidean", 5, "gaussian")), {}),
    ],
    "theory_is_near_the_simulation": [
        (theory(lambda times: 1 + (times > 4)), SEQUENCE),
        (theory(lambda times: 1 + (times < 1)), SEQUENCE),
        (theory(lambda times: 0.3, states="upper bound"), SEQUENCE),
        (theory(lambda times: 3.0, states="lower bound"), SEQUENCE),
    ],
}
PAIRS = [(name, *pair) for name, pairs in WRONG.items() for pair in pairs]


@pytest.mark.parametrize("name, component, partners", PAIRS, ids=[pair[0] for pair in PAIRS])
def test_the_law_of_that_name_finds_the_wrong_component(name, component, partners):
    text = objection(name, component, **partners)
    assert text is not None and "found" in text and "expected" in text, text


@pytest.mark.parametrize(
    "states, factor", [("expectation", 1.0), ("upper bound", 3.0), ("lower bound", 0.3)]
)
def test_a_right_statement_about_the_risk_is_near_the_simulation(states, factor):
    right = theory(lambda times: factor, states=states)
    assert objection("theory_is_near_the_simulation", right, **SEQUENCE) is None


def test_the_right_leverage_and_a_right_bound_of_the_clock_are_kept():
    assert objection("leverage_is_the_smoothers", FilterFlow(), model=Kernel()) is None
    slow = evolve(PlainDescent(), learning_rate=0.1)
    assert objection("optimizer_keeps_the_clock", slow, model=Plane()) is None
