"""How many replicates a scenario has: a number, or as many as its question needs."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from testbed.contract.parameters import parameter
from testbed.errors import ParameterError
from testbed.scenario.declaration import Table


@frozen(kw_only=True)
class StandardError(Table):
    """`until = { standard_error = 0.02, relative = true }`: the means are known that well."""

    standard_error: float = parameter(help="largest standard error of a mean", gt=0)
    relative: bool = parameter(False, help="whether that is a share of the mean")
    of: tuple[str, ...] = parameter(
        (), help="variables whose means count, at best times if they have any; default: risks"
    )


@frozen(kw_only=True)
class Replication(Table):
    """`replicates = { until = …, at_most = … }`: more replicates where they are needed.

    A point begins with `at_least` replicates. While it needs more, their number doubles.
    """

    until: Literal["claims decided"] | StandardError = parameter(
        help="when a point has enough",
        form='"claims decided", or { standard_error = 0.02, relative = true }',
    )
    at_most: int = parameter(help="replicates that no point exceeds", ge=3)
    at_least: int = parameter(8, help="replicates that every point has", ge=3)

    def __attrs_post_init__(self) -> None:
        if self.at_most < self.at_least:
            text = f"found {self.at_most}"
            expected = f"at least as many as at_least = {self.at_least}"
            raise ParameterError(text, expected, parameter="at_most")

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of replicates at which a run looks whether a point has enough."""
        counts = [self.at_least]
        while counts[-1] < self.at_most:
            counts.append(min(2 * counts[-1], self.at_most))
        return tuple(counts)
