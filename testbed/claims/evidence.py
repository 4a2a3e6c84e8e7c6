"""The evidence for a claim at one point: values, their rival, and what is expected of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import xarray as xr

from testbed import analysis
from testbed.claims.published import beside, published_number, selected
from testbed.contract.claims import DIVERGED, FINDINGS, Evidence
from testbed.contract.figures import ORACLE
from testbed.contract.names import in_words
from testbed.contract.published import PublishedTable

if TYPE_CHECKING:
    from testbed.scenario.tables import ClaimTable

COPIES = 3  # equal replicates of a value that no chance changes: intervals of no width
Point = Mapping[str, object]


class Unjudged(Exception):
    """Why a claim has no evidence; the reason of its verdict."""


class Sources(NamedTuple):
    """Where evidence comes from: the results, and published numbers by their key."""

    tree: xr.DataTree
    published: Mapping[str, PublishedTable]


def evidence_of(claim: ClaimTable, point: Point, sources: Sources, level: float) -> Evidence:
    """The evidence for a claim at a point of `each`; Unjudged where there is none."""
    held = {**claim.at, **point}
    dataset, variable = _source(claim.of, sources.tree)
    values = _values(dataset, variable, claim, held)
    rival = None
    if claim.than:
        rival = _values(*_source(claim.than, sources.tree), claim, {**held, **claim.than_at})
        values, rival = _replicated(values, rival), _replicated(rival, values)
    values = _replicated(values)
    number, theory = _expected(claim, held, values, dataset, sources)
    return Evidence(
        values=values,
        rival=rival,
        theory=theory,
        along=claim.along,
        expect=number,
        within=claim.within or 0.0,
        side=claim.side,
        level=level,
        looks=int(dataset["status"].attrs.get("looks", 1)) if "status" in dataset else 1,
        survivors=claim.survivors,
    )


def moved_by_chance(claim: ClaimTable, tree: xr.DataTree) -> bool:
    """Whether a claim has an interval: theory beside theory has none, nor has a finding."""
    if claim.that in FINDINGS:
        return False
    group = tree[claim.of.partition("/")[0]].to_dataset()
    theory = claim.expect if isinstance(claim.expect, str) else ""
    if theory in group and "replicate" in group[theory].dims:
        return True
    return any(_is_simulated(name, tree) for name in (claim.of, claim.than) if name)


def _is_simulated(name: str, tree: xr.DataTree) -> bool:
    """Whether a variable has replicates; one that is not there would have them, a theory's not."""
    estimator, _, variable = name.partition("/")
    group = tree[estimator].to_dataset()
    return "replicate" in group[variable].dims if variable in group else "__" not in variable


def _source(text: str, tree: xr.DataTree) -> tuple[xr.Dataset, str]:
    estimator, _, variable = text.partition("/")
    dataset = tree[estimator].to_dataset()
    if variable == DIVERGED and variable not in dataset:
        dataset = dataset.assign({DIVERGED: _diverged(dataset["status"])})
    if variable not in dataset:
        raise Unjudged(f"the results have no {text}")
    return dataset, variable


def _diverged(status: xr.DataArray) -> xr.DataArray:
    """1 for replicates that diverged, 0 for those that did not, NaN for others."""
    words = str(status.attrs["flag_meanings"]).split()
    codes = [words.index(word) for word in ("ok", "diverged")]
    return (status == codes[1]).astype(float).where(status.isin(codes)).assign_attrs(units="1")


def _values(dataset: xr.Dataset, variable: str, claim: ClaimTable, held: Point) -> xr.DataArray:
    """The replicates at a claim's point, at the times that it asks for."""
    lost = ("failed",) if variable == DIVERGED else ("failed", "diverged")
    if not claim.survivors:
        _expect_all(dataset, claim, held, lost)
    simulated = dataset[variable] if variable == DIVERGED else analysis.simulated(dataset, variable)
    values = _part(simulated, claim, held)
    chooser = held.get("time")
    if isinstance(chooser, str) and chooser != ORACLE and "time" in values.dims:
        values = analysis.at_least(values, _part(analysis.simulated(dataset, chooser), claim, held))
    if "replicate" not in values.dims and "__" not in variable:
        raise Unjudged("only the mean over replicates was kept")
    return values


