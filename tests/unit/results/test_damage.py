"""Damage to results and journals: it is seen, and gives no other number."""

from __future__ import annotations

import random
import shutil
import sqlite3

import numpy as np
import pytest
import xarray as xr

from testbed.errors import ResultError
from testbed.planning.plan import make_plan
from testbed.results.files import read_tree
from testbed.results.journal import Journal
from testbed.results.store import RunFolder
from testbed.runs import RunWarning, execute_run
from tests.helpers.folders import scenario


def test_a_flipped_bit_anywhere_in_a_result_is_seen(folder):
    file = folder / "results.nc"
    content, reference = file.read_bytes(), read_tree(file)
    places = random.Random(0).sample(range(len(content) * 8), 200)
    observed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        try:
            tree = read_tree(file)
        except ResultError as error:
            observed += 1
            assert "\n" not in str(error)
        else:  # the flip hit the mark that says where the checksum stands
            xr.testing.assert_identical(tree, reference)
    assert observed >= 198


def test_a_result_that_was_cut_anywhere_is_refused(folder):
    file = folder / "results.nc"
    content = file.read_bytes()
    for length in random.Random(1).sample(range(len(content)), 200):
        file.write_bytes(content[:length])
        with pytest.raises(ResultError):
            read_tree(file)


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_damage_anywhere_in_a_journal_gives_no_other_number(folder, how):
    plan = make_plan(scenario())
    keys = [cell.key for cell in plan.cells]
    journal = Journal(folder)
    reference = {stored.result.key: stored.result for stored in journal.stored(keys)}
    journal.close()
    assert len(reference) == len(keys)
    content = (folder / "journal.sqlite").read_bytes()
    places = random.Random(2).sample(range(len(content) * 8), 200)
    kept = 0
    for number, place in enumerate(places):
        second = folder / str(number)
        second.mkdir()
        damaged = bytearray(content)
        if how == "flipped":
            damaged[place // 8] ^= 1 << place % 8
        else:
            del damaged[place // 8 :]
        (second / "journal.sqlite").write_bytes(damaged)
        kept += _compare(second, keys, reference)
        shutil.rmtree(second)
    assert kept > (0.9 if how == "flipped" else 0.0) * 200 * len(keys)


def _compare(folder, keys, reference):
    """How many cells of a damaged journal are left; every one as it was."""
    try:
        journal = Journal(folder, "folders")
    except ResultError as error:  # the name of the scenario itself is damaged
        assert "another scenario" in str(error)
        return len(keys)
    results = [stored.result for stored in journal.stored(keys)]
    assert len(results) + len(journal.notes) >= len(keys) or journal.notes or len(results) < 6
    assert all("\n" not in note for note in journal.notes)
    journal.close()
    for result in results:
        expected = reference[result.key]
        assert (result.error, result.omitted) == (expected.error, expected.omitted)
        assert result.variables.keys() == expected.variables.keys()
        for name, array in result.variables.items():
            np.testing.assert_array_equal(array, expected.variables[name])
    return len(results)


def test_a_damaged_header_is_set_aside_in_one_line_and_computed_again(folder):
    before = read_tree(folder)
    statement = "UPDATE cells SET header = replace(header, 'excess_risk', 'excess_pisk')"
    database = sqlite3.connect(folder / "journal.sqlite")
    database.execute(f"{statement} WHERE rowid = 2")
    database.commit()
    database.close()
    with pytest.warns(RunWarning, match="damaged row .*computed again"):
        outcome = execute_run(scenario(), folder)
    assert outcome.reused == 5
    xr.testing.assert_equal(
        outcome.tree["fixed"].to_dataset().drop_vars("duration"),
        before["fixed"].to_dataset().drop_vars("duration"),
    )


def test_leftovers_of_a_killed_writer_are_removed_and_links_not_followed(folder):
    target = folder / "precious"
    target.write_text("mine")
    (folder / ".results.nc.4711").symlink_to(target)
    (folder / ".writing-abc").mkdir()
    (folder / ".writing-abc" / "results.nc").write_text("half")
    RunFolder(folder, "folders").close()
    assert target.read_text() == "mine"
    assert not [place.name for place in folder.glob(".writing*")]
    assert not (folder / ".results.nc.4711").is_symlink()


def test_another_program_may_change_a_file_that_it_unmarks(folder):
    import netCDF4

    file = folder / "results.nc"
    with netCDF4.Dataset(file, "a") as dataset:
        dataset.setncattr("note", "changed")
    with pytest.raises(ResultError, match="another program has changed it"):
        read_tree(file)
    with xr.open_datatree(file) as lazy:
        tree = lazy.load()
    del tree.attrs["checksum"]
    tree.to_netcdf(folder / "mine.nc")
    assert read_tree(folder / "mine.nc").attrs["note"] == "changed"


def test_a_file_without_a_checksum_is_tried_apart_and_its_times_are_looked_at(folder, monkeypatch):
    """Damage that no checksum tells of may make netCDF's libraries loop for ever or crash."""
    tree = read_tree(folder)
    tree.to_netcdf(folder / "sound.nc")
    xr.testing.assert_identical(read_tree(folder / "sound.nc"), tree)
    group = tree["fixed"].to_dataset()
    tree["fixed"] = xr.DataTree(group.assign_coords(time=group["time"] * np.nan))
    tree.to_netcdf(folder / "timeless.nc")
    with pytest.raises(ResultError, match="times of 'fixed' are NaN"):
        read_tree(folder / "timeless.nc")
    monkeypatch.setattr("testbed.results.files.PATIENCE", 0.01)
    with pytest.raises(ResultError, match=r"reading did not end within 0\.01 s"):
        read_tree(folder / "sound.nc")
    assert read_tree(folder).attrs["title"] == "Folders"  # it has a checksum
