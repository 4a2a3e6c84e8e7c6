"""Every kind of bad request has a message: what was found, what was expected, where, what to do."""

from __future__ import annotations

import pytest

from testbed.contract.parameters import Parameter
from testbed.errors import Mistake, ScenarioError
from testbed.planning.files import load_scenario
from testbed.scenario.scenario import ABOVE_TABLES
from tests.helpers.planned_components import (
    DESIGN,
    HEAD,
    METRIC,
    TARGET,
    estimator,
    mistakes,
    only,
    read,
    text,
)


def test_a_sound_scenario_has_no_mistakes():
    assert mistakes(text()) == []


def test_unknown_key_is_named_with_the_nearest_known_one():
    assert only(text(estimator=estimator('use = "lines", gama = 2.0'))) == (
        "s.toml: $.estimator[0].model.gama: found the unknown key 'gama'; did you mean 'gamma'?"
    )
    assert "'replicats'; did you mean 'replicates'?" in only(text(head=HEAD + "replicats = 3"))


@pytest.mark.parametrize("key", ABOVE_TABLES)
def test_a_key_below_a_table_is_told_where_it_belongs(key):
    """TOML counts what is written below [design] to that table."""
    message = only(text(design=f"{DESIGN}\n{key} = 3"))
    assert f"{key} is a key of the scenario: write it above the first table" in message


def test_unknown_component_is_named_with_the_nearest_known_one():
    message = only(text(estimator=estimator('use = "linse"')))
    assert message.startswith("s.toml: $.estimator[0].model.use: found 'linse'; expected the name")
    assert "did you mean 'lines'?" in message


def test_component_of_another_kind_is_told_so():
    message = only(text(estimator=estimator('use = "risk"')))
    assert message.endswith("found 'risk'; expected the name of a model; it is a metric.")


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ('gamma = "1.5"', "found '1.5' (a string); expected a number"),
        ("gamma = true", "found True (true or false); expected a number"),
        ("gamma = nan", "found nan (a number); expected a finite number"),
        ("depth = 1.5", "found 1.5 (a number); expected an integer"),
        ("depth = true", "found True (true or false); expected an integer"),
        ("widths = 3", "found 3 (an integer); expected a list"),
        ("widths = [3, 2.5]", "found 2.5 (a number); expected an integer"),
        ("gamma = 0", "found 0.0; expected a number above 0"),
        ("depth = -1", "found -1; expected a number at least 0"),
        ("rates = { edge = -0.5 }", "found -0.5; expected a number above 0"),
    ],
)
def test_wrong_values_of_parameters(parameter, message):
    assert message in only(text(estimator=estimator(f'use = "lines", {parameter}')))


def test_negative_n_and_q_below_one():
    assert only(text(design=DESIGN + "n = -5")) == (
        "s.toml: $.design.n: found -5; expected a number at least 1."
    )
    assert only(text(target=TARGET + "q = 0.5")) == (
        "s.toml: $.target.q: found 0.5; expected a number at least 1."
    )


def test_unknown_word_of_a_choice():
    message = only(text(estimator=estimator(optimizer='use = "descent", method = "nestrov"')))
    assert "optimizer.method: found 'nestrov'" in message
    assert message.endswith("one of 'plain', 'nesterov'; did you mean 'nesterov'?")
    second = only(text(estimator=estimator(optimizer='use = "descent", method = "adam"')))
    assert second.endswith("expected one of 'plain', 'nesterov'.")
    sweep = 'use = "descent", method = { values = ["plain", "nestrov"] }'
    assert "did you mean 'nesterov'?" in only(text(estimator=estimator(optimizer=sweep)))


def test_misspelt_words_of_lists_and_of_core_itself():
    several = Parameter("words", choices=("relu", "tanh"))
    assert several.objection(("tanh", "rleu")) == Mistake(
        "", "found ('tanh', 'rleu')", "one of 'relu', 'tanh'; did you mean 'relu'?"
    )
    assert "did you mean 'float64'?" in only(text(head=HEAD + 'compute = { dtype = "flaot64" }'))


def test_objection_of_a_component_to_its_values_is_placed_at_the_parameter():
    fitted = 'use = "descent", learning_rate = 1.0, method = "nesterov"'
    assert only(text(estimator=estimator(optimizer=fitted))) == (
        "s.toml: $.estimator[0].optimizer.momentum: found 0.0; "
        "expected a number above 0 for nesterov."
    )


def test_a_plain_valueerror_of_a_component_is_placed_at_the_component():
    message = only(text(design='[design]\nuse = "grown"\ngamma = 9'))
    assert message == "s.toml: $.design: more points than there are."


