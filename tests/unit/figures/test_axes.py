"""Axes of sweeps with many values: what they show, and what drawing them costs."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from testbed.figures import learning_curves
from testbed.figures.axes import MOST_TICKS, number, sweep_axis
from tests.helpers.trees import WIDTHS, group, tree


def ticks(count: int) -> dict[float, str]:
    """The ticks of a sweep over so drawn values, with their labels."""
    axes = Figure().add_subplot()
    sweep_axis(axes, np.linspace(1.0, 2.0, count), "gamma")
    labels = [label.get_text() for label in axes.get_xticklabels()]
    return dict(zip(axes.get_xticks().tolist(), labels, strict=True))


@pytest.mark.parametrize("count", [2, 7, MOST_TICKS])
def test_every_value_of_a_sweep_has_a_tick(count):
    drawn = ticks(count)
    assert list(drawn) == np.linspace(1.0, 2.0, count).tolist()
    assert all(text in ("", number(value)) for value, text in drawn.items())


def test_ticks_that_would_touch_are_left_out_and_labels_stay():
    drawn = ticks(10 * MOST_TICKS)
    assert 3 <= len(drawn) < 30 and drawn[1.0] == "1"
    assert all(text == number(value) for value, text in drawn.items())


def test_without_the_sweep_no_learning_curve_is_made(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("curves were made")

    monkeypatch.setattr(learning_curves, "curves_of", refuse)
    result = tree(network=group({"width": list(WIDTHS)}))
    assert not list(learning_curves.learning_curves(result, {"of": "excess_risk", "x": "gamma"}))
    with pytest.raises(AssertionError, match="curves were made"):
        list(learning_curves.learning_curves(result, {"of": "excess_risk", "x": "width"}))
