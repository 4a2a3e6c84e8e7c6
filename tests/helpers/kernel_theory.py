"""Targets of known energies and cells of kernel regression, for tests of theories."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen

from testbed.contract.components import Target
from testbed_basics.designs.points import Sphere
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.source import Source
from testbed_ntk import models
from testbed_ntk.theories.deterministic_equivalent import (
    Levels,
)
from tests.helpers.cells import make_cell

POWERS = np.arange(1.0, 401)
CHECK = Levels(POWERS**-1.5, np.ones(400), POWERS**-2.0)


@frozen(kw_only=True)
class Harmonics(Target):
    """Harmonics of degrees 1 and 2 with energies 1 and `second`, and nothing else."""

    name = "tests.harmonics"
    second: float = 0.5

    def values(self, drawn, x):
        dim = x.shape[1]
        quadratic = math.sqrt(dim * (dim + 2)) * x[:, 0] * x[:, 1]
        return math.sqrt(dim) * x[:, 0] + math.sqrt(self.second) * quadratic

    def expansion(self, drawn, sample):
        return {"degree": np.array([1.0, 2.0]), "energy": np.array([1.0, self.second])}


@frozen(kw_only=True)
class Plain(Target):
    name = "tests.plain"

    def values(self, drawn, x):
        return x[:, 0]


NTK = models.ReluTangent(first_variance=1.0, bias_variance=0.2, output_bias_variance=0.2)


def source(smoothness=1.0, kernel=NTK):
    """A target in [H]^s, of the kernel that the tests are about unless another is given."""
    return Source(kernel=kernel, smoothness=smoothness)


def spectral(name="ridge", **options):
    return SpectralFilter(filter=name, **options)


def cell(design=None, target=None, model=NTK, optimizer=None, times=(1.0, 10.0), **fields):
    design = design or Sphere(dim=5, n=100, noise=0.5)
    return make_cell(
        design, target or Harmonics(), model, optimizer or spectral(), times, [], **fields
    )