def test_missing_parameter():
    message = only(text(estimator=estimator('use = "shapes"')))
    assert "found no 'seed_size', which shapes requires; add seed_size = …" in message


def test_duplicate_estimator():
    message = only(text(estimator=estimator() + estimator()))
    assert (
        message
        == "s.toml: $.estimator: found two estimators named 'lines'; expected each name once."
    )


def test_pair_that_does_not_fit():
    message = only(text(estimator=estimator(optimizer='use = "filter"')))
    assert message == (
        "s.toml: $.estimator[0].optimizer: found filter on lines, which do not fit: lines has no "
        "eigensystem; expected a pair that fits; choose another optimizer or model."
    )


def test_result_over_the_bound_names_the_grid_to_thin():
    head = HEAD.replace("replicates = 40", "replicates = 64").replace(
        "[0, 1, 2]", "{ linspace = [0, 119, 120] }"
    )
    toml = text(
        DESIGN + "n = 20000",
        head=head,
        estimator=estimator('use = "shapes", seed_size = 1'),
        metric='[[metric]]\nuse = "spread"',
    )
    message = only(toml)
    # 64 replicates × 120 times × 20000 eigenvalues are 1.2 GB; counts of ok replicates 1/64 more
    assert "found a result of 1190.2 MiB; expected at most 1024 MiB" in message
    assert "thin a grid of lines/eigenvalue (1190.2 MiB of it)" in message
    assert mistakes(toml + '\nreplicates = "mean"') == []
    assert mistakes(toml + "\n[compute]\nresults = 2") == []


@pytest.mark.parametrize("name", ["../escape", "a/b", ".hidden", "a b", "", "c:d", "a\\\\b"])
def test_path_in_a_name(name):
    head = HEAD.replace('"tiny"', f'"{name}"')
    assert "$.name: found " in only(text(head=head))
    assert "$.estimator[0].name: found " in only(text(estimator=estimator(name=name)))


@pytest.mark.parametrize("name", ["claims", "soundness", "published"])
def test_estimator_may_not_be_named_like_a_table_of_the_result(name):
    assert "which results keep" in only(text(estimator=estimator(name=name)))


def test_broken_toml_has_line_and_column():
    message = only(HEAD + "[design\nuse = 3")
    assert message.startswith("s.toml: found broken TOML: ")
    assert "line 6, column 8" in message


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(ScenarioError, match="found no readable file"):
        load_scenario(tmp_path / "none.toml", registry=None)
    file = tmp_path / "latin.toml"
    file.write_bytes(b'name = "\xe9"')
    with pytest.raises(ScenarioError, match="not text in UTF-8"):
        load_scenario(file)


def test_tables_that_nobody_reads_are_unknown_keys():
    larger = '[[clam]]\nname = "a"\n[compute.dusk]\nworkers = 3\n'
    listed = mistakes(text(extra=larger))
    places = ["$.clam", "$.compute.dusk"]
    assert sorted(message.split(": ")[1] for message in listed) == places
    assert all("found the unknown key" in message for message in listed)


def test_missing_parts_are_all_named():
    listed = mistakes('format = 1\nname = "tiny"')
    for part in ("[design]", "[target]", "[[estimator]]", "[[metric]]"):
        assert any(part in message for message in listed)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "$.format: found 2 (an integer); expected 1"),
        ("seed = 3", "seed = -1", "$.seed: found -1; expected an integer from 0"),
        (
            "replicates = 40",
            "replicates = 0",
            "$.replicates: found 0; expected an integer of at least 1, or { until",
        ),
        ("replicates = 40", "replicates = 4.5", "found 4.5 (a number); expected an integer"),
        (
            "times = [0, 1, 2]",
            "times = [0, 2, 1]",
            "$.times: found 1 after 2 in a grid; expected numbers that increase strictly",
        ),
        ("times = [0, 1, 2]", "times = [-1, 1]", "found the time -1; expected times of at least 0"),
        ("times = [0, 1, 2]", "", "found no times; expected a grid of training times"),
        ("times = [0, 1, 2]", "times = { geom = [1, 9, 3], include = 0 }", "expected a list"),
    ],
)
def test_wrong_values_at_the_top(old, new, message):
    assert message in only(text(head=HEAD.replace(old, new)))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "device = 'tpu'",
            "$.compute.device: found 'tpu'; expected auto, cpu, cuda, cuda:N or mps",
        ),
        ("dtype = 'float16'", "found 'float16' (a string); expected one of 'float64', 'float32'"),
        ("memory = 0", "$.compute.memory: found 0.0; expected a number above 0"),
        ("block = 2.5", "found 2.5 (a number); expected an integer"),
        ("blocks = 2", "did you mean 'block'?"),
    ],
)
def test_wrong_values_of_compute(table, message):
    assert message in only(text(extra=f"[compute]\n{table}"))


