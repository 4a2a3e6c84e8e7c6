"""Metrics of testbed_basics against plain sums in NumPy, on a spectrum with ties and a tail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.grids import Grid
from testbed.contract.values import Data, Problem, Spectrum
from testbed.errors import UnsuitableError
from testbed_basics.metrics import risks, spans, spectra

RNG = np.random.Generator(np.random.Philox(3))
J, NOISE = 30, 0.02
EIGENVALUE = np.round(RNG.random(J), 1)  # rounded: ties, which are cut by index
TRUTH, ESTIMATE, OBSERVED = (RNG.standard_normal((3, J)).T * 0.3).T
OUTSIDE = 0.7
ORDER = np.lexsort((np.arange(J), -EIGENVALUE))


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def make(weight):
    data = Data(*map(tensor, (np.arange(J), OBSERVED, TRUTH, weight)))
    return Problem(data, data, tensor(NOISE), {})


PROBLEM = make(np.ones(J))
SPECTRUM = Spectrum(*map(tensor, (EIGENVALUE, TRUTH, ESTIMATE, OBSERVED, OUTSIDE)))


def tail(k):
    """Energy of the truth beyond the k leading eigenvalues, with what no mode carries."""
    return sum(TRUTH[i] ** 2 for i in ORDER[k:]) + OUTSIDE


def test_excess_risk_from_the_spectrum_and_from_weighted_predictions():
    (exact,) = risks.ExcessRisk().measure(PROBLEM, spectrum=SPECTRUM).values()
    assert float(exact) == pytest.approx(sum((ESTIMATE - TRUTH) ** 2) + OUTSIDE)
    weight = RNG.random(J)
    (drawn,) = risks.ExcessRisk().measure(make(weight), predictions=tensor(ESTIMATE)).values()
    assert float(drawn) == pytest.approx(float(weight @ (ESTIMATE - TRUTH) ** 2))


def test_excess_risk_of_several_outputs_sums_over_them():
    truth, result = RNG.standard_normal((2, J, 3))
    data = Data(None, tensor(truth), tensor(truth), tensor(np.full(J, 1 / J)))
    problem = Problem(data, data, tensor(NOISE), {})
    (value,) = risks.ExcessRisk().measure(problem, predictions=tensor(result)).values()
    assert float(value) == pytest.approx(((result - truth) ** 2).sum() / J)


def test_training_loss_is_half_the_weighted_squares():
    weight = RNG.random(J)
    result = risks.TrainingLoss().measure(make(weight), train_predictions=tensor(ESTIMATE))
    assert float(result["training_loss"]) == pytest.approx(
        0.5 * weight @ (OBSERVED - ESTIMATE) ** 2
    )
    result = risks.TrainingLoss().measure(PROBLEM, spectrum=SPECTRUM)
    assert float(result["training_loss"]) == pytest.approx(0.5 * sum((OBSERVED - ESTIMATE) ** 2))


def test_span_dimension_and_profile_count_ranks_one_by_one():
    def span(tau):
        return next((k for k in range(1, J + 1) if tail(k) / k <= tau), np.nan)

    taus = (1e-3, 0.02, 0.05, 0.1, 0.5, 2.0)
    result = spans.SpanProfile(tau=Grid(taus)).measure(PROBLEM, SPECTRUM)["span_profile"]
    np.testing.assert_array_equal(result, [span(tau) for tau in taus])
    assert np.isnan(span(1e-3)) and np.isfinite(span(0.1))  # both cases are met
    for tau, expected in ((None, span(NOISE)), (0.1, span(0.1))):
        (value,) = spans.SpanDimension(tau=tau).measure(PROBLEM, SPECTRUM).values()
        np.testing.assert_equal(float(value), expected)


def test_feature_error_and_oracle_projection_risk_are_minima_over_the_rank():
    costs = [k * NOISE + tail(k) for k in range(J + 1)]
    (error,) = spans.FeatureError().measure(PROBLEM, SPECTRUM).values()
    (risk,) = spans.OracleProjectionRisk().measure(PROBLEM, SPECTRUM).values()
    assert float(error) == pytest.approx(min(costs))
    assert float(risk) == pytest.approx(min(costs[1:]))


def test_projection_error_keeps_observations_on_the_leading_ranks():
    def error(k):
        return sum((OBSERVED[i] - TRUTH[i]) ** 2 for i in ORDER[:k]) + tail(k)

    ranks = (1, 4, 17, J)
    (result,) = spans.ProjectionError(k=Grid(ranks)).measure(PROBLEM, SPECTRUM).values()
    np.testing.assert_allclose(result, [error(k) for k in ranks])
    quiet = PROBLEM._replace(noise=tensor(0.1))
    (at_span,) = spans.ProjectionError().measure(quiet, SPECTRUM).values()
    (span,) = spans.SpanDimension().measure(quiet, SPECTRUM).values()
    assert float(at_span) == pytest.approx(error(int(span)))


def test_top_projection_is_the_share_of_the_truth_in_the_leading_ranks():
    ranks = (1, 3, J)
    (result,) = spectra.TopProjection(k=Grid(ranks)).measure(PROBLEM, SPECTRUM).values()
    np.testing.assert_allclose(result, [1 - tail(k) / tail(0) for k in ranks])


def test_eigenvalues_come_in_the_models_order_and_as_many_as_asked():
    metric = spectra.Eigenvalues(modes=Grid([2, 5]))
    result = metric.measure(PROBLEM, SPECTRUM)
    np.testing.assert_array_equal(result["eigenvalue"], EIGENVALUE[[1, 4]])
    np.testing.assert_array_equal(result["truth_coefficient"], TRUTH[[1, 4]])
    np.testing.assert_array_equal(metric.coordinates({"modes": J})["mode"], [2, 5])
    shown = spectra.Eigenvalues().coordinates({"modes": 5000})["mode"]
    assert (shown[0], shown[-1]) == (1, 5000) and len(shown) <= 100
    with pytest.raises(UnsuitableError, match="found modes from 2 to 50, expected numbers from 1"):
        spectra.Eigenvalues(modes=Grid([2, 50])).coordinates({"modes": J})


def test_eigenvector_overlaps_compare_by_rank_at_both_times():
    before, now = (np.linalg.qr(RNG.standard_normal((J, J)))[0] for _ in range(2))
    values = RNG.random(J)
    later = SPECTRUM._replace(eigenvalue=tensor(values))
    result = spectra.Eigenvectors(k=Grid([1, 2, 3])).measure(
        PROBLEM, tensor(now), later, tensor(before), SPECTRUM
    )["eigenvector_overlap"]
    new = np.argsort(-values)
    expected = [[(now[:, new[k]] @ before[:, ORDER[l]]) ** 2 for l in range(3)] for k in range(3)]  # noqa: E741
    np.testing.assert_allclose(result, expected)
