"""Travel time of a diagonal coordinate of depth D ≥ 1, and its inversion.

``dt/dβ = 1 / (f (z − fβ))`` with ``f = a b^D = √(λ + β²) (b₀² + Dβ²)^{D/2}``, from 0 to the rest
point β* where fβ = z (arXiv:2409.00894, equations 13, 14, after the conserved quantities). Instead
of stepping through time, the module integrates t once as a function of position and inverts it at
each requested time: errors do not accumulate, there is no step size, and times are independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

NODES = 8  # Gauss–Radau nodes a panel; also the degree of the travel-time polynomial
PANEL = 0.3  # width of a panel over the half-width of the strip where travel time is analytic
ROUGH_STEPS = 3  # Newton steps in single precision, before the one in double
REST_STEPS = 7


class Chart(NamedTuple):
    """Travel time along ``s = asinh(β/m)``, ``m = min(√λ, b₀/√D)``, from 0 to the rest point s*.

    ``t(s) = −q* log(1 − s/s*) + G(s)``: the pole of dt/ds at s* is subtracted with its residue q*,
    so that G is analytic in the strip |Im s| < min(π/2, 2π/(D+2)) and equal panels resolve it.
    Within panel k, x = position in the panel, ``u = −log(1 − x/(K − k))`` and
    ``t = t_k + q* u + P_k(x)``, concave in u. Tables are ``(k, n)``, rows beyond K unused.
    """

    scale: Tensor  # m (n,)
    width: Tensor  # of a panel in s (n,)
    residue: Tensor  # q* (n,)
    panels: Tensor  # K (n,)
    arrival: Tensor  # t at the left edge, ∞ beyond the last panel
    polynomial: Tensor  # coefficients of x, x², … in rise·P_k (k, NODES, n)
    rise: Tensor  # 1/(dt/du) at the left edge
    tangent: Tensor  # the same at the right edge (in the last panel 1/q*, at u = ∞), over rise
    intercept: Tensor  # value of u at t_k on the tangent there


def travelled(z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int, clock: Tensor) -> Tensor:
    """β(t) ≥ 0 for z, λ, b₀ > 0 and depth ≥ 1, each ``(n,)``, clock ``(t,)`` → ``(t, n)``."""
    chart = travel_chart(z, eigenvalue, b0, depth)
    return torch.sinh(_travel(chart, clock)).mul_(chart.scale)


def rest_point(z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int) -> Tensor:
    """The β* > 0 with ``a b^D β = z``: Newton on log z against log β, convex, entered from above.

    Each of ``a ≥ √λ, β`` and ``b ≥ b₀, √D β`` bounds β* from above; the least bound starts it.
    """
    lam, start, aim = torch.log(eigenvalue) / 2, depth * torch.log(b0), torch.log(z)
    deep = depth * math.log(depth) / 2
    bounds = (
        aim - lam - start,
        (aim - start) / 2,
        (aim - lam - deep) / (depth + 1),
        (aim - deep) / (depth + 2),
    )
    beta = torch.exp(torch.stack(bounds).amin(0))
    for _ in range(REST_STEPS):
        square = beta * beta
        a2, b2 = eigenvalue + square, b0 * b0 + depth * square
        slope = 1 + square / a2 + depth**2 * square / b2
        error = torch.log(torch.sqrt(a2) * torch.sqrt(b2) ** depth * beta / z)
        beta = beta * torch.exp(-error / slope)
    return beta


def travel_chart(z: Tensor, eigenvalue: Tensor, b0: Tensor, depth: int) -> Chart:
    """Integrate dt/ds panel by panel from its values at Gauss–Radau nodes."""
    fixed_point = rest_point(z, eigenvalue, b0, depth)
    scale = torch.minimum(torch.sqrt(eigenvalue), b0 / math.sqrt(depth))
    end = torch.asinh(fixed_point / scale)
    square = fixed_point * fixed_point
    slope = 1 + square / (eigenvalue + square) + depth**2 * square / (b0 * b0 + depth * square)
    residue = square / (z * z * slope)
    panels = torch.ceil(end / _panel_width(depth)).clamp(min=1.0)
    width = end / panels
    nodes, weights, integrate = (x.to(z) for x in _radau_polynomials(NODES))
    left = torch.arange(int(panels.max()), dtype=z.dtype, device=z.device)[:, None]  # (k, 1)
    position = left[:, None] + nodes[:, None]  # (k, NODES, 1)
    remaining = (panels - position).mul_(width)  # s* − s (k, NODES, n)
    slowness = _slowness(position * width, z, eigenvalue, b0, scale, depth)
    speed = slowness[:, 0] * remaining[:, 0]  # dt/du at left edges
    smooth = slowness.sub_(torch.div(residue, remaining)).mul_((width / speed)[:, None])
    polynomial = torch.matmul(integrate, smooth)
    gain = torch.matmul(weights, smooth)  # P_k(1), to more digits than its coefficients have
    polynomial[:, -1] = gain - polynomial[:, :-1].sum(1)
    step = torch.where(left < panels - 1, -torch.log1p(-1 / (panels - left)), 0.0)  # of u
    lasts = gain * speed + residue * step  # without the last panel's infinite part
    arrival = torch.cat([torch.zeros_like(lasts[:1]), torch.cumsum(lasts, 0)[:-1]])
    arrival = torch.where(left < panels, arrival, math.inf)
    speed_out = torch.where(left < panels - 1, speed.roll(-1, 0), residue)
    intercept = (step - lasts / speed_out).clamp(max=0.0)  # concave: positive by rounding only
    edges = (1 / speed, speed / speed_out, intercept)
    return Chart(scale, width, residue, panels, arrival, polynomial, *edges)


def _panel_width(depth: int) -> float:
    return PANEL * min(math.pi / 2, 2 * math.pi / (depth + 2))


def _slowness(
    s: Tensor, z: Tensor, eigenvalue: Tensor, b0: Tensor, scale: Tensor, depth: int
) -> Tensor:
    """``dt/ds = m cosh s / (f (z − fβ))``, ``f = a b^D``, ``β = m sinh s``; s is overwritten."""
    grown = torch.expm1(s, out=s)
    shrunk = torch.reciprocal(grown + 1)
    cosh = (grown + 1).add_(shrunk).mul_(scale / 2)
    beta = shrunk.add_(1).mul_(grown).mul_(scale / 2)
    square = beta * beta
    b2 = (square * depth).add_(b0 * b0)
    factor = square.add_(eigenvalue)
    factor = (factor.mul_(b2) if depth % 2 else factor).sqrt_()
    for _ in range(depth // 2):
        factor.mul_(b2)
    return cosh.div_(torch.addcmul(z, factor, beta, value=-1.0).mul_(factor))


@cache
def _radau_polynomials(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gauss–Radau nodes on [0, 1) with 0 among them, their weights, and the matrix from values
    there to the coefficients 1..count of the integral from 0 of their interpolating polynomial.

    They are the roots of ``P_{count−1} + P_count``; with 0 a node, the first slope is exact.
    """
    legendre = np.polynomial.legendre.Legendre([0.0] * (count - 1) + [1.0, 1.0])
    roots = np.sort(legendre.roots().real)
    for _ in range(2):  # companion eigenvalues are good to 1e-14 only
        roots = roots - legendre(roots) / legendre.deriv()(roots)
    nodes = (roots + 1) / 2
    nodes[0] = 0.0
    columns = []
    for k, node in enumerate(nodes):  # products of positive roots: no cancellation, unlike inv
        remaining = np.delete(nodes, k)
        columns.append(
            np.polynomial.polynomial.polyfromroots(remaining) / np.prod(node - remaining)
        )
    integral = np.stack(columns, 1) / np.arange(1, count + 1)[:, None]
    last = np.polynomial.legendre.legval(2 * nodes - 1, [0.0] * (count - 1) + [1.0])
    weights = (1 - nodes) / (count * last) ** 2
    return torch.from_numpy(nodes), torch.from_numpy(weights), torch.from_numpy(integral)


