"""The only place where randomness starts.

A stream is keyed by (scenario seed, role, replicate) and by nothing else: estimators that ask for
the same role see the same numbers, so their differences are paired; neither the number of workers
nor the order of cells can matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from testbed.errors import one_of

ROLES = ("inputs", "test", "noise", "target", "model", "batches")
_CHOICE, _DECLARED = len(ROLES), len(ROLES) + 1  # beyond the positions of the roles


class Streams:
    """`rng(role)` for one replicate.

    Rows drawn one after another from one stream do not depend on how many follow, so the first 100
    samples of a replicate are the same whether n is 100 or 1000. With `shared_inputs` every
    replicate draws the inputs of replicate 0, and its own noise.

    A component may declare further streams by name (`facts().streams`); each has numbers of its
    own, whatever else is declared.

    >>> rng = Streams(seed=1, replicate=0)
    >>> bool((rng("noise").standard_normal(5) == rng("noise").standard_normal(9)[:5]).all())
    True
    >>> int(rng.declaring(["langevin"])("langevin").integers(1000))
    132
    """

    def __init__(
        self,
        seed: int,
        replicate: int,
        shared_inputs: bool = False,
        declared: Iterable[str] = (),
    ):
        self._seed, self._replicate, self._shared_inputs = seed, replicate, shared_inputs
        self._declared = tuple(declared)

    def declaring(self, names: Iterable[str]) -> Streams:
        """The same streams, and those that a component declares."""
        return Streams(self._seed, self._replicate, self._shared_inputs, names)

    def __call__(self, role: str) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self._entropy(role))))

    def _entropy(self, role: str) -> tuple[int, ...]:
        if role in ROLES:
            shared = self._shared_inputs and role in ("inputs", "test")
            return self._seed, ROLES.index(role), 0 if shared else self._replicate
        if role in self._declared:
            return self._seed, _DECLARED, self._replicate, _number(role)
        expected = one_of((*ROLES, *self._declared), role)
        raise ValueError(
            f"found the random stream {role!r}, expected {expected}; a component names further "
            "streams in its facts: streams = (…,)"
        )


def _number(name: str) -> int:
    """A name as 64 bits."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def choice_stream(seed: int) -> np.random.Generator:
    """The stream that chooses which cells of a sweep are simulated (`simulate = 0.1`)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _CHOICE))))
