"""A random function of a kernel's own space."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import (
    POINTS,
    Data,
    Example,
    HasEigensystem,
    HasPopulationSpectrum,
    Mistake,
    Model,
    Problem,
    Rng,
    Sample,
    Space,
    Target,
    UnsuitableError,
    has,
    inner_misfit,
    lack,
    parameter,
)
from testbed_basics.designs.points import RandomPoints
from testbed_basics.targets.inputs import Expansion, expansion_of, law, width
from testbed_basics.targets.lattice import frequencies_of
from testbed_basics.targets.zonal import gegenbauer, multiplicity

Drawn = dict[str, np.ndarray]


@frozen(kw_only=True)
class KernelFunction(Target):
    """f* = Σ_i α_i k(c_i, ·) with Gaussian α, scaled to ‖f*‖_H = `norm`.

    The centres c_i are drawn from the design's law; on a data set they are the first training
    inputs. On sphere and torus the energy by degree follows from the kernel's eigenvalues.
    """

    name = "kernel-function"

    kernel: Model = parameter(
        help='the kernel: a table with use, or "estimator:NAME"', role="truth_kernel"
    )
    centres: int = parameter(20, help="number of centres c_i", ge=1)
    norm: float = parameter(1.0, help="norm ‖f*‖_H in the kernel's space", gt=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"kernel": {"use": "ntk.relu"}}, {"design": {"use": "sphere"}}),)

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        mistake = self.kind_misfit(space) or inner_misfit(self.kernel, space, "kernel")
        if mistake or space.kind != "data" or space.design is None:
            return mistake
        count = space.design.sizes()["train"]
        if self.centres <= count:
            return None
        text = f"found {self.centres} centres among {count} training points"
        return Mistake("centres", text, f"at most {count}", "lower centres, or raise n")

    def draw(self, rng: Rng, sample: Sample) -> Drawn:
        reason = lack(self.kernel, HasEigensystem)
        if reason:
            raise UnsuitableError(
                f"kernel-function: found a model that is no fixed kernel ({reason}), expected one"
            )
        generator, design = rng("target"), sample.design
        if isinstance(design, RandomPoints):
            centres = design.points(generator, self.centres)
        elif len(sample.x) < self.centres:
            raise UnsuitableError(
                f"kernel-function: found {len(sample.x)} training inputs, expected at least as "
                f"many as the {self.centres} centres; lower centres"
            )
        else:
            centres = sample.x[: self.centres]
        alpha = generator.standard_normal(self.centres)
        square = alpha @ self._sum(centres, alpha, centres)
        if not square > 0:
            raise UnsuitableError(
                f"kernel-function: found αᵀKα = {square:.3g} at the centres, expected it above 0; "
                f"{self.kernel.name} is not positive definite"
            )
        return {"centres": centres, "alpha": alpha * (self.norm / np.sqrt(square))}

    def _sum(self, centres: np.ndarray, alpha: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Σ_i α_i k(c_i, x): the model predicts with α as its dual coefficients, (n,)."""
        import torch

        from testbed import Single

        model, points = Single(self.kernel), torch.from_numpy(np.ascontiguousarray(centres))
        data = Data(
            points, None, None, torch.full((len(points),), 1 / len(points), dtype=points.dtype)
        )
        with torch.no_grad():
            prepared = model.prepare(
                None, Problem(data, data, torch.zeros((), dtype=points.dtype), {})
            )
            probe = model.probe(prepared, torch.from_numpy(np.ascontiguousarray(x)))
            values = model.predict(prepared, torch.from_numpy(alpha), probe)
        return np.asarray(values.numpy(), dtype=np.float64)

    def values(self, drawn: Drawn, x: np.ndarray) -> np.ndarray:
        return self._sum(drawn["centres"], drawn["alpha"], x)

    def expansion(self, drawn: Drawn, sample: Sample) -> Expansion:
        """E_k = λ_k² αᵀ(Σ_j e_kj e_kjᵀ)α, e_kj the eigenfunctions of degree k at the centres."""
        if law(sample) not in ("sphere", "torus"):
            return {}
        if sample.design is None or not has(self.kernel, HasPopulationSpectrum):
            return {}
        try:
            spectrum = self.kernel.population_spectrum(sample.design)
        except UnsuitableError:
            return {}
        dim, alpha = width(sample, self.name), drawn["alpha"]
        if law(sample) == "torus":
            half, shell = frequencies_of(spectrum, dim)
            sums = np.exp(1j * np.pi * half @ drawn["centres"].T) @ alpha
            squares = np.bincount(shell, np.abs(sums) ** 2 * np.where(shell == 0, 1.0, 2.0))
            squares = squares[spectrum.degree.astype(int)]
        else:
            overlaps = np.clip(drawn["centres"] @ drawn["centres"].T, -1, 1)
            squares = np.array(
                [
                    multiplicity(dim, k) * (alpha @ p @ alpha)
                    for k, p in enumerate(gegenbauer(overlaps, dim, int(spectrum.degree[-1])))
                ]
            )
        energy = spectrum.eigenvalue**2 * squares.clip(min=0)
        return expansion_of(dict(zip(spectrum.degree.tolist(), energy.tolist(), strict=True)))
