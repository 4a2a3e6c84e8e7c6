"""Journals that earlier versions wrote are read, and their folders can be used on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from testbed.planning.files import load_scenario
from testbed.results.journal import JOURNAL, Journal
from testbed.runs import RunWarning, execute_run

DATA = Path(__file__).parent / "data"


@pytest.fixture
def folder(tmp_path):
    """The folder of a run of version 0.1, which recorded neither checksums nor origins."""
    shutil.copy(DATA / "journal-0.1.sqlite", tmp_path / JOURNAL)
    return tmp_path


def test_cells_of_an_old_journal_are_read(folder):
    journal = Journal(folder)
    stored = list(journal.stored(sorted(journal.cell_keys())))
    journal.close()
    assert len(stored) == 2 and not journal.notes
    for entry in stored:
        assert entry.origin == "" and entry.result.status.tolist() == [0, 0]
        assert entry.result.variables["excess_risk"].shape == (2, 2)


def test_a_run_goes_on_in_the_folder_of_an_old_version(folder):
    """Its cells are computed anew, since nobody recorded which code made them."""
    scenario = load_scenario(DATA / "journal-0.1.toml")
    with pytest.warns(RunWarning, match="nobody recorded which code made them"):
        assert execute_run(scenario, folder).reused == 0
    again = execute_run(scenario, folder)
    assert again.reused == 2 and not again.failed
