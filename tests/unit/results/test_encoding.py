"""Results of cells as bytes, and back."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.encoding import decode, encode
from testbed.running.executors import serial

SCENARIO = """
format = 1
name = "encoded"
seed = 11
replicates = 6
[design]
use = "sequence.gaussian"
n = 100
modes = 80
[target]
use = "sequence.sparse-power"
p = 1.0
q = 2.0
[[estimator]]
name = "adaptive"
model = { use = "sequence.diagonal", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = [1.0, 10.0] }
[[metric]]
use = "excess-risk"
[[metric]]
use = "eigenvalues"
"""


def test_journaled_results_are_equal_and_need_no_unpickling():
    cell = make_plan(read_scenario(SCENARIO)).cells[0]
    (result,) = serial([cell])
    again = decode(result.key, *encode(result))
    for name, array in result.variables.items():
        np.testing.assert_array_equal(again.variables[name], array)
    assert again.coordinates.keys() == result.coordinates.keys()
    assert (again.error, again.omitted) == (result.error, result.omitted)
    header, data = encode(result)
    with pytest.raises(ValueError, match="damaged arrays"):
        decode(result.key, header, data[: len(data) // 2])
