"""Several outputs are several regressions with one factorisation."""

from __future__ import annotations

import numpy as np
import torch

from testbed.contract.capabilities import HasEigensystem
from testbed.contract.values import Data, Eigensystem, Fit, Problem
from testbed.numerics.spectral import by_eigensystem


class Model(HasEigensystem):
    """An eigensystem and nothing else."""

    def __init__(self, system):
        self.system = system

    def eigensystem(self, prepared):
        return self.system


def test_outputs_are_filtered_one_by_one():
    rng = np.random.Generator(np.random.Philox(4))
    vectors = torch.from_numpy(np.linalg.qr(rng.standard_normal((2, 5, 5)))[0])
    system = Eigensystem(torch.from_numpy(rng.random((2, 5))), vectors, torch.zeros(2, 5).double())
    y = torch.from_numpy(rng.standard_normal((2, 5, 3)))
    weight = torch.full((2, 5), 0.2, dtype=torch.float64)

    def path(labels):
        data = Data(None, labels, labels, weight)
        fit = Fit(Model(system), None, None, Problem(data, data, None, {}), None)
        return by_eigensystem(fit, "ridge", [1.0, 10.0])

    together = path(y)
    assert together.shape == (2, 2, 5, 3)
    for output in range(3):
        torch.testing.assert_close(together[..., output], path(y[..., output]))
