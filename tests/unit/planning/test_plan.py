"""From a scenario to cells: points, blocks, dimensions, what is measured, keys and sizes."""

from __future__ import annotations

import pytest

from testbed.contract.cells import Cell
from testbed.contract.needs import NEEDS
from testbed.planning.plan import Plan
from tests.helpers.planned_components import (
    DESIGN,
    HEAD,
    LAW,
    METRIC,
    SHAPES,
    SWEPT,
    TARGET,
    Lines,
    Plain,
    estimator,
    mistakes,
    planned,
    text,
)


def simulated(plan: Plan, name: str = "lines") -> list[Cell]:
    return [cell for cell in plan.cells if cell.estimator == name and cell.replicates]


def dims(plan: Plan, position: int = 0) -> list[str]:
    return [dim.name for dim in plan.estimators[position].dims]


# --- points and blocks ------------------------------------------------------------------------


def test_without_a_sweep_there_is_one_point_in_blocks_of_replicates():
    plan = planned(text())
    assert [cell.replicates for cell in plan.cells] == [
        tuple(range(0, 16)),
        tuple(range(16, 32)),
        tuple(range(32, 40)),
    ]
    assert all(cell.point == {} and cell.index == () for cell in plan.cells)
    assert plan.cells[0].design == Plain() and plan.cells[0].model == Lines()
    assert plan.cells[0].times == plan.estimators[0].times == (0.0, 1.0, 2.0)


def test_models_that_run_one_by_one_have_a_cell_for_each_replicate():
    looped = estimator('use = "wrapped", of = { use = "lines" }')
    assert [cell.replicates for cell in planned(text(estimator=looped)).cells] == [
        (replicate,) for replicate in range(40)
    ]


def test_a_sweep_is_the_product_of_its_dimensions():
    model = 'use = "lines", depth = { values = [0, 1] }, gamma = { values = [1, 2], dim = "decay" }'
    plan = planned(text(DESIGN + "n = { values = [10, 20, 30] }", estimator=estimator(model)))
    cells = [cell for cell in simulated(plan) if cell.replicates[0] == 0]
    assert dims(plan) == ["n", "decay", "depth"]  # fields in the order of their class
    assert len(cells) == 12 and len({cell.index for cell in cells}) == 12
    for cell in cells:
        assert cell.design.n == cell.point["n"] == (10, 20, 30)[cell.index[dims(plan).index("n")]]
        assert cell.model.depth == cell.point["depth"]
        assert cell.model.gamma == cell.point["decay"]


def test_dimensions_come_in_the_order_of_design_target_model_optimizer():
    target = '[[target]]\nname = "a"\nuse = "power"\n[[target]]\nname = "b"\nuse = "zero"\n'
    model = 'use = "lines", depth = { values = [0, 1] }'
    optimizer = 'use = "descent", learning_rate = { values = [0.5, 1.0] }'
    toml = text(DESIGN + "n = { values = [1, 2] }", target, estimator(model, optimizer))
    assert dims(planned(toml)) == ["n", "target", "depth", "learning_rate"]


def test_along_zips_parameters_on_one_dimension():
    model = 'use = "lines", gamma = { values = [1, 2], along = "size" }'
    toml = text(DESIGN + 'n = { values = [10, 20], along = "size" }', estimator=estimator(model))
    plan = planned(toml)
    (size,) = plan.estimators[0].dims
    assert (size.name, size.coordinate) == ("size", (1, 2))
    assert size.tied == {"n": (10, 20), "gamma": (1.0, 2.0)}
    pairs = {(cell.design.n, cell.model.gamma) for cell in plan.cells}
    assert pairs == {(10, 1.0), (20, 2.0)}


def test_along_may_name_a_swept_parameter_whose_values_are_the_coordinate():
    model = 'use = "lines", gamma = { values = [1, 2], along = "n" }'
    toml = text(DESIGN + "n = { values = [10, 20] }", estimator=estimator(model))
    (n,) = planned(toml).estimators[0].dims
    assert (n.name, n.coordinate, n.tied) == ("n", (10, 20), {"gamma": (1.0, 2.0)})


def test_tied_parameters_of_one_name_keep_apart():
    model = 'use = "lines", gamma = { values = [1, 2], along = "size" }'
    toml = text(DESIGN + 'gamma = { values = [3, 4], along = "size" }', estimator=estimator(model))
    (size,) = planned(toml).estimators[0].dims
    assert size.tied == {"gamma": (3.0, 4.0), "model_gamma": (1.0, 2.0)}


def test_alternatives_are_a_dimension_of_names():
    target = '[[target]]\nname = "a"\nuse = "power"\n[[target]]\nname = "b"\nuse = "zero"\n'
    plan = planned(text(target=target))
    (dim,) = plan.estimators[0].dims
    assert (dim.name, dim.coordinate) == ("target", ("a", "b"))
    assert {cell.point["target"]: cell.target.name for cell in plan.cells} == {
        "a": "power",
        "b": "zero",
    }
    assert "target" not in plan.estimators[0].fixed


