"""A distribution of twelve parts, written on the layers of testbed with its public names alone."""

import numpy as np
import torch
from attrs import frozen
from sklearn.metrics.pairwise import pairwise_kernels
from torch import nn

import testbed
from testbed import Finding, OptimizerFacts, Sample, UnsuitableError, Variable, parameter
from testbed.numerics.trees import tree_map

METRICS = ("rbf", "laplacian", "linear")


@frozen(kw_only=True)
class Perceptron(testbed.TorchModule):
    """A three-layer perceptron with LayerNorm."""

    name = "stranger.mlp"
    width: int = parameter(default=16, help="width of the hidden layers", ge=1)

    def module(self, dim, outputs):
        m, sizes = self.width, (dim, self.width)
        hidden = [(nn.Linear(size, m), nn.LayerNorm(m), nn.Tanh()) for size in sizes]
        return nn.Sequential(*hidden[0], *hidden[1], nn.Linear(m, outputs))


@frozen(kw_only=True)
class KernelRidge(testbed.KernelModel):
    """Regression with the kernels of scikit-learn; ridge n/t for K."""

    name = "stranger.krr"
    metric: str = parameter("rbf", help="kernel of scikit-learn", choices=METRICS, alias="kernel")
    gamma: float = parameter(default=0.5, help="inverse squared length", gt=0)

    def kernel(self, x, z):
        options = {} if self.metric == "linear" else {"gamma": self.gamma}
        return torch.from_numpy(pairwise_kernels(x, z, metric=self.metric, **options))


@frozen(kw_only=True)
class SignDescent(testbed.StepOptimizer):
    """θ ← θ − η sign ∇L."""

    name = "stranger.sign"

    def facts(self):
        return OptimizerFacts(clock="own")

    def step(self, params, memory, now):
        slope = now.gradient(params)
        return tree_map(lambda w, g: w - self.learning_rate * g.sign(), params, slope), memory


@frozen(kw_only=True)
class Nesterov(testbed.StepOptimizer):
    """Nesterov's accelerated gradient, momentum k/(k + 3)."""

    name = "stranger.nesterov"

    def facts(self):
        return OptimizerFacts(clock="own")

    def init(self, params):
        return params

    def step(self, params, ahead, now):
        share = (now.number - 1) / (now.number + 2)
        moved = tree_map(lambda y, g: y - self.learning_rate * g, ahead, now.gradient(ahead))
        return moved, tree_map(lambda new, old: new + share * (new - old), moved, params)


@frozen(kw_only=True)
class Langevin(testbed.StepOptimizer):
    """θ ← θ − η∇L + √(2ηT) ξ, fresh ξ at each step."""

    name = "stranger.langevin"
    temperature: float = parameter(default=1e-3, help="temperature T", ge=0)

    def facts(self):
        return OptimizerFacts(batching="batch", streams=("stranger.noise",))

    def step(self, params, memory, now):
        rate, scale = self.learning_rate, (2 * self.learning_rate * self.temperature) ** 0.5
        slope, noise = now.gradient(params), now.normal("stranger.noise", like=params)
        return tree_map(lambda w, g, xi: w - rate * g + scale * xi, params, slope, noise), memory


@frozen(kw_only=True)
class Staircase(testbed.Target):
    """x₁ + x₁x₂ + … + x₁⋯x_leaps."""

    name = "stranger.staircase"
    leaps: int = parameter(default=3, help="number of stairs", ge=1)

    def values(self, drawn, x):
        if x.ndim != 2 or x.shape[1] < self.leaps:
            raise UnsuitableError(f"found inputs {x.shape}", f"at least {self.leaps} coordinates")
        return np.cumprod(x[:, : self.leaps], axis=1).sum(1)


@frozen(kw_only=True)
class Spiked(testbed.Design):
    """N(0, I + s·vvᵀ), v a random direction of each replicate."""

    name = "stranger.spiked"
    n: int = parameter(help="training points", ge=1, role="sample_size")
    n_test: int = parameter(default=500, help="test points", ge=1)
    dim: int = parameter(help="dimension", ge=1)
    spike: float = parameter(default=3.0, help="size s of the spike", ge=0)
    noise: float = parameter(default=0.0, help="noise level", ge=0, role="noise")

    def sizes(self):
        return {"train": self.n, "test": self.n_test}

    def draw(self, rng):
        inputs, noise = rng("inputs"), rng("noise")
        v = inputs.standard_normal(self.dim)
        v /= np.linalg.norm(v)

        def points(generator, count):
            z = generator.standard_normal((count, self.dim))
            return z + (np.sqrt(1 + self.spike) - 1) * np.outer(z @ v, v)

        def part(points, noise):
            count = len(points)
            return points, np.full(count, 1 / count), self.noise * noise.standard_normal(count)

        x, weight, train = part(points(inputs, self.n), noise)
        test = part(points(rng("test"), self.n_test), noise.spawn(1)[0])
        return Sample(x, weight, train, self.noise**2 / self.n, *test)


