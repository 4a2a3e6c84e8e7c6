"""What is known before anything is drawn is refused at planning, each at its place in the file."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.errors import ScenarioError
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.runs import checked_plan
from testbed_basics.designs.downloads import DOWNLOADS

TEXT = """
format = 1
name = "planned"
times = [1.0]
{design}
[target]
use = "labels"
[[estimator]]
name = "whole"
model = {{ use = "ntk.laplace" }}
optimizer = {{ use = "gradient-flow" }}
[[estimator]]
name = "batches"
model = {{ use = "networks.two-layer", width = 4 }}
optimizer = {{ use = "sgd", learning_rate = 0.1, batch_size = {batch} }}
[[metric]]
use = "test-error"
"""
DESIGN = """
[design]
use = "dataset"
"""


def mistakes(design, batch=2):
    with pytest.raises(ScenarioError) as caught:
        checked_plan(read_scenario(TEXT.format(design=design, batch=batch), "planned.toml"))
    return [str(mistake) for mistake in caught.value.mistakes]


def test_batches_larger_than_the_sample_are_refused_where_they_are_asked():
    assert mistakes(DESIGN + "n = 20", batch=21) == [
        "planned.toml: $.estimator[1].optimizer.batch_size: found batches of 21 points in the "
        "estimator 'batches'; expected at most 20, the number of training points; lower batch_size."
    ]
    fine = TEXT.format(design=DESIGN + "n = 20", batch=20)
    assert len(checked_plan(read_scenario(fine)).cells) == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("n = 2000", "found n + n_test = 2200; expected at most 1797, as many points as 'digits'"),
        (
            "n = 300\nn_test = 58\nclasses = [3, 8]",
            "found n + n_test = 358; expected at most 357, as many points of the classes [3, 8]",
        ),
        ("n = 20\nclasses = [3, 11]", "found the classes [11] asked of the data 'digits'"),
    ],
)
def test_more_points_than_the_data_have_are_refused(wanted, message):
    (error,) = mistakes(DESIGN + wanted)
    assert error.startswith("planned.toml: $.design: ") and message in error


def test_data_that_are_not_there_or_not_finite_are_refused_with_all_else(tmp_path, monkeypatch):
    """One design for each, at its own place, beside batches that are too large."""
    monkeypatch.setenv("TESTBED_DATA", str(tmp_path))
    np.savez(tmp_path / "bad.npz", x=np.ones((9, 2)), y=np.full(9, np.nan))
    designs = "".join(
        f'[[design]]\nname = "{name}"\nuse = "dataset"\nn = 5\nn_test = 2\n{data}\n'
        for name, data in [
            ("clothes", 'data = "fashion-mnist"'),
            ("bad", f'data = "file"\npath = "{tmp_path / "bad.npz"}"'),
            ("fine", ""),
        ]
    )
    clothes, bad, batches = mistakes(designs, batch=6)
    files = ", ".join(DOWNLOADS["fashion-mnist"].files)
    assert clothes.startswith(f"planned.toml: $.design[0]: found no {files} in {tmp_path}")
    assert "designs.downloads fashion-mnist" in clothes
    assert bad.startswith("planned.toml: $.design[1]: found 9 numbers that are NaN or infinite")
    assert batches.startswith("planned.toml: $.estimator[1].optimizer.batch_size: ")


def test_words_alone_stand_for_the_whole_scenario(monkeypatch):
    registry = load_registry()
    requested = type(registry).hook

    def hook(self, name):
        if name != "testbed_check_scenario":
            return requested(self, name)
        return lambda plan: [["found nothing good, expected better", "and that"]]

    monkeypatch.setattr(type(registry), "hook", hook)
    assert mistakes(DESIGN + "n = 20") == [
        "planned.toml: $: found nothing good, expected better.",
        "planned.toml: $: and that.",
    ]
