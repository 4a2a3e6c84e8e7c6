"""Keys of cells: what changes them, what does not, and which cells share preparations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from attrs import evolve

from testbed.planning.keys import cell_key, describe, fingerprint
from testbed.planning.plan import make_plan
from tests.helpers.planned_components import (
    DESIGN,
    LAW,
    SHAPES,
    SWEPT,
    TARGET,
    Lines,
    estimator,
    planned,
    read,
    text,
)


def test_keys_are_unique_and_do_not_depend_on_other_estimators_or_their_order():
    first, second = estimator(), estimator('use = "lines", depth = 2', name="other")
    alone = {cell.key for cell in planned(text(estimator=first)).cells}
    both = {cell.key for cell in planned(text(estimator=first + second)).cells}
    turned = {cell.key for cell in planned(text(estimator=second + first)).cells}
    assert len(alone) == 3 and len(both) == 6
    assert alone < both == turned


@pytest.mark.parametrize(
    "override",
    [
        "seed=4",
        "design.n=101",
        "design.shared=true",
        "target.p=1.5",
        "estimator.lines.model.gamma=1.6",
        "estimator.lines.model.widths=[8, 8]",
        "estimator.lines.optimizer.times=[0, 1]",
        "metric.risk.times=[1]",
        "metric.risk.name='other'",
        "compute={ block = 16, dtype = 'float32' }",
        "compute={ memory = 1.0 }",
    ],
)
def test_keys_change_with_everything_that_numbers_depend_on(override):
    before = {cell.key for cell in planned(text()).cells}
    assert not before & {cell.key for cell in planned(text(), override).cells}


@pytest.mark.parametrize(
    "override", ["title='new'", "compute={ time_limit = 9.0 }", "compute={ results = 0.5 }"]
)
def test_keys_stay_where_numbers_do(override):
    before = [cell.key for cell in planned(text()).cells]
    assert before == [cell.key for cell in planned(text(), override).cells]


def test_more_replicates_keep_the_keys_of_full_blocks():
    smaller = [cell.key for cell in planned(text(), "replicates=32").cells]
    larger = [cell.key for cell in planned(text(), "replicates=64").cells]
    assert larger[:2] == smaller


def test_fingerprints_tell_types_and_neighbouring_floats_apart():
    values = [
        1,
        1.0,
        True,
        "1",
        np.nextafter(1.0, 2.0),
        (1,),
        {"a": 1},
        None,
        np.ones(1),
        np.ones(2),
    ]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert describe(Lines()).startswith(f"{Lines.name}Lines(")


def test_the_key_leaves_itself_out():
    cell = planned(text()).cells[0]
    assert cell_key(cell) == cell.key == cell_key(evolve(cell, key="other", group="other"))


def test_preparations_are_shared_between_targets_optimizers_and_noises():
    both = estimator(SHAPES) + estimator(
        SHAPES, 'use = "descent", learning_rate = { values = [0.5, 1.0] }', name="descent"
    )
    design = DESIGN + "noise = { values = [0.1, 1.0] }\nn = { values = [5, 6] }"
    plan = planned(text(design, TARGET + "p = { values = [1, 2] }", both))
    # 3 blocks × 2 sizes prepare once for 2 noises × 2 targets × (1 + 2) estimators
    assert plan.preparations == (6, 6 * 12)
    groups = [key for key, _ in itertools.groupby(cell.group for cell in plan.cells)]
    assert len(groups) == len(set(groups)) == 6


def test_models_that_read_the_problem_share_nothing():
    plan = planned(text(DESIGN, TARGET + "p = { values = [1, 2] }"))
    assert plan.preparations == (0, 0)
    assert all(cell.group == cell.key for cell in plan.cells)


def test_planning_twice_gives_the_same_plan():
    scenario = read(text(SWEPT, extra=LAW))
    assert make_plan(scenario) == make_plan(scenario)


def test_a_file_that_changes_makes_another_cell(tmp_path):
    from testbed.planning.keys import fingerprint
    from testbed_sequence.targets.signals import Coefficients

    file = tmp_path / "truth.csv"
    file.write_text("1.0\n")
    target = Coefficients(path=str(file))
    before = fingerprint(target)
    assert fingerprint(target) == before
    file.write_text("2.0\n3.0\n")
    assert fingerprint(target) != before
