"""The only place where randomness starts.

A stream is keyed by (scenario seed, role, replicate) and by nothing else: estimators that ask for
the same role see the same numbers, so their differences are paired; neither the number of workers
nor the order of cells can matter.
"""

from __future__ import annotations

import numpy as np

ROLES = ("inputs", "test", "noise", "target", "model", "batches")


class Streams:
    """`rng(role)` for one replicate.

    Rows drawn one after another from one stream do not depend on how many follow, so the first 100
    samples of a replicate are the same whether n is 100 or 1000. With `shared_inputs` every
    replicate draws the inputs of replicate 0, and its own noise.

    >>> rng = Streams(seed=1, replicate=0)
    >>> bool((rng("noise").standard_normal(5) == rng("noise").standard_normal(9)[:5]).all())
    True
    """

    def __init__(self, seed: int, replicate: int, shared_inputs: bool = False):
        self._seed, self._replicate, self._shared_inputs = seed, replicate, shared_inputs

    def __call__(self, role: str) -> np.random.Generator:
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r}, expected one of {', '.join(ROLES)}")
        shared = self._shared_inputs and role in ("inputs", "test")
        entropy = (self._seed, ROLES.index(role), 0 if shared else self._replicate)
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def choice_stream(seed: int) -> np.random.Generator:
    """The stream that chooses which cells of a sweep are simulated (`simulate = 0.1`)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, len(ROLES)))))
