"""Six tiny families that the component contract has to carry, each in a few lines."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import (
    HasEigensystem,
    HasExactSpectrum,
    HasFlow,
    HasGradient,
    HasPredictions,
)
from testbed.contract.components import (
    Advance,
    Design,
    Eigensystem,
    Estimator,
    Metric,
    Model,
    Optimizer,
    Target,
    Variable,
)
from testbed.contract.facts import ModelFacts, OptimizerFacts
from testbed.contract.parameters import parameter
from testbed.contract.values import Sample, Spectrum
from testbed.numerics.integrate import begin, integrate
from testbed.numerics.trees import flatten, tree_map, unflatten


@frozen(kw_only=True)
class Sequence(Design):
    name = "tiny.sequence"
    n: int = parameter(100, help="sample size", role="sample_size")
    modes: int = 12

    def draw(self, rng):
        index, ones = np.arange(1.0, self.modes + 1), np.ones(self.modes)
        noise = rng("noise").standard_normal(self.modes) / np.sqrt(self.n)
        return Sample(index, ones, noise, 1 / self.n, index, ones, np.zeros(self.modes))


@frozen(kw_only=True)
class Sphere(Design):
    name = "tiny.sphere"
    n: int = parameter(24, help="points", role="sample_size")
    dim: int = 3

    def draw(self, rng):
        def points(role, count):
            x = rng(role).standard_normal((count, self.dim))
            return x / np.linalg.norm(x, axis=1, keepdims=True)

        noise = 0.1 * rng("noise").standard_normal(self.n)
        weight, test_weight = np.full(self.n, 1 / self.n), np.full(16, 1 / 16)
        x, test_x = points("inputs", self.n), points("test", 16)
        return Sample(x, weight, noise, 0.01 / self.n, test_x, test_weight, np.zeros(16))


@frozen(kw_only=True)
class Power(Target):
    name = "tiny.power"

    def values(self, drawn, x):
        return x**-1.0


@frozen(kw_only=True)
class Linear(Target):
    name = "tiny.linear"

    def values(self, drawn, x):
        return x[:, 0] + 0.5 * x[:, 1]


# --- models -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class Fixed(Model, HasFlow, HasExactSpectrum):
    """Fixed features on a sequence: closed form, one coordinate at a time."""

    name = "tiny.fixed"
    gamma: float = 1.5

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.x)

    def predict(self, prepared, params, probe):
        return params

    def gradient(self, prepared, params, problem, rows=None):
        return problem.train.x**-self.gamma * (params - problem.train.y)

    def flow(self, fit, last, since, times):
        rate = fit.problem.train.x**-self.gamma
        return torch.stack([-torch.expm1(-rate * t) * fit.problem.train.y for t in times])

    def spectrum(self, prepared, params, problem, kernel, points):
        data, outside = problem.train, problem.noise * 0
        return Spectrum(data.x**-self.gamma, data.truth, params, data.y, outside)


@frozen(kw_only=True)
class FixedBatch(Fixed):
    """The same, written with the replicate axis."""

    name = "tiny.fixed-batch"

    def facts(self):
        return ModelFacts(batching="batch")

    def flow(self, fit, last, since, times):
        rate = fit.problem.train.x**-self.gamma
        return torch.stack([-torch.expm1(-rate * t) * fit.problem.train.y for t in times], 1)


@frozen(kw_only=True)
class FixedLoop(Fixed):
    name = "tiny.fixed-loop"

    def facts(self):
        return ModelFacts(batching="loop")


@frozen(kw_only=True)
class Orthogonal(Model, HasExactSpectrum):
    """Reduced orthogonal sequence model: it has a spectrum, and no matrix to predict with."""

    name = "tiny.orthogonal"

    def withheld(self):
        return {HasPredictions: "tiny.orthogonal has no matrix to predict with"}

    def predict(self, prepared, params, probe):
        raise AssertionError("a model that withholds predictions is not asked for them")

    def start(self, drawn, prepared, problem):
        rate, data = problem.train.x**-1.0, problem.train
        return {"y": data.y, "d": rate.sqrt(), "a": 0 * rate, "truth": data.truth}

    def gradient(self, prepared, params, problem, rows=None):
        y, d, a, truth = (params[key] for key in ("y", "d", "a", "truth"))
        v = d * a

        def turn(u):  # −skew(y vᵀ) u
            return 0.5 * (v * (y @ u) - y * (v @ u))

        return {"y": -turn(y), "d": -a * (y - v), "a": -d * (y - v), "truth": -turn(truth)}

    def spectrum(self, prepared, params, problem, kernel, points):
        v = params["d"] * params["a"]
        return Spectrum(params["d"] ** 2, params["truth"], v, params["y"], problem.noise * 0)


@frozen(kw_only=True)
class Diagonal(Model):
    """θ = a b β, depth 1: autograd supplies the flow's right-hand side."""

    name = "tiny.diagonal"

    def start(self, drawn, prepared, problem):
        rate = problem.train.x**-1.5
        return {"a": rate.sqrt(), "b": 0.5 + 0 * rate, "beta": 0 * rate}

    def predict(self, prepared, params, probe):
        return params["a"] * params["b"] * params["beta"]