@frozen(kw_only=True)
class EffectiveDimension(testbed.Metric):
    """N(λ) = tr K(K + nλ)⁻¹ for several ridges λ."""

    name = "stranger.effective-dimension"
    needs = ("gram",)
    variables = {"effective_dimension": Variable("effective dimension", dims=("ridge_of_metric",))}

    kernel: str = parameter(default="tangent", help="which kernel", role="kernel")
    points: str = parameter(default="train", help="which points", role="points")
    ridges: tuple[float, ...] = parameter(default=(1e-3, 1e-2, 1e-1), help="ridges λ")

    def coordinates(self, sizes):
        return {"ridge_of_metric": np.array(self.ridges)}

    def measure(self, problem, gram):
        s = torch.linalg.eigvalsh(gram / gram.shape[-1])
        ridges = gram.new_tensor(self.ridges)
        return {"effective_dimension": (s / (s + ridges[:, None])).sum(-1)}


@frozen(kw_only=True)
class ProportionalRidge(testbed.Theory):
    """Limit of the excess risk of linear ridge regression, n, d → ∞ with d/n fixed."""

    name = "stranger.proportional-ridge"
    variables = {"excess_risk": Variable("limit of the excess risk", predicts="excess_risk")}

    def predict(self, cell, times, problem=None):
        space = testbed.space_of(cell.design)
        reason = testbed.lacks_in_expansion(cell.target, cell.design, "coefficients")
        ridge = testbed.declared(cell.optimizer, testbed.IsSpectral).algorithm().name == "ridge"
        linear = isinstance(cell.model, KernelRidge) and cell.model.metric == "linear"
        if reason or space.population != "gaussian" or not (ridge and linear):
            raise testbed.DoesNotApply("it predicts linear ridge regression on Gaussian points")
        d, n = space.dim, testbed.sample_size(cell.design)
        sigma2 = testbed.value_with(cell.design, "noise", 0.0) ** 2
        r2 = (testbed.drawn_expansion(cell.target, cell.design)["coefficients"] ** 2).sum()
        g, lam = d / n, 1 / np.asarray(times, dtype=float)

        def m(z):
            root = np.sqrt((1 - g - z) ** 2 - 4 * g * z)
            return (1 - g - z - root) / (2 * g * z)

        h = 1e-5 * lam
        slope = (m(-lam + h) - m(-lam - h)) / (2 * h)
        return {"excess_risk": r2 * lam**2 * slope + sigma2 * g * (m(-lam) - lam * slope)}


@testbed.hookimpl
def testbed_check_results(plan, tree):
    results = []
    for name in (name for name in tree.children if "effective_dimension" in tree[name]):
        measured = testbed.over_replicates(tree[name].to_dataset(), "effective_dimension")
        if place := testbed.worst_place(measured.max("time"), limit=10.0):
            words = {
                "observation": "the effective dimension is above 10",
                "advice": "raise the ridge",
            }
            words |= {"check": "stranger-saturated", "variable": "effective_dimension"}
            results.append(Finding(estimator=name, **words, **place.named()))
    return results


testbed_designs = testbed.hookimpl(lambda: [Spiked])
testbed_targets = testbed.hookimpl(lambda: [Staircase])
testbed_models = testbed.hookimpl(lambda: [Perceptron, KernelRidge])
testbed_optimizers = testbed.hookimpl(lambda: [SignDescent, Nesterov, Langevin])
testbed_metrics = testbed.hookimpl(lambda: [EffectiveDimension])
testbed_theories = testbed.hookimpl(lambda: [ProportionalRidge])
testbed_run_started = testbed.hookimpl(lambda folder: print(f"STRANGER started {folder}"))
testbed_run_finished = testbed.hookimpl(lambda folder: print(f"STRANGER finished {folder}"))
