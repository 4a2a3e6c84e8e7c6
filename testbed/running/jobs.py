"""A cell as a worker gets it: pickled, with what can be said of it even if that fails."""

from __future__ import annotations

import pickle

from attrs import evolve, frozen

from testbed.contract.cells import Cell, CellResult
from testbed.running.guarded import failed


@frozen
class Job:
    """A pickled cell."""

    key: str
    replicates: tuple[int, ...]
    time_limit: float | None
    content: bytes

    def cell(self) -> Cell | CellResult:
        """The cell; its failure if it cannot be unpickled."""
        try:
            cell: Cell = pickle.loads(self.content)
        except Exception as error:  # components may raise anything
            reason = f"{type(error).__name__}: {error}"
            return failed(self, f"the cell cannot be read by a worker: {reason}")
        return cell


def job_of(cell: Cell) -> Job | CellResult:
    """The job of a cell; its failure if it cannot be pickled."""
    try:
        if cell.kept:  # workers may be on machines that cannot read the folder of the run
            cell = evolve(cell, kept=cell.kept.loaded())
        content = pickle.dumps(cell)
    except Exception as error:  # components may raise anything
        reason = f"{type(error).__name__}: {error}"
        return failed(cell, f"the cell cannot be sent to a worker: {reason}")
    return Job(cell.key, cell.replicates, cell.compute.time_limit, content)
