"""One component's table: strict values, sweeps, nested components, references."""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest

from testbed.contract.grids import Grid
from testbed.errors import Mistake, ParameterError
from testbed.scenario.component import Reference, Scalar, Spec
from testbed.scenario.reader import Source, read_component
from testbed.scenario.sweep import Sweep
from testbed.scenario.value import convert
from tests.helpers.planned_components import REGISTRY, Lines

SOURCE = Source(REGISTRY)


def spec(**table: Any) -> Spec:
    """A table read as a model, which has to succeed."""
    read, wrong = read_component("model", table, "$.model", SOURCE)
    assert read is not None and wrong == []
    return read  # type: ignore[no-any-return]


def mistakes(**table: Any) -> list[Mistake]:
    """What is wrong with a table read as a model, which has to fail."""
    read, wrong = read_component("model", table, "$.model", SOURCE)
    assert read is None and wrong
    return wrong


def resolve(name: str) -> Any:
    raise AssertionError(f"nothing here refers to {name}")


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (True, bool, True),
        (3, int, 3),
        (1e3, int, 1000),
        (2.0, int | float, 2.0),
        (3, float, 3.0),
        (2.5, float, 2.5),
        ("x", str, "x"),
        ("b", Literal["a", "b"], "b"),
        (1.5, float | None, 1.5),
        (2, int | float, 2),
        ([1, 2.5], tuple[float, ...], (1.0, 2.5)),
        ([], tuple[int, ...], ()),
        (["a"], tuple[str, ...], ("a",)),
        ({"edge": 1}, dict[str, float], {"edge": 1.0}),
        ({"geom": [1, 100, 3]}, Grid, Grid([1, 10, 100])),
        (5, Grid | None, Grid([5])),
    ],
)
def test_values_that_convert(value, wanted, expected):
    converted = convert(value, wanted)
    assert converted == expected and type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, bool),
        (True, int),
        (1.5, int),
        (2**64, int),
        (1e300, int),
        (10**400, float),
        ("1", int),
        (True, float),
        ("1", float),
        (math.inf, float),
        (math.nan, float | None),
        (5, str),
        (True, Literal[1, 2]),
        ("c", Literal["a", "b"]),
        (1.0, tuple[float, ...]),
        ("ab", tuple[str, ...]),
        ([1.5], tuple[int, ...]),
        ({"edge": "1"}, dict[str, float]),
        ([1.0], dict[str, float]),
        ([-math.inf, 1], Grid),
        ([1, math.nan], Grid),
        ([2, 1], Grid),
        ({"geom": [1, 2, math.inf]}, Grid),
        ({"geom": [1, 2, 3], "include": 0}, Grid),
        ([1, "2"], Grid),
    ],
)
def test_values_that_do_not_convert(value, wanted):
    with pytest.raises(ValueError, match=r"found|grid"):
        convert(value, wanted)


def test_a_component_is_built_as_written_with_its_own_defaults():
    built = spec(use="lines", gamma=2, widths=[4, 4]).build({}, resolve)
    assert built == Lines(gamma=2.0, widths=(4, 4))
    assert isinstance(built.gamma, float)


def test_a_sweep_becomes_a_dimension_named_after_its_parameter():
    read = spec(use="lines", gamma={"values": [1, 2.5]})
    (sweep,) = read.sweeps()
    assert sweep.dim == sweep.parameter == "gamma"
    assert sweep.values == (1.0, 2.5) and sweep.path == "$.model.gamma"
    assert (sweep.units, sweep.long_name) == ("1", "decay of the eigenvalues")
    assert read.build({"gamma": 1}, resolve) == Lines(gamma=2.5)


def test_integer_fields_round_geometric_and_linear_sweeps():
    (geom,) = spec(use="lines", depth={"geom": [1, 1000, 4]}).sweeps()
    (linear,) = spec(use="lines", depth={"linspace": [0, 9, 4]}).sweeps()
    assert geom.values == (1, 10, 100, 1000) and linear.values == (0, 3, 6, 9)
    assert all(type(value) is int for value in geom.values + linear.values)


def test_real_fields_keep_geometric_sweeps():
    (sweep,) = spec(use="lines", gamma={"geom": [1, 4, 3]}).sweeps()
    assert sweep.values == pytest.approx((1.0, 2.0, 4.0), rel=1e-14)


