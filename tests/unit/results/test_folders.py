"""Run folders: status, replay, merging, pruning, tables, and disks that are full."""

from __future__ import annotations

import resource
import shutil

import pandas as pd
import pytest
import xarray as xr

from testbed.errors import ResultError
from testbed.results.files import read_tree, write_tree
from testbed.results.merge import united_scenario
from testbed.runs import Options, RunWarning, execute_run
from tests.helpers.folders import SCENARIO, scenario

# --- two scenarios, one folder ------------------------------------------------------------------


def test_another_scenario_of_the_same_name_is_refused(folder):
    second = SCENARIO.replace("[50, 100]", "[70]").replace("excess-risk", "excess-risk")
    with pytest.raises(ResultError, match="another scenario of the name 'folders'"):
        execute_run(scenario(second, "other.toml"), folder)
    assert execute_run(scenario(second, "folders.toml"), folder).reused == 0  # an edit of its own


def test_what_an_earlier_text_left_is_moved_away(folder):
    (folder / "figures").mkdir()
    (folder / "figures" / "old.png").write_text("drawn")
    (folder / "figures" / "mine.txt").write_text("kept")
    execute_run(scenario(SCENARIO.replace('"Folders"', '"Renamed"')), folder)
    assert not (folder / "figures").exists()
    assert (folder / "earlier" / "figures" / "mine.txt").read_text() == "kept"
    assert read_tree(folder / "earlier").attrs["title"] == "Folders"
    assert read_tree(folder).attrs["title"] == "Renamed"


def test_a_run_says_what_it_moved_away(folder, invoke, tmp_path):
    (folder / "report.html").write_text("old")
    file = tmp_path / "folders.toml"
    file.write_text(SCENARIO)
    output = invoke("run", file, "-o", folder, "--set", "replicates=2", "--no-figures").output
    assert f"earlier results.nc, report.html moved to {folder / 'earlier'}" in output
    assert not (folder / "report.html").exists()


# --- status, verify, replay ---------------------------------------------------------------------


def test_status_says_what_is_finished_and_what_is_missing(folder, invoke):
    assert "finished  6" in invoke("status", folder).output
    larger = SCENARIO.replace("replicates = 4", "replicates = 6")
    execute_run(scenario(larger), folder, Options(record_only=True))
    text = invoke("status", folder).output
    assert "finished  6" in text and "missing   2" in text
    assert "fixed(n=100), replicates 4 to 5" in text
    assert invoke("status", folder.parent).exit_code == 2


def test_the_folder_of_run_folders_names_those_with_results(folder):
    with pytest.raises(ResultError, match=f"There are some in {folder}"):
        read_tree(folder.parent)


def test_verify_finds_a_whole_result_right_and_says_what_is_not(folder, invoke):
    result = invoke("verify", folder)
    assert result.exit_code == 0, result.output
    assert "4 replicates at each of 2 points, all ok" in result.output
    assert "installed here" in result.output
    tree = read_tree(folder)
    tree.attrs["scenario_sha256"] = "0"
    tree.attrs["code"] = str(tree.attrs["code"]).replace("testbed.numerics.trees ", "&0")
    tree["fixed"]["status"][0, 0] = 3
    write_tree(tree, folder / "results.nc")
    result = invoke("verify", folder)
    assert result.exit_code == 1
    assert "problem  fixed: 1 of 8 replicates are not_run" in result.output
    assert "problem  scenario: its text does not agree" in result.output


def test_replay_confirms_a_point_and_finds_a_changed_number(folder, invoke):
    result = invoke("replay", folder, "--cell", "fixed, n=100")
    assert result.exit_code == 0 and "identical to the bit" in result.output, result.output
    tree = read_tree(folder)
    tree["fixed"]["excess_risk"][1, 3, 1] += 1e-9
    tree.attrs["source"] = str(tree.attrs["source"]).replace("numpy ", "numpy 1.")
    write_tree(tree, folder / "results.nc")
    result = invoke("replay", folder, "--cell", "fixed, n=100, replicate=3")
    assert result.exit_code == 1
    assert "excess_risk: 1 numbers differ, by 1e-09" in result.output
    assert "not as it was: numpy was 1." in result.output
    assert invoke("replay", folder, "--cell", "fixed, n=100, replicate=1").exit_code == 0
    for requested in ("fixed", "fixed, m=1", "fixd, n=100", "fixed, n"):
        assert invoke("replay", folder, "--cell", requested).exit_code == 2, requested


# --- merge, prune, export -----------------------------------------------------------------------


