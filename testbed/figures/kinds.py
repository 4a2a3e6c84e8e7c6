"""The functions that draw each kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import xarray as xr

from testbed.figures.drawn import Drawn, Options
from testbed.figures.facets import facets
from testbed.figures.learning_curves import learning_curves
from testbed.figures.maps import maps
from testbed.figures.paths import paths
from testbed.figures.profiles import profiles
from testbed.figures.spectra import spectra
from testbed.figures.sweeps import sweeps

Drawing = Callable[[xr.DataTree, Options], Iterator[Drawn]]

DRAWINGS: Mapping[str, Drawing] = {
    "paths": paths,
    "learning-curves": learning_curves,
    "facets": facets,
    "spectra": spectra,
    "profiles": profiles,
    "sweeps": sweeps,
    "maps": maps,
}
