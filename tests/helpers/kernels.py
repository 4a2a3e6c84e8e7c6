"""Kernels whose eigenvalues are known by heart, for tests of targets that need one."""

from __future__ import annotations

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import HasEigensystem, HasPopulationSpectrum
from testbed.contract.components import Advance, Eigensystem, Model, Optimizer, PopulationSpectrum
from testbed.contract.facts import ModelFacts, OptimizerFacts
from testbed.contract.parameters import parameter
from testbed_basics.targets.zonal import gegenbauer, multiplicity


@frozen(kw_only=True)
class Known(Model, HasEigensystem):
    """Base: k = Σ_k λ_k N_k P_k(⟨x, x'⟩) on the sphere, or its like on the torus."""

    def facts(self):
        return ModelFacts(reads="inputs", batching="loop")

    def gram_of(self, x, z):
        raise NotImplementedError

    def prepare(self, drawn, problem):
        return {"x": problem.train.x}

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared, x):
        return torch.from_numpy(self.gram_of(x.numpy(), prepared["x"].numpy()))

    def predict(self, prepared, params, probe):
        return probe @ params

    def eigensystem(self, prepared):
        gram = self.probe(prepared, prepared["x"])
        return Eigensystem(*torch.linalg.eigh(gram), torch.zeros(len(gram)))


@frozen(kw_only=True)
class SphereKernel(Known, HasPopulationSpectrum):
    """λ_k = (1 + k)^{−decay} for k < levels, on the sphere."""

    name = "known.sphere"

    decay: float = parameter(3.0, help="decay")
    levels: int = parameter(6, help="degrees")

    def population_spectrum(self, design):
        k = np.arange(float(self.levels))
        counts = np.array([multiplicity(design.dim, int(degree)) for degree in k])
        return PopulationSpectrum((1 + k) ** -self.decay, counts, k)

    def gram_of(self, x, z):
        dim, t = x.shape[1], x @ z.T
        return sum(
            (1.0 + k) ** -self.decay * multiplicity(dim, k) * p
            for k, p in enumerate(gegenbauer(t, dim, self.levels - 1))
        )


@frozen(kw_only=True)
class TorusKernel(Known, HasPopulationSpectrum):
    """λ_m = (1 + |m|²)^{−1} for |m_i| ≤ largest, on the torus."""

    name = "known.torus"

    largest: int = parameter(3, help="largest frequency")

    def _box(self, dim):
        axis = np.arange(-self.largest, self.largest + 1)
        return np.stack(np.meshgrid(*[axis] * dim), -1).reshape(-1, dim)

    def population_spectrum(self, design):
        shells, counts = np.unique((self._box(design.dim) ** 2).sum(1), return_counts=True)
        return PopulationSpectrum(1 / (1.0 + shells), counts.astype(float), shells.astype(float))

    def gram_of(self, x, z):
        box = self._box(x.shape[1])
        waves = np.exp(1j * np.pi * x @ box.T) / (1.0 + (box**2).sum(1))
        return np.ascontiguousarray((waves @ np.exp(-1j * np.pi * z @ box.T).T).real)


@frozen(kw_only=True)
class NoSpectrum(Known):
    """A kernel whose eigenvalues nobody has worked out."""

    name = "known.nothing"

    def gram_of(self, x, z):
        return np.exp(x @ z.T)


@frozen(kw_only=True)
class Rbf(Known):
    """exp(−0.005 ‖x − z‖²): for 64 standardised pixels."""

    name = "known.rbf"

    def gram_of(self, x, z):
        return np.exp(-0.005 * ((x[:, None] - z) ** 2).sum(-1))


@frozen(kw_only=True)
class Ridge(Optimizer):
    """α = t(tK + nI)^{−1} y by Cholesky, for any number of outputs."""

    name = "known.ridge"

    def facts(self):
        return OptimizerFacts(batching="loop")

    def advance(self, fit, carry, since, times):
        y = fit.problem.train.y
        gram, first = fit.model.probe(fit.prepared, fit.problem.train.x), torch.eye(len(y)).to(y)
        columns = y.reshape(len(y), -1)
        results = [
            t * torch.cholesky_solve(columns, torch.linalg.cholesky(t * gram + len(y) * first))
            for t in times
        ]
        return Advance(carry, torch.stack(results).reshape(len(times), *y.shape))