def test_a_design_tied_to_its_target():
    design = (
        '[[design]]\nname = "d1"\nuse = "plain"\nalong = "target"\nshared = true\n'
        '[[design]]\nname = "d2"\nuse = "grown"\ngamma = 1\nalong = "target"\n'
    )
    target = '[[target]]\nname = "a"\nuse = "power"\n[[target]]\nname = "b"\nuse = "zero"\n'
    plan = planned(text(design, target))
    (dim,) = plan.estimators[0].dims
    assert (dim.name, dim.coordinate) == ("target", ("a", "b"))
    assert dim.tied == {"design": ("d1", "d2")}
    observed = {(cell.design.name, cell.target.name, cell.shared_design) for cell in plan.cells}
    assert observed == {("plain", "power", True), ("grown", "zero", False)}


def test_the_model_of_another_estimator_is_resolved():
    both = estimator('use = "lines", depth = 3') + estimator(
        'use = "wrapped", of = "estimator:lines"', name="outer"
    )
    plan = planned(text(target=TARGET + 'kernel = "estimator:lines"', estimator=both))
    assert all(cell.target.kernel == Lines(depth=3) for cell in plan.cells)
    assert simulated(plan, "outer")[0].model.of == Lines(depth=3)


# --- simulate ---------------------------------------------------------------------------------


def points_simulated(simulate: str, head: str = HEAD) -> set[int]:
    lines = estimator(extra=f"simulate = {simulate}")
    return {
        c.design.n for c in simulated(planned(text(SWEPT, estimator=lines, extra=LAW, head=head)))
    }


def test_a_share_of_the_points_is_chosen_by_the_seed():
    chosen = points_simulated("0.3")
    assert len(chosen) == 3 and points_simulated("0.3") == chosen
    remaining = [points_simulated("0.3", HEAD.replace("seed = 3", f"seed = {s}")) for s in range(9)]
    assert any(rival != chosen for rival in remaining)
    assert chosen < points_simulated("0.6")


def test_cells_up_to_a_size_are_simulated_derived_sizes_included():
    assert points_simulated("{ n = 30 }") == {10, 20, 30}
    grown = '[design]\nuse = "grown"\ngamma = { values = [1, 2, 3] }'
    law = '[[theory]]\nuse = "given"\n' + LAW
    lines = estimator(extra="simulate = { n = 100 }")
    plan = planned(text(grown, estimator=lines, extra=law))
    assert {cell.design.gamma for cell in simulated(plan)} == {1.0, 2.0}
    assert points_simulated("false") == set()


def test_theory_has_one_cell_for_each_point_and_conditional_theory_rides_along():
    plan = planned(text(SWEPT, extra=LAW + '[[theory]]\nuse = "given"\n'))
    theory = [cell for cell in plan.cells if not cell.replicates]
    assert len(theory) == 10 and all(cell.metrics == () for cell in theory)
    names = [list(item.names.values()) for item in theory[0].theories]
    assert names == [["risk__sharp_law", "own__sharp_law"], ["risk__given"]]
    for cell in simulated(plan):
        assert [item.theory.name for item in cell.theories] == ["given"]
        assert [item.metric.name for item in cell.metrics] == ["risk"]


def test_a_theory_that_does_not_apply_is_kept_and_listed():
    grown = '[design]\nuse = "grown"\ngamma = { values = [2, 3] }'
    plan = planned(text(grown, extra=LAW))
    predicted = [cell for cell in plan.cells if not cell.replicates]
    assert [cell.theories[0].theory.name for cell in predicted] == ["tiny.sharp-law"] * 2
    (omission,) = plan.omissions
    assert (omission.what, omission.reason) == ("tiny.sharp-law", "the law needs gamma below 3")


def test_a_theory_that_applies_nowhere_is_refused_with_the_reasons():
    grown = '[design]\nuse = "grown"\ngamma = { values = [3, 4] }'
    (listed,) = mistakes(text(grown, extra=LAW))
    assert "$.theory[0]: found tiny.sharp-law, which applies to no estimator" in listed
    assert "the law needs gamma below 3" in listed


# --- metrics ----------------------------------------------------------------------------------


def names(plan: Plan, estimator: str) -> list[str]:
    cell = simulated(plan, estimator)[0]
    return [name for metric in cell.metrics for name in metric.names.values()]


def test_metrics_take_the_first_need_that_is_served_and_omit_the_rest():
    both = estimator() + estimator(SHAPES, name="shapes")
    plan = planned(text(estimator=both, metric=METRIC + '[[metric]]\nuse = "spread"'))
    assert names(plan, "lines") == ["risk"]
    assert names(plan, "shapes") == ["risk", "eigenvalue", "width"]
    assert simulated(plan, "lines")[0].metrics[0].needs == (NEEDS["predictions"].now,)
    assert simulated(plan, "shapes")[0].metrics[0].needs == (NEEDS["exact_spectrum"].now,)
    (omission,) = plan.omissions
    assert (omission.estimator, omission.what) == ("lines", "spread")
    assert omission.reason == "lines has no feature spectrum"


