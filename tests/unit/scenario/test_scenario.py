"""What is written is what is planned, and every mistake is named with its place."""

from __future__ import annotations

import pytest
import tomli_w

from testbed.errors import ScenarioError
from testbed.planning.files import load_scenario, read_scenario
from testbed.planning.plan import make_plan
from tests.helpers.tiny import SCENARIO, tiny_registry

REGISTRY = tiny_registry()


def read(text, **kwargs):
    return read_scenario(text, "tiny.toml", registry=REGISTRY, **kwargs)


def mistakes(text, plan=True):
    """All mistakes of a scenario, as one text."""
    with pytest.raises(ScenarioError) as caught:
        scenario = read(text)
        if plan:
            make_plan(scenario)
    return str(caught.value)


def test_a_scenario_survives_reading_writing_reading():
    scenario = read(SCENARIO)
    again = read(tomli_w.dumps(scenario.to_dict()))
    assert make_plan(again).cells == make_plan(scenario).cells
    assert tomli_w.dumps(again.to_dict()) == tomli_w.dumps(scenario.to_dict())


def test_sweeps_become_dimensions_in_the_order_of_parts():
    plan = make_plan(read(SCENARIO))
    (estimator,) = plan.estimators
    assert [(dim.name, dim.coordinate) for dim in estimator.dims] == [
        ("n", (50, 100)),
        ("gamma", (1.0, 2.0)),
    ]
    assert [cell.index for cell in plan.cells] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [cell.model.gamma for cell in plan.cells] == [1.0, 2.0, 1.0, 2.0]
    assert all(cell.replicates == (0, 1, 2, 3) for cell in plan.cells)


def test_integers_of_a_geometric_sweep_are_rounded_and_must_differ():
    text = SCENARIO.replace("{ values = [50, 100] }", "{ geom = [10, 1000, 4] }")
    assert make_plan(read(text)).estimators[0].dims[0].coordinate == (10, 46, 215, 1000)
    text = SCENARIO.replace("{ values = [50, 100] }", "{ geom = [1, 3, 9] }")
    assert "each value once" in mistakes(text)


def test_parameters_along_one_dimension_are_tied():
    text = SCENARIO.replace(
        "n = { values = [50, 100] }",
        'n = { values = [50, 100], along = "size" }\nmodes = { values = [5, 9], along = "size" }',
    )
    plan = make_plan(read(text))
    dim = plan.estimators[0].dims[0]
    assert (dim.name, dim.coordinate, dim.tied) == (
        "size",
        (1, 2),
        {"n": (50, 100), "modes": (5, 9)},
    )
    assert [(c.design.n, c.design.modes) for c in plan.cells[::2]] == [(50, 5), (100, 9)]


def test_alternatives_become_a_dimension_of_names():
    text = SCENARIO.replace(
        '[design]\nuse = "tiny.sequence"\nn = { values = [50, 100] }',
        '[[design]]\nname = "few"\nuse = "tiny.sequence"\nn = 10\n\n'
        '[[design]]\nname = "many"\nuse = "tiny.sequence"\nn = 900',
    )
    plan = make_plan(read(text))
    assert plan.estimators[0].dims[0].coordinate == ("few", "many")
    assert {(c.point["design"], c.design.n) for c in plan.cells} == {("few", 10), ("many", 900)}


def test_overrides_change_what_is_read_and_what_is_stored():
    scenario = read(SCENARIO, overrides=["replicates=2", "estimator.fixed.model.gamma=3.5"])
    assert scenario.replicates == 2
    assert [cell.model.gamma for cell in make_plan(scenario).cells] == [3.5, 3.5]
    assert "gamma = 3.5" in scenario.text
    with pytest.raises(ScenarioError, match="did you mean 'fixed'"):
        read(SCENARIO, overrides=["estimator.fixd.model.gamma=3.5"])
    with pytest.raises(ScenarioError, match="no '='"):
        read(SCENARIO, overrides=["replicates"])


