"""Confidence limits from the pseudo-values of a jackknife, in three forms.

The pseudo-value of replicate r is R·θ − (R − 1)·θ₍₋ᵣ₎, where θ₍₋ᵣ₎ leaves r out; those of a mean
are the replicates themselves. `docs/analysis.md` reports how often each form covers. Arrays only:
the last axis is the replicate, and NaN stands for one that is missing.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Form = Literal["student", "skewed", "positive"]

LEAST = 3  # replicates that an interval needs
SKEWED = 0.6  # skewness over √R above which an interval may cover less often than it says …
SKEWNESS = (
    1.7  # … and the least skewness that counts: normal values exceed it in 3% of samples of 8
)


class Moments(NamedTuple):
    """Moments of the pseudo-values of each point."""

    number: Floats
    mean: Floats
    error: Floats  # standard error of the mean
    deviation: Floats
    skewness: Floats  # unbiased for normal values; 0 where all are equal


def moments(pseudo: Floats) -> Moments:
    """Number, mean, standard error, standard deviation and skewness over the last axis."""
    present = np.isfinite(pseudo)
    count = present.sum(-1).astype(float)
    with np.errstate(all="ignore"):
        mean = np.where(present, pseudo, 0.0).sum(-1) / count
        distance = np.where(present, pseudo - mean[..., None], 0.0)
        second = (distance**2).sum(-1)
        deviation = np.sqrt(second / (count - 1))
        third = (distance**3).sum(-1) / count / (second / count) ** 1.5
        skewness = third * np.sqrt(count * (count - 1)) / (count - 2)
        error = deviation / np.sqrt(count)
    skewness = np.where((deviation > 0) & (count >= LEAST), skewness, 0.0)
    return Moments(count, mean, error, deviation, skewness)


def limits(estimate: Floats, pseudo: Floats, form: Form, level: float) -> tuple[Floats, Floats]:
    """Lower and upper limit of each point; NaN where fewer than three replicates are there.

    `student` is Student's t around the estimate (jackknife-t): for slopes. `skewed` is the hull of
    that and of Hall's cubic transformation of t (Hall 1992), which follows the skewness of a mean:
    for means and differences of any sign, and logarithms of ratios. In `positive` the pseudo-values
    are those of a logarithm: Hall's limits are positive, and the skewness is at least that of a
    gamma law of the same coefficient of variation.
    """
    values = moments(pseudo)
    quantile = student_quantile(level, values.number)
    with np.errstate(all="ignore"):
        half = quantile * values.error
        if form == "student":
            return estimate - half, estimate + half
        root = np.sqrt(values.number)
        skewness, bend = values.skewness, np.zeros_like(root)
        if form == "positive":  # log x̄ bends the law of its t by half its deviation
            skewness = np.maximum(skewness, 2 * values.deviation)
            bend = values.deviation / 2
        curvature, shift = (skewness / 3 - bend) / root, skewness / 6 / root
        lower = values.mean - _undo(quantile, curvature, shift) * values.error
        upper = values.mean - _undo(-quantile, curvature, shift) * values.error
        if form == "positive":  # the bias-corrected mean of pseudo-values is not the estimate
            lower, upper = np.fmin(lower, estimate), np.fmax(upper, estimate)
            enough = values.number >= LEAST
            return np.where(enough, np.exp(lower), np.nan), np.where(enough, np.exp(upper), np.nan)
        return np.minimum(estimate - half, lower), np.maximum(estimate + half, upper)


def student_quantile(level: float, count: Floats) -> Floats:
    """Student's t quantile of a two-sided interval; NaN for fewer than three values."""
    from scipy import special

    enough = count >= LEAST
    quantile = special.stdtrit(np.where(enough, count - 1, 2.0), 0.5 + level / 2)
    return np.where(enough, quantile, np.nan)


def _undo(value: Floats, curvature: Floats, shift: Floats) -> Floats:
    """The t that Hall's transformation t + c t² + c² t³/3 + shift maps to a value."""
    small = np.abs(curvature) < 1e-8
    safe = np.where(small, 1.0, curvature)
    root = np.cbrt(1 + 3 * safe * (value - shift))
    return np.where(small, value - shift, (root - 1) / safe)
