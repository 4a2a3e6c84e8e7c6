"""What a cell's key covers besides code: values, not positions; contents, not names."""

from __future__ import annotations

from testbed.planning.files import read_scenario
from testbed.planning.keys import request_of
from testbed.planning.plan import make_plan

SCENARIO = """
format = 1
name = "keys"
seed = 2
replicates = 2
[design]
use = "sequence.gaussian"
n = { values = [NUMBERS] }
modes = 5
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow", times = [1.0, 2.0] }
[[metric]]
use = "excess-risk"
"""


def keys(numbers, *overrides):
    plan = make_plan(read_scenario(SCENARIO.replace("NUMBERS", numbers), "k.toml", overrides))
    return {cell.point["n"]: cell.key for cell in plan.cells}


def test_a_point_keeps_its_key_wherever_it_stands_in_the_sweep():
    first = keys("200, 400")
    assert {n: key for n, key in keys("100, 200, 400").items() if n != 100} == first
    assert keys("400, 200") == first


def test_limits_do_not_count_and_what_numbers_depend_on_does():
    first = keys("200")
    assert keys("200", "compute={time_limit=5.0, results=2.0}") == first
    for change in ("compute={memory=1.0}", 'compute={dtype="float32"}', "seed=3", "replicates=3"):
        assert keys("200", change)[200] != first[200], change


def test_requests_are_told_apart_from_code():
    key = keys("200")[200]
    assert request_of(key) == key.split(".")[0] and len(key.split(".")) == 2
