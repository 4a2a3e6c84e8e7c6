"""Every theory outside its assumptions says so, and a stranger's component is as welcome as ours.

docs/theories.md lists the assumptions; each that can be checked has a row here.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen

from testbed import DoesNotApply, KernelModel
from testbed.contract.grids import Grid
from testbed.loading import load_registry
from testbed.planning.fitting import theory_objection
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_adaptive.models.directional import Directional
from testbed_adaptive.theories.population_flow import EscapeTime, PopulationFlow
from testbed_adaptive.theories.rates import Rates as AdaptiveRates
from testbed_basics.designs.points import Gaussian, Hypercube, Sphere, Torus
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import MultiIndex, SingleIndex
from testbed_basics.targets.labels import Labels
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models.stationary import Laplace, Rbf
from testbed_ntk.models.torus import Torus as TorusKernel
from testbed_ntk.models.wide_networks import ReluTangent
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_ntk.theories.learning_curves import (
    DeterministicEquivalent,
    LargeDimension,
    PolynomialBarrier,
    Rates,
)
from testbed_ntk.theories.population import PopulationEigenvalues
from testbed_ntk.theories.random_features import RandomFeatureEquivalent
from testbed_sequence.designs.gaussian import GaussianSequence
from testbed_sequence.models.diagonal import Diagonal
from testbed_sequence.models.fixed import Fixed
from testbed_sequence.models.orthogonal import Orthogonal
from testbed_sequence.targets.signals import Block, Power, SparsePower
from testbed_sequence.theories.sequences import ExpectedRisk, Rates as SequenceRates, SpanBounds
from tests.helpers.cells import make_cell, run_cell

FLOW, RIDGE = GradientFlow(), SpectralFilter(filter="ridge")
SEQUENCE = GaussianSequence(n=100, modes=400)
QUIET = GaussianSequence(n=100, modes=400, noise=0.0)
SPHERE, TORUS = Sphere(dim=6, n=30, noise=0.3), Torus(dim=1, n=40, noise=0.3)
GAUSSIAN = Gaussian(dim=8, n=50)
RELU = ReluTangent(bias_variance=0.1)
FIXED = ReluTangent(first_variance=1.0, bias_variance=0.1)
SOURCE = Source(kernel=RELU, smoothness=1.0)
LEARNED = DiagonalKernel(basis="torus", gamma=1.5, depth=1)
POWER, WAVE = Power(p=1.0), Trigonometric()
SPECTRUM = PopulationEigenvalues(modes=Grid((1.0, 4.0)))

# theory, parts with which it applies, and changes with which it does not, with words of the reason
CASES = [
    (
        ExpectedRisk(),
        (SEQUENCE, POWER, Diagonal(gamma=1.5), FLOW),
        [
            ({"model": Orthogonal()}, "no power law of eigenvalues"),
            ({"model": Fixed(spectrum="design")}, "from the design"),
            ({"design": SPHERE}, "Gaussian sequences, not sphere"),
            ({"optimizer": GradientDescent(learning_rate=0.1)}, "gradient flow, not descent"),
            ({"optimizer": Sgd(learning_rate=0.1, batch_size=5)}, "no spectral algorithm"),
        ],
    ),
    (
        SpanBounds(),
        (SEQUENCE, POWER, Fixed(gamma=1.5), FLOW),
        [({"design": QUIET}, "noise above 0"), ({"model": Orthogonal()}, "no power law")],
    ),
    (
        SequenceRates(),
        (SEQUENCE, SparsePower(p=1.0, q=2.0), Diagonal(gamma=1.5, depth=1), FLOW),
        [
            ({"design": QUIET}, "noise above 0"),
            ({"model": Diagonal(gamma=1.5, depth=1, b0=0.1)}, "which shrinks as n grows"),
            ({"model": Diagonal(gamma=1.0)}, "γ > 1"),
            ({"target": SparsePower(p=4.0), "model": Diagonal(gamma=1.5)}, "γ ≥ (p+1)/(D+2)"),
            ({"target": Block()}, "no power law of coefficients"),
            ({"target": SparsePower(p=1.0, nonzeros=3)}, "nonzeros"),
            ({"design": GaussianSequence(n=10_000, modes=400)}, "the sequence has 400 modes"),
        ],
    ),
    (
        AdaptiveRates(),
        (TORUS, WAVE, LEARNED, FLOW),
        [
            ({"design": Torus(dim=1, n=40)}, "noise above 0"),
            ({"model": DiagonalKernel(basis="torus", gamma=1.5, depth=1, b0=0.2)}, "shrinks as n"),
            ({"model": DiagonalKernel(basis="torus", gamma=0.2)}, "γ > 1"),
            ({"model": Rbf()}, "no power law of eigenvalues"),
            ({"target": Trigonometric(cosine=(1.0,))}, "fall faster"),
            ({"target": Trigonometric(frequencies=((2.0,),))}, "not whole numbers"),
            ({"target": Linear()}, "it needs p and q"),
            ({"optimizer": GradientDescent(learning_rate=0.1)}, "gradient flow, not descent"),
        ],
    ),
    (
        PopulationFlow(),
        (GAUSSIAN, SingleIndex(), Directional(), FLOW),
        [
            ({"design": Sphere(dim=8, n=50)}, "Gaussian inputs of equal variances"),
            ({"target": Linear()}, "single- or multi-index"),
            ({"model": Directional(random_start=True)}, "starts at random"),
            ({"model": RELU}, "no Hermite features"),
            ({"optimizer": GradientDescent(learning_rate=0.1)}, "gradient flow, not descent"),
        ],
    ),
    (
        EscapeTime(),
        (GAUSSIAN, SingleIndex(), Directional(), FLOW),
        [
            ({"target": MultiIndex(directions=2)}, "one direction"),
            ({"target": SingleIndex(coefficients=(1.0,))}, "constant"),
            ({"target": SingleIndex(coefficients=(0.0,) * 5 + (1.0,))}, "no features of degree 5"),
            ({"model": Directional(initial_overlap=0.7)}, "between 0 and ½"),
        ],
    ),
    (
        BiasVariance(),
        (SPHERE, Linear(), RELU, RIDGE),
        [
            ({"model": RandomFeatures(width=5)}, "no fixed kernel"),
            ({"target": Labels()}, "has no known true function"),
            ({"optimizer": Sgd(learning_rate=0.1, batch_size=5)}, "no spectral algorithm"),
            ({"optimizer": GradientDescent(learning_rate={"edge": 0.9})}, "differs from replicate"),
        ],
    ),
    (
        SPECTRUM,
        (SPHERE, Linear(), RELU, RIDGE),
        [({"design": GAUSSIAN}, "gaussian"), ({"model": RandomFeatures(width=5)}, "no population")],
    ),
    (
        DeterministicEquivalent(),
        (SPHERE, Linear(), RELU, RIDGE),
        [
            ({"optimizer": FLOW}, "ridge regression, not flow"),
            ({"model": ReluTangent(initial="process")}, "paths that start at 0"),
            ({"model": Laplace(norm="l1")}, "norm l1"),
            ({"design": Hypercube(dim=6, n=30)}, "hypercube"),
        ],
    ),
    (
        RandomFeatureEquivalent(),
        (SPHERE, Linear(), RandomFeatures(width=20), RIDGE),
        [
            ({"model": RELU}, "no random features"),
            ({"optimizer": FLOW}, "ridge regression, not flow"),
            ({"design": GAUSSIAN}, "no other activations"),
            ({"design": Hypercube(dim=6, n=30)}, "the sphere and Gaussian points"),
        ],
    ),
    (
        Rates(),
        (SPHERE, SOURCE, RELU, RIDGE),
        [
            ({"design": Sphere(dim=6, n=30)}, "noise above 0"),
            ({"target": Linear()}, "no stated smoothness"),
            ({"model": Rbf()}, "no known decay"),
            ({"model": ReluTangent()}, "never learns"),
            ({"model": ReluTangent(bias_variance=0.1, initial="process")}, "start at 0"),
            ({"model": TorusKernel()}, "not known"),
        ],
    ),
    (
        LargeDimension(),
        (SPHERE, Source(kernel=FIXED, smoothness=1.0), FIXED, FLOW),
        [
            ({"design": Sphere(dim=6, n=30)}, "noise above 0"),
            ({"design": Sphere(dim=4, n=30, noise=0.3)}, "expected at least d = 5"),
            ({"model": RELU}, "one function of the cosine for all d"),
            ({"target": SOURCE}, "of the target's kernel: it needs a kernel that is one function"),
            ({"model": ReluTangent()}, "eigenvalues vanish"),
            ({"model": Laplace(norm="l1")}, "cosine alone"),
            ({"target": Linear()}, "no stated smoothness"),
            (
                {"optimizer": SpectralFilter(filter="iterated-ridge", qualification=0.4)},
                "at least 0.5",
            ),
        ],
    ),
    (
        PolynomialBarrier(),
        (Sphere(dim=6, n=15), Gegenbauer(degrees=(1, 2)), RELU, RIDGE),
        [
            ({"design": Sphere(dim=3, n=15)}, "expected at least d = 5"),
            ({"design": Sphere(dim=6, n=2)}, "expected at least d = 5 and n = 3"),
            ({"design": Sphere(dim=6, n=36)}, "within 0.1 of a whole number"),
            (
                {
                    "design": Sphere(dim=6, n=500),
                    "target": Gegenbauer(degrees=(3,)),
                    "model": ReluTangent(),
                },
                "never learns 1 of ‖f*‖²",
            ),
            ({"design": GAUSSIAN}, "points of the sphere"),
            ({"model": Laplace(norm="l1")}, "cosine alone"),
        ],
    ),
]


def cell_of(parts, change=None):
    names = ("design", "target", "model", "optimizer")
    return make_cell(
        *{**dict(zip(names, parts, strict=True)), **(change or {})}.values(), [1.0], []
    )


@pytest.mark.parametrize(("theory", "parts", "changes"), CASES, ids=lambda item: str(item)[:20])
def test_every_theory_applies_inside_and_refuses_outside_its_assumptions(theory, parts, changes):
    assert theory_objection(theory, cell_of(parts)) is None
    for change, words in changes:
        cell = cell_of(parts, change)
        reason = theory_objection(theory, cell)
        assert words in (reason or ""), (change, reason)
        if not theory.facts().conditional:
            with pytest.raises(DoesNotApply):
                theory.predict(cell, (1.0,))


def test_every_shipped_theory_is_tried_outside_its_assumptions():
    assert {theory.name for theory, _, _ in CASES} == set(load_registry().names("theory"))


@frozen(kw_only=True)
class Exponential(KernelModel):
    """A stranger's kernel, e^{⟨x, z⟩}."""

    name = "strange.exponential"

    def kernel(self, x, z):
        return torch.exp(x @ z.T)


def test_a_strangers_kernel_is_as_welcome_as_ours():
    """Mean over the noise of 200 replicates on one draw of inputs, four standard errors at three
    times: false alarm below 0.1%."""
    design = Sphere(dim=3, n=15, n_test=20, noise=0.5)
    model, times = Exponential(), (1.0, 10.0, 100.0)
    cell = make_cell(design, Linear(), model, RIDGE, times, [], shared_design=False)
    assert theory_objection(BiasVariance(), cell) is None
    from testbed.running.execute import draw_problem

    expected = np.stack(
        [
            BiasVariance().predict(cell, times, draw_problem(cell, r))["excess_risk"]
            for r in range(200)
        ]
    )
    result = run_cell(design, Linear(), model, RIDGE, times, [ExcessRisk()], replicates=200)
    separate = result["excess_risk"] - expected
    assert (np.abs(separate.mean(0)) < 4 * separate.std(0, ddof=1) / 200**0.5).all()
