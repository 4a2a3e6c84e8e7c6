"""The base classes of everything a plugin can offer.

A component is a frozen attrs class; its fields are the parameters a scenario may set, declared with
`testbed.parameter`. Its numerics are written for ONE replicate and core maps them over replicates,
in the way that `facts().batching` says.

`draw` is always called once per replicate, eagerly, and is the only place where randomness enters.
It returns NumPy arrays (or a dict of them), which core casts to the run's dtype and device.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from attrs import field, frozen

from testbed.contract.capabilities import (
    Capability,
    HasGradient,
    HasPredictions,
    Withheld,
    lack,
    per_replicate,
)
from testbed.contract.examples import Example, default_example
from testbed.contract.facts import (
    MetricFacts,
    ModelFacts,
    OptimizerFacts,
    TargetFacts,
    TheoryFacts,
)
from testbed.contract.grids import Grid
from testbed.contract.needs import Needs
from testbed.contract.parameters import fields_of, names_with, parameter, parameter_of, value_with
from testbed.contract.spaces import Placed, Space
from testbed.contract.values import (
    Advance,
    Carry,
    Data,
    Drawn,
    Eigensystem,
    Fit,
    Parameters,
    PopulationSpectrum,
    Prepared,
    Problem,
    Sample,
)
from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from testbed.contract.cells import Cell

__all__ = [
    "KINDS",
    "Advance",
    "Component",
    "Design",
    "Eigensystem",
    "Estimator",
    "Metric",
    "Model",
    "Optimizer",
    "PopulationSpectrum",
    "Rng",
    "Statement",
    "Target",
    "Theory",
    "Variable",
    "derived_size",
    "name_with_source",
    "sample_size",
]

Rng = Callable[[str], "np.random.Generator"]
"""`rng(role)` returns a fresh Philox generator keyed by (seed, role, replicate). The role is
inputs, test, noise, target, model, batches, or a stream that the component declares in its facts. A
second call with the same role starts the stream again: call once and keep the generator."""

Statement = Literal["expectation", "lower bound", "upper bound", "limit"]
"""How a prediction relates to the variable that it predicts."""


@frozen
class Variable:
    """A variable of the result: its own dims (besides replicate and time), units and long name.

    `time=False` marks a variable that does not change over training; `predicts` names the metric
    variable that a theory's variable predicts. `states` says what the prediction is: the
    expectation over replicates, a bound on it, or a limit that replicates do not estimate. A run
    reports where replicates and theory differ by more than `accuracy`, a share of the prediction.
    """

    long_name: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    time: bool = True
    predicts: str | None = None
    states: Statement = "expectation"
    accuracy: float = 0.0
    attrs: Mapping[str, object] = field(factory=dict, hash=False)


class Component(Placed, ABC):
    """Base of all kinds of components. A scenario names a component by its `name`: `use = "…"`."""

    kind: ClassVar[str]
    name: ClassVar[str]
    references: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Parameters and partners with which the component can be tried in moments; the first one
        is what `testbed describe` prints. Unless given, made of the required parameters."""
        return (default_example(cls),)

    def files(self) -> tuple[Path, ...]:
        """Files and folders that the numbers depend on, besides those that parameters name."""
        return ()


class Design(Component):
    """Where inputs come from: a random design, a sequence of indices, a data set."""

    kind = "design"

    @abstractmethod
    def draw(self, rng: Rng) -> Sample:
        """One replicate's inputs, test inputs, weights and noise, as float64 NumPy arrays."""

    def space(self) -> Space | None:
        """The space and the law of the inputs; None if the design does not say. Core then refuses
        nothing because of the space."""
        return None

    def sizes(self) -> dict[str, int]:
        """The numbers of points, `{"train": n, "test": m}`, for the plan's estimate of memory.
        Default: both are the parameter with the role `sample_size`."""
        count = value_with(self, "sample_size", 0) or 0
        return {"train": count, "test": count}

    def attributes(self) -> dict[str, str]:
        """Provenance for the result's attributes: licence and source of a data set."""
        return {}


