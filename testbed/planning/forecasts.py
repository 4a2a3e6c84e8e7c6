"""Warnings before a run: unstable steps, and work that would take too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from testbed.contract.capabilities import HasPopulationSpectrum, has
from testbed.contract.cells import Cell
from testbed.contract.parameters import value_with
from testbed.contract.subjects import HasPowerEigenvalues, HasTrainedNumbers, IsSpectral
from testbed.errors import DoesNotApply, TestbedError

FLOPS = 1e10  # operations per second of one core, roughly
OPERATIONS = 6  # for one parameter, one point and one step: forward, backward
LONG = 12 * 3600.0  # seconds on one core above which work gets a warning
UNITS = (("years", 365.25 * 86400), ("days", 86400.0), ("hours", 3600.0))


def forecasts(cells: Iterable[Cell]) -> Iterator[str]:
    """Warnings about the simulated cells, the worst of each estimator."""
    by_estimator: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.replicates:
            by_estimator.setdefault(cell.estimator, []).append(cell)
    for name, simulated in by_estimator.items():
        past = [ratio for cell in simulated if (ratio := step_over_limit(cell)) is not None]
        if past and max(past) > 1:
            yield (
                f"the steps of {name!r} are {max(past):.3g} times as long as the stable ones, by "
                "the largest eigenvalue that its kernel has on average: it will diverge; lower the "
                "learning rate"
            )
        seconds = sum(work(cell) for cell in simulated) / FLOPS
        if seconds > LONG:
            unit, size = next((unit, size) for unit, size in UNITS if seconds > size)
            yield (
                f"the training of {name!r} would take about {seconds / size:.2g} {unit} on one "
                "core; lower the width, n, the times or the replicates, or take longer steps"
            )


def _rate(cell: Cell) -> float | None:
    """The step size η; None where training takes no steps, or each replicate its own."""
    if isinstance(cell.optimizer, IsSpectral):
        return cell.optimizer.algorithm().learning_rate
    step_size: object = value_with(cell.optimizer, "step_size", None)
    return float(step_size) if isinstance(step_size, int | float) else None


def step_over_limit(cell: Cell) -> float | None:
    """η λ_max/(2(1 + μ)), with the largest eigenvalue that the kernel is known to have: above 1
    descent diverges. None where no eigenvalue is known."""
    rate = _rate(cell)
    largest = None if rate is None else _largest_eigenvalue(cell)
    if rate is None or largest is None or cell.optimizer.facts().clock != "flow":
        return None
    momentum = value_with(cell.optimizer, "momentum", 0.0) or 0.0
    return rate * largest / (2 * (1 + momentum))


def _largest_eigenvalue(cell: Cell) -> float | None:
    """The largest eigenvalue of K/n at the start: on average at least the population's; 1 for power
    laws of an index."""
    space = cell.design.space()
    try:
        if isinstance(cell.model, HasPowerEigenvalues) and space and space.kind == "sequence":
            law = cell.model.power_eigenvalues(space)
            return None if law.learned and law.depth else 1.0
        if has(cell.model, HasPopulationSpectrum):
            return float(cell.model.population_spectrum(cell.design).eigenvalue.max())
    except (TestbedError, DoesNotApply):
        return None
    return None


def work(cell: Cell) -> float:
    """Floating-point operations of training a cell step by step, with one point per step for
    batches; 0 if the steps or the number of parameters is not known."""
    rate = _rate(cell)
    space = None if rate is None else cell.design.space()
    if rate is None or space is None or not isinstance(cell.model, HasTrainedNumbers):
        return 0.0
    numbers = cell.model.trained_numbers(space)
    if numbers is None:
        return 0.0
    steps = cell.times[-1] / rate
    points = cell.design.sizes()["train"] if isinstance(cell.optimizer, IsSpectral) else 1
    return OPERATIONS * steps * numbers * points * len(cell.replicates)