@pytest.mark.parametrize("simulate", ["2", "1.5", "0.0", "'no'"])
def test_wrong_simulate(simulate):
    message = only(text(estimator=estimator(extra=f"simulate = {simulate}")))
    assert "expected true, false, a share such as 0.1, or { n = 5000 }" in message
    message = only(text(estimator=estimator(extra="simulate = { n = 2.5 }")))
    assert "$.estimator[0].simulate.n: found 2.5 (a number); expected an integer" in message


def test_times_that_whole_steps_cannot_reach():
    slow = estimator(optimizer='use = "descent", learning_rate = 0.7')
    message = only(text(estimator=slow))
    assert "optimizer.times: found the time 1; whole steps reach 0.7" in message
    fine = estimator(optimizer='use = "descent", learning_rate = 0.5, times = [10.0, 10.1]')
    assert "found two times that fall on one step, at 10;" in only(text(estimator=fine))


def test_metric_that_fits_nowhere_and_metric_that_was_asked_for():
    nowhere = only(text(metric='[[metric]]\nuse = "spread"'))
    assert (
        "found spread, which no estimator can be measured by: lines has no feature spectrum"
        in nowhere
    )
    requested = only(text(metric='[[metric]]\nuse = "spread"\nof = ["lines"]'))
    assert "$.metric[0]: found spread of 'lines': lines has no feature spectrum" in requested
    unknown = only(text(metric='[[metric]]\nuse = "risk"\nof = ["line"]'))
    assert "found no estimator 'line'; did you mean 'lines'?" in unknown


def test_two_metrics_of_one_kind_need_a_name():
    message = only(text(metric=METRIC + METRIC))
    assert "found the variable 'risk' also from $.metric[0]" in message
    assert 'name this one with name = "…"' in message
    assert mistakes(text(metric=METRIC + METRIC + 'name = "other"')) == []


@pytest.mark.parametrize("name", ["time", "status", "n", "evaluations"])
def test_metric_named_like_something_else(name):
    design = DESIGN + "n = { values = [5, 6] }"
    message = only(text(design, metric=METRIC + f'name = "{name}"'))
    assert f"found the variable '{name}'" in message


def test_gap_to_an_unknown_estimator():
    message = only(text(metric='[[metric]]\nuse = "gap"\nto = "line"'))
    assert "there is no estimator 'line'; did you mean 'lines'?" in message


def test_nothing_to_compute():
    message = only(text(estimator=estimator(extra="simulate = false")))
    assert "$.estimator[0].simulate: found nothing to compute for 'lines'" in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("replicates", "found no '='; expected PATH=VALUE"),
        ("estimator.line.model.depth=2", "found no element 'line'; did you mean 'lines'?"),
        (
            "estimator.lines.modle.depth=2",
            "found no 'modle' in the scenario; did you mean 'model'?",
        ),
        ("seed.deep.er=1", "found 3 before 'deep'; expected a table"),
        ("seed=[1", "found the value '[1'; expected a TOML value"),
        ("estimator.lines.model.dept=2", "found the unknown key 'dept'; did you mean 'depth'?"),
    ],
)
def test_overrides_that_cannot_be_applied(override, message):
    assert message in only(text(), override)


def test_all_mistakes_are_shown_at_once():
    toml = text(
        design=DESIGN + "n = -1\nnoice = 2.0",
        target=TARGET + 'q = "two"',
        estimator=estimator('use = "lines", depth = 1.5', name="a/b")
        + estimator(optimizer='use = "filter"', name="unfit"),
        metric=METRIC + 'times = "late"',
        head=HEAD.replace("seed = 3", "seed = 1.5"),
    )
    places = [message.split(": ")[1] for message in mistakes(toml)]
    assert sorted(places) == sorted(
        [
            "$.design.n",
            "$.design.noice",
            "$.target.q",
            "$.estimator[0].name",
            "$.estimator[0].model.depth",
            "$.estimator[1].optimizer",
            "$.metric[0].times",
            "$.seed",
        ]
    )


def test_an_error_ends_with_a_full_stop_and_has_no_traceback_of_its_own():
    with pytest.raises(ScenarioError) as caught:
        read(text(design=DESIGN + "n = -5"))
    assert caught.value.__cause__ is None and str(caught.value).endswith(".")
