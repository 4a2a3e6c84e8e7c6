"""Theory of directional models: the flow of their population loss, and its escape.

For x ~ N(0, I) the loss ½E(f − f*)² of f = Σ_m √λ_{|m|} β_m h_m(Wᵀx) depends on the frame through
M = WᵀW* (q, q*) alone: with T_m(M) = ⟨f*, h_m(Wᵀ·)⟩ and c_m = √λ_{|m|} β_m,

    L = ½ [Σ c_m² − 2 Σ c_m T_m(M) + ‖f*‖²],
    β̇_m = √λ_{|m|} (T_m(M) − c_m),   Ṁ = −L_M + sym(M L_Mᵀ) M,   L_M = −Σ_m c_m ∂T_m/∂M:

the Riemannian gradient flow Ẇ = −(G − W sym(WᵀG)) with G = W* L_Mᵀ, seen from W*. For one
direction M = ρ and ρ̇ = (1 − ρ²) Σ_r r √λ_r β_r g_r ρ^{r−1} (arXiv:2511.09425, §3).

Nothing here imports the model it predicts: declarations of components are read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from attrs import frozen

from testbed import (
    Cell,
    DirectionalFeatures,
    DoesNotApply,
    Example,
    HasDirectionalFeatures,
    HasIndexForm,
    IndexForm,
    IsSpectral,
    Problem,
    Theory,
    Variable,
    declared,
    sample_size,
    space_of,
    value_with,
)

ESCAPED = 0.5  # the overlap that ends the escape
RTOL, ATOL = 1e-9, 1e-12
RESOLVED = 1e-8  # of ‖f*‖²: what integration leaves of a risk that goes to 0
LATEST = 1e12  # the integration waits no longer than this for the escape


DIRECTIONAL = Example(
    {},
    {
        "design": {"use": "gaussian", "dim": 8},
        "target": {"use": "single-index"},
        "model": {"use": "adaptive.directional"},
        "metric": {"use": "adaptive.overlap"},
    },
)
"""A directional model, with which its theories are tried."""


class Population(NamedTuple):
    """The parameters of the population flow. Modes are the multi-indices m with |m| ≤ R."""

    modes: np.ndarray  # (modes, q) the m
    root: np.ndarray  # (modes,) √λ_{|m|}
    weight: np.ndarray  # (modes,) q*^{−1/2} g_{|m|} √(|m|!/m!)
    start: np.ndarray  # (q, q*) M(0)
    energy: float  # ‖f*‖²


def population(
    eigenvalues: Sequence[float],
    coefficients: Sequence[float],
    overlap: float,
    directions: int = 1,
    true_directions: int = 1,
) -> Population:
    """The setting of λ_0 … λ_R, g_0, g_1, … and a start at overlap ρ(0) in each pair."""
    degree = len(eigenvalues) - 1
    index = np.array(
        [m for m in itertools.product(range(degree + 1), repeat=directions) if sum(m) <= degree]
    )
    total = index.sum(1)
    padded = np.zeros(degree + 1)
    shared = min(degree + 1, len(coefficients))
    padded[:shared] = coefficients[:shared]
    ways = np.array(
        [math.factorial(sum(m)) / math.prod(map(math.factorial, m)) for m in index.tolist()]
    )
    g = np.asarray(coefficients, dtype=float)
    return Population(
        index,
        np.sqrt(np.asarray(eigenvalues, dtype=float))[total],
        padded[total] * np.sqrt(ways / true_directions),
        overlap * np.eye(directions, true_directions),
        float((g[1:] ** 2).sum() + true_directions * g[0] ** 2),
    )


def truth_on_features(setting: Population, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The truth's coefficients on the features, T_m(M), (modes,), and ∂T_m/∂M, (modes, q, q*)."""
    power = setting.modes[:, :, None]  # (modes, q, 1)
    factors = inner**power  # (modes, q, q*)
    slopes = power * inner ** np.maximum(power - 1, 0)
    count = inner.shape[0]
    gradient = np.empty_like(factors)
    for j in range(count):
        cofactors = np.prod(factors[:, [k for k in range(count) if k != j]], axis=1)
        gradient[:, j] = slopes[:, j] * cofactors
    value = setting.weight * factors.prod(1).sum(1)
    return value, setting.weight[:, None, None] * gradient


def velocity(setting: Population, state: np.ndarray) -> np.ndarray:
    """d/dt of the state (M, β) laid out in one vector."""
    inner, beta = _parts(setting, state)
    truth, gradient = truth_on_features(setting, inner)
    fitted = setting.root * beta
    slope = -np.tensordot(fitted, gradient, 1)  # L_M
    across = inner @ slope.T
    turn = -slope + (across + across.T) / 2 @ inner
    return np.concatenate([turn.ravel(), setting.root * (truth - fitted)])


