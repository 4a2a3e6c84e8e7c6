"""Scenarios that are written from chosen components plan without a mistake."""

from __future__ import annotations

import tomllib

import pytest
from click.testing import CliRunner

from testbed.console.cli import main
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.runs import checked_plan
from testbed.scaffold import scenario_text
from testbed.scaffold.scenario import SAMPLES

CHOICES = [
    {},
    {"model": ["sequence.diagonal"]},
    {"model": ["ntk.relu", "ntk.laplace"], "metric": ["excess-risk", "gcv"]},
    {"model": ["networks.two-layer"], "optimizer": ["sgd"]},
    {"theory": ["ntk.deterministic-equivalent"]},
    {"target": ["gegenbauer"]},
    {"design": ["torus"], "target": ["trigonometric"]},
    {"model": ["random-forest"]},
]


@pytest.mark.parametrize("chosen", CHOICES, ids=str)
def test_a_scenario_from_chosen_components_has_no_mistake(chosen):
    text = scenario_text("my-question", chosen, load_registry())
    document = tomllib.loads(text)
    for kind in ("metric", "theory"):
        assert {table["use"] for table in document.get(kind, ())} >= set(chosen.get(kind, ()))
    models = [estimator["model"]["use"] for estimator in document["estimator"]]
    assert models == chosen.get("model", models)
    assert checked_plan(read_scenario(text, "my-question.toml")).cells
    assert "# " in text and max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("design", load_registry().names("design"))
def test_sizes_are_those_of_an_experiment(design):
    """Each kind of design is swept over n, and tested on as many points as it has by default."""
    text = scenario_text("my-question", {"design": [design]}, load_registry())
    plan = checked_plan(read_scenario(text, "my-question.toml"))
    (sizes,) = {tuple(dim.coordinate) for part in plan.estimators for dim in part.dims}
    assert sizes == SAMPLES
    table = tomllib.loads(text)["design"]
    assert table.get("n_test", 200) >= 200 and table.get("modes", 200) == 200


def test_models_have_the_sizes_of_an_experiment_and_keep_what_is_no_size():
    text = scenario_text("my-question", {"model": ["networks.two-layer"]}, load_registry())
    assert tomllib.loads(text)["estimator"][0]["model"]["width"] == 64
    chosen = {"model": ["adaptive.directional"], "target": ["single-index"]}
    text = scenario_text("my-question", chosen, load_registry())
    assert tomllib.loads(text)["estimator"][0]["model"]["eigenvalues"] == [1.0, 1.0]
    assert checked_plan(read_scenario(text, "my-question.toml")).cells


def test_the_comments_name_defaults_that_can_be_written():
    text = scenario_text("my-question", {"model": ["networks.two-layer"]}, load_registry())
    uncommented = text.replace("# width", "width")
    assert "# activation = " in text and tomllib.loads(uncommented)


def test_the_command_writes_a_file_and_does_not_overwrite_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["new-scenario", "mine", "--model", "ntk.rbf"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mine.toml").exists() and "testbed run mine.toml" in done.output
    again = CliRunner().invoke(main, ["new-scenario", "mine.toml"])
    assert again.exit_code == 2 and "expected no such file" in again.output


def test_a_component_of_another_kind_is_named():
    done = CliRunner().invoke(main, ["new-scenario", "mine", "--model", "ntk.rbff"])
    assert done.exit_code == 2 and "did you mean 'ntk.rbf'" in done.output