def _replicated(values: xr.DataArray, pattern: xr.DataArray | None = None) -> xr.DataArray:
    """Values that no chance changes as equal replicates, as many as those beside them."""
    if "replicate" in values.dims:
        return values
    from testbed.analysis.replicates import ASKED  # loaded when claims are judged

    if pattern is None or "replicate" not in pattern.dims:
        return values.expand_dims(replicate=COPIES)
    copies = values.expand_dims(replicate=pattern["replicate"].values)
    return copies.assign_coords({ASKED: pattern[ASKED]}) if ASKED in pattern.coords else copies


def _expect_all(
    dataset: xr.Dataset, claim: ClaimTable, held: Point, lost_words: tuple[str, ...]
) -> None:
    """Unjudged where replicates that the claim concerns are lost."""
    if "status" not in dataset:
        return
    status = _part(dataset["status"], claim, held).compute()
    words = str(status.attrs.get("flag_meanings", "")).split()
    codes = [i for i, word in enumerate(words) if word in lost_words]
    lost = status.isin(codes).sum("replicate")
    if not bool((lost > 0).any()):
        return
    ended = [i for i, word in enumerate(words) if word in ("ok", "failed", "diverged")]
    requested = status.isin(ended).sum("replicate")
    worst = {dim: int(i) for dim, i in lost.argmax(...).items()} if lost.ndim else {}
    left, total = int((requested - lost).isel(worst)), int(requested.isel(worst))
    place = {str(dim): lost[dim].values[i] for dim, i in worst.items()}
    where = f" at {in_words(place)}" if place else ""
    text = f"{left} of {total} replicates are left{where}"
    raise Unjudged(f"{text}; survivors = true judges those that are")


def _part(values: xr.DataArray, claim: ClaimTable, held: Point) -> xr.DataArray:
    """The values at the claim's point and in its range; a dimension that is not there needs no
    choice."""
    for dim, wanted in held.items():
        if dim not in values.dims or (dim == "time" and isinstance(wanted, str)):
            continue
        numeric = values[dim].dtype.kind in "fiu"
        values = values.sel({dim: wanted}, method="nearest" if numeric else None)
    if claim.range and claim.along in values.dims:
        low, high = claim.range
        place = values[claim.along]
        values = values.isel({claim.along: ((place >= low) & (place <= high)).values})
    return values


# --- what is expected ---------------------------------------------------------------------------


def _expected(
    claim: ClaimTable, held: Point, values: xr.DataArray, dataset: xr.Dataset, sources: Sources
) -> tuple[float, xr.DataArray | None]:
    """The number that is expected, and the curve where it is one."""
    if not isinstance(claim.expect, str):
        return (math.nan if claim.expect is None else float(claim.expect)), None
    if claim.expect in sources.published:
        published = selected(published_number(claim.expect, sources.published), held)
        curve = beside(published, values)
        return (float(curve) if not curve.dims else math.nan), curve
    if claim.expect not in dataset:
        raise Unjudged(_inapplicable(claim.expect, dataset))
    curve = _part(dataset[claim.expect], claim, held)
    if claim.that == "agrees":
        best = held.get("time") == ORACLE and "time" in curve.dims
        return math.nan, curve.min("time") if best else curve
    single = curve.min("time") if "time" in curve.dims and claim.along != "time" else curve
    single = single.mean("replicate") if "replicate" in single.dims else single
    if claim.that == "slope" and curve.attrs.get("predicts") == claim.of.partition("/")[2]:
        exact = single.expand_dims(replicate=COPIES)
        return float(analysis.slope(exact, claim.along)["estimate"]), None
    if claim.along in single.dims and claim.that == "bound":
        return math.nan, single
    number = float(single.mean())
    if math.isnan(number):
        raise Unjudged(_inapplicable(claim.expect, dataset))
    return number, None


def _inapplicable(name: str, dataset: xr.Dataset) -> str:
    """Why a theory says nothing."""
    reasons = dataset.get(f"{name}__applies")
    texts = [] if reasons is None else [str(text) for text in reasons.values.ravel() if str(text)]
    return f"{name} does not apply" + (f": {texts[0]}" if texts else "")