def test_keys_name_what_numbers_depend_on_and_nothing_else():
    def keys(text):
        return {cell.key for cell in make_plan(read(text)).cells}

    actual = keys(SCENARIO)
    assert len(actual) == 4
    second = '\n[[estimator]]\nname = "b"\nmodel = { use = "tiny.diagonal" }\n' + (
        'optimizer = { use = "tiny.numeric", times = [1.0] }\n'
    )
    assert actual < keys(SCENARIO + second), "another estimator leaves the keys of the first alone"
    for change in (
        ("seed = 3", "seed = 4"),
        ("replicates = 4", "replicates = 5"),
        ("10.0]", "11.0]"),
    ):
        assert not actual & keys(SCENARIO.replace(*change)), change


BAD = {
    "unknown key": (
        "[target]",
        "[target]\npower = 3",
        "$.target.power: found the unknown key 'power'",
    ),
    "unknown top": ("seed = 3", "seed = 3\nreplicate = 3", "did you mean 'replicates'?"),
    "unknown component": ("tiny.power", "tiny.pwer", "did you mean 'tiny.power'?"),
    "wrong kind": ('use = "tiny.power"', 'use = "tiny.fixed"', "it is a model"),
    "wrong type": ("[50, 100]", '[50, "100"]', "found '100' (a string); expected an integer"),
    "float for an integer": (
        "replicates = 4",
        "replicates = 4.5",
        "$.replicates: found 4.5 (a number)",
    ),
    "bool for a number": ("gamma = { values = [1.0, 2.0] }", "gamma = true", "expected a number"),
    "empty sweep": ("[50, 100]", "[]", "expected at least one"),
    "duplicate value": ("[50, 100]", "[50, 50]", "expected each value once"),
    "a path in name": (
        'name = "tiny"',
        'name = "../tiny"',
        "found '../tiny'; expected letters",
    ),
    "no times": (", times = [0.0, 1.0, 10.0]", "", "found no times"),
    "a claim": ("[[metric]]", '[[claim]]\nname="x"\n[[metric]]', "$.claim[0]: found no 'that'"),
    "wrong format": ("format = 1", "format = 2", "found 2 (an integer); expected 1"),
    "negative time": ("[0.0, 1.0", "[-1.0, 1.0", "times of at least 0"),
    "reserved dim": ("[50, 100] }", '[50, 100], dim = "time" }', "'time', which is reserved"),
    "a pair that does not fit": ("tiny.exact", "tiny.filter", "tiny.fixed has no eigensystem"),
    "metric grid": (
        'use = "tiny.risk"',
        'use = "tiny.risk"\nof = ["fixd"]',
        "found no estimator 'fixd'",
    ),
    "simulate": ('name = "fixed"', 'name = "fixed"\nsimulate = 3', "a share such as 0.1"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_say_what_where_and_what_to_do(case):
    old, new, expected = BAD[case]
    assert old in SCENARIO
    text = mistakes(SCENARIO.replace(old, new))
    assert expected in text
    assert text.startswith("tiny.toml: $")


def test_all_mistakes_are_shown_at_once():
    text = SCENARIO.replace("seed = 3", 'seed = "x"').replace("tiny.power", "nothing")
    text = text.replace("tiny.risk", "none").replace("replicates = 4", "replicates = 0")
    lines = mistakes(text).splitlines()
    assert len(lines) == 4
    for place in ("$.seed", "$.target.use", "$.metric[0].use", "$.replicates"):
        assert any(place in line for line in lines)


def test_broken_toml_names_line_and_column():
    assert "at line 3, column" in mistakes(SCENARIO.replace('name = "tiny"', 'name = "tiny'))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ScenarioError, match="no readable file"):
        load_scenario(tmp_path / "nowhere.toml", registry=REGISTRY)


def test_two_estimators_of_one_name_are_refused():
    block = SCENARIO[SCENARIO.index("[[estimator]]") : SCENARIO.index("[[metric]]")]
    assert "two estimators named 'fixed'" in mistakes(SCENARIO + block)


def test_names_of_dimensions_must_not_clash():
    text = SCENARIO.replace("gamma = {", 'gamma = { dim = "n",')
    assert "found the dimension 'n' also at $.design.n" in mistakes(text)
    assert 'dim = "…"' in mistakes(text)
    tied = text.replace('dim = "n", values = [1.0, 2.0]', 'along = "n", values = [1.0, 2.0, 3.0]')
    tied = tied.replace("[50, 100] }", '[50, 100], along = "n" }')
    assert "found 3 values along 'n', but 2 at $.design.n" in mistakes(tied)


def test_every_kind_of_parameter_is_read_strictly():
    model = 'model = { use = "tiny.bounded", must = 1 }'
    text = SCENARIO.replace(
        'model = { use = "tiny.fixed", gamma = { values = [1.0, 2.0] } }', model
    )
    assert make_plan(read(text)).cells[0].model.must == 1.0
    for change, expected in (
        ("gamma = -1.0", "found -1.0; expected a number above 0"),
        ("depth = -1", "found -1; expected a number at least 0"),
        ("depth = 1.5", "found 1.5 (a number); expected an integer"),
        ('word = "c"', "expected one of 'a', 'b'"),
        ("sizes = [1, 2.5]", "expected an integer"),
        ("sizes = { values = [[1], [2]] }", 'name each with labels = ["…", …]'),
    ):
        assert expected in mistakes(text.replace("must = 1", f"must = 1, {change}"))
    assert "found no 'must', which tiny.bounded requires" in mistakes(
        text.replace(", must = 1", "")
    )
    labelled = 'must = 1, sizes = { values = [[1], [2, 3]], labels = ["one", "two"] }'
    plan = make_plan(read(text.replace("must = 1", labelled)))
    assert plan.estimators[0].dims[1].coordinate == ("one", "two")
    assert plan.cells[1].model.sizes == (2, 3)


def test_a_metric_that_fits_nowhere_is_an_error_and_elsewhere_an_omission():
    modes = SCENARIO + '\n[[metric]]\nuse = "tiny.modes"\n'
    second = (
        '\n[[estimator]]\nname = "net"\nmodel = { use = "tiny.diagonal" }\n'
        'optimizer = { use = "tiny.numeric", times = [1.0] }\n'
    )
    plan = make_plan(read(modes + second))
    assert [(o.estimator, o.what) for o in plan.omissions] == [("net", "tiny.modes")]
    alone = modes.replace("tiny.fixed", "tiny.diagonal").replace("tiny.exact", "tiny.numeric")
    alone = alone.replace(", gamma = { values = [1.0, 2.0] }", "")
    assert "which no estimator can be measured by" in mistakes(alone)
    assert "tiny.diagonal has no feature spectrum" in mistakes(alone)


def test_steps_that_miss_the_asked_times_are_refused():
    text = SCENARIO.replace("tiny.exact", "tiny.sgd").replace(
        "[0.0, 1.0, 10.0]", "[0.0, 0.25, 10.0]"
    )
    assert "found the time 0.25; whole steps reach 0.2" in mistakes(text)
    close = SCENARIO.replace("tiny.exact", "tiny.sgd").replace("[0.0, 1.0, 10.0]", "[9.99, 10.0]")
    assert "found two times that fall on one step" in mistakes(close)


def test_a_result_over_the_bound_is_refused_with_the_grid_to_thin():
    text = (
        SCENARIO.replace("replicates = 4", "replicates = 4000") + "\n[compute]\nresults = 0.0001\n"
    )
    assert "thin a grid of fixed/risk" in mistakes(text)


def test_simulate_leaves_cells_to_theory():
    theory = SCENARIO + '\n[[theory]]\nuse = "tiny.half"\n'
    small = theory.replace('name = "fixed"', 'name = "fixed"\nsimulate = { n = 60 }')
    cells = make_plan(read(small)).cells
    assert {cell.design.n for cell in cells if cell.replicates} == {50}
    assert {cell.design.n for cell in cells if not cell.replicates} == {50, 100}
    share = theory.replace('name = "fixed"', 'name = "fixed"\nsimulate = 0.5')
    assert sum(bool(cell.replicates) for cell in make_plan(read(share)).cells) == 2


def test_preparations_are_shared_between_optimizers():
    text = """
format = 1
name = "tiny"
replicates = 3
[design]
use = "tiny.sphere"
[target]
use = "tiny.linear"
[[estimator]]
name = "ridge"
model = { use = "tiny.ntk" }
optimizer = { use = "tiny.filter", times = [1.0] }
[[estimator]]
name = "flow"
model = { use = "tiny.ntk" }
optimizer = { use = "tiny.filter", ridge = false, times = [1.0] }
[[metric]]
use = "tiny.risk"
"""
    plan = make_plan(read(text))
    assert plan.preparations == (3, 6)
    assert [cell.replicates for cell in plan.cells] == [(0,), (0,), (1,), (1,), (2,), (2,)]