def test_a_sweep_over_lists_is_known_by_its_labels():
    widths = {"values": [[8], [8, 8]], "labels": ["one", "two"]}
    (sweep,) = spec(use="lines", widths=widths).sweeps()
    assert sweep.coordinate == ("one", "two") and sweep.values == ((8,), (8, 8))


def test_dim_renames_and_along_ties():
    (renamed,) = spec(use="lines", gamma={"values": [1, 2], "dim": "decay"}).sweeps()
    (tied,) = spec(use="lines", gamma={"values": [1, 2], "along": "size"}).sweeps()
    assert (renamed.dim, renamed.tied) == ("decay", False)
    assert (tied.dim, tied.tied) == ("size", True)


def test_a_sweep_inside_a_table_is_named_after_its_key():
    read = spec(use="lines", rates={"core": 0.5, "edge": {"values": [1, 2]}})
    (sweep,) = read.sweeps()
    assert sweep.dim == "edge" and sweep.path == "$.model.rates.edge"
    built: Any = read.build({"edge": 1}, resolve)
    assert built.rates == {"core": 0.5, "edge": 2.0}


def test_nested_components_and_their_sweeps():
    read = spec(use="wrapped", of={"use": "lines", "depth": {"values": [0, 1]}})
    (sweep,) = read.sweeps()
    assert sweep.path == "$.model.of.depth"
    built: Any = read.build({"depth": 1}, resolve)
    assert built.of == Lines(depth=1)


def test_a_reference_is_resolved_when_it_is_built():
    read = spec(use="wrapped", of="estimator:other")
    assert list(read.references()) == [Reference("other")]
    built: Any = read.build({}, lambda name: Lines(depth=len(name)))
    assert built.of == Lines(depth=5)


def test_fixed_parameters_are_the_scalars_without_a_sweep_defaults_included():
    fixed = spec(use="lines", gamma={"values": [1, 2]}, depth=3).fixed()
    assert fixed["depth"] == Scalar(3, long_name="number of layers")
    assert "gamma" not in fixed and "widths" not in fixed and "spread" not in fixed
    assert fixed["rates"].value == 1.0


def test_mistakes_are_collected_and_make_no_component():
    table = {"use": "wrapped", "of": {"use": "lines", "depth": "deep", "gamma": -1}, "off": 1}
    places = [mistake.where for mistake in mistakes(**table)]
    assert places == ["$.model.off", "$.model.of.gamma", "$.model.of.depth"]


@pytest.mark.parametrize(
    ("sweep", "text"),
    [
        ({"values": [1], "geom": [1, 2, 2]}, "expected exactly one of"),
        ({"values": 3}, "expected a list"),
        ({"geom": [0, 1, 3]}, "above 0"),
        ({"geom": [1, 2, math.inf]}, ""),
        ({"linspace": [0, math.inf, 2]}, "finite"),
        ({"values": [1, "2"]}, "'2' (a string)"),
        ({"values": [1, 2], "along": "a", "dim": "b"}, "both dim and along"),
        ({"values": [1, 2], "along": 3}, "3 (an integer)"),
        ({"values": [1, 2], "dim": "2d"}, "a letter first"),
        ({"values": [1, 2], "label": ["a", "b"]}, "did you mean 'labels'"),
        ({"values": [1, 2], "labels": ["a", "a"]}, "'a' twice"),
    ],
)
def test_sweeps_that_are_wrong(sweep, text):
    wrong = mistakes(use="lines", gamma=sweep)
    assert text.lower() in " ".join(map(str, wrong)).lower()


def test_an_integer_sweep_that_reaches_infinity_is_an_ordinary_mistake():
    assert mistakes(use="lines", depth={"linspace": [0, math.inf, 2]})


def test_sweep_coordinates_prefer_labels():
    assert Sweep("a", "a", (1, 2)).coordinate == (1, 2)
    assert Sweep("a", "a", (1, 2), ("x", "y")).coordinate == ("x", "y")


@pytest.mark.parametrize(
    ("value", "wanted", "place"),
    [
        ([[0, 1], ["a"]], tuple[tuple[int, ...], ...], "[1][0]: found 'a' (a string)"),
        ([1.0, "x"], float | tuple[float, ...], "[1]: found 'x' (a string); expected a number"),
        ([1], tuple[tuple[int, ...], ...], "[0]: found 1 (an integer); expected a list"),
    ],
)
def test_a_mistake_within_a_list_names_the_item(value, wanted, place):
    with pytest.raises(ParameterError) as caught:
        convert(value, wanted)
    assert str(caught.value).startswith(place)