class Target(Component):
    """The truth f* (for sequences: θ*)."""

    kind = "target"

    def facts(self) -> TargetFacts:
        """What core must know of the target, with these parameter values."""
        return TargetFacts()

    def draw(self, rng: Rng, sample: Sample) -> Drawn:
        """The random part of the truth; None if there is none."""
        return None

    @abstractmethod
    def values(self, drawn: Drawn, x: np.ndarray) -> np.ndarray:
        """f*(x) as float64, shape (n,) or (n, outputs)."""

    def expansion(self, drawn: Drawn, sample: Sample) -> dict[str, np.ndarray]:
        """The target's coefficients in its own basis; empty if it has none."""
        return {}

    def problem(self, drawn: Drawn, sample: Sample) -> Problem:
        """The regression problem of one replicate, in NumPy arrays: truth plus noise.

        Targets that have labels instead of a truth override this.
        """
        truth, test_truth = (self.values(drawn, x) for x in (sample.x, sample.test_x))
        if truth.shape != sample.noise.shape:
            raise UnsuitableError(
                f"{self.name}: found noise of shape {sample.noise.shape} for a truth of shape "
                f"{truth.shape}, expected equal shapes; does the data have several outputs? Then "
                'take the target "labels", or fewer classes'
            )
        return Problem(
            train=Data(sample.x, truth + sample.noise, truth, sample.weight),
            test=Data(
                sample.test_x, test_truth + sample.test_noise, test_truth, sample.test_weight
            ),
            noise=float(sample.variance),
            expansion=self.expansion(drawn, sample),
        )


class Model(HasPredictions, HasGradient, Component):
    """What is fitted: features Φ_η and readout β. The smallest model has `start` and `predict`.

    A model that can do more inherits the classes in `testbed.contract.capabilities`.
    """

    kind = "model"

    def facts(self) -> ModelFacts:
        """What core must know of the model, with these parameter values."""
        return ModelFacts()

    def withheld(self) -> Withheld:
        """Capabilities that these parameter values take away, each with the reason."""
        return {}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        """The random part of the initialisation; None if there is none.

        `problem` holds tensors of this replicate; models that read "inputs" see no y in it.
        """
        return None

    @per_replicate()
    def prepare(self, drawn: Drawn, problem: Problem) -> Prepared:
        """What stays fixed over training: a factorisation, eigenvalues, a Jacobian."""
        return drawn

    @per_replicate()
    @abstractmethod
    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Parameters:
        """Parameters at time 0: a tensor or a dict of tensors."""


