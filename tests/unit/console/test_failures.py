"""A failed cell in a terminal: the plugin's line, the traceback, the debugger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import frozen
from click.testing import CliRunner

from testbed import Metric, Variable
from testbed.console.cli import main
from tests.helpers import hanging, strangers
from tests.helpers.tiny import Module


@frozen(kw_only=True)
class Breaking(hanging.Straight):
    """It raises while it predicts."""

    name = "breaking.straight"

    def predict(self, prepared, params, probe):
        if probe.shape[0] > 20:
            raise RuntimeError("the ice is thin")
        return probe @ params


@frozen(kw_only=True)
class BreakingMetric(Metric):
    """It raises while it measures."""

    name = "breaking.metric"
    needs = ("predictions",)
    variables: ClassVar = {"ice": Variable("thickness")}

    def measure(self, problem, predictions):
        raise KeyError("thickness")


SCENARIO = strangers.SCENARIO.replace('"ntk.rbf"', '"hanging.straight"').replace(
    '"gradient-flow", times', '"gradient-descent", learning_rate = 0.1, times'
)
MODEL = SCENARIO.replace("hanging.straight", "breaking.straight").replace(
    "n = 20", "n = { values = [10, 20] }\nn_test = 25"
)
METRIC = SCENARIO + '[[metric]]\nuse = "breaking.metric"\n'


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """`testbed run` on a text, beside a plugin with these components."""
    module = Module(models=[hanging.Straight, Breaking], metrics=[BreakingMetric])
    registry = strangers.registry_with(module)
    for place in ("testbed.runs", "testbed.planning.files", "testbed.scenario.scenario"):
        monkeypatch.setattr(f"{place}.load_registry", lambda: registry, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(text, *options):
        (tmp_path / "s.toml").write_text(text)
        arguments = ["run", "s.toml", "--no-figures", *options]
        return CliRunner().invoke(main, arguments)

    return run


def test_the_line_of_the_plugin_is_shown_once_for_all_cells(invoke):
    done = invoke(MODEL)
    assert done.exit_code == 1
    assert "2 cells failed at " in done.output and "test_failures.py:" in done.output
    assert '\n    raise RuntimeError("the ice is thin")\n' in done.output
    assert "--traceback shows more" in done.output and "Traceback" not in done.output
    assert "2 cells failed; their errors are in the results" in done.output


def test_cells_that_lack_a_variable_alone_are_no_failed_cells(invoke):
    done = invoke(METRIC)
    assert done.exit_code == 1
    assert "1 cell without ice; their errors are in the results" in done.output
    assert "cells failed, " not in done.output and "replicates ok" in done.output
    page = (Path(__file__).parents[3] / "docs" / "debugging.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"```text\n(.*?)```", page, re.S)
    place = re.compile(r"at .*:\d+")
    printed = place.sub("at …", done.output).splitlines()
    assert set(place.sub("at …", sample).splitlines()) <= set(printed)


def test_traceback_shows_all_of_it(invoke):
    done = invoke(MODEL, "--traceback")
    assert done.exit_code == 1
    assert "Traceback (most recent call last)" in done.output
    assert "RuntimeError: the ice is thin" in done.output and "batching.py" in done.output


def test_a_fault_of_a_metric_has_a_traceback_too(invoke):
    done = invoke(METRIC, "--traceback")
    assert "KeyError: 'thickness'" in done.output and "in measure" in done.output


def test_pdb_stops_where_it_is_raised(invoke, capfd):
    done = invoke(MODEL, "--pdb")
    shown = done.output + capfd.readouterr().out
    assert "(Pdb)" in shown and '-> raise RuntimeError("the ice is thin")' in shown
