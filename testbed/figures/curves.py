"""Curves against a sweep: a variable at a given or the best time, and predictions of theories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import evolve, field, frozen
from matplotlib.axes import Axes

from testbed.contract.figures import AXES, ORACLE, RISKS, names
from testbed.figures.averages import (
    AtTime,
    PowerLaw,
    at_time,
    expected_at_time,
    power_law,
    power_laws,
)
from testbed.figures.axes import TimeAxis, number
from testbed.figures.canvas import plain
from testbed.figures.drawn import Options, gaps, held, listed, selection
from testbed.figures.groups import Group, long_name, predictions, sweep_points
from testbed.figures.looks import ESTIMATOR, Key, Look, label, looks

THEORY: dict[str, Any] = {"lw": 0.9, "ls": (0, (1, 1.5))}
REACH = 30  # how far below the simulated values a theory or an interval is followed


@frozen
class Curve:
    """A variable of one estimator, at a point of its other sweeps, against `x`; a curve without
    the dimension `x` is one value, drawn as a horizontal reference."""

    key: Key
    x: np.ndarray | None
    values: AtTime
    theories: dict[str, AtTime]
    law: PowerLaw | None = None
    look: Look = Look("black", "o", "-")
    names: dict[str, str] = field(factory=dict)  # theories by their long name

    @property
    def has_numbers(self) -> bool:
        """Whether there is a number to draw."""
        parts = [self.values, *self.theories.values()]
        return any(bool(np.isfinite(part.band.mean).any()) for part in parts)


def default_axis(groups: Iterable[Group], of: str, any_sweep: bool = False) -> str:
    """The sweep n, width or dim; else, if any sweep is allowed, the longest numeric sweep."""
    sizes: dict[str, int] = {}
    for group in groups:
        for dim in group.sweep_of(of) if of in group.dataset else []:
            values = group.dataset[dim]
            if values.dtype.kind in "fiu" and values.size > 1:
                sizes[dim] = max(sizes.get(dim, 0), values.size)
    preferred = [dim for dim in AXES if dim in sizes]
    if preferred or not any_sweep or not sizes:
        return preferred[0] if preferred else ""
    return max(sizes, key=lambda dim: sizes[dim])


def curves_of(
    groups: Sequence[Group], of: str, x: str, when: object = ORACLE, colour: str = ""
) -> list[Curve]:
    """The curves of all groups that have a variable, each with its look; those without the
    dimension `x` as references."""
    curves = [
        curve
        for group in groups
        if of in group.dataset
        for curve in _curves(group, of, x, when)
        if curve.has_numbers
    ]
    drawn = looks([curve.key for curve in curves], colour)
    return [evolve(curve, look=look) for curve, look in zip(curves, drawn, strict=True)]


def _curves(group: Group, of: str, x: str, when: object) -> Iterator[Curve]:
    dataset, values = group.dataset, group.dataset[of]
    sweep = [dim for dim in group.sweep_of(of) if dim != x]
    there = x in values.dims
    everywhere, expected = at_time(dataset, of, when), expected_at_time(dataset, of, when)
    fits = power_laws(dataset, of, x) if there and when == ORACLE else None
    for point in sweep_points(values, sweep):
        here = everywhere.sel(point)
        theories = {theory: part.sel(point) for theory, part in expected.items()}
        theories = {t: part for t, part in theories.items() if part.band.mean.ndim == int(there)}
        law = None if fits is None else power_law(fits.sel(point), here.band, x)
        coordinate = values[x].values.astype(float) if there else None
        words = {theory: long_name(dataset, theory) for theory in theories}
        key: Key = {ESTIMATOR: group.name, **point}
        yield Curve(key, coordinate, here, theories, law, names=words)


# --- drawing ---------------------------------------------------------------------------------


def draw_curve(axes: Axes, curve: Curve, text: str | None = None) -> None:
    """Means with their intervals, joined by lines; the power law instead where there is one."""
    name = plain(label(curve.key) if text is None else text)
    if not np.isfinite(curve.values.band.mean).any():
        return
    if curve.x is None:
        _reference(axes, curve, name)
        return
    look, band = curve.look, curve.values.band
    if curve.law is not None:
        law = curve.law
        name += f"\nslope {law.slope:.2f}"
        if np.isfinite([law.lower, law.upper]).all():
            name += f" [{law.lower:.2f}, {law.upper:.2f}]"
    below, above = _bars(curve)
    style: dict[str, Any] = {"color": look.colour, "marker": look.mark, "capsize": 2}
    line = "none" if curve.law is not None else look.dash
    axes.errorbar(curve.x, band.mean, yerr=np.stack([below, above]), ls=line, **style)
    axes.plot([], [], color=look.colour, marker=look.mark, ls=look.dash, lw=1, label=name)
    if curve.law is not None:
        heights = np.exp(curve.law.intercept) * curve.x**curve.law.slope
        heights[np.isnan(band.mean)] = np.nan
        axes.plot(curve.x, heights, color=look.colour, ls=look.dash, lw=1)


def _bars(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """How far intervals reach below and above the means."""
    band = curve.values.band
    low = band.positive_lower() if (band.mean > 0).any() else band.lower
    low = low.where(band.mean > 0, band.lower)
    below, above = (band.mean - low).values, (band.upper - band.mean).values
    return np.nan_to_num(below).clip(min=0), np.nan_to_num(above).clip(min=0)


def _reference(axes: Axes, curve: Curve, name: str) -> None:
    """An estimator without the swept dimension: a horizontal line and its interval."""
    band, look = curve.values.band, curve.look
    dash = (0, (8, 2, 1, 2)) if look.dash == "-" else look.dash
    axes.axhline(float(band.mean), color=look.colour, ls=dash, lw=1.2, label=name)
    if np.isfinite(band.upper):
        low = float(band.positive_lower() if band.mean > 0 else band.lower)
        axes.axhspan(low, float(band.upper), color=look.colour, alpha=0.12, lw=0)


def draw_best_time(axes: Axes, curve: Curve, times: TimeAxis) -> None:
    """The best time against the sweep; at its own place where it is infinite."""
    look = curve.look
    for part, style in ((curve.values, {"ls": look.dash, "marker": look.mark}), *_expected(curve)):
        if part.time is None:
            continue
        heights = times.place(np.atleast_1d(part.time.values))
        if curve.x is None:
            if np.isfinite(heights).all():
                axes.axhline(float(heights[0]), color=look.colour, ls=style["ls"], lw=1)
        else:
            axes.plot(curve.x, heights, color=look.colour, **style)


def _expected(curve: Curve) -> Iterator[tuple[AtTime, dict[str, Any]]]:
    for part in curve.theories.values():
        yield part, dict(THEORY)


def draw_expected(axes: Axes, curve: Curve) -> bool:
    """Each theory as a thin dotted line in the curve's colour; whether there was one."""
    drawn = False
    for part in curve.theories.values():
        heights = part.band.mean
        if not np.isfinite(heights).any():
            continue
        drawn = True
        if curve.x is None:
            axes.axhline(float(heights), color=curve.look.colour, **THEORY)
        else:
            shown = heights.where(heights > 0) if axes.get_yscale() == "log" else heights
            axes.plot(curve.x, shown, color=curve.look.colour, **THEORY)
    return drawn


