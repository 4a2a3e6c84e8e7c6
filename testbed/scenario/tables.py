"""The tables of a scenario file, each as a declaration."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from attrs import NOTHING, Factory, frozen

from testbed.contract.grids import Grid
from testbed.contract.names import LONGEST_NAME, NAME, NAME_WORDS, RESERVED_GROUPS
from testbed.contract.parameters import parameter
from testbed.errors import ParameterError
from testbed.scenario.component import Spec
from testbed.scenario.declaration import Table, component

OF = "names of its estimators; default: all that it fits"


def name_parameter(default: object = NOTHING, *, help: str) -> Any:
    """A field that holds a name, which may become that of a folder, a group or a variable."""
    pattern = NAME if default is NOTHING else f"({NAME})?"
    return parameter(default, help=help, pattern=pattern, form=NAME_WORDS, longest=LONGEST_NAME)


@frozen(kw_only=True)
class DesignTable(Table):
    """`[design]`: where inputs come from."""

    name: ClassVar[str] = ""
    along: ClassVar[str] = ""

    spec: Spec = component("design", inline=True, help="the design and its parameters")
    shared: bool = parameter(False, help="draw the design once, instead of for each replicate")


@frozen(kw_only=True)
class NamedDesignTable(Table):
    """`[[design]]`: one of several designs, which make a dimension of their names."""

    name: str = name_parameter(help="what the dimension calls it")
    along: Literal["", "target"] = parameter(
        "", help="ties the designs to the targets, in order", form='"target", or no along'
    )
    spec: Spec = component(
        "design", inline=True, sweeps=False, help="the design and its parameters"
    )
    shared: bool = parameter(False, help="draw the design once, instead of for each replicate")


@frozen(kw_only=True)
class TargetTable(Table):
    """`[target]`: the truth."""

    name: ClassVar[str] = ""
    along: ClassVar[str] = ""
    shared: ClassVar[bool] = False

    spec: Spec = component("target", inline=True, help="the target and its parameters")


@frozen(kw_only=True)
class NamedTargetTable(Table):
    """`[[target]]`: one of several truths, which make a dimension of their names."""

    shared: ClassVar[bool] = False

    name: str = name_parameter(help="what the dimension calls it")
    along: Literal["", "design"] = parameter(
        "", help="ties the targets to the designs, in order", form='"design", or no along'
    )
    spec: Spec = component(
        "target", inline=True, sweeps=False, help="the target and its parameters"
    )


Alternative = DesignTable | NamedDesignTable | TargetTable | NamedTargetTable


@frozen(kw_only=True)
class UpTo(Table):
    """`simulate = { n = 5000 }`: cells of larger samples hold theory only."""

    n: int = parameter(help="the largest sample size that is simulated", gt=0)


@frozen(kw_only=True)
class EstimatorTable(Table):
    """`[[estimator]]`: a model and how it is fitted; a group of the result."""

    name: str = name_parameter(help="name of the group in the result")
    model: Spec = component("model", help="what is fitted")
    optimizer: Spec = component("optimizer", help="how it is fitted over training time")
    simulate: bool | float | UpTo = parameter(
        True,
        help="which cells are simulated; the others hold theory only",
        form="true, false, a share such as 0.1, or { n = 5000 }",
        gt=0,
        le=1,
    )

    def __attrs_post_init__(self) -> None:
        if self.name in RESERVED_GROUPS:
            text = f"found the name {self.name!r}, which results keep for a table"
            raise ParameterError(text, advice="choose another name", parameter="name")


@frozen(kw_only=True)
class MetricTable(Table):
    """`[[metric]]`: what is measured along training."""

    spec: Spec = component(
        "metric", inline=True, sweeps=False, help="the metric and its parameters"
    )
    name: str = name_parameter("", help="name of its variable; needed for two metrics of one kind")
    of: tuple[str, ...] = parameter((), help=OF)
    times: Grid | None = parameter(
        None, help="training times at which it is measured; default: all"
    )
    replicates: Literal["all", "mean"] = parameter(
        "all", help="keep every replicate, or only their mean"
    )

    @property
    def mean(self) -> bool:
        """Whether only the mean over replicates is kept."""
        return self.replicates == "mean"


@frozen(kw_only=True)
class TheoryTable(Table):
    """`[[theory]]`: what is predicted, for comparison with the metrics."""

    spec: Spec = component(
        "theory", inline=True, sweeps=False, help="the theory and its parameters"
    )
    of: tuple[str, ...] = parameter((), help=OF)


@frozen(kw_only=True)
class Expectation(Table):
    """`[[soundness]]`: a finding of a soundness check that the scenario provokes on purpose."""

    check: str = parameter(alias="expect", help="name of the check whose finding is expected")
    because: str = parameter(help="why it is expected")
    of: tuple[str, ...] = parameter(
        (), help="the estimators whose findings are expected; all if empty"
    )

    def covers(self, check: str, estimator: str) -> bool:
        """Whether a finding of this check about this estimator is expected."""
        return check == self.check and (not self.of or estimator in self.of)


@frozen(kw_only=True)
class ClaimTable(Table):
    """`[[claim]]`: a statement about the results, which gets a verdict."""

    name: str = name_parameter(help="name of the claim and its verdict")
    that: str = parameter(help="the kind of claim, such as slope or order")
    of: str = parameter(help="the variable that it concerns, as estimator/variable")
    than: str = parameter("", help="the variable that it is compared with, as estimator/variable")
    along: str = parameter("", help="the dimension along which it holds")
    at: dict[str, Any] = parameter(
        Factory(dict),
        help='dimensions that are held at a value; time may be "oracle", or the name of a variable '
        "whose least value chooses the time of each replicate",
    )
    than_at: dict[str, Any] = parameter(
        Factory(dict), help="dimensions that `than` is held at instead of those in `at`"
    )
    each: tuple[str, ...] = parameter((), help="dimensions with one verdict for each value")
    range: tuple[float, ...] = parameter(
        (),
        help="least and largest value of `along` that count; default: all",
        form="two numbers, the smaller one first",
    )
    expect: float | str | None = parameter(
        None,
        help="what is expected: a number, the variable of a theory that predicts it, or the key of "
        "a published number",
    )
    within: float | None = parameter(None, help="the largest deviation allowed", ge=0)
    side: Literal["", "above", "below", "increasing", "decreasing"] = parameter(
        "", help="the side of `expect` on which a bound holds, or the direction of a monotone claim"
    )
    survivors: bool = parameter(
        False, help="judge the replicates that are left where some failed or diverged"
    )
    source: str = parameter("", help="who states it, such as arXiv:2409.00894, Theorem 3.1")
    confidence: float = parameter(
        0.95, help="confidence of all verdicts of the scenario together", gt=0, lt=1
    )

    def __attrs_post_init__(self) -> None:
        if self.range and (len(self.range) != 2 or not self.range[0] < self.range[1]):
            text = f"found {list(self.range)}"
            raise ParameterError(text, "two numbers, the smaller one first", parameter="range")