def test_leverage_needs_the_optimizer():
    plan = planned(text(metric=METRIC + '[[metric]]\nuse = "risk"\nname = "again"\nof = ["lines"]'))
    assert names(plan, "lines") == ["risk", "again"]
    with pytest.raises(Exception, match="flow has no leverage"):
        planned(text(metric='[[metric]]\nuse = "leverage"'))


def test_metrics_that_apply_at_some_points_only():
    model = 'use = "lines", depth = { values = [0, 1] }'
    plan = planned(text(estimator=estimator(model), metric=METRIC + '[[metric]]\nuse = "deep"'))
    by_depth = {cell.model.depth: len(cell.metrics) for cell in plan.cells}
    assert by_depth == {0: 1, 1: 2}
    assert [item.reason for item in plan.omissions] == ["the model has no layers"]


def test_names_of_variables():
    metric = (
        '[[metric]]\nuse = "spread"\nname = "late-spread"\n[[metric]]\nuse = "risk"\nname = "r"'
    )
    plan = planned(text(estimator=estimator(SHAPES), metric=metric))
    assert names(plan, "lines") == ["late_spread_eigenvalue", "late_spread_width", "r"]


def test_a_metric_is_asked_at_recorded_times_nearest_to_its_own():
    head = HEAD.replace("[0, 1, 2]", "[0, 1, 10, 100]")
    late = METRIC + "times = [9, 11, 120]"
    (metric,) = simulated(planned(text(head=head, metric=late)))[0].metrics
    assert metric.times == (10.0,)
    short = estimator() + estimator(optimizer='use = "flow", times = [0, 300]', name="long")
    plan = planned(text(head=head, estimator=short, metric=METRIC + "times = [200]"))
    assert [item.reason for item in plan.omissions] == ["none of its times lies within 0 and 100"]


def test_a_companion_is_the_other_estimator_at_the_same_point():
    model = 'use = "lines", depth = {{ values = [0, 1] }}, gamma = {}'
    both = estimator(model.format(1)) + estimator(model.format(2), name="other")
    plan = planned(text(estimator=both, metric='[[metric]]\nuse = "gap"\nto = "other"'))
    for cell in simulated(plan):
        companion = cell.metrics[0].companion
        assert companion is not None and companion.name == "other"
        assert companion.model == Lines(depth=cell.model.depth, gamma=2.0)


def test_a_companion_swept_otherwise_is_an_omission():
    both = estimator() + estimator('use = "lines", depth = { values = [0, 1] }', name="other")
    metric = METRIC + '[[metric]]\nuse = "gap"\nto = "other"'
    plan = planned(text(estimator=both, metric=metric))
    (omission,) = plan.omissions
    assert omission.estimator == "lines" and "swept over 'depth'" in omission.reason


# --- labels, warnings, sizes ------------------------------------------------------------------


def test_fixed_parameters_become_scalars_under_free_names():
    model = 'use = "lines", depth = { values = [0, 1] }'
    fixed = planned(text(estimator=estimator(model))).estimators[0].fixed
    assert fixed["design"].value == "plain" and fixed["model"].value == "lines"
    assert (fixed["gamma"].value, fixed["model_gamma"].value) == (2.0, 1.5)
    assert "depth" not in fixed


def test_a_fixed_parameter_gives_way_to_a_variable_of_its_name():
    metric = METRIC + 'name = "depth"'
    fixed = planned(text(metric=metric)).estimators[0].fixed
    assert "depth" not in fixed and fixed["model_depth"].value == 0


def test_warnings_where_xarray_would_subtract_to_nothing():
    same = estimator() + estimator(name="other")
    times = estimator() + estimator(optimizer='use = "flow", times = [1, 5]', name="other")
    sweeps = estimator('use = "lines", depth = { values = [0, 1] }') + estimator(
        'use = "lines", depth = { values = [0, 2] }', name="other"
    )
    assert planned(text(estimator=same)).warnings == ()
    (warning,) = planned(text(estimator=times)).warnings
    assert "different times" in warning
    (warning,) = planned(text(estimator=sweeps)).warnings
    assert "different values of depth" in warning


def test_the_size_of_the_result_counts_every_number():
    metric = METRIC + '[[metric]]\nuse = "spread"\nreplicates = "mean"\nk = [1, 2, 3, 4, 5]'
    plan = planned(
        text(DESIGN + "n = { values = [7, 9] }", estimator=estimator(SHAPES), metric=metric)
    )
    assert plan.sizes == {
        "lines/risk": 8 * 2 * 3 * (40 + 1),
        "lines/eigenvalue": 8 * 2 * 3 * 9 * 2,
        "lines/width": 8 * 2 * 5 * 2,
    }
    assert plan.bytes == sum(plan.sizes.values())
