"""Span dimension, feature error and projections against brute force and published values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.values import Spectrum
from testbed.numerics import spans


def random_spectrum(seed, modes=40, ties=False):
    rng = np.random.Generator(np.random.Philox(seed))
    eigenvalue = np.round(rng.uniform(size=modes), 1) if ties else rng.uniform(size=modes)
    truth = rng.standard_normal(modes) * (rng.uniform(size=modes) < 0.4)
    observed = truth + 0.1 * rng.standard_normal(modes)
    return Spectrum(
        *map(torch.from_numpy, (eigenvalue, truth, 0 * truth, observed)), torch.tensor(0.0).double()
    )


def brute_order(eigenvalue):
    return sorted(range(len(eigenvalue)), key=lambda j: (-eigenvalue[j], j))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_span_dimension_is_the_least_rank_below_the_threshold(seed, ties):
    spectrum = random_spectrum(seed, ties=ties)
    truth = spectrum.truth.numpy()[brute_order(spectrum.eigenvalue.numpy())]
    for tau in (0.0, 1e-3, 0.05, 0.3, 5.0):
        expected = next(
            k for k in range(1, 41) if sum(x * x for x in truth[k:]) / k <= tau
        )  # fmt: skip
        tail = spans.ordered_tails(spectrum)
        assert spans.span_dimension(tail, torch.tensor(tau).double()) == expected


@pytest.mark.parametrize(("q", "published"), [(1, 15), (1.5, 46), (2, 121), (2.5, 253), (3, 512)])
def test_published_dimensions_of_the_misaligned_power_signal(q, published):
    """arXiv:2509.20294, Figure 1 at t = 0 and τ = 1e-4: 15 non-zeros, C = 5, p = 2.5, J = 5000."""
    j = np.arange(1.0, 16)
    truth = np.zeros(5000)
    truth[np.floor(j**q + 1e-9).astype(int) - 1] = 5 * j**-1.75
    tail = spans.tails(torch.from_numpy(truth), torch.tensor(0.0).double())
    assert spans.span_dimension(tail, torch.tensor(1e-4).double()) == published


def test_energy_outside_that_is_too_large_has_no_dimension():
    tail = spans.tails(torch.ones(4).double(), torch.tensor(8.0).double())
    tau = torch.tensor([1.0, 2.0]).double()
    dimension = spans.span_dimension(tail, tau)
    assert torch.isnan(dimension[0]) and dimension[1] == 4


@pytest.mark.parametrize("seed", range(5))
def test_oracle_projection_risk_obeys_the_sandwich(seed):
    """(d† − 1)ε² ≤ min_k [kε² + tail(k)] ≤ 2d†ε² at τ = ε² (arXiv:2509.20294)."""
    spectrum = random_spectrum(seed)
    tail = spans.ordered_tails(spectrum)
    for noise in torch.tensor([1e-3, 0.02, 0.3]).double():
        dimension = spans.span_dimension(tail, noise)
        risks = spans.projection_risks(tail, noise)
        for best in (risks.min(), risks[1:].min()):
            assert (dimension - 1) * noise <= best <= 2 * dimension * noise + 1e-12


def test_projection_errors_count_kept_noise_and_lost_signal():
    spectrum = random_spectrum(3, modes=7)
    ranked = brute_order(spectrum.eigenvalue.numpy())
    errors = spans.projection_errors(spectrum).numpy()
    for k in range(8):
        kept = np.zeros(7)
        kept[ranked[:k]] = spectrum.observed.numpy()[ranked[:k]]
        np.testing.assert_allclose(errors[k], ((kept - spectrum.truth.numpy()) ** 2).sum())


def test_functions_work_under_vmap():
    larger = [random_spectrum(seed) for seed in range(3)]
    noise = torch.tensor(0.02).double()

    def dimension(*parts):
        return spans.span_dimension(spans.ordered_tails(Spectrum(*parts)), noise)

    for settings in (
        larger,
        [item._replace(resolution=torch.tensor(0.02).double()) for item in larger],
    ):
        leaves = [[part for part in item if part is not None] for item in settings]
        together = torch.func.vmap(dimension)(*map(torch.stack, zip(*leaves, strict=True)))
        assert together.tolist() == [float(dimension(*item)) for item in leaves]


@pytest.mark.parametrize("noise", [1e-3, 0.02, 0.3])
def test_tails_of_an_eigenspace_are_the_mean_over_its_rotations(noise):
    """Two eigenspaces of 6 and 5 coordinates, 4000 rotations: every rank within five errors, and
    one of each eigenspace's ends exactly. The sandwich holds."""
    rng = np.random.Generator(np.random.Philox(5))
    spectrum = random_spectrum(2, modes=12)
    value = torch.tensor([3.0] * 6 + [2.0] + [0.0] * 5).double()
    spectrum = spectrum._replace(eigenvalue=value, resolution=torch.tensor(1e-9).double())
    drawn = []
    for _ in range(4000):
        turned = [spectrum.truth.numpy().copy(), spectrum.observed.numpy().copy()]
        for space in (slice(0, 6), slice(7, 12)):
            size = space.stop - space.start
            rotation = np.linalg.qr(rng.standard_normal((size, size)))[0]
            for vector in turned:
                vector[space] = rotation @ vector[space]
        truth, observed = map(torch.from_numpy, turned)
        first = spectrum._replace(truth=truth, observed=observed, resolution=None)
        drawn.append(
            torch.stack([spans.ordered_tails(first), spans.projection_errors(first)]).numpy()
        )
    mean, error = np.mean(drawn, 0), np.std(drawn, 0) / 4000**0.5
    tail = spans.ordered_tails(spectrum)
    result = np.stack([tail, spans.projection_errors(spectrum)])
    assert (np.abs(result - mean) < 5 * error + 1e-12).all()
    dimension = spans.span_dimension(tail, torch.tensor(noise).double())
    best = spans.projection_risks(tail, torch.tensor(noise).double()).min()
    assert (dimension - 1) * noise <= best <= 2 * dimension * noise
