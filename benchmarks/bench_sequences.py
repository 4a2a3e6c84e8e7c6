"""Flows of sequence models against general integrators, side by side; prints Markdown tables.

    python benchmarks/bench_sequences.py [--replicates 64] [--no-scenario]

The diagonal model: SciPy's integrators get the equations as published, with LSODA's Jacobian as a
band, at rtol 1e-6; LSODA also gets the scalar equation that our conserved quantities leave, its
best form. Slow contestants run some replicates or steps, and are extrapolated.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy.integrate import odeint, solve_ivp  # noqa: E402
from side_by_side import conditions, table, timed  # noqa: E402

from testbed_sequence.numerics.diagonal_flow import diagonal_estimate  # noqa: E402
from testbed_sequence.numerics.orthogonal_flow import reduced_field  # noqa: E402

MODES, SIZE, GAMMA = 2000, 10_000, 1.5
TIMES = np.geomspace(1.0, 1e4, 60)
Array = np.ndarray
Field = Callable[[Array, Array], Array]


# --- the diagonal model ---------------------------------------------------------------------------


def observations(replicates: int) -> tuple[Array, Array]:
    """z (replicates, modes) of the sparse misaligned signal, and λ (modes,)."""
    rng = np.random.Generator(np.random.Philox(1))
    index = np.arange(1, MODES + 1)
    truth = np.zeros(MODES)
    root = np.arange(1, int(MODES**0.5) + 1)
    truth[root**2 - 1] = 1.0 / root
    noise = rng.standard_normal((replicates, MODES)) / SIZE**0.5
    return truth + noise, index**-GAMMA


def velocity(z: Array, eigenvalue: Array, b0: float, depth: int) -> tuple[Field, Field]:
    """dβ/dt and its derivative in β, for all coordinates of one replicate."""

    def field(beta: Array, _: object = None) -> Array:
        feature = np.sqrt(eigenvalue + beta**2) * np.sqrt(b0**2 + depth * beta**2) ** depth
        return feature * (z - feature * beta)

    def slope(beta: Array, _: object = None) -> Array:
        a2, b2 = eigenvalue + beta**2, b0**2 + depth * beta**2
        feature = np.sqrt(a2) * np.sqrt(b2) ** depth
        steep = feature * beta * (1 / a2 + depth**2 / b2)
        return steep * (z - feature * beta) - feature * (steep * beta + feature)

    return field, slope


def reduced_lsoda(z: Array, eigenvalue: Array, b0: float, depth: int, rtol: float) -> Array:
    """θ of every replicate, (replicates, times, modes), from the scalar equation in β."""
    paths = []
    for row in z:
        field, slope = velocity(row, eigenvalue, b0, depth)
        beta = odeint(
            field, np.zeros(MODES), np.r_[0.0, TIMES], ml=0, mu=0, rtol=rtol, atol=rtol * 1e-5,
            Dfun=lambda b, t, slope=slope: slope(b)[None], mxstep=100_000,
        )[1:]  # fmt: skip
        a, b = np.sqrt(eigenvalue + beta**2), np.sqrt(b0**2 + depth * beta**2)
        paths.append(a * b**depth * beta)
    return np.stack(paths)


def stated(z: Array, depth: int) -> Callable[[float, Array], Array]:
    """The flow as published: d(a, b, β)/dt of one replicate, three neighbours per coordinate."""

    def field(t: float, state: Array) -> Array:
        a, b, beta = state.reshape(-1, 3).T
        power = b**depth
        residual = z - a * power * beta
        slope = depth * a * b ** (depth - 1) * beta * residual if depth else np.zeros_like(a)
        return np.stack([power * beta * residual, slope, a * power * residual], 1).ravel()

    return field


def integrated(
    method: str, z: Array, eigenvalue: Array, b0: float, depth: int, end: float, **options: int
) -> Array:
    """θ of every replicate by `solve_ivp` on the published equations, until `end`."""
    paths = []
    for row in z:
        start = np.stack([np.sqrt(eigenvalue), np.full(MODES, b0), np.zeros(MODES)], 1)
        times = [float(time) for time in TIMES if time <= end]
        solved = solve_ivp(
            stated(row, depth), (0.0, end), start.ravel(), method, times,
            rtol=1e-6, atol=1e-9, **options,
        )  # fmt: skip
        a, b, beta = solved.y.T.reshape(len(times), MODES, 3).transpose(2, 0, 1)
        paths.append(a * b**depth * beta)
    return np.stack(paths)


def diagonal(depth: int, replicates: int) -> str:
    """Ours, LSODA on a few replicates, RK45 on one for the first part of the time."""
    z, eigenvalue = observations(replicates)
    b0 = SIZE ** (-0.5 / (depth + 2)) if depth else 1.0
    tensors = torch.from_numpy(z), torch.from_numpy(eigenvalue)
    count, end = min(2, replicates), TIMES[-1]
    problem = z[:count], eigenvalue, b0, depth
    # Stability, not accuracy, sets RK45's steps: they are even in time, so a tenth of it will do.
    rows = [
        timed("testbed", lambda: diagonal_estimate(*tensors, b0, depth, TIMES), rounds=5),
        timed(
            "SciPy LSODA, equations as published, banded Jacobian",
            lambda: integrated("LSODA", *problem, end, lband=2, uband=2),
            share=count / replicates,
        ),
        timed(
            "SciPy LSODA, our scalar equation, exact Jacobian",
            lambda: reduced_lsoda(*problem, 1e-6),
            share=count / replicates,
        ),
        timed(
            "SciPy RK45",
            lambda: integrated("RK45", z[:1], *problem[1:], end / 10),
            share=0.1 / replicates,
        ),
    ]
    truth = reduced_lsoda(z[:1], eigenvalue, b0, depth, 1e-12)[0]
    large = np.abs(truth) > 1e-9
    errors = [np.abs(np.asarray(row.answer[0])[large] / truth[large] - 1).max() for row in rows[:3]]
    work = f"Diagonal model, D = {depth}: {replicates} × {MODES} modes × {len(TIMES)} times to 1e4"
    shown = ", ".join(f"{error:.1e}" for error in errors)
    note = f"Largest relative errors of θ against LSODA at rtol 1e-12, first three rows: {shown}."
    return table(work, rows) + "\n\n" + note


# --- the orthogonal model -------------------------------------------------------------------------


def rk4(
    field: Callable[[torch.Tensor], torch.Tensor], state: torch.Tensor, step: float
) -> torch.Tensor:
    """One classical Runge–Kutta step."""
    first = field(state)
    second = field(state + step / 2 * first)
    third = field(state + step / 2 * second)
    fourth = field(state + step * third)
    return state + step / 6 * (first + 2 * second + 2 * third + fourth)


def dense_field(z: torch.Tensor, modes: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Velocity of (A, d, α) packed as (replicates, modes, modes + 2): the matrix, as written."""

    def field(state: torch.Tensor) -> torch.Tensor:
        basis, scale, weight = state[..., :modes], state[..., modes], state[..., modes + 1]
        y = torch.einsum("rij,ri->rj", basis, z)
        fitted = scale * weight
        outer = y[:, :, None] * fitted[:, None]
        residual = y - fitted
        moved = torch.bmm(basis, (outer - outer.mT) / 2)
        return torch.cat([moved, (weight * residual)[..., None], (scale * residual)[..., None]], 2)

    return field


