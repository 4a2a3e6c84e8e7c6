"""Sequence models in the contract: exact against numeric flow, invariants, descent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.running.execute import draw_problem, execute_cell
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.targets.signals import Coefficients, Power, SparsePower
from tests.helpers.cells import make_cell, run_cell

DESIGN, TARGET = GaussianSequence(n=2000, modes=60), SparsePower(p=1.0, q=2.0)
MODELS = [Fixed(gamma=1.5), *(Diagonal(gamma=1.5, depth=depth) for depth in range(4))]
METRICS = (ExcessRisk(), TrainingLoss(), Eigenvalues())
TIMES = (0.0, 0.3, 5.0, 60.0)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_exact_flow_is_the_numerical_flow(model):
    exact = run_cell(DESIGN, TARGET, model, GradientFlow(method="exact"), TIMES, METRICS)
    numeric = GradientFlow(method="numeric", rtol=1e-9, atol=1e-12)
    second = run_cell(DESIGN, TARGET, model, numeric, TIMES, METRICS)
    for name in ("excess_risk", "training_loss", "eigenvalue"):
        np.testing.assert_allclose(exact[name], second[name], rtol=2e-7, atol=1e-12)
    assert "evaluations" not in exact and (second["evaluations"][:, -1] > 0).all()


@pytest.mark.parametrize("model", MODELS[:3], ids=str)
def test_small_steps_of_descent_approach_the_flow_linearly(model):
    """Halving the step halves the gap, and extrapolating to no step leaves a second-order rest."""
    exact = run_cell(DESIGN, TARGET, model, GradientFlow(), TIMES, METRICS)["excess_risk"]
    wide, narrow = (
        run_cell(DESIGN, TARGET, model, GradientDescent(learning_rate=rate), TIMES, METRICS)[
            "excess_risk"
        ]
        for rate in (0.02, 0.01)
    )
    gap = np.abs(narrow - exact).max()
    assert 1.8 < np.abs(wide - exact).max() / gap < 2.2
    assert np.abs(2 * narrow - wide - exact).max() < 0.05 * gap


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_invariants_hold_along_the_exact_flow(depth):
    model = Diagonal(gamma=1.5, depth=depth)
    cell = make_cell(DESIGN, TARGET, model, GradientFlow(), TIMES, METRICS)
    from testbed.numerics.trees import stack

    problem = stack([draw_problem(cell, replicate) for replicate in range(3)])
    prepared = model.prepare(None, problem)
    start = model.start(None, prepared, problem)
    from testbed.contract.values import Fit

    params = model.flow(Fit(model, prepared, start, problem, None), start, 0.0, TIMES)
    beta = params["beta"].square()
    drift = params["a"].square() - beta - prepared["eigenvalue"].unsqueeze(1)
    assert drift.abs().max() < 1e-12
    if depth:
        drift = params["b"].square() - depth * beta - prepared["b0"].square().unsqueeze(1)
        assert drift.abs().max() < 1e-12
    feature = params["a"] * params["b"] ** depth if depth else params["a"]
    assert (feature.diff(dim=1) >= -1e-14).all()  # Proposition 3.4 of arXiv:2409.00894


def test_b0_defaults_to_the_noise_power():
    """b₀ = ε^{1/(D+2)} (arXiv:2409.00894, Theorem 3.2): eigenvalue(0) = λ b₀^{2D}."""
    values = run_cell(DESIGN, TARGET, Diagonal(gamma=1.5, depth=2), GradientFlow(), [0.0], METRICS)
    epsilon = 2000**-0.5
    index = np.arange(1.0, 61)
    np.testing.assert_allclose(
        values["eigenvalue"][0, 0], index**-1.5 * epsilon ** (4 / 4), rtol=1e-12
    )


def test_no_noise_and_no_b0_is_refused_with_the_way_out():
    design = GaussianSequence(n=100, modes=8, noise=0.0)
    cell = make_cell(design, TARGET, Diagonal(gamma=1.0, depth=1), GradientFlow(), [1.0], METRICS)
    assert "give b0" in execute_cell(cell).error
    run_cell(design, TARGET, Diagonal(gamma=1.0, depth=1, b0=0.3), GradientFlow(), [1.0], METRICS)
    run_cell(design, TARGET, Diagonal(gamma=1.0), GradientFlow(), [1.0], METRICS)


def test_a_longer_sequence_extends_a_shorter_one_and_n_only_scales():
    short = draw_problem(
        make_cell(
            GaussianSequence(n=100, modes=30), TARGET, MODELS[0], GradientFlow(), [1.0], METRICS
        ),
        4,
    )
    long = draw_problem(
        make_cell(
            GaussianSequence(n=10000, modes=300), TARGET, MODELS[0], GradientFlow(), [1.0], METRICS
        ),
        4,
    )
    noise = [problem.train.y - problem.train.truth for problem in (short, long)]
    torch.testing.assert_close(noise[0], 10 * noise[1][:30], rtol=1e-9, atol=1e-12)


def test_sparse_power_places_its_coefficients():
    truth = SparsePower(p=1.0, q=1.2).values(None, np.arange(1.0, 101))
    assert truth[63] == 32.0**-1  # 32^1.2 = 64, though floating point says 63.99…
    assert (truth != 0).sum() == sum(int(j**1.2 + 1e-9) <= 100 for j in range(1, 101))
    smaller = SparsePower(p=2.5, q=2.0, scale=5.0, nonzeros=3).values(None, np.arange(1.0, 50))
    np.testing.assert_allclose(smaller[[0, 3, 8]], 5 * np.array([1.0, 2, 3]) ** -1.75)
    assert (smaller != 0).sum() == 3
    np.testing.assert_allclose(Power(p=3.0).values(None, np.arange(1.0, 4)), [1, 2.0**-2, 3.0**-2])


def test_coefficients_come_from_values_and_from_files(tmp_path):
    import netCDF4

    x = np.arange(1.0, 6)
    csv, nc = tmp_path / "truth.csv", tmp_path / "truth.nc"
    csv.write_text("1.5\n-2.0\n")
    with netCDF4.Dataset(nc, "w") as file:
        file.createDimension("mode", 2)
        file.createVariable("truth", "f8", ("mode",))[:] = [1.5, -2.0]
    for target in (
        Coefficients(values=(1.5, -2.0)),
        Coefficients(path=str(csv)),
        Coefficients(path=str(nc)),
    ):
        np.testing.assert_array_equal(target.values(None, x), [1.5, -2.0, 0, 0, 0])
    with pytest.raises(ValueError, match="raise `modes`"):
        Coefficients(values=(1.0,) * 9).values(None, x)
