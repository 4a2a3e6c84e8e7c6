"""Random designs: independent points of a known law in dimension d."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import Design, Example, ParameterError, Rng, Sample, Space, parameter


@frozen(kw_only=True)
class RandomPoints(Design):
    """Base of the random designs: n independent points and y = f*(x) + σξ, ξ ~ N(0, 1); no
    scenario can name it. The loss is (1/2n) Σ(y − f(x))².

    Rows are drawn one after another, and the test sample has its own streams of points and noise,
    so that a larger sample of either kind extends a smaller one.
    """

    dim: int = parameter(help="dimension d of the inputs", ge=1)
    n: int | None = parameter(
        None, help="number of training points; or give gamma", ge=1, role="sample_size"
    )
    gamma: float | None = parameter(None, help="n = round(dim^gamma), instead of n", gt=0)
    n_test: int = parameter(1000, help="number of test points; 0 for none", ge=0)
    noise: float = parameter(0.0, help="noise level σ of an observation", ge=0, role="noise")

    def __attrs_post_init__(self) -> None:
        if (self.n is None) == (self.gamma is None):
            both = "neither n nor gamma" if self.n is None else "both n and gamma"
            raise ParameterError(f"found {both}", "exactly one of them")

    @property
    def size(self) -> int:
        """The number n of training points."""
        if self.n is not None:
            return self.n
        assert self.gamma is not None  # checked when the design was made
        return round(self.dim**self.gamma)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        """`count` independent points, (count, dim)."""
        raise NotImplementedError

    def draw(self, rng: Rng) -> Sample:
        n, m = self.size, self.n_test
        noise = rng("noise")
        (test_noise,) = noise.spawn(1)
        return Sample(
            x=self.points(rng("inputs"), n),
            weight=np.full(n, 1 / n),
            noise=self.noise * noise.standard_normal(n),
            variance=self.noise**2 / n,
            test_x=self.points(rng("test"), m),
            test_weight=np.full(m, 1 / max(m, 1)),
            test_noise=self.noise * test_noise.standard_normal(m),
        )

    def sizes(self) -> dict[str, int]:
        return {"train": self.size, "test": self.n_test}


@frozen(kw_only=True)
class Sphere(RandomPoints):
    """Uniform on the unit sphere S^{d−1}."""

    name = "sphere"

    dim: int = parameter(help="dimension d of the space around the sphere S^{d−1}", ge=2)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"dim": 3, "n": 12, "n_test": 8, "noise": 0.1}),)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        x = generator.standard_normal((count, self.dim))
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def space(self) -> Space:
        return Space("sphere", self.dim, "uniform")


@frozen(kw_only=True)
class Gaussian(RandomPoints):
    """N(0, s²I), s the scale."""

    name = "gaussian"

    scale: float = parameter(1.0, help="standard deviation s of each coordinate", gt=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"dim": 2, "n": 12, "n_test": 8, "noise": 0.1}),)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return self.scale * generator.standard_normal((count, self.dim))

    def space(self) -> Space:
        return Space("euclidean", self.dim, "gaussian", self.scale)


@frozen(kw_only=True)
class AnisotropicGaussian(RandomPoints):
    """N(0, s² diag(j^{−decay})), s the scale: coordinates whose variances fall like a power."""

    name = "anisotropic-gaussian"

    decay: float = parameter(1.0, help="variances s²·j^{−decay} of the coordinates j", ge=0)
    scale: float = parameter(1.0, help="standard deviation s of the first coordinate", gt=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"dim": 2, "n": 12, "n_test": 8, "noise": 0.1}),)

    @property
    def variances(self) -> np.ndarray:
        """The variance of each coordinate, (dim,)."""
        variances: np.ndarray = self.scale**2 * np.arange(1.0, self.dim + 1) ** -self.decay
        return variances

    def space(self) -> Space:
        variances = tuple(self.variances.tolist())
        return Space("euclidean", self.dim, "anisotropic gaussian", self.scale, variances)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return generator.standard_normal((count, self.dim)) * np.sqrt(self.variances)


@frozen(kw_only=True)
class Torus(RandomPoints):
    """Uniform on [−1, 1)^d with opposite faces identified."""

    name = "torus"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"dim": 2, "n": 12, "n_test": 8, "noise": 0.1}),)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return generator.uniform(-1.0, 1.0, (count, self.dim))

    def space(self) -> Space:
        return Space("torus", self.dim, "uniform")


@frozen(kw_only=True)
class Hypercube(RandomPoints):
    """Uniform on {−1, 1}^d."""

    name = "hypercube"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"dim": 3, "n": 12, "n_test": 8, "noise": 0.1}),)

    def points(self, generator: np.random.Generator, count: int) -> np.ndarray:
        return np.where(generator.random((count, self.dim)) < 0.5, -1.0, 1.0)

    def space(self) -> Space:
        return Space("hypercube", self.dim, "uniform")
