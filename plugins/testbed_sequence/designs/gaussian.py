"""The Gaussian sequence: indices instead of inputs."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import Design, Example, Rng, Sample, Space, parameter


@frozen(kw_only=True)
class GaussianSequence(Design):
    """z_j = θ*_j + ξ_j, ξ_j ~ N(0, ε²), ε² = σ²/n, j = 1 … J; loss ½‖z − θ‖².

    The noise of a longer sequence extends that of a shorter one, and n only scales it.
    """

    name = "sequence.gaussian"
    references = ("arXiv:2409.00894",)

    n: int = parameter(
        help="sample size: the noise of one coefficient is σ²/n", ge=1, role="sample_size"
    )
    modes: int = parameter(help="number J of coefficients", ge=1)
    noise: float = parameter(
        1.0, help="noise level σ; 0 gives noiseless sequences", ge=0, role="noise"
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"n": 100, "modes": 12},
                {"target": {"use": "sequence.power"}, "model": {"use": "sequence.fixed"}},
            ),
        )

    def draw(self, rng: Rng) -> Sample:
        index, ones = np.arange(1.0, self.modes + 1), np.ones(self.modes)
        noise = self.noise / np.sqrt(self.n) * rng("noise").standard_normal(self.modes)
        return Sample(
            x=index,
            weight=ones,
            noise=noise,
            variance=self.noise**2 / self.n,
            test_x=index,
            test_weight=ones,
            test_noise=np.zeros(self.modes),
        )

    def space(self) -> Space:
        return Space("sequence", self.modes)

    def sizes(self) -> dict[str, int]:
        return {"train": self.modes, "test": self.modes}
