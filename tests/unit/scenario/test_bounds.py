"""Whatever stands in a file is answered within seconds, and each bound says how to raise it."""

from __future__ import annotations

import time

import pytest

from testbed.errors import ScenarioError
from testbed.planning.files import load_scenario
from testbed.scenario.document import SIZE_VARIABLE
from tests.helpers.planned_components import (
    DESIGN,
    HEAD,
    TARGET,
    estimator,
    mistakes,
    planned,
    text,
)

SECONDS = 5.0  # what an answer may take on a busy machine


def answer(toml: str) -> str:
    """What is wrong with a scenario, found within seconds."""
    started = time.perf_counter()
    text = "\n".join(mistakes(toml))
    assert time.perf_counter() - started < SECONDS
    return text


def test_cells_are_counted_before_they_are_made():
    design = DESIGN + "n = { geom = [100, 100000, 30] }\nnoise = { linspace = [0.1, 1.0, 30] }"
    target = TARGET + "p = { linspace = [0.5, 3.0, 30] }\nq = { linspace = [1.0, 3.0, 30] }"
    result = answer(text(design, target))
    assert "$.estimator[0]: found 2430000 cells" in result
    assert "30 n × 30 noise × 30 p × 30 q × 3 blocks" in result
    assert "expected at most 20000" in result and "raise compute.cells" in result


def test_replicates_count_in_blocks():
    result = answer(text(head=HEAD.replace("replicates = 40", "replicates = 1000000000")))
    assert "found 62500000 cells" in result and "lower replicates" in result
    looped = estimator('use = "wrapped", of = { use = "lines" }')
    head = HEAD.replace("replicates = 40", "replicates = 30000")
    result = answer(text(estimator=looped, head=head))
    assert "found 30000 cells" in result and "replicate by replicate" in result


def test_a_bound_is_raised_in_the_file():
    swept = text(DESIGN + "n = { linspace = [1, 100, 100] }", extra="[compute]\ncells = {}\n")
    assert "at most 299" in answer(swept.replace("{}", "299"))
    assert len(planned(swept.replace("{}", "300")).cells) == 300
    listed = text(DESIGN + "n = { linspace = [1, 100, 100] }", extra="[compute]\nvalues = 99\n")
    assert "$.design.n: found a list of 100 numbers; expected at most 99" in answer(listed)


@pytest.mark.parametrize(
    "line",
    [
        "n = { geom = [1, 10, 1000000000000] }",
        "n = { linspace = [1, 1e9, 1000000] }",
        f"n = {{ values = [{', '.join(map(str, range(1, 200_000)))}] }}",
    ],
)
def test_sweeps_are_refused_by_their_length(line):
    result = answer(text(DESIGN + line))
    assert "$.design.n: found a list of" in result and "raise compute.values" in result


def test_grids_are_refused_by_their_length():
    times = "times = { linspace = [0.0, 1.0, 100000000] }"
    result = answer(text(head=HEAD.replace("times = [0, 1, 2]", times)))
    assert "$.times: found a list of 100000000 numbers; expected at most 100000" in result


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"design": DESIGN + f"noise = {HUGE}"}, "$.design.noise: "),
        ({"design": DESIGN + f"n = {HUGE}"}, "$.design.n: "),
        ({"design": DESIGN + "n = 0x" + "f" * 6000}, "$.design.n: "),
        ({"design": DESIGN + "n = { values = [1, 10000000000000000000000] }"}, "$.design.n: "),
        ({"head": HEAD.replace("[0, 1, 2]", f"[0, {HUGE}]")}, "$.times: "),
        ({"head": HEAD.replace("seed = 3", "seed = 18446744073709551616")}, "$.seed: "),
        ({"head": HEAD.replace("seed = 3", f"seed = {HUGE}")}, "$.seed: "),
        ({"design": DESIGN + "n = 1" + "0" * 5000}, "line 9: "),
        ({"head": HEAD.replace('"tiny"', f'"{"x" * 300}"')}, "$.name: "),
        ({"estimator": estimator(name="x" * 300)}, "$.estimator[0].name: "),
        ({"design": DESIGN + f'n = {{ values = [1, 2], dim = "{"x" * 300}" }}'}, "$.design.n: "),
        ({"extra": "[deep]\nx = " + "[" * 900 + "]" * 900}, "s.toml: "),
        ({"extra": "[deep]\nx = " + "[" * 40 + "]" * 40}, "at most 30 levels"),
        ({"extra": ".".join("a" * 20_000) + " = 1"}, "at most 30 levels"),
    ],
)
def test_numbers_names_and_nesting_are_bounded(part, place):
    result = answer(text(**part))
    assert place in result and len(result) < 1000


@pytest.mark.parametrize("name", ["seed", "error", "duration", "diverged_at", "time_reached"])
def test_a_dimension_may_not_be_called_like_a_variable_of_the_result(name):
    result = answer(text(DESIGN + f'n = {{ values = [1, 2], dim = "{name}" }}'))
    assert f"$.design.n: found the dimension name '{name}', which is reserved" in result


def test_the_largest_seed_is_allowed():
    assert mistakes(text(head=HEAD.replace("seed = 3", "seed = 18446744073709551615"))) == []


def test_large_files_are_not_read(tmp_path, monkeypatch):
    file = tmp_path / "large.toml"
    with file.open("wb") as stream:
        stream.truncate(100 * 2**20)
    started = time.perf_counter()
    with pytest.raises(ScenarioError, match=f"at most 4194304 bytes; .*{SIZE_VARIABLE}"):
        load_scenario(file)
    assert time.perf_counter() - started < SECONDS
    with file.open("wb") as stream:
        stream.truncate(5 * 2**20)
    monkeypatch.setenv(SIZE_VARIABLE, str(2**23))
    with pytest.raises(ScenarioError, match="broken TOML"):
        load_scenario(file)


def test_a_sweep_of_thousands_of_points_is_planned_within_seconds():
    started = time.perf_counter()
    design = DESIGN + "n = { linspace = [1, 2000, 2000] }"
    assert len(planned(text(design, head=HEAD.replace("= 40", "= 1"))).cells) == 2000
    assert time.perf_counter() - started < SECONDS


def test_control_characters_are_shown_escaped():
    toml = text(extra='"\\u001b]0;owned\\u0007" = 1\n"a\\ns.toml: no mistakes" = 2\n')
    listed = mistakes(toml)
    assert len(listed) == 2
    for message in listed:
        assert message.isprintable()
    assert any("\\x1b]0;owned\\x07" in message for message in listed)