@frozen(kw_only=True)
class Optimizer(Component):
    """How a model is fitted over training time τ. First-party optimizers have batching "batch"."""

    kind = "optimizer"
    requires: ClassVar[tuple[type[Capability], ...]] = ()
    """The capabilities that this optimizer needs of a model."""
    variables: ClassVar[Mapping[str, Variable]] = {}
    """What training records besides the parameters, in `Advance.record`."""

    times: Grid | None = parameter(
        None, help="recorded training times τ; the scenario's `times` unless given", sweepable=False
    )

    def facts(self) -> OptimizerFacts:
        """What core must know of the optimizer, with these parameter values."""
        return OptimizerFacts()

    def declared(self) -> Mapping[str, Variable]:
        """The variables that these parameter values lead to."""
        return self.variables

    def accepts(self, model: Model) -> str | None:
        """None if this optimizer can fit the model, else the reason why not."""
        reasons = (lack(model, capability) for capability in self.requires)
        return next((reason for reason in reasons if reason), None)

    def reaches_limit(self, model: Model) -> bool:
        """Whether the optimizer can compute the limit t → ∞, so that times may end in inf."""
        return False

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times at which training stops when it is asked for `times`: whole steps may move
        them."""
        return tuple(times)

    @per_replicate("times")
    def reached_by(self, carry: Carry, times: Sequence[float]) -> Tensor:
        """The times at which one replicate stops, (len(times),) float64. Core calls this if the
        facts say `times_per_replicate`, with the `carry` that `start` returned, and moves
        companions to these times."""
        raise NotImplementedError

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        """Further coordinates along time, such as step counts or ridge parameters."""
        return {}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        """The random part of training, such as the batches of SGD; None if there is none."""
        return None

    @per_replicate()
    def start(self, fit: Fit) -> Carry:
        """The carry at time 0; by default the parameters alone."""
        return fit.start

    @per_replicate("since", "times")
    @abstractmethod
    def advance(self, fit: Fit, carry: Carry, since: float, times: Sequence[float]) -> Advance:
        """Train from `since` through `times`. It is pure and resumable; core calls it block by
        block."""


class Estimator(NamedTuple):
    """A named model + optimizer pair, with every parameter at one value."""

    name: str
    model: Model
    optimizer: Optimizer


@frozen(kw_only=True)
class Metric(Component):
    """What is measured on a state at a time.

    `needs` lists what core computes for the metric: names of rows of the table in
    `testbed.contract.needs`. The prefix `initial_` asks for the value at time 0, and the prefix
    `companion_` for the value of a second path trained on the same draws. A tuple of tuples lists
    alternatives; core takes the first that the estimator can serve. Parameters with the roles
    `kernel` and `points` choose the kernel and the points of the spectrum and the Gram matrix. A
    parameter with the role `matrix` chooses the matrix of the sharpness: "hessian", or
    "gauss-newton", the Hessian of the same loss with the state's own predictions as labels.
    """

    kind = "metric"
    needs: ClassVar[Needs] = ()
    variables: ClassVar[Mapping[str, Variable]] = {}
    concluded: ClassVar[tuple[str, ...]] = ()
    """The variables, with `time=False`, that `conclude` computes instead of `measure`."""

    def facts(self) -> MetricFacts:
        """What core must know of the metric, with these parameter values."""
        return MetricFacts()

    def needed(self) -> Needs:
        """The needs that these parameter values lead to."""
        return self.needs

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        """A second path to train in lockstep on the same draws; None if there is none."""
        return None

    def applies(self, cell: Cell) -> str | None:
        """None if the metric makes sense for this cell, else the reason why not."""
        return None

    def declared(self) -> Mapping[str, Variable]:
        """The variables that these parameter values lead to: `variables`, or other dims."""
        return self.variables

    def comment(self, cell: Cell, variable: str) -> str:
        """A note for readers on one of the variables as this cell measures it. The result's
        attribute `comment` holds the notes of all cells of an estimator."""
        return str(self.declared()[variable].attrs.get("comment", ""))

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the variables' own dims; `sizes` holds the cell's numbers of modes,
        training points and test points."""
        return {}

    @abstractmethod
    def measure(self, *problem: Any, **needs: Any) -> dict[str, Tensor]:
        """The variables of one replicate at one time, each with its own dims.

        Metrics write `measure(self, problem, predictions)`: the problem, then their needs by name.
        """

    def conclude(
        self, times: np.ndarray, measured: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """The `concluded` variables of a whole path, (replicates, own…), such as a first crossing.

        `measured` holds what `measure` returned at the times at which training stopped,
        (replicates, times, own…). It is NaN where the metric was not measured or a replicate has
        diverged.
        """
        return {}


@frozen(kw_only=True)
class Theory(Component):
    """A prediction from the cell's parameters alone, on the coordinates of the metrics."""

    kind = "theory"
    variables: ClassVar[Mapping[str, Variable]] = {}

    def facts(self) -> TheoryFacts:
        """What core must know of the theory, with these parameter values."""
        return TheoryFacts()

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the variables' own dims, as for metrics."""
        return {}

    @abstractmethod
    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        """The variables, each of shape (len(times), own…), or (own…) where `time=False`.

        Raises DoesNotApply with the reason if an assumption does not hold. The plan calls it with
        no times and without a problem, so check first the assumptions that the cell alone decides.
        """


KINDS: dict[str, type[Component]] = {
    base.kind: base for base in (Design, Target, Model, Optimizer, Metric, Theory)
}


def sample_size(design: Design) -> int:
    """The number n of observations: the parameter with that role, or the number of training
    points where it is not given."""
    return value_with(design, "sample_size", None) or design.sizes()["train"]


def derived_size(design: Design) -> dict[str, float]:
    """The number n of observations if other parameters determine it (n = dim^γ), under the name of
    the parameter with the role `sample_size`. It is an auxiliary coordinate of the result."""
    names = names_with(design, "sample_size")
    return {name: float(sample_size(design)) for name in names if getattr(design, name) is None}


def name_with_source(component: Component) -> str:
    """A component's name, with the parameters that tell data sets apart.

    Messages about failures name a design in this way:
    `dataset (data = "digits", classes = [3, 5])`.
    """
    values = {
        attribute.name: getattr(component, attribute.name)
        for attribute in fields_of(component)
        if parameter_of(attribute).role in ("source", "file")
    }
    settings = [
        f"{name} = {_as_toml(value)}" for name, value in values.items() if value is not None
    ]
    return f"{component.name} ({', '.join(settings)})" if settings else component.name


def _as_toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)
