"""Runs that keep their states, with a plugin that counts trainings and may be edited."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.runs import Options, execute_run

COUNTING = Path(__file__).parents[1] / "integration" / "counting"
SCENARIO = """
format = 1
name = "kept"
seed = 4
replicates = 3
[design]
use = "sequence.gaussian"
n = { values = [20, 50] }
modes = 12
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "f"
model = { use = "sequence.diagonal", gamma = 1.5, depth = 1 }
optimizer = { use = "counting.descent", times = [0.0, 0.5, 1.0, 2.0] }
[[metric]]
use = "excess-risk"
[compute]
block = 2
keep_states = true
"""
SIZE = '[[metric]]\nuse = "counting.size"\n'


def forget_plugin():
    for name in [name for name in sys.modules if name.startswith("testbed_counting")]:
        del sys.modules[name]
    load_registry.cache_clear()


def edit(plugin, module, before, after):
    """Change a line of the plugin, and load it anew."""
    file = plugin / f"{module}.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    forget_plugin()


class Silent:
    """A watcher that keeps what a run notes."""

    def __init__(self):
        self.notes = []

    def started(self, plan, missing):
        self.missing = missing

    def finished(self, cell, result):
        pass

    def noted(self, text):
        self.notes.append(text)


def scenario(more="", *overrides, text=SCENARIO):
    return read_scenario(text.replace("[compute]", f"{more}[compute]"), "kept.toml", overrides)


def trained(tmp_path):
    """The number of trainings since the last call."""
    file = tmp_path / "trained"
    count = len(file.read_text().splitlines()) if file.exists() else 0
    file.unlink(missing_ok=True)
    return count


def run(folder, more="", *overrides, **options):
    watcher = Silent()
    outcome = execute_run(scenario(more, *overrides), folder, Options(**options), watcher)
    outcome.tree.attrs["notes"] = "\n".join(watcher.notes)
    return outcome


def expect_same(first, second):
    """Every number is the same to the bit, but for durations."""
    assert set(first.data_vars) == set(second.data_vars)
    for name in set(first.data_vars) - {"duration"}:
        np.testing.assert_array_equal(first[name], second[name], err_msg=str(name))
