"""Data for kernel regression: points of a cube with a truth of one output or two."""

from __future__ import annotations

import numpy as np
import torch
from attrs import frozen

from testbed.contract.components import Design, Target
from testbed.contract.values import Data, Fit, Problem, Sample


@frozen(kw_only=True)
class Cube(Design):
    """Uniform on the cube [−1, 1)^d."""

    name = "tests.cube"
    n: int = 40
    dim: int = 2
    spoiled: bool = False

    def draw(self, rng):
        x = rng("inputs").uniform(-1, 1, (self.n, self.dim))
        x[3, 1] = np.nan if self.spoiled else x[3, 1]
        test = rng("test").uniform(-1, 1, (30, self.dim))
        noise = 0.1 * rng("noise").standard_normal(self.n)
        weight, tested = np.full(self.n, 1 / self.n), np.full(30, 1 / 30)
        return Sample(x, weight, noise, 0.01 / self.n, test, tested, np.zeros(30))


@frozen(kw_only=True)
class Waves(Target):
    """Two outputs."""

    name = "tests.waves"
    outputs: int = 1

    def values(self, drawn, x):
        first = np.sin(2 * x[:, 0]) + x[:, 1]
        return first if self.outputs == 1 else np.stack([first, np.cos(x[:, 0])], 1)

    def problem(self, drawn, sample):
        if self.outputs == 1:
            return super().problem(drawn, sample)
        noise = np.stack([sample.noise, -sample.noise], 1)
        double = sample._replace(noise=noise, test_noise=np.zeros((30, 2)))
        return super().problem(drawn, double)


def fitted(model, n: int = 60, outputs: int = 1, dim: int = 3) -> tuple[Fit, Problem]:
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.standard_normal((n, dim)))
    truth = torch.from_numpy(rng.standard_normal((n, outputs))).squeeze(-1)
    y = truth + 0.1
    weight = torch.full((n,), 1 / n, dtype=torch.float64)
    data = Data(x, y, truth, weight)
    problem = Problem(data, data, torch.tensor(0.0), {})
    prepared = model.prepare(None, problem)
    return Fit(model, prepared, model.start(None, prepared, problem), problem, None), problem
