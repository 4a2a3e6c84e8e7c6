"""Random numbers of torch from a NumPy generator, so that torch's global state is never touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from torch import Tensor

aten = torch.ops.aten
Draw: TypeAlias = "Callable[..., Tensor]"


class NumpyDraws(TorchDispatchMode):
    """Inside `with NumpyDraws(generator):` torch's random operations draw from the generator.

    Uniform and normal numbers, permutations and integers are drawn, in float64 before they are
    rounded to the tensor's dtype; UnsuitableError for any other random operation.

    >>> with NumpyDraws(np.random.Generator(np.random.Philox(1))):
    ...     first = torch.randn(2)
    >>> with NumpyDraws(np.random.Generator(np.random.Philox(1))):
    ...     bool((torch.empty(2).normal_() == first).all())
    True
    """

    def __init__(self, generator: np.random.Generator):
        super().__init__()
        self._generator = generator

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[object, ...] = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        if not is_random(func):
            return func(*args, **options)
        draw = _DRAWS.get(func.overloadpacket)
        if draw is None:
            raise UnsuitableError(
                f"found the random operation {func}, expected normal or uniform numbers, integers "
                "or permutations; draw others from rng(…) with NumPy"
            )
        return draw(self._generator, *args, **options)


class NoDraws(TorchDispatchMode):
    """Inside `with NoDraws():` torch's random operations raise UnsuitableError."""

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[object, ...] = (), kwargs: Any = None
    ) -> Any:
        if is_random(func):
            raise UnsuitableError(f"found the random operation {func}, expected none")
        return func(*args, **(kwargs or {}))


def is_random(operation: Any) -> bool:
    """Whether an operation of torch's dispatcher draws random numbers."""
    return torch.Tag.nondeterministic_seeded in operation.tags


# --- how each operation is drawn ------------------------------------------------------------------


def _filled(tensor: Tensor, values: np.ndarray) -> Tensor:
    return tensor.copy_(torch.from_numpy(np.asarray(values)))


def _uniform_(g: np.random.Generator, tensor: Tensor, *bounds: float, **options: object) -> Tensor:
    low, high = (*bounds, *(0.0, 1.0)[len(bounds) :])
    return _filled(tensor, g.uniform(low, high, tuple(tensor.shape)))


def _normal_(g: np.random.Generator, tensor: Tensor, *moments: float, **options: object) -> Tensor:
    mean, std = (*moments, *(0.0, 1.0)[len(moments) :])
    return _filled(tensor, mean + std * g.standard_normal(tuple(tensor.shape)))


def _bernoulli_(
    g: np.random.Generator, tensor: Tensor, p: Tensor | float = 0.5, **options: object
) -> Tensor:
    share = p.double().numpy() if isinstance(p, torch.Tensor) else p
    return _filled(tensor, g.random(tuple(tensor.shape)) < share)


def _new(size: Sequence[int], options: Mapping[str, Any]) -> Tensor:
    kept = {key: options[key] for key in ("dtype", "device") if options.get(key) is not None}
    return torch.empty(*size, **kept)


def _rand(g: np.random.Generator, size: Sequence[int], **options: object) -> Tensor:
    return _uniform_(g, _new(size, options))


def _randn(g: np.random.Generator, size: Sequence[int], **options: object) -> Tensor:
    return _normal_(g, _new(size, options))


def _rand_like(g: np.random.Generator, like: Tensor, **options: object) -> Tensor:
    return _uniform_(g, torch.empty_like(like))


def _randn_like(g: np.random.Generator, like: Tensor, **options: object) -> Tensor:
    return _normal_(g, torch.empty_like(like))


def _randperm(g: np.random.Generator, count: int, *args: object, **options: object) -> Tensor:
    return torch.from_numpy(g.permutation(count))


def _randint(g: np.random.Generator, *bounds: Any, **options: object) -> Tensor:
    low, high, size = bounds if len(bounds) == 3 else (0, *bounds)
    return torch.from_numpy(g.integers(int(low), int(high), size=tuple(size)))


_DRAWS: dict[object, Draw] = {
    aten.uniform_: _uniform_,
    aten.normal_: _normal_,
    aten.bernoulli_: _bernoulli_,
    aten.rand: _rand,
    aten.randn: _randn,
    aten.rand_like: _rand_like,
    aten.randn_like: _randn_like,
    aten.randperm: _randperm,
    aten.randint: _randint,
}
