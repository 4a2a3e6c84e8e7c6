"""Kernel–target alignment against its definition, the source condition against known smoothness."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import make_cell, run_cell

from testbed.execute import draw_problem
from testbed.values import Spectrum
from testbed_basics.designs.dataset import Dataset
from testbed_basics.designs.points import Sphere, Torus
from testbed_basics.metrics.alignment import SourceCondition, TargetAlignment
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.labels import Labels
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_ntk import models

RNG = np.random.Generator(np.random.Philox(3))
SPHERE = Sphere(dim=3, n=40, n_test=5, noise=0.3)


def measured(design, target, model, metric):
    found = run_cell(design, target, model, SpectralFilter(), (1.0,), [metric], replicates=2)
    cell = make_cell(design, target, model, SpectralFilter(), (1.0,), [metric])
    problem = draw_problem(cell, 0)
    gram = model.gram(model.prepare(None, problem), None, problem.train.x, "features").numpy()
    return {name: values[:, 0] for name, values in found.items()}, gram, problem.train


def definition(gram, columns):
    outer = columns @ columns.T
    return (gram * outer).sum() / np.linalg.norm(gram) / np.linalg.norm(outer)


@pytest.mark.parametrize("against", ["truth", "observations"])
@pytest.mark.parametrize("centred", [False, True])
def test_alignment_is_its_definition(against, centred):
    metric = TargetAlignment(against=against, centred=centred)
    found, gram, data = measured(SPHERE, Linear(), models.ReluTangent(), metric)
    y = (data.truth if against == "truth" else data.y).numpy()[:, None]
    if centred:
        middle = np.eye(40) - 1 / 40
        gram, y = middle @ gram @ middle, middle @ y
    assert found["target_alignment"][0] == pytest.approx(definition(gram, y), rel=1e-10)
    assert np.ptp(found["target_alignment"]) > 0  # each replicate has its own


def test_alignment_of_several_outputs_and_of_the_labels_kernel():
    """A kernel that is the labels' own has alignment 1."""
    digits = Dataset(n=30, n_test=5, classes=(1, 2, 3))
    metric = TargetAlignment(against="observations", centred=True)
    found, gram, data = measured(digits, Labels(), models.Laplace(), metric)
    middle = np.eye(30) - 1 / 30
    expected = definition(middle @ gram @ middle, middle @ data.y.numpy())
    assert found["target_alignment"][0] == pytest.approx(expected, rel=1e-10)
    own = Spectrum(
        torch.tensor([2.0, 0.0]), torch.tensor([3.0, 0.0]), *(torch.zeros(2) for _ in "ab"),
        torch.tensor(0.0),
    )  # fmt: skip
    aligned = TargetAlignment().measure(data, spectrum=own)["target_alignment"]
    assert float(aligned) == pytest.approx(1)


def test_labels_have_no_truth_to_align_with():
    cell = make_cell(
        Dataset(n=30, n_test=5), Labels(), models.Laplace(), SpectralFilter(), (1.0,), []
    )
    assert 'against = "observations"' in (TargetAlignment().applies(cell) or "")
    assert "knows no true function" in (SourceCondition().applies(cell) or "")


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("decay", [1.0, 2.0, 3.0])
def test_source_condition_of_power_laws(smoothness, decay):
    """Gaussian coefficients of variance λ^s/j: the mean of 200 estimates is s within 4% and four
    standard errors, and 95% intervals cover at least 87% (by chance less once in 10⁵)."""
    index = np.arange(1, 4097.0)
    value = torch.from_numpy(index**-decay)
    found = []
    for _ in range(200):
        truth = torch.from_numpy(
            RNG.standard_normal(4096) * index ** (-(decay * smoothness + 1) / 2)
        )
        spectrum = Spectrum(value, truth, truth, truth, torch.tensor(0.0))
        measure = SourceCondition(first=8).measure(None, spectrum)
        found.append([float(part) for part in measure.values()])
    slope, error = np.array(found).T
    allowed = 0.04 * smoothness + 4 * slope.std() / 200**0.5
    assert abs(slope.mean() - smoothness) < allowed
    assert np.mean(np.abs(slope - smoothness) < 1.96 * error) > 0.87


def test_source_condition_of_a_kernels_sample():
    """[H]^1 on the circle, as 600 points show it: within four of its own standard errors."""
    model = models.Torus(smoothness=1.0, frequencies=256)
    design = Torus(dim=1, n=600, n_test=5)
    target = Source(kernel=model, smoothness=1.0, directions=64)
    found, _, _ = measured(design, target, model, SourceCondition(last=64))
    slope, error = found["source_smoothness"], found["source_smoothness_error"]
    assert (np.abs(slope - 1) < 4 * error).all() and (error < 0.4).all()


def test_too_few_modes_say_nothing():
    few = torch.arange(1.0, 9).double()
    spectrum = Spectrum(1 / few, few, few, few, torch.tensor(0.0))
    assert all(torch.isnan(v) for v in SourceCondition().measure(None, spectrum).values())
