"""Maps of where one estimator beats another, and curves of variables that belong to no time."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.figures import draw_figures
from testbed.figures.maps import comparison
from testbed.scenario.scenario import FigureSpec

P, Q, DEPTH, TIMES = (1.0, 2.0), (1.0, 2.0, 3.0), (0, 1), (0.0, 1.0, 2.0)


def dataset(values, dims, theory=None):
    coords = {"p": list(P), "q": list(Q), "depth": list(DEPTH), "time": list(TIMES)}
    coords = {name: value for name, value in coords.items() if name in dims}
    result = xr.Dataset({"excess_risk": (dims, values)}, coords)
    if theory is not None:
        actual = tuple(dim for dim in dims if dim != "replicate")
        result["excess_risk__expected"] = (actual, theory, {"predicts": "excess_risk"})
    result["largest"] = result["excess_risk"].max("time")
    result["largest"].attrs = {"long_name": "largest distance"}
    return result.assign(status=((*dims[:-1],), np.zeros(values.shape[:-1], dtype="int8")))


@pytest.fixture
def tree():
    """Fixed risk 2 everywhere; learned 1, 4 or about 2 by q, simulated at p = 1 only."""
    rng = np.random.Generator(np.random.Philox(2))
    noise = 0.1 * rng.standard_normal((2, 3, 2, 20, 1))
    level = np.array([1.0, 4.0, 2.0])[None, :, None, None, None]
    bowl = np.array([3.0, 0.0, 3.0])  # the best time is the second
    learned = level + noise + bowl
    learned[1] = np.nan
    fixed = 2.0 + bowl + np.zeros((2, 3, 20, 1))
    expected = np.broadcast_to(level[..., 0, :] + bowl, (2, 3, 2, 3))
    dims = ("p", "q", "depth", "replicate", "time")
    groups = {
        "learned": dataset(learned, dims, expected),
        "fixed": dataset(fixed, ("p", "q", "replicate", "time"), 2.0 + bowl + np.zeros((2, 3, 3))),
    }
    return xr.DataTree.from_dict(groups)


def test_ratio_is_of_expected_risks_and_signs_are_of_paired_differences(tree):
    ratio, verdict = comparison(
        tree["learned"].to_dataset(), tree["fixed"].to_dataset(), "excess_risk"
    )
    np.testing.assert_allclose(ratio.sel(p=2.0, depth=1), [-1, 1, 0])
    np.testing.assert_array_equal(verdict.sel(p=1.0, depth=0)[:2], [-1, 1])
    assert bool(verdict.sel(p=2.0).isnull().all())


def test_without_theory_the_ratio_is_that_of_means(tree):
    bare = tree.copy()
    for name in ("learned", "fixed"):
        bare[name] = bare[name].to_dataset().drop_vars("excess_risk__expected")
    ratio, _ = comparison(bare["learned"].to_dataset(), bare["fixed"].to_dataset(), "excess_risk")
    np.testing.assert_allclose(ratio.sel(p=1.0, depth=0)[:2], [-1, 1], atol=0.15)


def test_a_map_has_a_panel_for_each_point_of_the_other_sweeps(tree, tmp_path):
    options = {"of": ("learned", "fixed"), "x": "q", "y": "p", "title": "Where it helps"}
    (path,), _ = draw_figures(tree, tmp_path, [FigureSpec("maps", options)])
    text = path.with_suffix(".svg").read_text()
    for words in ("depth = 0", "depth = 1", "cannot tell", "Where it helps", "learned over fixed"):
        assert words in text
    (path,), _ = draw_figures(tree, tmp_path, [FigureSpec("maps", {**options, "at": {"depth": 1}})])
    assert "depth = 0" not in path.with_suffix(".svg").read_text()
    nothing, problems = draw_figures(
        tree, tmp_path, [FigureSpec("maps", {**options, "of": ("learned", "other")})]
    )
    assert not nothing and "other" in problems[0]


def test_a_variable_without_time_has_a_curve_of_its_own(tree, tmp_path):
    (path,), _ = draw_figures(
        tree, tmp_path, [FigureSpec("learning-curves", {"of": "largest", "x": "q"})]
    )
    text = path.with_suffix(".svg").read_text()
    assert "largest distance" in text and "slope" in text
    assert "stopping" not in text and "best" not in text
