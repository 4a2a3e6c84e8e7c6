"""Designs: where inputs come from."""

from __future__ import annotations

from abc import abstractmethod

from testbed.contract.component import Component, Rng
from testbed.contract.parameters import names_with, value_with
from testbed.contract.spaces import Space
from testbed.contract.values import Sample


class Design(Component):
    """A source of inputs: a random design, a sequence of indices, a data set."""

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


def sample_size(design: Design) -> int:
    """The number n of observations: the parameter with that role, or the number of training
    points where it is not given."""
    return value_with(design, "sample_size", None) or design.sizes()["train"]


def derived_size(design: Design) -> dict[str, float]:
    """The number n of observations if other parameters determine it (n = dim^γ), under the name of
    the parameter with the role `sample_size`. It is an auxiliary coordinate of the result."""
    names = names_with(design, "sample_size")
    return {name: float(sample_size(design)) for name in names if getattr(design, name) is None}
