"""Figures drawn from results alone, chosen by what a result holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from testbed.figures.curves import learning_curves
from testbed.figures.facets import facets
from testbed.figures.maps import maps
from testbed.figures.paths import paths
from testbed.figures.profiles import profiles
from testbed.figures.spectra import spectra
from testbed.figures.style import styled
from testbed.figures.sweeps import sweeps
from testbed.results.groups import without_tables

if TYPE_CHECKING:
    import xarray as xr

Drawing = Callable[..., Iterator[tuple[str, Figure]]]

KINDS: dict[str, Drawing] = {
    "paths": paths,
    "learning-curves": learning_curves,
    "facets": facets,
    "spectra": spectra,
    "profiles": profiles,
    "sweeps": sweeps,
    "maps": maps,
}


def draw_figures(tree: xr.DataTree, folder: str | Path, specs: Iterable[Any] = ()) -> list[Path]:
    """Draw a result's figures into a folder, as PNG and SVG; returns the PNG files.

    `specs` are the scenario's `[[figure]]` tables (kind and options); without any, every kind that
    the result has data for is drawn. Kinds: paths (variables against time), learning-curves (risk
    at the best stopping time against a sweep), facets (the same, all estimators in a panel for each
    point of another sweep; only if asked for), spectra (learned eigenvalues with the truth),
    profiles (variables along their own dimension), sweeps (what was measured at one time only,
    against a sweep), maps (where one estimator's best risk is below another's: needs of, x and y).
    """
    wanted = [(spec.kind, dict(spec.options)) for spec in specs] or [(kind, {}) for kind in KINDS]
    folder, tree = Path(folder), without_tables(tree)
    written = []
    with styled():
        for position, (kind, options) in enumerate(wanted):
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise ValueError(f"found the figure kind {kind!r}, expected one of {known}")
            for name, figure in KINDS[kind](tree, **options):
                folder.mkdir(parents=True, exist_ok=True)
                stem = name if not list(specs) else f"{position + 1}-{name}"
                for suffix in ("svg", "png"):
                    figure.savefig(folder / f"{stem}.{suffix}")
                    figure.set_layout_engine("none")  # laid out once is enough for both
                written.append(folder / f"{stem}.png")
    return written
