"""The orthogonal model in the contract: reduced, matrix and free forms, and its ablations."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.contract.capabilities import HasBasis, HasExactSpectrum, has, lack
from testbed.contract.grids import Grid
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues, Eigenvectors, TopProjection
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.orthogonal import Orthogonal
from testbed_sequence.targets.signals import Block
from tests.helpers.cells import run_cell

DESIGN, TARGET = GaussianSequence(n=100, modes=24), Block(start=13, count=6)
TIMES = (0.0, 0.5, 4.0, 30.0)
METRICS = (ExcessRisk(), TrainingLoss(), Eigenvalues(), TopProjection(k=Grid([1, 6, 12])))
NUMERIC = GradientFlow(method="numeric", rtol=1e-10, atol=1e-12)


def run(model, optimizer=None, metrics=METRICS):
    optimizer = optimizer or GradientFlow()
    return run_cell(DESIGN, TARGET, model, optimizer, TIMES, metrics, replicates=2)


def test_reduced_and_matrix_forms_agree():
    reduced, matrix = run(Orthogonal()), run(Orthogonal(form="matrix"))
    for name in reduced:
        np.testing.assert_allclose(reduced[name], matrix[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("train", [("basis", "eigenvalues"), ("basis",), ("eigenvalues",), ()])
@pytest.mark.parametrize(
    "form",
    [{}, {"form": "matrix"}, {"constraint": "free", "form": "matrix"}],
    ids=["reduced", "matrix", "free"],
)
def test_the_flow_is_the_numerical_flow_of_the_gradient(form, train):
    model = Orthogonal(train=train, **form)
    actual, numeric = run(model), run(model, NUMERIC)
    for name in ("excess_risk", "training_loss", "top_projection"):
        np.testing.assert_allclose(actual[name], numeric[name], rtol=1e-6, atol=1e-9)


def test_a_frozen_basis_is_the_diagonal_model():
    frozen, diagonal = run(Orthogonal(train=("eigenvalues",))), run(Diagonal(gamma=1.0))
    for name in ("excess_risk", "training_loss", "eigenvalue"):
        np.testing.assert_allclose(frozen[name], diagonal[name], rtol=1e-7, atol=1e-10)


def test_the_truth_moves_into_the_top_eigenspaces_while_the_risk_falls():
    values = run(Orthogonal())
    projection = values["top_projection"].mean(0)  # (times, k)
    assert projection[0, 1] == 0 and projection[2, 1] > 0.1
    risk = values["excess_risk"].mean(0)
    assert risk[2] < 0.5 * risk[0]


def test_eigenvectors_turn_away_from_the_start_and_stay_orthonormal():
    metric = Eigenvectors(k=Grid(range(1, 25)))
    overlap = run(Orthogonal(form="matrix"), metrics=(metric,))["eigenvector_overlap"]
    np.testing.assert_allclose(overlap[:, 0], np.broadcast_to(np.eye(24), (2, 24, 24)), atol=1e-12)
    for axis in (2, 3):
        np.testing.assert_allclose(overlap.sum(axis), 1, atol=1e-9)
    assert overlap[:, -1].diagonal(axis1=1, axis2=2).min() < 0.9


def test_the_reduced_form_says_what_it_cannot_do():
    assert 'form = "matrix"' in str(lack(Orthogonal(), HasBasis))
    assert has(Orthogonal(form="matrix"), HasBasis)
    assert has(Orthogonal(), HasExactSpectrum)
    with pytest.raises(ValueError, match="expected one of 'basis', 'eigenvalues'"):
        Orthogonal(train=("nothing",))
