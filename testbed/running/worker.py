"""What runs in a worker process: jobs in, results out, until the pipe closes or the parent is gone.

Messages to the main process are pickled: BEGUN as a job begins, then its result, or the
OtherCodeError of a worker that has other code than the run was planned with.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from multiprocessing.connection import Connection

from testbed.contract.cells import Cell, CellResult
from testbed.errors import TestbedError
from testbed.planning.agreement import Agreement, OtherCodeError, Witness
from testbed.running.guarded import guarded
from testbed.running.jobs import Job

BEGUN = pickle.dumps("begun")


def work(pipe: Connection, agreement: Agreement, elsewhere: bool) -> None:
    """The life of a worker. `elsewhere`: it may have other libraries than the main process."""
    from testbed.running.preparations import PreparationCache

    cache = PreparationCache()
    witness = Witness(agreement)
    ready = False
    while True:
        try:
            job: Job = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        cell = job.cell()
        try:
            if not ready:
                _make_ready(job.time_limit is not None)
                if elsewhere:
                    witness.expect_same_libraries()
                ready = True
            witness.expect_same_code()
            with suppress(OSError):
                pipe.send_bytes(BEGUN)
            answer: CellResult | TestbedError
            answer = guarded(cell, cache) if isinstance(cell, Cell) else cell
            witness.expect_same_code()  # of modules that the cell has loaded
        except OtherCodeError as error:
            answer = error
        with suppress(OSError):
            pipe.send_bytes(pickle.dumps(answer))


def _make_ready(limited: bool) -> None:
    """Load what cells need, for seconds, before time limits count; also what the first gradient
    needs, if there is a limit."""
    import testbed.running.execute  # noqa: F401
    from testbed.running.threads import limited_threads

    with limited_threads(1):
        if limited:
            import torch

            torch.func.grad(torch.sin)(torch.zeros(()))
