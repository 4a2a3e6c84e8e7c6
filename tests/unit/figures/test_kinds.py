"""What each kind of figure shows of results that were made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from testbed.figures.averages import at_time, mean_of
from testbed.figures.axes import TimeAxis, roomy, spaced
from testbed.figures.canvas import panel_title, plain, styled
from testbed.figures.facets import facets
from testbed.figures.learning_curves import learning_curves
from testbed.figures.looks import COLOURS, contrast, looks, shades
from testbed.figures.paths import paths
from testbed.figures.profiles import profiles
from testbed.figures.spectra import spectra
from testbed.figures.sweeps import sweeps
from tests.helpers.trees import TIMES, WIDTHS, group, lose, tree


@pytest.fixture(scope="module")
def result():
    wide = group({"width": list(WIDTHS), "noise": [0.1, 0.5]})
    return tree(network=wide, kernel=group({}, seed=1, level=0.2))


def only(drawing, result, **options):
    with styled(options.get("size", "screen")):
        (drawn,) = drawing(result, options)
    return drawn


def test_an_estimator_without_the_swept_parameter_is_a_horizontal_reference(result):
    for kind, options in (
        (learning_curves, {"x": "width"}),
        (facets, {"x": "width", "by": "noise"}),
    ):
        drawn = only(kind, result, **options)
        level = float(at_time(result["kernel"].to_dataset(), "excess_risk").band.mean)
        flat = [
            line for line in drawn.figure.axes[0].lines
            if set(np.round(np.asarray(line.get_ydata(), float), 12)) == {round(level, 12)}
        ]  # fmt: skip
        assert len(flat) == 1 and flat[0].get_label() == "kernel"
        assert "without width" in drawn.caption


def test_panels_side_by_side_share_their_axes(result):
    drawn = only(paths, result, of="excess_risk")
    axes = drawn.figure.axes
    assert len(axes) == 3
    assert len({ax.get_xlim() for ax in axes}) == len({ax.get_ylim() for ax in axes}) == 1
    assert len({ax.get_yscale() for ax in axes}) == 1


def test_the_limit_of_infinite_time_has_a_place_of_its_own(result):
    drawn = only(paths, result, of="excess_risk")
    axes = drawn.figure.axes[0]
    assert "∞" in [tick.get_text() for tick in axes.get_xticklabels()]
    markers = [line for line in axes.lines if line.get_marker() == ">"]
    assert len(markers) == len(WIDTHS)
    assert all(
        line.get_xdata()[0] > 100 and line.get_xdata()[0] < axes.get_xlim()[1] for line in markers
    )
    assert "infinite training time" in drawn.caption


@pytest.mark.parametrize(
    "times", [(0.0, np.inf), (1.0, np.inf), (0.0, 1.0, 1e3, np.inf), (np.inf,)]
)
def test_infinite_times_stand_after_all_finite_ones(times):
    axis = TimeAxis.of(np.array(times))
    places = axis.place(np.array(times))
    assert np.isfinite(places).all() and (np.diff(places) > 0).all()


def test_gaps_are_drawn_and_told_where_replicates_are_lost(result):
    lost = tree(
        network=lose(result["network"].to_dataset(), width=100, noise=0.5), kernel=group({})
    )
    band = mean_of(lost["network"].to_dataset(), "excess_risk")
    gap = band.mean.sel(width=100, noise=0.5)
    assert gap.isnull().values.tolist() == [False, False, True, True, True]
    assert int(band.mean.isnull().sum()) == 3 == band.lost
    drawn = only(paths, lost, of="excess_risk")
    assert "3 recorded times are left out" in drawn.caption
    drawn = only(learning_curves, lost, x="width")
    assert "1 points are left out" in drawn.caption
    best = at_time(lost["network"].to_dataset(), "excess_risk").band.mean
    assert int(best.isnull().sum()) == 1 and np.isnan(best.sel(width=100, noise=0.5))


def test_replicates_that_nobody_asked_for_make_no_gaps(result):
    fewer = group({"width": list(WIDTHS)})
    fewer["status"].loc[{"width": 10, "replicate": [4, 5]}] = 3  # not_run
    fewer["excess_risk"].loc[{"width": 10, "replicate": [4, 5]}] = np.nan
    assert mean_of(fewer, "excess_risk").lost == 0


@pytest.mark.parametrize("time", [1.0, np.inf])
def test_a_time_that_is_held_holds_for_every_kind(result, time):
    network = result["network"].to_dataset()
    extended = network.assign(
        eigenvalue=network["excess_risk"].expand_dims(mode=[1, 2, 3], axis=-1),
        top_projection=network["excess_risk"].expand_dims(k=[1, 2, 4], axis=-1),
    )
    here = tree(network=extended)
    expected = network["excess_risk"].sel(time=time, noise=0.1).mean("replicate").values
    index = {"time": time}
    for kind, larger in (
        (learning_curves, {"x": "width", "of": "excess_risk"}),
        (facets, {"x": "width", "by": "noise"}),
        (sweeps, {"x": "width", "of": "excess_risk"}),
    ):
        drawn = only(kind, here, at=index, **larger)
        drawn_heights = [np.asarray(line.get_ydata(), float) for line in drawn.figure.axes[0].lines]
        assert any(len(h) == 3 and np.allclose(h, expected) for h in drawn_heights), kind
    spectrum = only(spectra, here, at=index).figure.axes[0]
    assert len(spectrum.lines) == 1
    np.testing.assert_allclose(spectrum.lines[0].get_ydata(), expected[0])
    profile = only(profiles, here, at=index, of="top_projection").figure.axes[-1]
    assert profile.get_xlabel() == "rank k"


def test_colours_tell_estimators_apart_and_print_without_colours():
    keys = [{"estimator": name, "depth": d} for name in ("fixed", "learned") for d in (0, 1, 2)]
    drawn = looks(keys)
    assert len({look.colour for look in drawn}) == 2
    assert len({(look.mark, look.dash) for look in drawn}) == 6  # without colours
    assert [look.colour for look in drawn[:3]] == [drawn[0].colour] * 3
    by_depth = looks(keys, "depth")
    assert len({look.colour for look in by_depth}) == 3
    alone = looks([{"estimator": "fixed", "depth": d} for d in (0, 1)])
    assert alone[0].colour != alone[1].colour and alone[0].dash != alone[1].dash
    assert looks([{"estimator": "fixed"}])[0].dash == "-" and looks([]) == []


@pytest.mark.parametrize("colour", [*COLOURS, "#404040"])
def test_shades_run_from_light_to_dark_and_the_lightest_is_seen_on_white(colour):
    light, middle, dark = shades(colour, 3)
    contrasts = [
        contrast([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in (light, middle, dark)
    ]
    assert shades(colour, 1) == [colour] and light >= middle >= dark
    assert contrasts == sorted(contrasts) and contrasts[0] > 2
    assert contrasts[2] > 1.3 * contrasts[0]  # the ends can be told apart


def test_the_contrast_of_black_is_21_and_of_white_1():
    assert contrast([0, 0, 0]) == pytest.approx(21) and contrast([255] * 3) == pytest.approx(1)


def test_labels_never_lie_on_each_other():
    places = np.array([0.0, 0.9, 0.93, 0.95, 0.97, 1.0])
    labels = ["10", "180", "190", "200", "210", "220"]
    assert roomy(places, labels, 3.0, 10.0) == {0, 5}
    assert roomy(np.array([0.0, 0.5, 1.0]), ["a", "b", "c"], 3.0, 10.0) == {0, 1, 2}
    even = np.linspace(0, 1, 12)
    assert spaced(even, ["1.25"] * 12, 3.0, 10.0) == {0, 2, 4, 6, 8, 10}


@pytest.mark.parametrize("size", ["screen", "one-column", "two-columns", [5.0, 4.0]])
def test_tick_labels_of_drawn_figures_do_not_overlap(size):
    close = tree(rf=group({"width": [10, 100, 180, 190, 200, 210, 220, 1600]}))
    drawn = only(learning_curves, close, x="width", size=size)
    drawn.figure.draw_without_rendering()
    width = {"one-column": 3.4, "two-columns": 7.0}.get(size if isinstance(size, str) else "")
    if width:
        assert drawn.figure.get_figwidth() == width
    if isinstance(size, list):
        assert drawn.figure.get_size_inches().tolist() == size
    for axes in drawn.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [
                t.get_window_extent()
                for t in axis.get_ticklabels()
                if t.get_text() and t.get_visible()
            ]
            inside = [b for b in boxes if b.width > 0]
            for i, item in enumerate(inside):
                assert not any(item.overlaps(another) for another in inside[i + 1 :])


def test_a_scale_that_is_asked_for_is_used(result):
    drawn = only(learning_curves, result, x="width", scale={"x": "linear", "y": "log"})
    assert drawn.figure.axes[0].get_xscale() == "linear"
    drawn = only(paths, result, of="excess_risk", scale="linear")
    assert {ax.get_yscale() for ax in drawn.figure.axes} == {"linear"}


def test_panels_by_a_dimension_hold_all_estimators(result):
    drawn = only(paths, result, of="excess_risk", by="noise")
    assert [ax.get_title() for ax in drawn.figure.axes] == ["noise = 0.1", "noise = 0.5"]
    labels = drawn.figure.legends[0].get_texts()
    assert [text.get_text() for text in labels] == [f"network, width = {w}" for w in WIDTHS] + [
        "kernel"
    ]


def test_intervals_of_positive_values_do_not_reach_zero_on_logarithmic_axes():
    wide = group({"width": list(WIDTHS)}, replicates=2)
    wide["excess_risk"][..., 0, :] *= 0.01
    drawn = only(learning_curves, tree(network=wide), x="width")
    axes = drawn.figure.axes[0]
    bars = [segment for c in axes.collections for segment in c.get_segments()]
    assert len(bars) == 3 and all(segment[:, 1].min() > 0 for segment in bars)
    assert axes.get_ylim()[0] > 1e-4


def test_a_power_law_is_drawn_at_the_best_time_alone(result):
    assert "power laws" in only(learning_curves, result, x="width").caption
    assert "power law" not in only(learning_curves, result, x="width", at={"time": 1.0}).caption


def test_code_selects_what_the_figure_shows(result):
    for kind, options in (
        (paths, {"of": "excess_risk", "at": {"noise": 0.5}}),
        (learning_curves, {"x": "width", "at": {"noise": 0.5, "time": 10.0}}),
        (sweeps, {"of": "excess_risk", "x": "width", "at": {"time": np.inf}}),
    ):
        lines = only(kind, result, **options).code.splitlines()
        values = [eval(line, {"tree": result, "inf": np.inf}) for line in lines]
        assert len(values) == 2 and all("replicate" not in v.dims for v in values)
        assert "noise" not in values[0].dims or "noise" not in options["at"]


def test_text_that_is_no_mathematics_is_shown_as_it_is_written(result):
    for title in ("costs $5", r"$\frac{a}$", "50% & <b>", "$$"):
        drawn = only(paths, result, of="excess_risk", title=title)
        assert drawn.figure.get_suptitle().replace("\\$", "$") == title
    assert plain(r"$x^2$") == r"$x^2$"


def test_panel_titles_are_as_wide_as_panels_and_keep_values_beside_their_names():
    point = {"activation": "relu", "bias": False, "parameterization": "mean-field", "depth": 3}
    lines = panel_title("network", point).splitlines()
    assert len(lines) > 1 and all(len(line) <= 42 for line in lines)
    assert not any(line.endswith("=") or line.startswith("=") for line in lines)
    assert panel_title("kernel", {}) == "kernel"
    assert panel_title("", {"p": 1}) == "p = 1"


def test_a_variable_that_is_measured_at_some_times_is_joined_across_the_others(result):
    network = result["network"].to_dataset()
    network["excess_risk"] = network["excess_risk"].where(network["time"].isin([0.0, 100.0]))
    drawn = only(paths, tree(network=network), of="excess_risk")
    (line, *_) = drawn.figure.axes[0].lines
    assert len(line.get_xdata()) == 2 and np.isfinite(line.get_ydata()).all()
    assert line.get_marker() not in ("None", "", None)


@pytest.mark.parametrize(("bent", "law"), [(False, True), (True, False)])
def test_no_power_law_is_drawn_where_the_exponent_changes(bent, law):
    """The kink is small beside the scatter of each mean, but every replicate has it."""
    widths = [*WIDTHS, 10_000]
    network = group({"width": widths}, replicates=8, times=TIMES[:4])
    common = np.random.default_rng(3).lognormal(0, 0.8, 8)
    factor = xr.DataArray(common, dims="replicate")
    kink = xr.DataArray([1.0, 0.7, 0.7, 1.0] if bent else [1.0] * 4, dims="width")
    network["excess_risk"] = network["excess_risk"] * factor * kink
    network["excess_risk"] = network["excess_risk"].transpose("width", "replicate", "time")
    drawn = only(learning_curves, tree(network=network), x="width")
    assert ("power laws" in drawn.caption) == law


def test_two_points_are_no_power_law():
    network = group({"width": [10, 100]})
    wider = xr.concat([network, network.assign_coords(width=[1000, 10_000])], "width")
    wider["excess_risk"][2:] = np.nan
    wider["status"][2:] = 4
    drawn = only(learning_curves, tree(network=wider), x="width")
    assert "power law" not in drawn.caption


def test_words_can_be_held_in_results_that_were_never_written(result):
    network = result["network"].to_dataset().isel(noise=0, drop=True)
    both = xr.concat([network, network], xr.DataArray(["one", "two"], dims="target", name="target"))
    both["target"] = both["target"].astype(object)
    drawn = only(paths, tree(network=both), of="excess_risk", at={"target": "two"})
    assert "target = two" in drawn.caption
