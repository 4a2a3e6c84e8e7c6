"""Published numbers as diamonds beside learning curves."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from testbed.figures.learning_curves import learning_curves
from testbed.figures.paths import paths
from testbed.planning.files import read_scenario
from testbed.runs import run

SCENARIO = """
format = 1
name = "beside"
replicates = 4
[design]
use = "sequence.gaussian"
n = { values = [2000, 10000] }
modes = 400
[target]
use = "sequence.sparse-power"
p = 1.0
q = 2.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { values = [1.5, 3.0] } }
optimizer = { use = "gradient-flow", times = { geom = [10.0, 1e9, 21] } }
[[metric]]
use = "excess-risk"
[[claim]]
name = "level"
that = "agrees"
of = "fixed/excess_risk"
at = { time = "oracle" }
each = ["gamma"]
expect = "2409.00894_figure-1-lines/fixed_risk"
within = 0.5
"""


def test_published_points_have_the_colour_of_the_curve_beside_them(tmp_path):
    tree = run(read_scenario(SCENARIO), tmp_path)
    (drawn,) = learning_curves(tree, {})
    assert "Diamonds: published (Li and Lin 2024, arXiv:2409.00894, Figure 1)." in drawn.caption
    axes = drawn.figure.axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D" and len(line.get_xdata())]
    heights = [line.get_ydata() for line in diamonds]
    np.testing.assert_allclose(heights, [[0.1136, 0.06223], [0.1214, 0.07015]], rtol=1e-3)
    assert diamonds[0].get_color() != diamonds[1].get_color()
    assert "published" in axes.get_legend_handles_labels()[1]
    plt.close(drawn.figure)


def test_published_numbers_along_time_stand_beside_the_paths(tmp_path):
    tree = run(read_scenario(SCENARIO.partition("[[claim]]")[0]), tmp_path)
    heights = [[0.5, 0.2], [0.6, 0.3]]
    compares = {"compares": "fixed/excess_risk"}
    coordinates = {"gamma": [1.5, 3.0], "time": [100.0, 1e4]}
    numbers = xr.DataArray(heights, coordinates, ("gamma", "time"), "risk", compares)
    published = xr.Dataset({"risk": numbers}, attrs={"source": "somebody"})
    tree["published/table"] = xr.DataTree(published)
    (drawn,) = paths(tree, {"of": "excess_risk", "by": "n"})
    assert drawn.caption.endswith("Diamonds: published (somebody).")
    for axes in drawn.figure.axes[:2]:
        diamonds = [x for x in axes.lines if x.get_marker() == "D" and len(x.get_xdata())]
        np.testing.assert_allclose([x.get_ydata() for x in diamonds], heights)
        assert len({x.get_color() for x in diamonds}) == 2
    plt.close(drawn.figure)
