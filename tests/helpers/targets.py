"""Designs, and what targets draw on them."""

from __future__ import annotations

import numpy as np

from testbed.contract.seeds import Streams
from testbed_basics.designs.points import Gaussian, Hypercube, Sphere, Torus

SPHERE = Sphere(dim=7, n=12, n_test=9)
GAUSSIAN = Gaussian(dim=7, n=12, n_test=9, scale=0.5)
HYPERCUBE = Hypercube(dim=7, n=12, n_test=9)
TORUS = Torus(dim=2, n=12, n_test=9)


def drawn(target, design, replicate=0):
    """What a target draws, with its sample and its expansion."""
    rng = Streams(5, replicate)
    sample = design.draw(rng)._replace(design=design)
    result = target.draw(rng, sample)
    return result, sample, target.expansion(result, sample)


def energies(target, design):
    _, _, expansion = drawn(target, design)
    return dict(zip(expansion["degree"].tolist(), expansion["energy"].tolist(), strict=True))


def points_of(design, count, seed=9):
    return design.points(np.random.Generator(np.random.Philox(seed)), count)
