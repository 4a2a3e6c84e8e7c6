"""Kernel–target alignment against its definition, the source condition against known smoothness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.values import Spectrum
from testbed.running.execute import draw_problem
from testbed_basics.designs.dataset import Dataset
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.metrics.alignment import SourceCondition, TargetAlignment
from testbed_basics.metrics.leakage import empirical_decay, leaked
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.labels import Labels
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_ntk import models
from tests.helpers.cells import make_cell, run_cell

RNG = np.random.Generator(np.random.Philox(3))
SPHERE = Sphere(dim=3, n=40, n_test=5, noise=0.3)


def measured(design, target, model, metric):
    result = run_cell(design, target, model, SpectralFilter(), (1.0,), [metric], replicates=2)
    cell = make_cell(design, target, model, SpectralFilter(), (1.0,), [metric])
    problem = draw_problem(cell, 0)
    gram = model.gram(model.prepare(None, problem), None, problem.train.x, "features").numpy()
    return {name: values[:, 0] for name, values in result.items()}, gram, problem.train


def definition(gram, columns):
    outer = columns @ columns.T
    return (gram * outer).sum() / np.linalg.norm(gram) / np.linalg.norm(outer)


@pytest.mark.parametrize("against", ["truth", "observations"])
@pytest.mark.parametrize("centred", [False, True])
def test_alignment_is_its_definition(against, centred):
    metric = TargetAlignment(against=against, centred=centred)
    result, gram, data = measured(SPHERE, Linear(), models.ReluTangent(), metric)
    y = (data.truth if against == "truth" else data.y).numpy()[:, None]
    if centred:
        middle = np.eye(40) - 1 / 40
        gram, y = middle @ gram @ middle, middle @ y
    assert result["target_alignment"][0] == pytest.approx(definition(gram, y), rel=1e-10)
    assert np.ptp(result["target_alignment"]) > 0  # each replicate has its own


def test_alignment_of_several_outputs_and_of_the_labels_kernel():
    """A kernel that is the labels' own has alignment 1."""
    digits = Dataset(n=30, n_test=5, classes=(1, 2, 3))
    metric = TargetAlignment(against="observations", centred=True)
    result, gram, data = measured(digits, Labels(), models.Laplace(), metric)
    middle = np.eye(30) - 1 / 30
    expected = definition(middle @ gram @ middle, middle @ data.y.numpy())
    assert result["target_alignment"][0] == pytest.approx(expected, rel=1e-10)
    actual = Spectrum(
        torch.tensor([2.0, 0.0]), torch.tensor([3.0, 0.0]), *(torch.zeros(2) for _ in "ab"),
        torch.tensor(0.0),
    )  # fmt: skip
    aligned = TargetAlignment().measure(data, spectrum=actual)["target_alignment"]
    assert float(aligned) == pytest.approx(1)