def orthogonal(modes: int = 500, replicates: int = 8, steps: int = 400) -> str:
    """One Runge–Kutta step of the reduced system against one of the matrix."""
    rng = np.random.Generator(np.random.Philox(2))
    z = torch.from_numpy(rng.standard_normal((replicates, modes)) / 10)
    scale = torch.arange(1, modes + 1, dtype=torch.float64).pow(-0.5).expand_as(z)
    zero = torch.zeros_like(z)
    packed = torch.stack([z, scale, zero, z], 1).flatten(1)
    eye = torch.eye(modes, dtype=torch.float64).expand(replicates, modes, modes)
    matrix = torch.cat([eye, scale[..., None], zero[..., None]], 2)

    def march(
        field: Callable[[torch.Tensor], torch.Tensor], state: torch.Tensor, count: int
    ) -> torch.Tensor:
        for _ in range(count):
            state = rk4(field, state, 0.01)
        return state

    few_steps = max(steps // 80, 1)
    ours = timed("testbed, reduced", lambda: march(reduced_field(modes), packed, steps), rounds=3)
    dense = timed(
        "dense matrix, torch", lambda: march(dense_field(z, modes), matrix, few_steps),
        share=few_steps / steps, rounds=3,
    )  # fmt: skip
    check = march(reduced_field(modes), packed, few_steps).view(replicates, 4, modes)
    gap = float((check[:, 2] - dense.answer[..., modes + 1]).abs().max())
    rows = [row._replace(wall=row.wall / steps, cpu=row.cpu / steps) for row in (ours, dense)]
    work = f"Orthogonal model, one RK4 step: N = {modes}, {replicates} replicates"
    return table(work, rows) + f"\n\nLargest difference of α after {few_steps} steps: {gap:.1e}."


# --- a published figure ---------------------------------------------------------------------------


def euler(depth: int, steps: int, modes: int = 5000, size: int = 10_000) -> Array:
    """The published way: plain Euler steps of 0.01 on (a, b, β) of one replicate."""
    rng = np.random.Generator(np.random.Philox(3))
    index = np.arange(1, modes + 1)
    z = rng.standard_normal(modes) / size**0.5
    a, b = index**-0.5, np.full(modes, size ** (-0.5 / (depth + 2)))
    beta = np.zeros(modes)
    for _ in range(steps):
        residual = z - a * b**depth * beta
        slope_b = depth * a * b ** (depth - 1) * beta * residual if depth else 0.0
        a, b, beta = (
            a + 0.01 * b**depth * beta * residual,
            b + 0.01 * slope_b,
            beta + 0.01 * a * b**depth * residual,
        )
    return a


def published(steps: int = 2000, scenario: str = "span-depth") -> str:
    """The whole command against the Euler loop of 3 depths × 20 replicates × 10⁶ steps."""
    command = [
        sys.executable,
        "-m",
        "testbed.console.cli",
        "run",
        str(ROOT / f"scenarios/{scenario}.toml"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        ours = timed(
            f"`testbed run scenarios/{scenario}.toml`",
            lambda: subprocess.run([*command, "-o", folder], check=True, capture_output=True),
        )
    loop = timed(
        "NumPy Euler loop, step 0.01",
        lambda: [euler(depth, steps) for depth in (0, 1, 3)],
        share=steps / 1e6 / 20,
    )
    return table("Span dimension against depth at its published size", [ours, loop])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=64)
    parser.add_argument("--no-scenario", action="store_true", help="flows only")
    options = parser.parse_args()
    sections = [diagonal(3, options.replicates), diagonal(0, options.replicates), orthogonal()]
    if not options.no_scenario:
        sections.append(published())
    print("\n\n".join(sections))
    print("\n" + conditions("torch", "numpy", "scipy"))


if __name__ == "__main__":
    main()
