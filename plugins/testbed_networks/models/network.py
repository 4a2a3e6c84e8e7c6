"""The shared parts of all networks: batches, kernels of a state and their spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch
from attrs import evolve, frozen

from testbed import (
    POINTS,
    HasBasis,
    HasGram,
    HasSpectrum,
    HasTrainedNumbers,
    Model,
    ModelFacts,
    ParameterError,
    Problem,
    Rng,
    Space,
    Spectrum,
    UnsuitableError,
    batch_of,
    parameter,
)
from testbed.numerics.jacobians import jacobian_kernel
from testbed.numerics.spectra import eigenpairs, empirical_spectrum
from testbed.numerics.trees import index, tree_map
from testbed_networks.numerics.activations import ACTIVATIONS, activation

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"
GROUP_FLOATS = 2**24  # activations of one layer held at a time


@frozen(kw_only=True)
class Network(Model, HasSpectrum, HasBasis, HasGram, HasTrainedNumbers):
    """Base of all networks, written with the replicate axis; no scenario can name it.

    Loss ½ Σ weight·(y − f)², summed over outputs where there are several. `gradient` is the
    direction of descent on the clock τ; it includes the factor m^{2κ−1}, and so does the sharpness.
    The kernels of a state govern training on that clock: ∂_τ f = −Θ (weight∘(f − y)), Θ the
    "tangent" kernel; "features" is the part of the last layer, Φ_η(x)ᵀΦ_η(x') with the last hidden
    layer as Φ_η. Several outputs share the features, and their tangent kernel is the mean over the
    outputs.
    """

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="batch", time_batching="loop")

    def trained_numbers(self, space: Space) -> float | None:
        """The count for one hidden layer and a readout; deeper networks add their square layers."""
        return None if space.dim is None else float(self.width) * (space.dim + 1)

    # --- methods of subclasses ----------------------------------------------------------------

    @property
    def width(self) -> int:
        """Neurons of a layer, for the size of temporaries."""
        raise NotImplementedError

    @property
    def step(self) -> float:
        """The factor m^{2κ−1} of the steps on the clock τ."""
        return 1.0

    def trained(self, params: Params) -> Sequence[str]:
        """Names of the parameters that move."""
        return tuple(params)

    def function(self, params: Params, x: Tensor) -> Tensor:
        """f(x), (R, n) or (R, n, outputs)."""
        raise NotImplementedError

    def slope(self, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
        """∇ ½ Σ weight·(y − f)² times the factor of the clock."""
        raise NotImplementedError

    def kernel(self, params: Params, x: Tensor, second: Tensor | None, kernel: str) -> Tensor:
        """The features' or the tangent kernel of one replicate between x and `second`, (n, n');
        between x and x if `second` is None."""
        raise NotImplementedError

    # --- the contract of models ---------------------------------------------------------------

    defined_on = POINTS

    def prepare(self, drawn: Any, problem: Problem) -> Params:
        return {"x": problem.train.x, "root": problem.train.weight.sqrt()}

    def start(self, drawn: Params, prepared: Any, problem: Problem) -> Params:
        self.expect_vectors(problem, batched=True)
        return drawn

    def expect_vectors(self, problem: Problem, batched: bool) -> None:
        """UnsuitableError unless inputs are vectors."""
        x = problem.train.x
        if x.ndim != 2 + batched:
            raise UnsuitableError(
                f"{self.name}: found inputs of shape {tuple(x.shape[batched:])}, expected vectors "
                "(n, d); choose a design of points"
            )

    def predict(self, prepared: Any, params: Params, probe: Tensor) -> Tensor:
        return self._grouped(self.function, params, probe)

    def gradient(
        self, prepared: Any, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        data = batch_of(problem.train, rows)
        slope: Params = self._grouped(self.slope, params, data.x, data.y, data.weight)
        return slope

    def gram(self, prepared: Any, params: Params, x: Tensor, kernel: str) -> Tensor:
        return self.cross(params, x, None, kernel)

    def cross(self, params: Params, x: Tensor, second: Tensor | None, kernel: str) -> Tensor:
        """`kernel` of every replicate, one by one: (R, n, n')."""
        rows = range(x.shape[0])
        points = [None if second is None else second[row] for row in rows]
        parts = [self.kernel(index(params, row), x[row], points[row], kernel) for row in rows]
        return torch.stack(parts)

    def jacobian_cross(self, params: Params, x: Tensor, second: Tensor | None) -> Tensor:
        """The tangent kernel of every replicate for each pair of outputs, by Jacobians:
        (R, n, n', outputs, outputs)."""
        parts = []
        for row in range(x.shape[0]):
            replicate = index(params, row)
            points = None if second is None else second[row]
            moved = {leaf: replicate[leaf] for leaf in self.trained(replicate)}
            parts.append(jacobian_kernel(self._function_of(replicate), moved, x[row], points))
        return self.step * torch.stack(parts)

    def _function_of(self, params: Params) -> Callable[[Params, Tensor], Tensor]:
        """f of one replicate as a function of the parameters that move; the others stay fixed."""

        def function(moved: Params, x: Tensor) -> Tensor:
            batched = {leaf: value.unsqueeze(0) for leaf, value in {**params, **moved}.items()}
            return self.function(batched, x.unsqueeze(0)).squeeze(0)

        return function

    def spectrum(
        self, prepared: Any, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data = problem.train if points == "train" else problem.test
        value, vectors = eigenpairs(self.gram(prepared, params, data.x, kernel), data.weight.sqrt())
        return empirical_spectrum(value, vectors, data, self.predict(prepared, params, data.x))

    def basis(self, prepared: Any, params: Params) -> Tensor:
        """Eigenvectors of the features' kernel on the training points, (R, n, n)."""
        gram = self.gram(prepared, params, prepared["x"], "features")
        return eigenpairs(gram, prepared["root"])[1]

    def _grouped(self, function: Callable[..., Any], params: Params, *data: Tensor) -> Any:
        """`function` on as many replicates at a time as keep a layer's activations in bounds."""
        replicates, points = data[0].shape[:2]
        size = max(1, GROUP_FLOATS // (points * self.width))
        if size >= replicates:
            return function(params, *data)
        slices = [slice(start, start + size) for start in range(0, replicates, size)]
        arguments = (params, *data)
        parts = [
            function(*tree_map(lambda leaf, rows=rows: leaf[rows], arguments)) for rows in slices
        ]
        return tree_map(lambda *leaves: torch.cat(leaves), *parts)


@frozen(kw_only=True)
class ActivatedNetwork(Network):
    """Base of networks with a width and an activation; not offered itself."""

    references: ClassVar[tuple[str, ...]] = ("arXiv:1806.07572", "arXiv:1804.06561")

    width: int = parameter(help="neurons m of each hidden layer", ge=1)
    activation: str = parameter(
        "relu", help="activation σ of the hidden layers", choices=sorted(ACTIVATIONS)
    )
    bias: bool = parameter(False, help="biases in the hidden layers, random at the start")
    symmetric: bool = parameter(
        False, help="neurons of the last hidden layer in pairs of opposite output, so that f₀ = 0"
    )

    def __attrs_post_init__(self) -> None:
        if self.symmetric and self.width % 2:
            raise ParameterError(
                f"found {self.width}",
                "an even number: symmetric initialisation pairs the neurons",
                parameter="width",
            )

    def facts(self) -> ModelFacts:
        """The model is smooth if its activation is; adaptive integration of the flow needs that."""
        return evolve(super().facts(), smooth=activation(self.activation).smooth)

    @property
    def distinct(self) -> int:
        """Neurons of the last hidden layer that are drawn; the others are their twins."""
        return self.width // 2 if self.symmetric else self.width

    def twinned(self, drawn: np.ndarray, sign: float = 1.0) -> np.ndarray:
        """The last hidden layer's rows, followed by those of the twins."""
        return np.concatenate([drawn, sign * drawn]) if self.symmetric else drawn

    def draw(self, rng: Rng, problem: Problem) -> dict[str, np.ndarray]:
        """Standard normal parameters, neuron by neuron: a wider network of one hidden layer
        extends a narrower one."""
        self.expect_vectors(problem, batched=False)
        return self.initial(rng("model"), int(problem.train.x.shape[-1]), outputs_of(problem))

    def initial(
        self, generator: np.random.Generator, dim: int, outputs: tuple[int, ...]
    ) -> dict[str, np.ndarray]:
        """The initial parameters for inputs of this dimension, and () or (count,) outputs."""
        raise NotImplementedError


def outputs_of(problem: Problem) -> tuple[int, ...]:
    """() for one output, (count,) for several, of one replicate; () where y is not shown."""
    y = problem.train.y
    return () if y is None else tuple(y.shape[1:])
