"""Two-layer networks as pure functions of tensors, with hand-derived gradients.

    f(x) = m^{−κ} Σ_k a_k σ(⟨w_k, x⟩ + b_k),   k = 1 … m

κ = ½ is the NTK parameterization (lazy as m → ∞), κ = 1 the mean-field one. Training minimises
L = ½ Σ weight·(y − f)² by θ ← θ − η m^{2κ−1} ∇L, on the clock τ = η·steps (arXiv:1806.07572 for
κ = ½, arXiv:1804.06561 for κ = 1), so that both parameterizations share one time axis.

Parameters are a dict: `first` (…, m, d) holds the w_k, `second` (…, m) the a_k, `bias` (…, m), if
present, the b_k. Any leading axes are replicates; x is (…, n, d), y and weight are (…, n). With
several outputs `second` is (…, m, outputs), f and y are (…, n, outputs), and the loss is summed
over them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch

from testbed.numerics.products import batched_product
from testbed.numerics.threads import side_by_side
from testbed_networks.numerics.activations import Activation

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"
Train = Literal["both", "first", "second"]
KAPPA: Mapping[str, float] = {"ntk": 0.5, "mean-field": 1.0}
"""The exponent κ of each parameterization."""


class TwoLayer(NamedTuple):
    """The parts of a two-layer network that do not change over training; the bias belongs to the
    first layer."""

    activation: Activation
    kappa: float = 0.5
    train: Train = "both"

    def trains(self, leaf: str) -> bool:
        """Whether this leaf of the parameters is moved by training."""
        return self.train in ("both", "second" if leaf == "second" else "first")


def output_scale(network: TwoLayer, params: Params) -> float:
    """m^{−κ}."""
    return float(params["first"].shape[-2]) ** -network.kappa


def step_scale(network: TwoLayer, width: int) -> float:
    """m^{2κ−1}: what multiplies every step, so that f moves at order one in time τ of order one."""
    return float(width) ** (2 * network.kappa - 1)


def preactivation(params: Params, x: Tensor) -> Tensor:
    """H = X Wᵀ + 1bᵀ, shape (…, n, m)."""
    pre = x @ params["first"].mT
    return pre + params["bias"].unsqueeze(-2) if "bias" in params else pre


def several(params: Params) -> bool:
    """Whether the second layer has an axis of outputs."""
    return params["second"].ndim == params["first"].ndim


def readout(params: Params) -> Tensor:
    """The second layer as columns, (…, m, outputs)."""
    second = params["second"]
    return second if several(params) else second.unsqueeze(-1)


def predict(network: TwoLayer, params: Params, x: Tensor) -> Tensor:
    """f(x), shape (…, n), or (…, n, outputs) where there are several."""
    value = network.activation.value(preactivation(params, x))  # (…, n, m)
    f = output_scale(network, params) * (value @ readout(params))
    return f if several(params) else f.squeeze(-1)


def gradient(network: TwoLayer, params: Params, x: Tensor, y: Tensor, weight: Tensor) -> Params:
    """∇ ½ Σ weight·(y − f)², zero for layers that are not trained; without the factor m^{2κ−1}.

    With c = m^{−κ}·weight∘(f − y), (n, outputs), and D = σ'(H): ∂a = σ(H)ᵀc, and with P = D∘(c aᵀ),
    ∂W = PᵀX and ∂b = Pᵀ1. For one output P is never formed: ∂W = diag(a) Dᵀ diag(c) X.
    """
    pre = preactivation(params, x)  # (…, n, m)
    value, second = network.activation.value(pre), readout(params)
    scale = output_scale(network, params)
    labels = y if several(params) else y.unsqueeze(-1)
    pull = scale * weight.unsqueeze(-1) * (scale * (value @ second) - labels)  # (…, n, outputs)
    result = {leaf: torch.zeros_like(values) for leaf, values in params.items()}
    if network.trains("second"):
        result["second"] = (value.mT @ pull).reshape(params["second"].shape)
    if network.trains("first"):
        slope, outer = network.activation.derivative(pre), second
        if several(params):
            slope, pull = slope * (pull @ second.mT), torch.ones_like(pull[..., :1])
            outer = torch.ones_like(second[..., :1])
        result["first"] = (slope.mT @ (pull * x)) * outer
        if "bias" in params:
            result["bias"] = ((slope.mT @ pull) * outer).squeeze(-1)
    return result


class Descent(NamedTuple):
    """The state of training, sufficient to continue exactly."""

    params: Params
    velocity: Params | None  # the last step, where there is momentum


BLOCK_BYTES = 2**22  # of activations at a time; smaller blocks cost more in calls than they save


def group_size(width: int) -> int:
    """How many replicates are trained at a time, decided by the width alone.

    Small networks share their calls, which take longer than the arithmetic of one; the activations
    of a large one fill the cache. At least two replicates share a group.
    """
    return max(2, min(16, 2048 // width))


def descend(
    network: TwoLayer,
    params: Params,
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    learning_rate: float | Tensor,
    steps: int,
    momentum: float = 0.0,
    batches: Tensor | None = None,
    velocity: Params | None = None,
    group: int | None = None,
) -> Descent:
    """Gradient descent θ ← θ − η m^{2κ−1} ∇L of many replicates, in preallocated buffers.

    The same steps as `gradient`, to rounding: v ← μv − η m^{2κ−1}∇L, θ ← θ + v. Nothing is
    recorded on the way and activations exist for one block of rows only, so memory does not grow
    with `steps`, and with n only as the data do.

    Args:
        params: leading axis R; not changed.
        x, y, weight: (R, n, d), (R, n) or (R, n, outputs), (R, n).
        learning_rate: η, one for all or one per replicate, (R,).
        batches: (R, steps, batch) rows of x, for SGD; weights are multiplied by n/batch, which
            keeps the expected gradient. None: all rows.
        velocity: the velocity of an earlier `Descent`; None: at rest.
        group: replicates at a time, `group_size` unless given.

    A replicate that diverges ends with non-finite parameters and does not affect the others.
    """
    replicates = x.shape[0]
    rate = torch.as_tensor(learning_rate, dtype=x.dtype, device=x.device).expand(replicates)
    size = group or group_size(params["first"].shape[-2])

    def run(start: int) -> Descent:
        rows = slice(start, start + size)
        loop = _Loop(network, _rows(params, rows), x[rows], y[rows], weight[rows], rate[rows])
        loop.set_momentum(momentum, velocity and _rows(velocity, rows))
        return loop.run(steps, None if batches is None else batches[rows])

    groups = [functools.partial(run, start) for start in range(0, replicates, size)]
    parts = side_by_side(groups) if x.device.type == "cpu" else [group() for group in groups]
    return Descent(
        _joined([part.params for part in parts]),
        _joined([part.velocity for part in parts if part.velocity]) or None,
    )


def _rows(params: Params, rows: slice) -> Params:
    return {leaf: values[rows] for leaf, values in params.items()}


def _joined(parts: list[Params]) -> Params:
    return {leaf: torch.cat([part[leaf] for part in parts]) for leaf in (parts[0] if parts else ())}


class _Block(NamedTuple):
    """Rows that are processed together: their buffers, and their part of the data."""

    rows: slice
    pre: Tensor  # (R, b, m) H
    value: Tensor  # (R, b, m) σ(H); H itself where both may be one buffer
    pulled: Tensor  # (R, b, d'), or (R, b, m) where there are several outputs
    pull: Tensor  # (R, k, b)
    x: Tensor  # (R, b, d')
    y: Tensor  # (R, k, b)
    factor: Tensor  # (R, 1, b)

    def of(self, x: Tensor, y: Tensor, factor: Tensor) -> _Block:
        """The same rows of other data."""
        rows = self.rows
        return self._replace(x=x[:, rows], y=y[:, :, rows], factor=factor[:, :, rows])


class _Loop:
    """Descent of one group, R replicates side by side: d' = d, plus 1 for the bias; k outputs.

    Rows are taken in blocks small enough for the cache. That is exact, because the residual of a
    row needs all neurons but no other row.
    """

    def __init__(
        self, network: TwoLayer, params: Params, x: Tensor, y: Tensor, weight: Tensor, rate: Tensor
    ):
        self.network, self.scale = network, output_scale(network, params)
        self.biased, self.several = "bias" in params, several(params)
        self.first, self.second = self.pack(params)  # (R, d', m), (R, k, m)
        self.x = torch.cat([x, torch.ones_like(x[..., :1])], -1) if self.biased else x.contiguous()
        self.y = (y.mT if self.several else y.unsqueeze(1)).contiguous()  # (R, k, n)
        step = self.scale * step_scale(network, self.second.shape[-1]) * rate
        self.factor = -step[:, None, None] * weight.unsqueeze(1)  # (R, 1, n)
        self.down_first, self.down_second = map(torch.zeros_like, (self.first, self.second))
        homogeneous = network.activation.degree is not None
        self.byproduct = network.train == "both" and homogeneous and not self.several
        self.set_momentum(0.0, None)

    def pack(self, params: Params) -> tuple[Tensor, Tensor]:
        """Copies of the parameters in the layout of the products."""
        leaves = [params["first"].mT]
        if self.biased:
            leaves.append(params["bias"].unsqueeze(1))
        second = params["second"].mT if self.several else params["second"].unsqueeze(1)
        return torch.cat(leaves, 1).contiguous(), second.clone(
            memory_format=torch.contiguous_format
        )

    def unpack(self, first: Tensor, second: Tensor) -> Params:
        """The inverse of `pack`."""
        width = first.shape[1] - self.biased
        columns = second.mT.contiguous() if self.several else second[:, 0]
        params = {"first": first[:, :width].mT.contiguous(), "second": columns}
        return params | {"bias": first[:, -1].contiguous()} if self.biased else params

    def set_momentum(self, momentum: float, velocity: Params | None) -> None:
        """Set the momentum and the velocity."""
        self.momentum = momentum
        if velocity is None:
            self.velocity = (torch.zeros_like(self.first), torch.zeros_like(self.second))
        else:
            self.velocity = self.pack(velocity)

    def run(self, steps: int, batches: Tensor | None) -> Descent:
        """Take the steps."""
        full = (self.x, self.y, self.factor)
        blocks = self._blocks(*full) if batches is None else []
        still = batches is None and self.network.train == "second" and len(blocks) == 1
        for step in range(steps):
            if batches is not None:
                data = _gathered(full, batches[:, step])
                blocks = [block.of(*data) for block in blocks] or self._blocks(*data)
            for block in blocks:
                if not (still and step):
                    batched_product(block.x, self.first, out=block.pre)
                    self.network.activation.fill(block.pre, block.value)
                self._accumulate(block)
            self._step()
        velocity = self.unpack(*self.velocity) if self.momentum else None
        return Descent(self.unpack(self.first, self.second), velocity)

    def _blocks(self, x: Tensor, y: Tensor, factor: Tensor) -> list[_Block]:
        """The data's rows in blocks of nearly equal size, which share their buffers."""
        (replicates, columns, width), rows = self.first.shape, x.shape[1]
        most = max(64, BLOCK_BYTES // (replicates * width * self.x.element_size()))
        size = -(-rows // -(-rows // most))
        pre = self.x.new_empty(replicates, size, width)
        value = pre if self.network.activation.aliases else torch.empty_like(pre)
        pulled = self.x.new_empty(replicates, size, width if self.several else columns)
        pull = self.x.new_empty(replicates, self.second.shape[1], rows)
        blocks = []
        for start in range(0, rows, size):
            block = slice(start, min(start + size, rows))
            part = slice(block.stop - start)
            buffers = pre[:, part], value[:, part], pulled[:, part], pull[:, :, block]
            blocks.append(_Block(block, *buffers, x[:, block], y[:, :, block], factor[:, :, block]))
        return blocks

    def _accumulate(self, block: _Block) -> None:
        """Add what this block of rows contributes to the step; the first block resets it."""
        pre, value, pull = block.pre, block.value, block.pull
        torch.baddbmm(block.y, self.second, value.mT, beta=-1, alpha=self.scale, out=pull)
        pull.mul_(block.factor)
        if self.network.trains("second") and not self.byproduct:
            self.down_second.baddbmm_(pull, value, beta=float(block.rows.start > 0))
        if not self.network.trains("first"):
            return
        slope = self.network.activation.slope(pre, value)
        if self.several:
            slope.mul_(batched_product(pull.mT, self.second, out=block.pulled))
            x = block.x
        else:
            x = torch.mul(block.x, pull.mT, out=block.pulled)
        if block.rows.start:
            self.down_first.baddbmm_(x.mT, slope)
        else:
            batched_product(x.mT, slope, out=self.down_first)

    def _step(self) -> None:
        if self.byproduct:  # Σ_i c_i σ(h_ik) = w̃_k·(Dᵀ diag(c) X̃)_k / degree
            torch.sum(self.first * self.down_first, 1, keepdim=True, out=self.down_second)
            self.down_second.div_(self.network.activation.degree or 1)
        if not self.momentum and not self.several:
            self.first.addcmul_(self.down_first, self.second)
            self.second.add_(self.down_second)
            return
        if not self.several:
            self.down_first.mul_(self.second)
        for value, moved, down in zip(
            (self.first, self.second),
            self.velocity,
            (self.down_first, self.down_second),
            strict=True,
        ):
            value.add_(moved.mul_(self.momentum).add_(down))


def _gathered(full: tuple[Tensor, Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of a mini-batch, (R, batch), with their factors multiplied by n/batch."""
    x, y, factor = full
    across = rows.unsqueeze(1)  # (R, 1, batch)
    return (
        torch.gather(x, 1, rows.unsqueeze(-1).expand(-1, -1, x.shape[-1])),
        torch.gather(y, 2, across.expand(-1, y.shape[1], -1)),
        torch.gather(factor, 2, across) * (x.shape[1] / rows.shape[-1]),
    )
