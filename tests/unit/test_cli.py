"""The commands, as a user types them."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.helpers.sequences import SPARSE, sequence_scenario

SCENARIO = sequence_scenario(
    "small",
    head="replicates = 3",
    n="{ values = [100, 200, 400] }",
    target=SPARSE,
    times="{ geom = [1.0, 1e4, 12] }",
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SCENARIO)
    return tmp_path


def test_run_leaves_results_figures_and_a_summary(place, invoke):
    result = invoke("run", "small.toml")
    assert result.exit_code == 0, result.output
    assert (
        "slope in n" in result.output
        and "9 of 9 replicates ok (3 at each of 3 points)" in result.output
    )
    assert (place / "runs/small/results.nc").exists()
    assert (place / "runs/small/figures/excess_risk-against-n.png").stat().st_size > 5000
    again = invoke("run", "small.toml")
    assert "3 of them are in the journal" in again.output
    assert "slope in n" in invoke("show", "runs/small").output
    assert "excess_risk-against-n.png" in invoke("plot", "runs/small/results.nc").output


def test_a_plan_says_what_is_finished_in_its_folder_and_what_more_replicates_cost(place, invoke):
    more = ("plan", "small.toml", "--set", "replicates=20")
    assert "are finished" not in invoke(*more).output
    invoke("run", "small.toml", "--no-figures", "--set", "replicates=16")
    assert "runs/small: 3 of 6 cells are finished; to run: 3 missing" in invoke(*more).output
    assert "to run: none" in invoke("plan", "small.toml", "--set", "replicates=16").output
    assert "are finished" not in invoke(*more, "-o", "runs/elsewhere").output
    assert "expected:" not in invoke("plan", "small.toml", "--set", "replicates=16").output


def test_an_adaptive_run_says_with_how_many_replicates_it_ended(place, invoke):
    until = "replicates = { until = { standard_error = 9.0 }, at_most = 64 }"
    text = SCENARIO.replace("replicates = 3", until)
    assert text != SCENARIO
    (place / "small.toml").write_text(text)
    output = invoke("run", "small.toml", "--no-figures").output
    assert "small: 3 cells in the first round" in output
    assert "24 of 24 replicates ok (8 at each of 3 points)" in output
    assert "adaptive: 8 replicates were enough at 3 of 3 points, of at most 64" in output
    never = text.replace("9.0", "1e-9").replace("64", "12")
    (place / "small.toml").write_text(never)
    output = invoke("run", "small.toml", "--no-figures").output
    assert "adaptive: 3 of 3 points took all 12 replicates" in output


FOREST = """
format = 1
name = "forest"
replicates = 2
[design]
use = "gaussian"
dim = 2
n = 12
n_test = 8
[target]
use = "linear"
[[estimator]]
name = "forest"
model = { use = "random-forest", trees = 3 }
optimizer = { use = "fit" }
[[metric]]
use = "excess-risk"
"""


def test_models_of_outside_libraries_run_in_the_process_of_the_command(place):
    """scikit-learn looks among the loaded modules for libraries that the command goes without."""
    (place / "forest.toml").write_text(FOREST)
    code = (
        "import sys, testbed.loading as l; from attrs import evolve\n"
        "own = [pair for pair in l.entry_points() if pair[0].distribution == l.BARE[0]]\n"
        "l.entry_points = lambda: own\n"
        "from testbed.console import cli\n"
        "sys.argv = ['testbed', 'run', 'forest.toml', '--no-figures']\n"
        "cli.main(standalone_mode=False)\n"
        "assert sys.modules.get('dask', 0) is None and not sys.modules.get('pyarrow')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 replicates ok" in done.stdout


def test_plan_check_and_dry_run_compute_nothing(place, invoke):
    for command in (("plan",), ("check",), ("run", "--dry-run")):
        result = invoke(*command, "small.toml", "--set", "replicates=5")
        assert result.exit_code == 0, result.output
    assert not (place / "runs").exists()
    assert "5 replicates" in invoke("plan", "small.toml", "--set", "replicates=5").output


def test_a_wrong_request_exits_with_2_and_no_traceback(place, invoke):
    for arguments in (
        ("run", "nowhere.toml"),
        ("run", "nothing"),
        ("run", "small.toml", "--set", "design.n=-1"),
        ("describe", "sequence.diagnal"),
        ("show", "runs"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert "Traceback" not in result.output and result.output.strip()
    assert "did you mean 'sequence.diagonal'?" in invoke("describe", "sequence.diagnal").output


def test_a_damaged_result_is_explained(place, invoke):
    assert invoke("run", "small.toml").exit_code == 0
    path = place / "runs/small/results.nc"
    path.write_bytes(path.read_bytes()[:2000])
    result = invoke("show", "runs/small")
    assert result.exit_code == 2
    assert "may have been cut short" in result.output
    assert invoke("run", "small.toml").exit_code == 0
    assert invoke("show", "runs/small").exit_code == 0


def test_listing_and_describing(invoke):
    assert "sequence.fixed" in invoke("list", "models").output
    assert "excess-risk" not in invoke("list", "models").output
    text = invoke("describe", "sequence.diagonal").output
    for word in ("gamma", "required", "at least 0", "arXiv:2409.00894", "model = {"):
        assert word in text
    assert "sequence" in invoke("plugins").output


def test_help_and_import_load_neither_torch_nor_xarray(invoke):
    code = (
        "import sys, testbed, testbed.console.cli; "
        "sys.exit(bool({'torch', 'xarray', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "Usage" in invoke("--help").output


def test_a_plan_can_be_tried_out_and_says_what_it_costs(place, invoke):
    result = invoke("plan", "small.toml", "--costs")
    assert result.exit_code == 0
    assert re.search(
        r"costs: +about [\d.e+-]+ s in one process, [\d.e+-]+ MiB of memory a cell", result.output
    )
    assert not (place / "runs").exists()  # nothing is written
    assert "costs" not in invoke("plan", "small.toml").output
