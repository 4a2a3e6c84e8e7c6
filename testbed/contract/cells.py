"""A cell and its result. A cell is the unit of work, of failure and of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import evolve, field, frozen

from testbed.contract.border import ComponentFault, calling
from testbed.contract.components import (
    Design,
    Estimator,
    Metric,
    Model,
    Optimizer,
    Target,
    Theory,
    Variable,
)
from testbed.contract.grids import MOST
from testbed.contract.needs import Asked
from testbed.contract.parameters import parameter
from testbed.contract.states import Kept, KeptPath

STATUS = {"ok": 0, "failed": 1, "diverged": 2, "not_run": 3, "theory_only": 4}
"""CF flag values of `status(sweep…, replicate)`."""
WORKER_DIED = "WorkerDied"
"""The first word of the error of a cell that ended every process that ran it."""


@frozen
class PlannedMetric:
    """A metric as one cell measures it."""

    metric: Metric
    names: Mapping[str, str] = field(hash=False)  # its variable → the result's variable
    needs: tuple[Asked, ...]  # the alternative chosen for this estimator
    times: tuple[float, ...] | None = None  # a subset of the estimator's times; None: all
    mean: bool = False  # keep only the mean over replicates
    companion: Estimator | None = None


@frozen
class PlannedTheory:
    """A theory as one cell evaluates it, with the result's names of its variables."""

    theory: Theory
    names: Mapping[str, str] = field(hash=False)


_WORD = r"[A-Za-z0-9_.:@+-]*"


@frozen
class Dask:
    """`[compute.dask]`: jobs of a queueing system, in which dask's workers run.

    These are words and numbers alone: what else a cluster needs, such as commands before a job,
    stands in dask's own files of settings.
    """

    system: Literal["slurm", "pbs", "lsf", "sge", "oar", "moab", "htcondor"] = parameter(
        help="the queueing system"
    )
    jobs: int = parameter(1, help="jobs to ask for", gt=0)
    cores: int = parameter(1, help="cores of one job, and cells that it runs at a time", gt=0)
    memory: float = parameter(4.0, help="memory of one job", unit="GiB", gt=0)
    walltime: str = parameter(
        "", help="time that one job may take, as the system writes it", pattern=_WORD
    )
    queue: str = parameter("", help="queue or partition", pattern=_WORD)
    account: str = parameter("", help="account or project", pattern=_WORD)
    interface: str = parameter("", help="network interface of the workers", pattern=_WORD)


@frozen
class Compute:
    """`[compute]`: where and how numbers are computed, and how large a request may be."""

    device: str = parameter(
        "cpu",
        help="where tensors live; auto: cuda if this machine has it",
        pattern=r"auto|cpu|mps|cuda(:\d{1,3})?",
        form="auto, cpu, cuda, cuda:N or mps",
    )
    dtype: Literal["float64", "float32"] = parameter(
        "float64", help="precision of everything after the draws"
    )
    memory: float = parameter(2.0, help="memory that one cell may hold", unit="GiB", gt=0)
    block: int = parameter(
        16, help="replicates of one cell, unless the model runs one by one", gt=0
    )
    time_limit: float | None = parameter(None, help="time that one cell may take", unit="s", gt=0)
    results: float = parameter(
        1.0, help="size that the result may have before compression", unit="GiB", ge=0
    )
    keep_states: bool = parameter(
        False,
        help="keep the states at recorded times, so that metrics can be added without training",
    )
    states: float = parameter(2.0, help="size that kept states may have", unit="GiB", gt=0)
    cells: int = parameter(20_000, help="cells that a plan may have", gt=0)
    values: int = parameter(MOST, help="numbers that one sweep or grid may have", gt=0)
    dask: Dask | None = parameter(None, help="jobs of a queueing system, for --executor dask")


