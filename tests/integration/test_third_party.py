"""Plugins in distributions of their own, built and installed as a user would: a good one that adds
a model and a metric, and beside it one that does everything wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from testbed.planning.files import read_scenario
from testbed.runs import execute_run

HERE = Path(__file__).parent / "third_party"
SCENARIO = """
format = 1
name = "strangers"
seed = 3
replicates = 4
times = [0.0, 1.0, 30.0]
[design]
use = "sequence.gaussian"
n = { values = [100, 1000] }
modes = 12
[target]
use = "sequence.power"
p = 1.0
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-flow" }
[[metric]]
use = "excess-risk"
"""
THEIRS = """
[[estimator]]
name = "theirs"
model = { use = "exponential.features", rate = { values = [0.3, 0.6] } }
optimizer = { use = "gradient-flow", rtol = 1e-7, atol = 1e-10 }
[[metric]]
use = "exponential.readout-norm"
of = ["theirs"]
"""
BOTH = (SCENARIO + THEIRS).replace("modes = 12", "modes = 12\nnoise = 0.0")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folders that the two distributions were installed to; nothing is fetched."""
    folders = {}
    for name in ("good", "broken"):
        folders[name] = tmp_path_factory.mktemp(name)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
                *("--no-build-isolation", "--target", str(folders[name]), str(HERE / name)),
            ],
            check=True,
            timeout=120,
        )
    return folders


def command(*arguments: object, beside: list[Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command, with distributions beside it on the path."""
    paths = [*map(str, beside), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "testbed.console.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "200"},
    )


def run(place: Path, text: str, *options: str, beside: list[Path]) -> xr.DataTree:
    (place / "scenario.toml").write_text(text)
    done = command("run", "scenario.toml", "-o", "out", *options, beside=beside, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    with xr.open_datatree(place / "out" / "results.nc") as tree:
        return tree.load()


@pytest.fixture(scope="module")
def serial(installed, tmp_path_factory):
    """What the stranger's components give in one process, with figures."""
    return run(tmp_path_factory.mktemp("serial"), BOTH, beside=[installed["good"]])


def test_a_strangers_model_and_metric_run_and_are_right(serial):
    theirs = serial["theirs"].to_dataset()
    assert theirs["excess_risk"].dims == ("n", "rate", "replicate", "time")
    assert theirs["readout_norm"].attrs["long_name"] == "norm of the readout"
    assert (theirs["status"] == 0).all()
    # Without noise everything has a closed form: θ = (1 − e^{−λt}) θ*, β = λ^{−1/2} θ.
    index = np.arange(1, 13)
    truth = 1 / index
    for rate in theirs["rate"].values:
        eigenvalue = np.exp(-rate * index)
        left = np.exp(-np.outer(theirs["time"], eigenvalue))  # (time, mode)
        first = theirs.sel(rate=rate, n=1000).isel(replicate=2)
        np.testing.assert_allclose(first["excess_risk"], ((left * truth) ** 2).sum(1), rtol=1e-5)
        readout = (1 - left) * truth / np.sqrt(eigenvalue)
        expected = np.sqrt((readout**2).sum(1))
        np.testing.assert_allclose(first["readout_norm"], expected, rtol=1e-5, atol=1e-12)


def test_processes_load_the_strangers_plugin_too(installed, serial, tmp_path):
    options = ("--executor", "processes", "--workers", "1", "--no-figures")
    parallel = run(tmp_path, BOTH, *options, beside=[installed["good"]])
    for name in ("excess_risk", "readout_norm"):
        np.testing.assert_array_equal(serial["theirs"][name], parallel["theirs"][name])


def test_broken_plugins_are_rows_with_their_error_and_disturb_nothing(installed, tmp_path):
    shown = command("plugins", beside=[installed["good"], installed["broken"]], cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "testbed-exponential",
        "RuntimeError: a library that it needs is missing",
        "No module named 'testbed_broken_missing'",
        "testbed_modles",
        "the name 'sequence.fixed' is taken by",
        "found the name 'norm', expected one with a namespace",
    ):
        assert words in " ".join(shown.stdout.split()), words
    alone = execute_run(read_scenario(SCENARIO, "scenario.toml"), tmp_path / "alone").tree
    both = [installed["broken"], installed["good"]]
    beside = run(tmp_path, SCENARIO, "--no-figures", beside=both)
    np.testing.assert_array_equal(alone["fixed"]["excess_risk"], beside["fixed"]["excess_risk"])


def test_their_components_are_listed_described_and_corrected(installed, tmp_path):
    beside = [installed["good"]]
    assert "exponential.features" in command("list", "models", beside=beside, cwd=tmp_path).stdout
    described = command("describe", "exponential.features", beside=beside, cwd=tmp_path).stdout
    for words in ("testbed-exponential 1.2.0", "decay c", "above 0"):
        assert words in described
    (tmp_path / "typo.toml").write_text((SCENARIO + THEIRS).replace("ial.features", "ial.feature"))
    refused = command("check", "typo.toml", beside=beside, cwd=tmp_path)
    assert refused.returncode == 2
    assert "did you mean" in refused.stderr and "exponential.features" in refused.stderr