def _travel(chart: Chart, clock: Tensor) -> Tensor:
    """s(t) ``(t, n)``: Newton on the travel time of the panel that t falls in.

    Travel time is increasing and concave in u: the tangents at both ends of the panel bound the
    root from below, and Newton from there rises to it without ever passing it, first in single
    precision. All coordinates take the same fixed number of steps, and none depends on another.
    """
    count = chart.arrival.shape[1]
    panel = _panel_index(chart.arrival, clock)  # (t, n)
    flat = (panel * count + torch.arange(count, dtype=torch.int32, device=clock.device)).flatten()

    def pick(table: Tensor) -> Tensor:
        return table.reshape(-1).index_select(0, flat).view(panel.shape)

    left = panel.to(clock)
    behind = left - chart.panels  # −(K − k)
    rate = pick(chart.rise)  # 1/(dt/du) at the left edge: the panel's own unit of time
    late = (clock[:, None] - pick(chart.arrival)).mul_(rate).clamp_(max=1e30)
    residue = rate.mul_(chart.residue)
    polynomial = [pick(table) for table in chart.polynomial.unbind(1)]
    u = torch.addcmul(pick(chart.intercept), pick(chart.tangent), late)
    down = torch.maximum(u, late).neg_()  # −u
    problem = late, residue, behind, *polynomial
    rough = _newton(down.float(), [part.float() for part in problem], ROUGH_STEPS)
    down = _newton(rough.to(clock), problem, 1)
    return torch.expm1(down).mul_(behind).clamp_(0.0, 1.0).add_(left).mul_(chart.width)


def _newton(down: Tensor, problem: Sequence[Tensor], steps: int) -> Tensor:
    """Steps towards ``late = residue·u + x h(x)``, ``x = (K − k)(1 − e^{−u})``; down is −u."""
    late, residue, behind, *polynomial = problem
    for _ in range(steps):
        x = torch.expm1(down).mul_(behind).clamp_(0.0, 1.0)
        value, slope = _horner(polynomial, x)
        error = torch.addcmul(late, residue, down).addcmul_(value, x, value=-1.0)
        slope = torch.addcmul(residue, slope, x.add_(behind), value=-1.0)  # dt/du
        down.sub_(error.div_(slope))
    return down


def _panel_index(arrival: Tensor, clock: Tensor) -> Tensor:
    """Panel of each time ``(t, n)``: the number of arrivals after the first that are not later."""
    first = torch.searchsorted(clock, arrival[1:].contiguous())  # (k − 1, n)
    begun = torch.zeros(len(clock) + 1, arrival.shape[1], dtype=torch.int32, device=clock.device)
    begun.scatter_add_(0, first, torch.ones_like(first, dtype=torch.int32))
    return torch.cumsum(begun[:-1], 0, dtype=torch.int32)


def _horner(coefficients: Sequence[Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """``h(x)`` with ``x h(x) = Σ c_i x^i`` (i = 1..), and the derivative of ``x h(x)``."""
    value = coefficients[-1]
    slope = value
    for coefficient in reversed(coefficients[:-1]):
        value = torch.addcmul(coefficient, value, x)
        slope = torch.addcmul(value, slope, x)
    return value, slope