@frozen(kw_only=True)
class Kernel(Model, HasEigensystem):
    """Two-layer NTK on the sphere, prepared from the inputs alone."""

    name = "tiny.ntk"
    prepared_count: ClassVar[list[int]] = [0]

    def facts(self):
        return ModelFacts(reads="inputs", batching="loop")

    @staticmethod
    def gram_of(x, z):
        u = (x @ z.T).clamp(-1, 1)
        angle = (torch.pi - torch.acos(u)) / torch.pi
        return 2 * u * angle + torch.sqrt(1 - u * u) / torch.pi

    def prepare(self, drawn, problem):
        assert problem.train.y is None, "a model that reads inputs must not see y"
        self.prepared_count[0] += 1
        x = problem.train.x
        value, vectors = torch.linalg.eigh(self.gram_of(x, x) * problem.train.weight)
        return {"x": x, "value": value.clamp_min(0), "vectors": vectors}

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared, x):
        return self.gram_of(x, prepared["x"])

    def predict(self, prepared, params, probe):
        return probe @ params

    def eigensystem(self, prepared):
        value = prepared["value"]
        return Eigensystem(value, prepared["vectors"], 0 * value)


@frozen(kw_only=True)
class Net(Model):
    """Two-layer net under the NTK parameterization, paired neurons so that f₀ = 0."""

    name = "tiny.net"
    width: int = 32

    def draw(self, rng, problem):
        g = rng("model")
        w = g.standard_normal((self.width // 2, problem.train.x.shape[-1]))
        a = g.standard_normal(self.width // 2)
        return {"w": np.concatenate([w, w]), "a": np.concatenate([a, -a])}

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return torch.tanh(probe @ params["w"].mT) @ params["a"] / self.width**0.5


@frozen(kw_only=True)
class Linearised(Model):
    """A net at its initialisation as a model with fixed features."""

    name = "tiny.linearised"
    of: Net = Net()

    def draw(self, rng, problem):
        return self.of.draw(rng, problem)

    def start(self, drawn, prepared, problem):
        return tree_map(torch.zeros_like, drawn)

    def predict(self, prepared, params, probe):
        def predicted(params):
            return self.of.predict(None, params, probe)

        value, slope = torch.func.jvp(predicted, (prepared,), (params,))
        return value + slope


# --- optimizers -------------------------------------------------------------------------------


@frozen(kw_only=True)
class Exact(Optimizer):
    name = "tiny.exact"
    requires = (HasFlow,)

    def facts(self):
        return OptimizerFacts(batching="batch")

    def advance(self, fit, carry, since, times):
        params = fit.model.flow(fit, carry, since, times)
        return Advance(tree_map(lambda leaf: leaf[:, -1], params), params)


@frozen(kw_only=True)
class Numeric(Optimizer):
    name = "tiny.numeric"
    requires = (HasGradient,)

    def facts(self):
        return OptimizerFacts(batching="batch")

    def start(self, fit):
        return begin(flatten(fit.start))

    def advance(self, fit, carry, since, times):
        def field(flat):
            params = unflatten(fit.start, flat)
            return -flatten(fit.model.gradient(fit.prepared, params, fit.problem))

        path = integrate(field, carry, since, times, rtol=1e-9, atol=1e-12)
        return Advance(path.state, unflatten(fit.start, path.states))


@frozen(kw_only=True)
class Filter(Optimizer):
    """Ridge or flow on an eigensystem, written for one replicate."""

    name = "tiny.filter"
    requires = (HasEigensystem,)
    ridge: bool = True

    def advance(self, fit, carry, since, times):
        s, vectors, _, _ = fit.model.eigensystem(fit.prepared)
        t = torch.tensor(times, dtype=s.dtype)[:, None]
        phi = t / (1 + t * s) if self.ridge else -torch.expm1(-t * s) / s.clamp_min(1e-300)
        weighted = fit.problem.train.weight * fit.problem.train.y
        return Advance(carry, (phi * (weighted @ vectors)) @ vectors.mT)


@frozen(kw_only=True)
class Descent(Optimizer):
    """SGD, written for one replicate; `batch` 0 takes all rows."""

    name = "tiny.sgd"
    requires = (HasGradient,)
    rate: float = 0.1
    batch: int = 0

    def reached(self, times):
        return tuple(round(time / self.rate) * self.rate for time in times)

    def draw(self, rng, problem):
        if not self.batch:
            return None
        return rng("batches").integers(0, len(problem.train.y), (400, self.batch))

    def advance(self, fit, carry, since, times):
        out, params = [], carry
        for before, time in zip((since, *times[:-1]), times, strict=True):
            for step in range(round(before / self.rate), round(time / self.rate)):
                rows = fit.draws[step] if self.batch else None
                slope = fit.model.gradient(fit.prepared, params, fit.problem, rows)
                params = tree_map(lambda p, g: p - self.rate * g, params, slope)
            out.append(params)
        return Advance(params, tree_map(lambda *leaves: torch.stack(leaves), *out))


# --- metrics ----------------------------------------------------------------------------------


@frozen(kw_only=True)
class Risk(Metric):
    name = "tiny.risk"
    needs = (("predictions",), ("exact_spectrum",))
    variables: ClassVar = {"risk": Variable("excess risk")}

    def measure(self, problem, predictions=None, spectrum=None):
        if predictions is None:
            return {"risk": ((spectrum.estimate - spectrum.truth) ** 2).sum() + spectrum.outside}
        data = problem.test
        return {"risk": (data.weight * (predictions - data.truth) ** 2).sum()}


@frozen(kw_only=True)
class Gap(Metric):
    name = "tiny.gap"
    needs = ("predictions", "companion_predictions", "initial_predictions")
    variables: ClassVar = {
        "gap": Variable("distance of predictions"),
        "moved": Variable("distance from the start"),
    }
    to: Estimator | None = None

    def companion(self, estimator, estimators):
        return self.to

    def measure(self, problem, predictions, companion_predictions, initial_predictions):
        def size(values):
            return values.square().mean().sqrt()

        gap, moved = predictions - companion_predictions, predictions - initial_predictions
        return {"gap": size(gap), "moved": size(moved)}


@frozen(kw_only=True)
class Modes(Metric):
    name = "tiny.modes"
    needs = ("spectrum",)
    variables: ClassVar = {"eigenvalue": Variable("eigenvalue", ("mode",))}

    def coordinates(self, sizes):
        return {"mode": np.arange(1, sizes["modes"] + 1)}

    def measure(self, problem, spectrum):
        return {"eigenvalue": spectrum.eigenvalue}