def set_value_axis(axes: Axes, curves: Sequence[Curve]) -> None:
    """A logarithmic axis of positive values, which ends a little below the least mean; lower for
    theories and intervals, which may go to zero."""
    means = _finite(curve.values.band.mean for curve in curves)
    theories = _finite(part.band.mean for curve in curves for part in curve.theories.values())
    everything = means if means.size else theories
    if not everything.size or everything.min() <= 0:
        return
    axes.set_yscale("log")
    least = min([float(everything.min()), *theories[theories > 0]])
    tops = _finite(curve.values.band.upper for curve in curves)
    top = max([float(everything.max()), *tops, *theories])
    bottom = max(least, float(everything.min()) / REACH)
    lowest = _finite(curve.values.band.positive_lower() for curve in curves)
    if lowest.size:
        bottom = min(bottom, max(float(lowest.min()), float(everything.min()) / REACH))
    axes.set_ylim(bottom / 1.4, top * 1.4)


def _finite(parts: Iterable[xr.DataArray]) -> np.ndarray:
    arrays = [np.ravel(part.values) for part in parts]
    values = np.concatenate(arrays) if arrays else np.zeros(0)
    return values[np.isfinite(values)]


def sweep_values(curves: Iterable[Curve]) -> np.ndarray:
    """All values of the sweep that the curves have."""
    arrays = [curve.x for curve in curves if curve.x is not None]
    return np.unique(np.concatenate(arrays)) if arrays else np.zeros(0)


def lost_points(curves: Iterable[Curve]) -> int:
    """At how many points some of the replicates are missing."""
    return sum(curve.values.band.lost for curve in curves)


def theory_names(curves: Iterable[Curve]) -> list[str]:
    """The theories that are drawn, each once."""
    return list(dict.fromkeys(name for curve in curves for name in curve.names.values()))


def has_theory(group: Group, of: str) -> bool:
    """Whether a theory predicts a variable of a group."""
    return bool(predictions(group.dataset, of))


def time_words(when: object, best: bool) -> str:
    """The part of a label that says at which time a value is taken."""
    if not best:
        return (
            ""
            if when == ORACLE or not isinstance(when, (int, float))
            else f" at τ = {number(when)}"
        )
    return " at the best τ"


def drawn_variables(groups: Sequence[Group], options: Options) -> Iterator[tuple[str, list[Group]]]:
    """The variables that a table names, or else the first risk that exists, each with the groups
    that have it."""
    available = [risk for risk in RISKS if any(risk in group.dataset for group in groups)]
    for of in names(options.get("of")) or available[:1]:
        yield of, [group for group in groups if of in group.dataset]


def value_code(groups: Sequence[Group], of: str, timed: bool) -> str:
    """The lines that select the drawn values: means over replicates, at their best time if
    `timed`."""
    return "\n".join(selection(group, of, _reduction(group, of, timed)) for group in groups)


def _reduction(group: Group, of: str, timed: bool) -> str:
    dims = group.dataset[of].dims
    if timed and "time" in dims:
        return '.mean("replicate").min("time")'
    return '.mean("replicate")' if "replicate" in dims else ""


def curve_notes(
    curves: Sequence[Curve], x: str, theory_mark: str, held_values: Options
) -> tuple[str, ...]:
    """The sentences of a caption on references, theories, gaps and held values."""
    theories = theory_names(curves)
    return (
        f"horizontal lines: estimators without {x}" if any(c.x is None for c in curves) else "",
        f"{theory_mark}: {listed(theories)} (theory)" if theories else "",
        gaps(lost_points(curves)),
        held(held_values),
    )
