"""The table of needs: what a metric may ask core to compute, and who serves it.

A need is one row: its name, the capability that serves it, the method that computes it, the
arguments and options of that method, and the name under which the value is handed over. Planning,
running, the conformance kit and the documentation read this table.

A metric lists needs by name, with the prefix `initial_` for the state at time 0 and `companion_`
for a second path trained on the same draws. A plugin with a capability of its own writes a row of
its own, and lists the row itself instead of a name: `needs = (NORM, NORM.initial)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from attrs import field, frozen

from testbed.contract.capabilities import (
    Capability,
    HasBasis,
    HasEigensystem,
    HasExactSpectrum,
    HasGradient,
    HasGram,
    HasLeverage,
    HasPopulationRisk,
    HasPredictions,
    HasSpectrum,
)
from testbed.contract.parameters import Role, value_with
from testbed.errors import one_of

Moment = Literal["now", "initial", "companion"]
Argument = Literal[
    "prepared", "params", "problem", "x", "train_probe", "test_probe", "kernel", "points", "matrix"
]
"""What core can hand to the method that computes a need. `x` are the inputs at `points`."""


@frozen
class Need:
    """A row of the table."""

    name: str
    words: str
    """What the value is, for the documentation."""
    capability: type[Capability] | None = None
    """What the model must have; None if every model serves the need."""
    method: str = ""
    """The method that computes it: the model's, unless `optimizer` or `of_state` says otherwise."""
    arguments: tuple[Argument, ...] = ("prepared", "params")
    options: Mapping[Role, str] = field(factory=dict, hash=False)
    """Roles of the metric's parameters that choose what is computed, with the default of each."""
    per_time: bool = True
    """False: the value is the same at all times, and `arguments` leave out "params"."""
    handed_over: str = ""
    """The argument of `measure`; the need's name unless given."""
    optimizer: type[Capability] | None = None
    """What the optimizer must have. `method` is then its method, and the model reads only
    inputs."""
    square: bool = False
    """True: the value is a matrix of all points by all points, which the memory bound counts."""
    of_state: bool = False
    """True: `method` is core's own function of a state, in `running/paths.py`."""

    def __attrs_post_init__(self) -> None:
        unknown = [word for word in self.arguments if word not in get_args(Argument)]
        if unknown:
            expected = one_of(get_args(Argument), unknown[0])
            raise ValueError(f"{self.name}: found the argument {unknown[0]!r}, expected {expected}")
        owner = self.optimizer or self.capability
        if self.of_state or owner is None:
            return
        if not callable(getattr(owner, self.method, None)):
            problem = f"{self.name}: found the method {self.method!r}"
            raise ValueError(f"{problem}, expected one that {owner.__name__} declares")

    @property
    def now(self) -> Asked:
        """The need at each recorded time."""
        return Asked(self, "now")

    @property
    def initial(self) -> Asked:
        """The need at time 0."""
        return Asked(self, "initial")

    @property
    def companion(self) -> Asked:
        """The need of the companion, at each recorded time."""
        return Asked(self, "companion")


@frozen
class Asked:
    """A need as a metric asks for it: at each recorded time, at time 0, or of its companion."""

    need: Need
    moment: Moment

    @property
    def name(self) -> str:
        """The name as a metric would write it."""
        return self._prefixed(self.need.name)

    @property
    def handed_over(self) -> str:
        """The argument of `measure` that takes the value."""
        return self._prefixed(self.need.handed_over or self.need.name)

    def _prefixed(self, name: str) -> str:
        return name if self.moment == "now" else f"{self.moment}_{name}"

    def __str__(self) -> str:
        return self.name


Ask: TypeAlias = str | Need | Asked
"""A need as a metric may write it."""
Needs: TypeAlias = tuple[Ask, ...] | tuple[tuple[Ask, ...], ...]
"""What a metric asks for: needs, or alternatives; core takes the first that can be served."""

_AT_POINTS: Mapping[Role, str] = {"kernel": "features", "points": "train"}

TABLE = (
    Need(
        "predictions",
        "f at the test points",
        HasPredictions,
        "predict",
        arguments=("prepared", "params", "test_probe"),
    ),
    Need(
        "train_predictions",
        "f at the training points",
        HasPredictions,
        "predict",
        arguments=("prepared", "params", "train_probe"),
    ),
    Need(
        "spectrum",
        "the feature spectrum",
        HasSpectrum,
        "spectrum",
        arguments=("prepared", "params", "problem", "kernel", "points"),
        options=_AT_POINTS,
    ),
    Need(
        "exact_spectrum",
        "the feature spectrum, if it is the population's",
        HasExactSpectrum,
        "spectrum",
        arguments=("prepared", "params", "problem", "kernel", "points"),
        options=_AT_POINTS,
        handed_over="spectrum",
    ),
    Need("basis", "eigenvectors, in the order of the spectrum", HasBasis, "basis"),
    Need(
        "gram",
        "the Gram matrix of the learned kernel",
        HasGram,
        "gram",
        arguments=("prepared", "params", "x", "kernel"),
        options=_AT_POINTS,
        square=True,
    ),
    Need(
        "population_risk",
        "the exact risk under the design's law",
        HasPopulationRisk,
        "population_risk",
        arguments=("prepared", "params", "problem"),
    ),
    Need(
        "parameters",
        "the parameters themselves",
        None,
        "parameters",
        arguments=("params",),
        of_state=True,
    ),
    Need(
        "leverage",
        "the diagonal of the smoother",
        HasEigensystem,
        "leverage",
        arguments=(),
        optimizer=HasLeverage,
    ),
    Need(
        "sharpness",
        "the largest eigenvalue of the Hessian of the training loss, or of its Gauss–Newton part",
        HasGradient,
        "sharpness",
        arguments=("prepared", "params", "problem", "matrix"),
        options={"matrix": "hessian"},
        of_state=True,
    ),
)
NEEDS: Mapping[str, Need] = {need.name: need for need in TABLE}


def request_of(ask: Ask) -> Asked:
    """The need that a metric's entry stands for; ValueError for a name that the table lacks."""
    if isinstance(ask, Need):
        return ask.now
    if isinstance(ask, Asked):
        return ask
    prefixes: tuple[Moment, ...] = ("initial", "companion")
    for moment in prefixes:
        name = ask.removeprefix(f"{moment}_")
        if name != ask and name in NEEDS:
            return Asked(NEEDS[name], moment)
    if ask not in NEEDS:
        raise ValueError(f"needs: found {ask!r}, expected {one_of(NEEDS, ask)}")
    return NEEDS[ask].now


def alternatives(needs: Needs) -> list[tuple[Asked, ...]]:
    """The alternatives that a metric lists; needs that are not grouped are one alternative."""
    groups = [group for group in needs if isinstance(group, tuple)]
    single = tuple(ask for ask in needs if not isinstance(ask, tuple))
    return [tuple(map(request_of, group)) for group in groups or [single]]


def options_of(need: Need, metric: object) -> dict[Role, str]:
    """The options of a need as a metric's parameters choose them."""
    return {role: value_with(metric, role, default) for role, default in need.options.items()}