def test_labels_have_no_truth_to_align_with():
    cell = make_cell(
        Dataset(n=30, n_test=5), Labels(), models.Laplace(), SpectralFilter(), (1.0,), []
    )
    assert 'against = "observations"' in (TargetAlignment().applies(cell) or "")
    assert "has no known true function" in (SourceCondition().applies(cell) or "")


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("decay", [1.0, 2.0, 3.0])
def test_source_condition_of_power_laws(smoothness, decay):
    """Gaussian coefficients of variance λ^s/j: the mean of 200 estimates is s within 4% and four
    standard errors, and 95% intervals cover at least 87% (by chance less once in 10⁵)."""
    index = np.arange(1, 4097.0)
    value = torch.from_numpy(index**-decay)
    results = []
    for _ in range(200):
        truth = torch.from_numpy(
            RNG.standard_normal(4096) * index ** (-(decay * smoothness + 1) / 2)
        )
        spectrum = Spectrum(value, truth, truth, truth, torch.tensor(0.0))
        measure = SourceCondition(first=8).measure(None, spectrum)
        results.append([float(part) for part in measure.values()])
    slope, error, modes = np.array(results).T
    assert set(modes) == {4096 // 4 - 7}
    allowed = 0.04 * smoothness + 4 * slope.std() / 200**0.5
    assert abs(slope.mean() - smoothness) < allowed
    assert np.mean(np.abs(slope - smoothness) < 1.96 * error) > 0.87


def test_source_condition_of_a_kernels_sample():
    """[H]^1 on the circle, as 600 points show it: within four of its own standard errors."""
    model = models.Torus(smoothness=1.0, frequencies=256)
    design = Torus(dim=1, n=600, n_test=5)
    target = Source(kernel=model, smoothness=1.0, directions=64)
    result, _, _ = measured(design, target, model, SourceCondition(last=64))
    slope, error = result["source_smoothness"], result["source_smoothness_error"]
    assert (np.abs(slope - 1) < 4 * error).all() and (error < 0.4).all()


def test_too_few_modes_say_nothing():
    smaller = torch.arange(1.0, 9).double()
    spectrum = Spectrum(1 / smaller, smaller, smaller, smaller, torch.tensor(0.0))
    slope, error, modes = SourceCondition().measure(None, spectrum).values()
    assert torch.isnan(slope) and torch.isnan(error) and modes == 0
    for energy in (smaller[:4], 0 * smaller):
        result = empirical_decay(1 / smaller[: len(energy)], energy, 0, 100.0)
        assert torch.isnan(result.slope) and torch.isnan(result.error) and result.modes == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_a_handful_of_points_says_nothing_and_costs_no_other_metric(count):
    design = Sphere(dim=3, n=count, n_test=5, noise=0.1)
    metrics = [SourceCondition(), ExcessRisk()]
    result = run_cell(design, Linear(), models.Laplace(), SpectralFilter(), (1.0,), metrics)
    assert np.isnan(result["source_smoothness"]).all() and np.isfinite(result["excess_risk"]).all()
    assert (result["source_smoothness_modes"] == 0).all()


def test_leaked_energy_is_what_eigenvectors_of_a_sample_show():
    """Truth φ₁ with λ_j = j^{−3/2}, features of 300 Gaussian vectors: its mean energy on blocks of
    high empirical eigenfunctions, within 18% (at least four standard errors of 300 samples)."""
    count, modes = 300, 80
    value = np.arange(1, modes + 1.0) ** -1.5
    result = np.zeros(modes)
    for _ in range(300):
        features = RNG.standard_normal((count, modes)) / count**0.5
        actual, vectors = np.linalg.eigh(
            value[:, None] ** 0.5 * (features.T @ features) * value**0.5
        )
        left = features * value**0.5 @ vectors[:, ::-1] / actual[::-1] ** 0.5
        result += (left.T @ features[:, 0]) ** 2 / 300
    truth = torch.zeros(modes).double()
    truth[0] = 1.0
    expected = leaked(torch.from_numpy(value), truth, 0, count).numpy()
    for block in (slice(4, 8), slice(8, 16), slice(16, 40)):
        assert result[block].sum() == pytest.approx(expected[block].sum(), rel=0.18)


@pytest.mark.parametrize("model", [models.Laplace(), models.ReluTangent()], ids=["laplace", "ntk"])
@pytest.mark.parametrize("smoothness", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_source_condition_above_the_leakage(model, smoothness):
    """Samples of 400 points, whose plain slope saturates near 2: s is within 2.5 of its own errors
    (which are wide: of 240 other samples none was further off than 1.6), and what has no error is a
    bound from below."""
    design = Sphere(dim=3, n=400, n_test=2)
    target = Source(kernel=model, smoothness=smoothness, directions=64)
    result = run_cell(
        design, target, model, SpectralFilter(), (1.0,), [SourceCondition()], replicates=6
    )
    slope, error, modes = (
        result[f"source_smoothness{end}"][:, 0] for end in ("", "_error", "_modes")
    )
    bound = np.isnan(error)
    assert (np.abs(slope - smoothness) < 2.5 * error)[~bound].all()
    assert (slope[bound] < smoothness).all() and (modes[bound] < 5).all()
    assert bound.all() or error[~bound].mean() < 1.6
    if smoothness <= 2:
        assert not bound.any() and abs(slope.mean() / smoothness - 1) < 0.2
    if smoothness == 3:
        assert bound.sum() < 3 and slope[~bound].mean() > 2.6  # the plain slope is 2.1 at most


def test_a_polynomials_smoothness_is_only_bounded():
    result = run_cell(
        Sphere(dim=3, n=200, n_test=2), Linear(), models.Laplace(), SpectralFilter(), (1.0,),
        [SourceCondition()],
    )  # fmt: skip
    assert np.isfinite(result["source_smoothness"]).all()
    assert np.isnan(result["source_smoothness_error"]).all()
