"""Join separate runs of one scenario in a new folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.planning.files import load_scenario, read_scenario
from testbed.results.merge import copy_cells, united_scenario
from testbed.results.states import StateFolder
from testbed.results.status import open_journal
from testbed.results.store import RunFolder
from testbed.runs import execute_run
from testbed.runs.options import Options, Outcome


def merge_runs(
    folders: Sequence[Path],
    output: Path,
    scenario: Path | None = None,
    mix_versions: bool = False,
) -> tuple[Outcome, int]:
    """Join separate runs of one scenario and record them; also the number of cells joined.

    Kept states are copied. Nothing is computed: cells that none of the folders holds are `not_run`
    in the result.
    """
    texts: dict[str, str] = {}
    for folder in folders:
        journal = open_journal(folder)
        texts[str(folder)] = journal.fact("text")
        journal.close()
    if scenario is None:
        united = read_scenario(united_scenario(texts), str(folders[0]))
    else:
        united = load_scenario(scenario)
    added = 0
    with RunFolder(output, united.name) as store:
        for folder in folders:
            added += copy_cells(store.journal, folder)
            store.states.copy_from(StateFolder(folder))
    options = Options(mix_versions=mix_versions, record_only=True, keep_failed=True)
    return execute_run(united, output, options), added
