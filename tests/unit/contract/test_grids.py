"""Grids and the words they share with sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.contract.grids import Grid, expand


def test_words_write_out_their_numbers():
    assert expand({"values": [3, 1]}) == (3, 1)
    assert expand({"linspace": [0, 1, 5]}) == (0.0, 0.25, 0.5, 0.75, 1.0)
    np.testing.assert_allclose(expand({"geom": [1e-2, 1e2, 5]}), [1e-2, 1e-1, 1, 10, 100])


def test_a_grid_may_include_single_points_and_merges_them_in_order():
    assert Grid.parse({"geom": [1, 100, 3], "include": [0.0, 10.0]}).values == (
        0.0,
        1.0,
        10.0,
        100.0,
    )
    assert Grid.parse(2).values == (2.0,)
    assert Grid.parse([1, 2.5]).values == (1.0, 2.5)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"geom": [0, 1, 5]}, "above 0"),
        ({"geom": [1, 2]}, r"\[first, last, count\]"),
        ({"linspace": [0, 1, 2.5]}, r"\[first, last, count\]"),
        ({"values": []}, "at least one"),
        ({"values": [1], "geom": [1, 2, 3]}, "exactly one"),
        ({"value": [1]}, "found the unknown key 'value'"),
        ([], "empty"),
        ([1, 1], "increase strictly"),
        ([2, 1], "increase strictly"),
        ([float("-inf"), 1], "finite numbers"),
        ([float("nan")], "finite numbers"),
        ([True], "numbers only"),
        ([1, 10**400], "below 1.8e308"),
        ({"geom": [1, 10**400, 3]}, "below 1.8e308"),
        ({"geom": [1.0, 2.0, 10**12]}, "at most 100000; shorten the list, or raise compute.values"),
        ({"linspace": [0, 1, 1e300]}, "at most 100000"),
        ({"geom": [1, float("inf"), 3]}, "finite numbers"),
        ({"geom": [1, 2, 3], "include": 0}, "a list of numbers"),
        ("1, 2", "a list of numbers"),
    ],
)
def test_mistakes_are_named(raw, message):
    with pytest.raises(ValueError, match=message):
        Grid.parse(raw)