def _parts(setting: Population, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shape = setting.start.shape
    size = shape[0] * shape[1]
    return state[:size].reshape(shape), state[size:]


def _start(setting: Population) -> np.ndarray:
    return np.concatenate([setting.start.ravel(), np.zeros(len(setting.root))])


def _overlap(setting: Population, state: np.ndarray) -> float:
    """|ρ|: the smallest singular value of M."""
    return float(np.linalg.svd(_parts(setting, state)[0], compute_uv=False)[-1])


def population_path(setting: Population, times: Sequence[float]) -> np.ndarray:
    """States (M, β) at increasing times, (times, size); errors about 1e−8."""
    from scipy import integrate  # imported here: it slows down start-up

    solution = integrate.solve_ivp(
        lambda _, state: velocity(setting, state),
        (0.0, max(times[-1], 1e-9)), _start(setting), "LSODA", t_eval=times, rtol=RTOL, atol=ATOL,
    )  # fmt: skip
    if not solution.success:
        raise ArithmeticError(f"the population flow could not be integrated: {solution.message}")
    return np.asarray(solution.y.T)


class _Escape(NamedTuple):
    """The event |ρ| = ½, at which an integration ends."""

    setting: Population
    terminal: bool = True

    def __call__(self, _: float, state: np.ndarray) -> float:
        return _overlap(self.setting, state) - ESCAPED


def escape_time(setting: Population) -> float:
    """When the population flow first has |ρ| = ½; NaN if it does not."""
    from scipy import integrate  # imported here: it slows down start-up

    escaped = _Escape(setting)
    state = _start(setting)
    if escaped(0.0, state) >= 0:
        return 0.0
    since, until = 0.0, 16.0
    while until <= LATEST:
        solution = integrate.solve_ivp(
            lambda _, now: velocity(setting, now),
            (since, until), state, "LSODA", events=escaped, rtol=RTOL, atol=ATOL,
        )  # fmt: skip
        if len(solution.t_events[0]):
            return float(solution.t_events[0][0])
        since, until, state = until, 4 * until, solution.y[:, -1]
    return math.nan


def escape_law(exponent: int, eigenvalue: float, coefficient: float, overlap: float) -> float:
    """The leading term, for ρ(0) → 0, of the time at which |ρ| = ½.

    Around ρ = 0 only the degree r₀ moves. For r₀ = 1 ρ and β grow together, at the rate μ with
    μ² + λμ = λg²: t = ln(1/ρ(0))/μ, which is ln d/(√(λ² + 4λg²) − λ) from ρ(0) = d^{−1/2}. For
    r₀ ≥ 2 β follows at √λ β = gρ^{r₀}, hence ρ̇ = r₀ g² ρ^{2r₀−1} and
    t = ρ(0)^{−2(r₀−1)}/(2r₀(r₀ − 1)g²), which is d^{r₀−1}/(2r₀(r₀ − 1)g²), whatever λ.

    >>> escape_law(3, 1.0, 1.0, 10**-0.5)  # d = 10
    8.333333333333332
    """
    if exponent == 1:
        spread = math.sqrt(eigenvalue**2 + 4 * eigenvalue * coefficient**2)
        return -2 * math.log(overlap) / (spread - eigenvalue)
    rate = 2 * exponent * (exponent - 1) * coefficient**2
    return float(overlap ** (-2 * (exponent - 1)) / rate)


# --- theories -----------------------------------------------------------------------------------


class Setting(NamedTuple):
    """A cell of a directional model under gradient flow, in the notation of the theories."""

    model: DirectionalFeatures
    truth: IndexForm
    overlap: float  # ρ(0)
    directions: int
    noise: float  # σ
    n: int


def setting_of(cell: Cell) -> Setting:
    """The cell as a directional model on Gaussian inputs; DoesNotApply if it is none."""
    model = declared(cell.model, HasDirectionalFeatures).directional_features()
    space = space_of(cell.design)
    if space.law != "gaussian" or space.dim is None:
        raise DoesNotApply(f"it covers Gaussian inputs of equal variances, not {cell.design.name}")
    truth = declared(cell.target, HasIndexForm).index_form()
    name = declared(cell.optimizer, IsSpectral).algorithm().name
    if name != "flow":
        raise DoesNotApply(f"it covers gradient flow, not {name}")
    if model.random_start:
        raise DoesNotApply("it needs a start at a known overlap; the model starts at random")
    initial = model.initial_overlap
    overlap = float(space.dim**-0.5 if initial is None else initial)
    directions = model.directions or truth.directions
    noise, n = value_with(cell.design, "noise", 0.0), sample_size(cell.design)
    return Setting(model, truth, overlap, directions, noise, n)


def information_exponent(truth: IndexForm) -> int | None:
    """min{r ≥ 1 : g_r ≠ 0}; None if there is none."""
    return next((r for r, g in enumerate(truth.coefficients) if r and g), None)


@frozen(kw_only=True)
class PopulationFlow(Theory):
    """Gradient flow of the population loss, n → ∞: the closed equations of the overlaps and β.

    Exact for the population loss, single- and multi-index; training on n points follows it until
    the escape where n is large against d^{r₀}, r₀ the information exponent. The noise enters the
    training loss as σ²/2 and the feature error as ε² = σ²/n. Risks that have fallen below
    1e−8 ‖f*‖² are given as that: no smaller ones are resolved by integration.
    """

    name = "adaptive.population-flow"
    references = ("arXiv:2511.09425",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "overlap": Variable(
            "overlap under the population flow", predicts="overlap", states="limit"
        ),
        "excess_risk": Variable(
            "excess risk under the population flow", predicts="excess_risk", states="limit"
        ),
        "training_loss": Variable(
            "population loss ½E(y − f)² under its flow", predicts="training_loss", states="limit"
        ),
        "feature_error": Variable(
            "feature error measure under the population flow",
            predicts="feature_error",
            states="limit",
        ),
        "escape_time": Variable(
            "time at which |ρ| = ½ under the population flow",
            predicts="escape_time",
            time=False,
            states="limit",
        ),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (DIRECTIONAL,)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        subject = setting_of(cell)
        true_directions = subject.truth.directions
        setting = population(
            subject.model.eigenvalues,
            subject.truth.coefficients,
            subject.overlap,
            subject.directions,
            true_directions,
        )
        if not len(times):
            return {name: np.zeros(0) for name in self.variables}
        path = population_path(setting, times)
        truths = [truth_on_features(setting, _parts(setting, state)[0])[0] for state in path]
        fitted = [setting.root * _parts(setting, state)[1] for state in path]
        missed = np.array([setting.energy - (truth**2).sum() for truth in truths])  # rounding: < 0
        error = np.array([((c - t) ** 2).sum() for c, t in zip(fitted, truths, strict=True)])
        risk = np.maximum(error + missed, RESOLVED * setting.energy)
        noise = subject.noise**2 / subject.n
        return {
            "overlap": np.array([_overlap(setting, state) for state in path]),
            "excess_risk": risk,
            "training_loss": (risk + subject.noise**2) / 2,
            "feature_error": np.array([feature_error(setting, truth, noise) for truth in truths]),
            "escape_time": np.array(escape_time(setting)),
        }


def feature_error(setting: Population, truth: np.ndarray, noise: float) -> float:
    """min_k [kε² + energy of f* outside the k features of the largest eigenvalues], ties by the
    order of the modes: by |m|, then with the first directions first."""
    total = setting.modes.sum(1)
    keys = [total, *(-setting.modes.T)]
    ranked = np.lexsort([*keys[::-1], -setting.root])
    kept = np.concatenate([[0.0], np.cumsum(truth[ranked] ** 2)])
    left = np.maximum(setting.energy - kept, 0.0)
    return float((np.arange(len(kept)) * noise + left).min())


@frozen(kw_only=True)
class EscapeTime(Theory):
    """The leading term of the escape time to |ρ| = ½ of a single-index model as the start ρ(0) → 0.

    For λ = g = 1 and ρ(0) = d^{−1/2}: ln d/(√5 − 1) + O(1) for the information exponent r₀ = 1,
    d^{r₀−1}/(2r₀(r₀ − 1)) for r₀ ≥ 2. It leaves out terms of order one (r₀ = 1), of relative order
    ρ(0)² ln(1/ρ(0)) at least (r₀ ≥ 2), and the degrees beyond r₀.
    """

    name = "adaptive.escape-time"
    references = ("arXiv:2511.09425", "arXiv:2003.10431")
    variables: ClassVar[Mapping[str, Variable]] = {
        "escape_time": Variable(
            "leading term of the time at which |ρ| = ½",
            predicts="escape_time",
            time=False,
            states="limit",
        ),
        "information_exponent": Variable(
            "information exponent of the target, the least degree r ≥ 1 with g_r ≠ 0", time=False
        ),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (DIRECTIONAL,)

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        subject = setting_of(cell)
        if subject.truth.directions != 1 or subject.directions != 1:
            raise DoesNotApply("it covers one direction")
        exponent = information_exponent(subject.truth)
        if exponent is None:
            raise DoesNotApply("the target is constant: no degree of at least 1 has a coefficient")
        values = subject.model.eigenvalues
        if exponent >= len(values) or not values[exponent]:
            raise DoesNotApply(
                f"the model has no features of degree {exponent}, the information exponent"
            )
        if not 0 < subject.overlap < ESCAPED:
            raise DoesNotApply(
                f"it needs a start between 0 and ½, not at overlap {subject.overlap:g}"
            )
        law = escape_law(
            exponent, values[exponent], subject.truth.coefficients[exponent], subject.overlap
        )
        return {"escape_time": np.array(law), "information_exponent": np.array(float(exponent))}
