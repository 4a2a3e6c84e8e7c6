"""Exact flow of the diagonal over-parameterized sequence model of any depth, by coordinates.

Each coordinate obeys ``ȧ = b^D β r``, ``ḃ = D a b^{D−1} β r``, ``β̇ = a b^D r`` with
``r = z − a b^D β`` and ``a(0) = √λ``, ``b(0) = b₀``, ``β(0) = 0`` (arXiv:2409.00894, equations 7,
8, 13, 14). The conserved quantities ``a² − β² = λ`` and ``b² − Dβ² = b₀²`` reduce it to one
autonomous scalar equation in β. Depth 0 has a closed form; deeper ones are inverted from their
travel time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from testbed_sequence.numerics.travel_time import travelled

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 65536  # (time, coordinate) pairs worked on at once: a few arrays of this size fit in cache
BLOCK_ON_DEVICE = 1 << 23
KEPT_BYTES = 32 * 2**20 - 65536
COLUMNS = 512  # neighbouring eigenvalues in a block: they need similar numbers of panels


class Path(NamedTuple):
    """State of every coordinate at the requested times, each ``(..., time, mode)``."""

    theta: Tensor  # a b^D β, the estimate of the signal
    a: Tensor
    b: Tensor
    beta: Tensor


def diagonal_flow(
    z: Tensor, eigenvalue: Tensor, b0: float | Tensor, depth: int, times: Sequence[float]
) -> Path:
    """Exact gradient flow of ``½‖z − a b^D β‖²`` from ``a = √λ, b = b₀, β = 0``.

    ``z`` and ``eigenvalue`` (and ``b0``, if a tensor) broadcast to ``(..., mode)``; ``times`` are
    non-negative and non-decreasing, in the clock of the loss ``½‖z − θ‖²``. Computed in float64 and
    returned in the inputs' dtype. Relative error of θ, a, b, β below 1e-8 (in practice 1e-11) for λ
    from 1 to 1e-16, |z| from 1e-12 to 1e3, any time, up to what rounding of t itself makes of it.
    Coordinates with λ = 0, z = 0 or (depth ≥ 1) b₀ = 0 rest where they start. Depth 0 ignores b₀
    and returns it. Each coordinate and time is computed by itself: neither the batch nor the
    other times change it. Works on whole batches, not inside ``torch.func.vmap``.

    >>> z, eigenvalue = (torch.tensor([x], dtype=torch.float64) for x in (0.3, 0.01))
    >>> path = diagonal_flow(z, eigenvalue, 1.0, 0, [20.0])
    >>> round(float(path.theta), 12), round(float(path.a), 12)
    (0.299782923215, 0.552109243858)
    """
    return Path(*_over_blocks(coordinate_path, 4, z, eigenvalue, b0, depth, times))


def diagonal_estimate(
    z: Tensor, eigenvalue: Tensor, b0: float | Tensor, depth: int, times: Sequence[float]
) -> Tensor:
    """θ alone of `diagonal_flow`, ``(..., time, mode)``: a quarter of the memory."""
    return _over_blocks(coordinate_estimate, 1, z, eigenvalue, b0, depth, times)[0]


def coordinate_path(
    z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int, clock: Tensor
) -> tuple[Tensor, ...]:
    """θ, a, b, β of single coordinates, each ``(t, n)``: the scalar solution, without blocks.

    ``z, eigenvalue, b0`` are ``(n,)``, ``clock`` is ``(t,)``, all float64.
    """
    beta = _coordinate_beta(z, eigenvalue, b0, depth, clock)
    square = beta * beta
    a = (square + eigenvalue).sqrt_()
    b = square.mul_(depth).add_(b0 * b0).sqrt_()
    theta = a * beta
    for _ in range(depth):
        theta.mul_(b)
    return theta, a, b, beta


def coordinate_estimate(
    z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int, clock: Tensor
) -> tuple[Tensor, ...]:
    """θ alone of `coordinate_path`, in fewer operations."""
    if depth == 0:
        width = _closed_form(z, eigenvalue, clock)
        spread = torch.where(eigenvalue > 0, eigenvalue, 1.0)
        raised = width + spread
        estimate = width.mul_(raised + spread).div_(raised.mul_(4))
        return (estimate.mul_(_direction(z, eigenvalue, b0, depth)),)
    return coordinate_path(z, eigenvalue, b0, depth, clock)[:1]


def _direction(z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int) -> Tensor:
    """Sign of z where the coordinate moves at all, 0 elsewhere: β is odd in z."""
    frozen = (eigenvalue <= 0) | ((b0 <= 0) & (depth > 0))
    return torch.where(frozen, 0.0, torch.sign(z))


def _coordinate_beta(
    z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int, clock: Tensor
) -> Tensor:
    direction = _direction(z, eigenvalue, b0, depth)
    if depth == 0:
        width = _closed_form(z, eigenvalue, clock)
        spread = torch.where(eigenvalue > 0, eigenvalue, 1.0)
        return width.div_((width + spread).sqrt_()).mul_(direction / 2)
    still = direction == 0
    size, spread, start = (torch.where(still, 1.0, x) for x in (z.abs(), eigenvalue, b0))
    return travelled(size, spread, start, depth, clock).mul_(direction)


def _over_blocks(
    solve: Callable[..., tuple[Tensor, ...]],
    count: int,
    z: Tensor,
    eigenvalue: Tensor,
    b0: float | Tensor,
    depth: int,
    times: Sequence[float],
) -> list[Tensor]:
    """``solve`` on cache-sized blocks of coordinates: ``count`` results ``(..., t, mode)``."""
    if depth < 0 or depth != int(depth):
        raise ValueError(f"depth must be an integer ≥ 0, got {depth!r}")
    clock = _clock(times, z.device)
    start = torch.as_tensor(b0, dtype=torch.float64, device=z.device)
    shape = torch.broadcast_shapes(z.shape, eigenvalue.shape, start.shape)
    grid = [x.double().expand(shape).reshape(-1, shape[-1]) for x in (z, eigenvalue, start)]
    rows, columns = grid[0].shape
    if z.device.type == "cpu":
        keep_pages()
    empty = torch.empty(0, dtype=torch.result_type(z, eigenvalue), device=z.device)
    out = [empty.new_empty(rows, len(clock), columns) for _ in range(count)]
    for piece in _pieces(rows, columns, len(clock), z.device):
        block = [x[piece] for x in grid]
        parts = solve(*(x.flatten() for x in block), depth, clock)
        for target, part in zip(out, parts, strict=True):
            target[piece[0], :, piece[1]] = part.unflatten(1, block[0].shape).movedim(0, 1)
    return [x.reshape(*shape[:-1], len(clock), columns) for x in out]


def _clock(times: Sequence[float], device: torch.device) -> Tensor:
    clock = torch.as_tensor(np.asarray(times, dtype=np.float64), device=device)
    if clock.ndim != 1 or not bool((clock >= 0).all()) or bool((clock.diff() < 0).any()):
        raise ValueError(f"times must be a list of non-decreasing numbers ≥ 0, got {times!r}")
    return clock


def keep_pages() -> None:
    """Let temporaries reuse memory: glibc returns freed blocks above a threshold to the system, and
    every operation then faults its pages anew (twice the time). The threshold follows the largest
    block freed, up to 32 MiB: free one that was never touched.
    """
    torch.empty(KEPT_BYTES, dtype=torch.uint8)


def _pieces(
    rows: int, columns: int, count: int, device: torch.device
) -> Iterator[tuple[slice, slice]]:
    """Blocks of (rows, columns) that hold about BLOCK (time, coordinate) pairs each."""
    pairs = BLOCK if device.type == "cpu" else BLOCK_ON_DEVICE
    room = max(pairs // max(count, 8), 1)
    width = min(columns, max(COLUMNS, room // max(rows, 1)), room) or 1
    height = max(room // width, 1)
    for left in range(0, columns, width):
        for top in range(0, rows, height):
            yield slice(top, top + height), slice(left, left + width)


def _closed_form(z: Tensor, eigenvalue: Tensor, clock: Tensor) -> Tensor:
    """W(t) at depth 0 ``(t, n)``, free of cancellation: for z > 0,

    ``R = √(4z² + λ²)``, ``U = 2z + 4z²/(R + λ)``, ``m = 1 + λ/(R + 2z)``, ``E = e^{−Rt}``,
    ``W = −U expm1(−Rt) λ / (λ + U E/m)``; then ``β = W / (2√(λ + W))`` and
    ``θ = (W/4)(2λ + W)/(λ + W)``. Where λ = 0 the value is finite but meaningless.
    """
    spread = torch.where(eigenvalue > 0, eigenvalue, 1.0)
    twice = 2 * z.abs()
    rate = torch.hypot(twice, spread)
    reach = twice + twice * twice / (rate + spread)
    brake = reach / (1 + spread / (rate + twice))
    exponent = -rate * clock[:, None]  # (t, n)
    resistance = torch.addcmul(spread, brake, torch.exp(exponent))
    return exponent.expm1_().mul_(-reach * spread).div_(resistance)
