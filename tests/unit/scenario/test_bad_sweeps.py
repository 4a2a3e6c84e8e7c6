"""Sweeps and dimensions that cannot be are refused: what was found, and what to do."""

from __future__ import annotations

import pytest

from tests.helpers.planned_components import (
    DESIGN,
    TARGET,
    estimator,
    mistakes,
    only,
    text,
)


@pytest.mark.parametrize("sweep", ["{ values = [] }", "{ geom = [] }", "{ linspace = [1, 2] }"])
def test_empty_or_short_sweep(sweep):
    assert "$.design.n: " in only(text(design=DESIGN + f"n = {sweep}"))


def test_duplicate_sweep_value():
    assert only(text(design=DESIGN + "n = { values = [5, 7, 5] }")) == (
        "s.toml: $.design.n: found 5 twice; expected each value once."
    )


def test_values_that_are_equal_after_rounding():
    message = only(text(design=DESIGN + "n = { geom = [1, 3, 5] }"))
    assert "found 1, 2 twice; expected each value once; rounding makes them equal" in message


def test_parameters_of_one_dimension_with_different_lengths():
    model = 'use = "lines", gamma = { values = [1, 2], along = "size" }'
    toml = text(DESIGN + 'n = { values = [1, 2, 3], along = "size" }', estimator=estimator(model))
    assert only(toml) == (
        "s.toml: $.estimator[0].model.gamma: found 2 values along 'size', but 3 at $.design.n; "
        "expected as many of both; make the lists equally long."
    )


def test_dimensions_of_the_same_name_ask_for_another():
    model = 'use = "lines", gamma = { values = [1, 2] }'
    toml = text(DESIGN + "gamma = { values = [1, 2] }", estimator=estimator(model))
    message = only(toml)
    assert message.startswith(
        "s.toml: $.estimator[0].model.gamma: found the dimension 'gamma' also at $.design.gamma"
    )
    assert 'dim = "…"' in message and 'along = "gamma"' in message


@pytest.mark.parametrize("name", ["replicate", "time", "mode", "status", "claims"])
def test_reserved_dimension(name):
    message = only(text(design=DESIGN + f'n = {{ values = [1, 2], dim = "{name}" }}'))
    assert f"found the dimension name '{name}', which is reserved" in message


def test_own_dimension_of_a_metric_against_a_sweep():
    model = 'use = "shapes", seed_size = 1'
    design = DESIGN + 'n = { values = [5, 6], dim = "k" }'
    toml = text(design, estimator=estimator(model), metric='[[metric]]\nuse = "spread"')
    assert "found 'width' along 'k', which is a swept parameter too" in only(toml)


def test_reference_to_an_estimator_that_is_missing_swept_or_itself():
    target = TARGET + 'kernel = "estimator:{}"'
    message = only(text(target=target.format("line")))
    assert message.startswith("s.toml: $.target.kernel: found no estimator 'line'")
    swept = estimator('use = "lines", depth = { values = [0, 1] }')
    message = only(text(target=target.format("lines"), estimator=swept))
    assert "found the swept model of estimator 'lines'; expected one without a sweep" in message
    circle = estimator('use = "wrapped", of = "estimator:lines"')
    assert "refers to itself" in only(text(estimator=circle))


def test_sweeps_where_none_may_be():
    message = only(text(metric='[[metric]]\nuse = "gap"\nto = { values = ["a", "b"] }'))
    assert "$.metric[0].to: found a sweep; expected a single value" in message
    model = 'use = "shapes", seed_size = { values = [1, 2] }'
    assert "found a sweep; expected a single value" in only(text(estimator=estimator(model)))


def test_swept_lists_need_labels():
    model = 'use = "lines", widths = { values = [[8], [8, 8]] }'
    assert 'name each with labels = ["…", …]' in only(text(estimator=estimator(model)))
    model = 'use = "lines", widths = { values = [[8], [8, 8]], labels = ["one"] }'
    assert "found 1 labels; expected 2, one for each value" in only(
        text(estimator=estimator(model))
    )


ALTERNATIVES = '[[{0}]]\nname = "a"\nuse = "{1}"\n{3}\n[[{0}]]\nname = "b"\nuse = "{2}"\n{3}\n'


def test_alternatives_have_no_sweeps_and_tie_to_each_other_only():
    swept = ALTERNATIVES.format("target", "power", "zero", "").replace(
        '"power"', '"power"\np = { values = [1, 2] }'
    )
    assert "$.target[0].p: found a sweep" in only(text(target=swept))
    stray = ALTERNATIVES.format("target", "power", "zero", 'along = "n"')
    assert all(
        "found 'n' (a string); expected \"design\"" in m for m in mistakes(text(target=stray))
    )
    alone = ALTERNATIVES.format("target", "power", "zero", 'along = "design"')
    assert "write them as [[design]]" in only(text(target=alone))
    designs = ALTERNATIVES.format("design", "plain", "plain", "")
    third = alone + '[[target]]\nname = "c"\nuse = "zero"\nalong = "design"\n'
    assert "found 3 targets along 2 designs; expected as many" in only(text(designs, third))
