"""A torch.nn.Module as a model: one method that returns it."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import HasGram
from testbed.contract.components import Model, Rng
from testbed.contract.spaces import POINTS
from testbed.contract.values import Problem
from testbed.errors import UnsuitableError
from testbed.numerics.jacobians import jacobian_kernel

if TYPE_CHECKING:
    from torch import Tensor, nn

Params: TypeAlias = "Mapping[str, Tensor]"


class Drawn(TypedDict):
    """A module's numbers at the start, by name."""

    moving: dict[str, np.ndarray]  # parameters that are trained
    still: dict[str, np.ndarray]  # buffers, and parameters without requires_grad
    outputs: int  # 0 where observations are (n,) and not (n, outputs)


class Prepared(TypedDict):
    """The parts that stay fixed while a module trains."""

    still: Params
    outputs: int


@frozen(kw_only=True)
class TorchModule(Model, HasGram):
    """f(x) = module(x), trained in all parameters that require a gradient.

    A subclass writes `module`. It is built once per replicate, and every random number of its
    initialisation comes from `rng("model")` in float64; torch's global generator is not used. Its
    forward pass must be a pure function of one point at a time: dropout, batch normalisation and
    other layers that draw numbers, mix points or change buffers are refused with the layer's name.
    Constant buffers are kept. Inputs come in their own shape, one row a point.
    """

    defined_on = POINTS

    @abstractmethod
    def module(self, dim: int, outputs: int) -> nn.Module:
        """A new module that maps (n, dim) to (n, outputs), or to (n,) where outputs is 1."""

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        x, y = problem.train.x, problem.train.y
        if x.ndim < 2:
            raise UnsuitableError(
                f"{self.name}: found inputs that are indices, expected points of shape (n, …); "
                "choose a design of points"
            )
        outputs = int(y.shape[1]) if y.ndim > 1 else 0
        dim = x[0].numel()
        net = _built(self, dim, outputs, rng("model"))
        _expect_pure(self, net, x[:2].detach().cpu().double(), outputs)
        _skeleton(self, dim, outputs)
        moving = {name: leaf for name, leaf in net.named_parameters() if leaf.requires_grad}
        every = {**dict(net.named_parameters()), **dict(net.named_buffers())}
        still = {name: leaf for name, leaf in every.items() if name not in moving}
        return {"moving": _arrays(moving), "still": _arrays(still), "outputs": outputs}

    def prepare(self, drawn: Drawn, problem: Problem) -> Prepared:
        return {"still": _tensors(drawn["still"]), "outputs": drawn["outputs"]}

    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Params:
        return _tensors(drawn["moving"])

    def predict(self, prepared: Prepared, params: Params, probe: Tensor) -> Tensor:
        net = _skeleton(self, probe[0].numel(), prepared["outputs"])
        values = torch.func.functional_call(net, {**prepared["still"], **params}, (probe,))
        return _shaped(self, values, len(probe), prepared["outputs"])

    def gram(self, prepared: Prepared, params: Params, x: Tensor, kernel: str) -> Tensor:
        """The tangent kernel Σ ∂f(x)/∂θ ∂f(x')/∂θ; for several outputs, their mean."""
        if kernel != "tangent":
            raise UnsuitableError(
                f'{self.name}: found the kernel {kernel!r}, expected "tangent": a module does '
                'not say which layer its features are; set kernel = "tangent"'
            )
        theta = jacobian_kernel(
            lambda parameters, inputs: self.predict(prepared, parameters, inputs), params, x
        )
        return theta if theta.ndim == 2 else theta.diagonal(dim1=2, dim2=3).mean(-1)


def _arrays(leaves: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: leaf.detach().numpy() for name, leaf in leaves.items()}


def _tensors(leaves: Mapping[str, object]) -> dict[str, Tensor]:
    """Core has made tensors of what was drawn."""
    return {name: leaf for name, leaf in leaves.items() if isinstance(leaf, torch.Tensor)}


# --- modules ------------------------------------------------------------------------------------


def _built(model: TorchModule, dim: int, outputs: int, generator: np.random.Generator) -> nn.Module:
    from testbed.numerics.random_numbers import NumpyDraws  # its base class is of torch

    try:
        with _float64(), NumpyDraws(generator):
            net = model.module(dim, max(outputs, 1))
    except UnsuitableError as error:
        raise UnsuitableError(f"{model.name}: {error}") from None
    if not isinstance(net, torch.nn.Module):
        raise UnsuitableError(
            f"{model.name}: found {type(net).__name__} from module(), expected a torch.nn.Module"
        )
    return net.double()


@contextmanager
def _float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@functools.cache
def _skeleton(model: TorchModule, dim: int, outputs: int) -> nn.Module:
    """The module whose numbers `functional_call` replaces. Its own are never seen.

    `draw` makes it: under vmap no module can be built, since its constructor draws numbers.
    """
    net = _built(model, dim, outputs, np.random.Generator(np.random.Philox(0)))
    return net.requires_grad_(False)


def _shaped(model: TorchModule, values: Tensor, count: int, outputs: int) -> Tensor:
    """Predictions (n,), or (n, outputs) where observations have several."""
    if outputs == 0 and values.shape == (count, 1):
        return values[:, 0]
    expected = (count, outputs) if outputs else (count,)
    if tuple(values.shape) != expected:
        raise UnsuitableError(
            f"{model.name}: found outputs of shape {tuple(values.shape)} for {count} points, "
            f"expected {expected}; does module(dim, outputs) end in `outputs` numbers a point?"
        )
    return values


def _expect_pure(model: TorchModule, net: nn.Module, x: Tensor, outputs: int) -> None:
    """UnsuitableError for a forward pass in training mode that draws, remembers or mixes points."""
    from testbed.numerics.random_numbers import NoDraws  # its base class is of torch

    before = {name: leaf.clone() for name, leaf in net.named_buffers()}
    net.train()
    try:
        with torch.no_grad(), _float64(), NoDraws():
            together = _shaped(model, net(x), len(x), outputs)
            alone = torch.cat([_shaped(model, net(row[None]), 1, outputs) for row in x])
    except UnsuitableError as error:
        raise UnsuitableError(f"{model.name}: {error}{_suspects(net)}") from None
    except ValueError as error:  # batch normalisation of one point
        raise UnsuitableError(f"{model.name}: {error}{_suspects(net)}") from None
    changed = [name for name, leaf in net.named_buffers() if not torch.equal(leaf, before[name])]
    mixed = not torch.allclose(together, alone, rtol=1e-8, atol=1e-10)
    if changed or mixed:
        what = (
            f"a forward pass that changes {changed[0]!r}"
            if changed
            else ("predictions at a point that depend on the other points")
        )
        raise UnsuitableError(
            f"{model.name}: found {what}, expected a pure function of one point at a "
            f"time{_suspects(net)}"
        )


def _suspects(net: nn.Module) -> str:
    """Layers that draw or remember in training, with what to do about them."""
    names = ("Dropout", "BatchNorm", "InstanceNorm", "RReLU")
    layers = [
        f"{name} ({type(layer).__name__})"
        for name, layer in net.named_modules()
        if any(word in type(layer).__name__ for word in names)
        or bool(getattr(layer, "dropout", False))
    ]
    if not layers:
        return ""
    return (
        f"; see the layers {', '.join(layers)}: leave dropout out, and take LayerNorm or GroupNorm "
        "for batch normalisation"
    )
