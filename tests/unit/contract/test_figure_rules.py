"""A `[[figure]]` table that cannot be drawn is refused, each mistake at its place."""

from __future__ import annotations

import pytest

from testbed.contract.figure_rules import figure_mistakes
from testbed.contract.figures import KINDS, OPTIONS, GroupShape, position, time_position

TIMES = (1.0, 10.0, 100.0, 1e4)
RISK, LOSS = ("width", "replicate", "time"), ("width", "time")
SHAPES = {
    "features": GroupShape(
        {"width": (20, 40), "activation": ("relu", "tanh")},
        TIMES,
        {"excess_risk": (*RISK, "activation"), "loss": LOSS, "eigenvalue": (*LOSS, "mode")},
    ),
    "kernel": GroupShape({}, TIMES, {"excess_risk": ("replicate", "time"), "top": ("time", "k")}),
    "fixed": GroupShape({"width": (20, 40), "p": (1.0, 2.0)}, TIMES, {"excess_risk": (*RISK, "p")}),
    "learned": GroupShape({"width": (20, 40), "p": (1.0,)}, TIMES, {"excess_risk": RISK}),
}


def places(table):
    return [
        m.where.removeprefix("$.figure[0]") for m in figure_mistakes(table, SHAPES, "$.figure[0]")
    ]


WRONG = [
    ({}, [""]),
    ({"kind": "x", "foo": 1}, [".kind", ".foo"]),
    ({"kind": "path"}, [".kind"]),
    ({"kind": ["paths"]}, [".kind"]),
    ({"kind": "paths", "x": "n"}, [".x"]),
    ({"kind": "paths", "of": "no_such"}, [".of"]),
    ({"kind": "paths", "of": 3}, [".of"]),
    ({"kind": "paths", "of": "eigenvalue"}, [".of"]),
    ({"kind": "paths", "by": "nonsense"}, [".by"]),
    ({"kind": "paths", "at": {"time": 1.0}}, [".at.time"]),
    ({"kind": "paths", "at": {"foo": 3, "bar": 1}}, [".at.foo", ".at.bar"]),
    ({"kind": "paths", "at": 3}, [".at"]),
    ({"kind": "learning-curves", "of": "no_such", "x": "nonsense"}, [".of", ".x"]),
    ({"kind": "learning-curves", "x": "activation"}, [".x"]),
    ({"kind": "learning-curves", "x": "time"}, [".x"]),
    ({"kind": "learning-curves", "at": {"width": 30}}, [".at.width"]),
    ({"kind": "learning-curves", "x": "width", "at": {"width": 20}}, [".at.width"]),
    ({"kind": "learning-curves", "at": {"time": 300.0}}, [".at.time"]),
    ({"kind": "learning-curves", "at": {"time": "best"}}, [".at.time"]),
    ({"kind": "learning-curves", "at": {"time": [1.0, 10.0]}}, [".at.time"]),
    ({"kind": "learning-curves", "of": ["excess_risk", "eigenvalue"]}, [".of"]),
    ({"kind": "learning-curves", "scale": "cubic", "size": "tiny"}, [".scale", ".size"]),
    ({"kind": "learning-curves", "scale": {"z": "log"}, "size": [3, "x"]}, [".scale.z", ".size"]),
    ({"kind": "learning-curves", "size": [0, 4]}, [".size"]),
    ({"kind": "facets"}, ["", ""]),
    ({"kind": "facets", "x": "width", "by": "width"}, [".by"]),
    ({"kind": "sweeps", "of": "loss", "x": "width"}, [".of"]),
    ({"kind": "spectra", "of": "eigenvalue"}, [".of"]),
    ({"kind": "profiles", "of": "loss"}, [".of"]),
    ({"kind": "maps"}, ["", "", ""]),
    ({"kind": "maps", "of": ["fixed", "other"], "x": "p", "y": "width"}, [".of"]),
    ({"kind": "maps", "of": "fixed", "x": "p", "y": "width"}, [".of"]),
    ({"kind": "maps", "of": ["fixed", "learned"], "x": "p", "y": "nothing"}, [".y"]),
    ({"kind": "maps", "of": ["fixed", "learned"], "x": "p", "y": "p"}, [".y"]),
]  # fmt: skip


@pytest.mark.parametrize(("table", "expected"), WRONG)
def test_every_mistake_of_a_table_is_found_at_its_place(table, expected):
    assert places(table) == expected


RIGHT = [
    {"kind": "paths"},
    {"kind": "paths", "of": ["excess_risk", "loss"], "by": "activation", "at": {"width": 20}},
    {"kind": "paths", "of": "eigenvalue", "at": {"mode": 3}},
    {"kind": "learning-curves", "x": "width", "at": {"time": "oracle"}, "colour": "estimator"},
    {"kind": "learning-curves", "at": {"time": 10.2, "activation": "relu"}, "size": "one-column"},
    {"kind": "facets", "x": "width", "by": "activation", "scale": {"y": "linear"}},
    {"kind": "sweeps", "of": "excess_risk", "x": "width", "at": {"time": 1e4}, "size": [4.5, 3]},
    {"kind": "spectra", "at": {"time": 10}},
    {"kind": "profiles", "of": "top", "at": {"time": 10}},
    {"kind": "profiles", "x": "time"},
    {"kind": "maps", "of": ["fixed", "learned"], "x": "p", "y": "width", "at": {"time": 1.0}},
]  # fmt: skip


@pytest.mark.parametrize("table", RIGHT)
def test_tables_that_can_be_drawn_are_accepted(table):
    assert places(table) == []


def test_a_kind_without_data_is_refused_and_says_what_is_missing():
    bare = {"kernel": GroupShape({}, (1.0,), {"excess_risk": ("replicate", "time")})}
    for kind in ("paths", "learning-curves", "spectra", "profiles", "sweeps"):
        (mistake,) = figure_mistakes({"kind": kind}, bare, "$")
        assert mistake.where == "$.kind" and mistake.expected


def test_each_option_of_each_kind_is_declared():
    for kind in KINDS.values():
        assert set(kind.options) <= set(OPTIONS) and set(kind.required) <= set(kind.options)
    used = {option for kind in KINDS.values() for option in kind.options}
    assert used == set(OPTIONS)


def test_positions_of_values_and_times():
    assert position((1.0, 2.0), 2) == 1 and position(("relu",), "relu") == 0
    assert position((True, False), 1) == 0 and position((0.1,), 0.2) is None
    assert time_position((1.0, 10.0, float("inf")), 10.4) == 1
    assert time_position((1.0, 10.0), 11.0) is None
    assert time_position((1.0, float("inf")), float("inf")) == 1
    assert time_position((0.0, 1.0), 0.0) == 0 and time_position((), 1.0) is None