def test_runs_made_apart_merge_to_the_run_of_the_whole(finished, tmp_path, invoke):
    smaller = SCENARIO.replace("replicates = 4", "replicates = 2").replace("[50, 100]", "[50]")
    execute_run(scenario(smaller), tmp_path / "a")
    execute_run(scenario(SCENARIO.replace("[50, 100]", "[100]")), tmp_path / "b")
    result = invoke("merge", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "5 cells joined; 5 of the scenario's 6" in result.output
    original, merged = read_tree(finished)["fixed"], read_tree(tmp_path / "out")["fixed"]
    assert (merged["status"] == 3).sum() == 2  # replicates 2 and 3 at n = 50 nobody has run
    xr.testing.assert_equal(merged["excess_risk"].sel(n=100), original["excess_risk"].sel(n=100))
    outcome = execute_run(scenario(), tmp_path / "out")
    assert outcome.reused == 5
    xr.testing.assert_equal(
        outcome.tree["fixed"].to_dataset().drop_vars("duration"),
        original.to_dataset().drop_vars("duration"),
    )


def test_scenarios_that_do_not_fit_are_not_merged():
    second = SCENARIO.replace("gamma = 1.5", "gamma = 1.6").replace("seed = 4", "seed = 5")
    with pytest.raises(ResultError, match=r"\$\.seed.*\$\.estimator\[0\]\.model\.gamma"):
        united_scenario({"a": SCENARIO, "b": second})
    assert united_scenario({"a": SCENARIO, "b": SCENARIO.replace("Folders", "F")}) == SCENARIO


def test_a_pruned_journal_is_smaller_and_holds_the_same(folder, invoke):
    execute_run(scenario(SCENARIO.replace("[50, 100]", "[50, 75]")), folder)
    before = (folder / "journal.sqlite").stat().st_size
    result = invoke("prune", folder)
    assert "3 cells dropped" in result.output, result.output
    assert (folder / "journal.sqlite").stat().st_size < before
    assert execute_run(scenario(SCENARIO.replace("[50, 100]", "[50, 75]")), folder).reused == 6
    assert execute_run(scenario(), folder).reused == 3


def test_exported_tables_hold_the_results(folder, tmp_path, invoke):
    result = invoke("export", folder, "-o", tmp_path / "tables")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "tables" / "fixed-n-replicate-time.csv")
    assert len(table) == 2 * 4 * 2
    tree = read_tree(folder)["fixed"]
    row = table[(table.n == 100) & (table.replicate == 3) & (table.time == 2.0)]
    assert float(row.excess_risk.iloc[0]) == float(
        tree["excess_risk"].sel(n=100, replicate=3, time=2.0)
    )


def test_exported_parquet_holds_what_the_tables_in_csv_hold(folder, tmp_path, invoke):
    for kind in ("csv", "parquet"):
        result = invoke("export", folder, "-o", tmp_path / kind, "--format", kind)
        assert result.exit_code == 0, result.output
    names = {file.stem for file in (tmp_path / "csv").iterdir()}
    assert names == {file.stem for file in (tmp_path / "parquet").iterdir()}
    read = pd.read_parquet(tmp_path / "parquet" / "fixed-n-replicate-time.parquet")
    table = pd.read_csv(tmp_path / "csv" / "fixed-n-replicate-time.csv")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert (read.excess_risk == table.excess_risk).all()


# --- folders that go away -----------------------------------------------------------------------


class Remover:
    """Acts on the folder of a run after its first cell."""

    def __init__(self, act):
        self.act, self.done = act, 0

    def started(self, plan, missing):
        pass

    def noted(self, text):
        pass

    def finished(self, cell, result):
        self.done += 1
        if self.done == 1:
            self.act()


@pytest.mark.parametrize("what", ["folder removed", "folder moved", "journal removed"])
def test_a_folder_that_goes_away_ends_the_run_in_one_line(tmp_path, what):
    place = tmp_path / "run"
    acts = {
        "folder removed": lambda: shutil.rmtree(place),
        "folder moved": lambda: place.rename(tmp_path / "moved"),
        "journal removed": lambda: (place / "journal.sqlite").unlink(),
    }
    remover = Remover(acts[what])
    with pytest.raises(ResultError, match=r"found that the journal was moved or removed") as error:
        execute_run(scenario(), place, None, remover)
    assert "\n" not in str(error.value)
    assert remover.done == 1  # no further cell is computed in vain
    if what == "folder moved":
        with pytest.warns(RunWarning, match="ended while a cell was running"):
            assert execute_run(scenario(), tmp_path / "moved").reused == 1
    assert not execute_run(scenario(), place).failed


# --- full disks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [4_000, 13_000, 25_000, 40_000])
def test_a_disk_that_fills_at_any_write_costs_one_line_and_no_finished_cell(
    finished, tmp_path, limit
):
    """A limit on the size of files stands for the full disk; where it strikes depends on it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(ResultError) as caught:
            execute_run(scenario(), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "results.nc").exists() and not list(tmp_path.glob(".writing*"))
    xr.testing.assert_equal(
        execute_run(scenario(), tmp_path).tree["fixed"].to_dataset().drop_vars("duration"),
        read_tree(finished)["fixed"].to_dataset().drop_vars("duration"),
    )