@frozen
class Cell:
    """One estimator, one point of its sweep, one block of replicates.

    A cell without replicates evaluates theories only. `seed` is the scenario's; `key` identifies
    everything that the numbers depend on; cells of one `group` share preparations and run one after
    another.
    """

    estimator: str
    point: Mapping[str, Any] = field(hash=False)  # dim → value of the swept coordinate
    index: tuple[int, ...]  # position along the estimator's sweep dims
    replicates: tuple[int, ...]
    design: Design
    target: Target
    model: Model
    optimizer: Optimizer
    times: tuple[float, ...]  # as the scenario asks
    metrics: tuple[PlannedMetric, ...]
    theories: tuple[PlannedTheory, ...]
    seed: int
    compute: Compute
    shared_design: bool = False  # draw the design once: every replicate sees replicate 0's inputs
    key: str = ""
    group: str = ""
    kept: Kept | None = field(default=None, eq=False)  # what earlier runs left of this cell

    @property
    def reached(self) -> tuple[float, ...]:
        """The times at which training stops, if all replicates share them. Theories and companions
        are evaluated at these times."""
        return self.optimizer.reached(self.times)


@frozen
class CellResult:
    """The result of a cell: plain NumPy arrays and strings, which the journal can store.

    `variables[name]` has shape (replicates, times, own…), without `times` for variables that do not
    change over time, and without `replicates` for theories and for means (see `counts`).
    """

    key: str
    status: np.ndarray  # (replicates,) int8 of STATUS
    variables: Mapping[str, np.ndarray] = field(factory=dict)
    coordinates: Mapping[tuple[str, str], np.ndarray] = field(factory=dict)  # (variable, own dim)
    counts: Mapping[str, np.ndarray] = field(factory=dict)
    """For metrics that keep only the mean: `variables` holds the sum over the ok replicates,
    (times, own…), and `counts` holds their number, in the same shape."""
    omitted: Mapping[str, str] = field(factory=dict)  # theory variable → why it does not apply
    error: str = ""  # what a failed cell raised, with the innermost frame
    seconds: float = 0.0
    diverged_at: np.ndarray | None = None  # (replicates,) first recorded time that is not finite
    memory: float = 0.0  # bytes of the process at its peak in this cell; 0 if that is not known
    faults: Mapping[str, str] = field(factory=dict)
    """Variable → what its metric, theory or optimizer did wrong; the cell lacks this variable."""

    states: Mapping[str, KeptPath] = field(factory=dict, eq=False)
    """The paths that were trained and are to be kept, by name. The journal does not store them."""
    unkept: str = ""  # why some states could not be kept
    training: str = ""  # identifies what was trained, where states are kept
    parts: Mapping[str, str] = field(factory=dict)
    """Variable → what identifies its metric with its code, where states are kept."""

    @property
    def failure(self) -> str:
        """The failure of the cell or of some of its components; empty if nothing failed."""
        return self.error or "; ".join(dict.fromkeys(self.faults.values()))

    def read_only(self) -> CellResult:
        """The same numbers in read-only arrays: writing into them raises an error."""
        return evolve(
            self,
            status=_read_only(self.status),
            variables={name: _read_only(array) for name, array in self.variables.items()},
            coordinates={name: _read_only(array) for name, array in self.coordinates.items()},
            counts={name: _read_only(array) for name, array in self.counts.items()},
            diverged_at=None if self.diverged_at is None else _read_only(self.diverged_at),
        )


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.setflags(write=False)
    return view


def variable_of(cell: Cell, name: str) -> Variable:
    """The declaration of a result variable; KeyError if the cell has none of that name."""
    for planned in cell.metrics:
        for variable, result_name in planned.names.items():
            if result_name == name:
                return planned.metric.declared()[variable]
    for evaluated in cell.theories:
        for variable, result_name in evaluated.names.items():
            if result_name == name:
                return evaluated.theory.variables[variable]
    return cell.optimizer.declared()[name]


def comment_of(cell: Cell, name: str) -> str:
    """The comment of a metric on one of its variables in this cell; empty if no metric has the
    variable."""
    for planned in cell.metrics:
        for variable, result_name in planned.names.items():
            if result_name == name:
                try:
                    with calling(planned.metric, "comment"):
                        return str(planned.metric.comment(cell, variable))
                except ComponentFault as fault:
                    return f"no comment: {fault}"
    return ""
