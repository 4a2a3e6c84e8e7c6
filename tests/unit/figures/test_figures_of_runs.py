"""Figures show what a result holds."""

from __future__ import annotations

import pytest
import xarray as xr

from testbed.figures import draw_figures
from testbed.figures.axes import lines_in_view
from testbed.figures.canvas import Canvas, styled
from testbed.figures.facets import facets
from testbed.figures.learning_curves import learning_curves
from testbed.figures.paths import paths
from testbed.figures.profiles import profiles
from testbed.figures.spectra import spectra
from testbed.figures.sweeps import sweeps
from testbed.planning.files import read_scenario
from testbed.runs import run
from testbed.soundness import read_findings
from tests.helpers.sequences import FIXED, LEARNED, SPARSE, sequence_scenario

SCENARIO = sequence_scenario(
    "drawn",
    head='title = "Something to look at"\nreplicates = 4\n'
    "times = { geom = [1.0, 1e3, 9], include = [0.0] }",
    target=SPARSE,
    models={"fixed": FIXED, "adaptive": f"{LEARNED}, depth = {{ values = [0, 1] }}"},
    more='[[metric]]\nuse = "eigenvalues"\n[[metric]]\nuse = "span-profile"\n'
    '[[metric]]\nuse = "top-projection"\n[[theory]]\nuse = "sequence.expected-risk"\n',
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return run(read_scenario(SCENARIO), tmp_path_factory.mktemp("drawn"))


def test_every_kind_that_has_data_is_drawn_with_its_labels(tree, tmp_path):
    drawn = {
        path.stem: path.with_suffix(".svg").read_text()
        for path in draw_figures(tree, tmp_path).paths
    }
    assert set(drawn) == {
        "excess_risk-against-time",
        "excess_risk-against-n",
        "learned-spectrum",
        "span-profile",
        "top-projection",
    }
    for text in drawn.values():
        assert "Something to look at" in text
    paths = drawn["excess_risk-against-time"]
    for words in ("fixed", "adaptive: depth = 0", "n = 1600", "expected excess risk (theory)"):
        assert words in paths
    assert "slope -0." in drawn["excess_risk-against-n"]
    assert "truth" in drawn["learned-spectrum"]


def test_what_was_measured_at_one_time_is_drawn_against_the_sweep(tmp_path):
    text = SCENARIO.replace("times = { geom = [1.0, 1e3, 9], include = [0.0] }", "times = [10.0]")
    result = run(read_scenario(text), tmp_path / "run")
    (drawn,) = sweeps(result, {})
    assert drawn.name == "at-one-time"
    labels = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert labels == ["fixed", "adaptive, depth = 0", "adaptive, depth = 1"]
    assert any("least over k" in axes.get_ylabel() for axes in drawn.figure.axes)
    assert not list(profiles(result, {})) and not list(paths(result, {}))


LIMIT = """
format = 1
name = "limit"
replicates = 3
times = TIMES
[design]
use = "sphere"
dim = 3
n = { values = [15, 30] }
n_test = 20
noise = 0.3
[target]
use = "linear"
[[estimator]]
name = "laplace"
model = { use = "ntk.laplace" }
optimizer = { use = "spectral-filter" }
[[metric]]
use = "excess-risk"
[[metric]]
use = "training-loss"
[[metric]]
use = "eigenvalues"
[[metric]]
use = "span-profile"
[[metric]]
use = "top-projection"
"""


@pytest.mark.parametrize("times", ["[0, 1, 1000, inf]", "[0, inf]", "[inf]"])
def test_the_limit_of_infinite_time_is_drawn_whatever_the_grid(times, tmp_path):
    result = run(read_scenario(LIMIT.replace("TIMES", times)), tmp_path)
    assert [drawn.name for drawn in learning_curves(result, {})] == ["excess_risk-against-n"]
    (spectrum,) = spectra(result, {})
    labels = [text.get_text() for text in spectrum.figure.axes[0].get_legend().get_texts()]
    assert "τ = ∞" in labels
    drawn = list(paths(result, {"of": "excess_risk"}))
    assert bool(drawn) == ("," in times)
    for figure in drawn:
        axes = figure.figure.axes[0]
        assert "∞" in [tick.get_text() for tick in axes.get_xticklabels()]
        assert any(line.get_marker() == ">" for line in axes.lines)
    assert not any("could not be made" in finding.observation for finding in read_findings(result))


def test_facets_hold_all_estimators_in_a_panel_for_each_point(tmp_path):
    """Only if a table asks for them; a theory of both estimators stands there once."""
    text = SCENARIO.replace("p = 1.0", "p = { values = [1.0, 0.7] }")
    text = text.replace("q = 2.0", "q = { values = [1.0, 2.0] }")
    larger = run(read_scenario(text), tmp_path / "run")
    (drawn,) = facets(larger, {"x": "n", "by": "p", "at": {"q": 2.0}})
    assert drawn.name == "excess_risk-by-p" and "(q = 2)" in drawn.figure.get_suptitle()
    assert [axes.get_title() for axes in drawn.figure.axes] == ["p = 1", "p = 0.7"]
    labels = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert "adaptive, depth = 1" in labels and labels.count("expected excess risk") == 1


@pytest.mark.parametrize(("count", "lines"), [(1, 5), (2, 30), (1, 120)])
def test_the_figure_grows_until_its_legend_fits(count, lines):
    with styled():
        canvas = Canvas.of(count, {})
        figure, axes = canvas.figure, canvas.panels
        for axis in axes:
            for i in range(lines):
                axis.plot(
                    [1, 2], [i, i], label=f"estimator, depth = {i}\nslope -0.50 [-0.60, -0.40]"
                )
        canvas.legends()
        figure.draw_without_rendering()
        owner = figure if figure.legends else axes[0]
        (legend,) = figure.legends or [axes[0].get_legend()]
        inside, original = legend.get_window_extent(), owner.get_window_extent()
        assert inside.y0 >= original.y0 and inside.y1 <= original.y1
        assert inside.x0 >= original.x0 and inside.x1 <= original.x1
        assert all(axis.get_position().width * figure.get_figwidth() > 2 for axis in axes)


def test_logarithmic_axes_show_lines_not_rounding_nor_explosions():
    (axis,) = Canvas.of(1, {}).panels
    axis.plot([0, 1, 2, 3, 4], [1e-17, 0.01, 0.02, 0.03, 1e100])
    axis.fill_between([1, 2, 3], [1e-9, 1e-9, 1e-9], [0.1, 0.1, 0.1])
    axis.set_yscale("log")
    lines_in_view(axis)
    bottom, top = axis.get_ylim()
    assert bottom == pytest.approx(0.01 / 3) and top == pytest.approx(0.02e6)


def test_what_has_no_line_or_belongs_to_another_variable_gets_no_figure(tmp_path):
    text = LIMIT.replace("TIMES", "[1, 10]").replace(
        'use = "linear"', 'use = "gegenbauer"\ndegrees = [1]'
    )
    text += """
[[metric]]
use = "ntk.population-risk"
[[metric]]
use = "target-alignment"
times = [1.0]
"""
    result = run(read_scenario(text), tmp_path / "run")["laplace"].to_dataset()
    tree = xr.DataTree.from_dict({"laplace": result})
    drawn = [figure.name for figure in paths(tree, {})]
    assert "population_risk-against-time" in drawn and "population_risk_error" in tree["laplace"]
    assert "population_risk_error-against-time" not in drawn
    assert "target_alignment" in tree["laplace"] and not any("alignment" in name for name in drawn)
    requested = [figure.name for figure in paths(tree, {"of": "population_risk_error"})]
    assert requested == ["population_risk_error-against-time"]
