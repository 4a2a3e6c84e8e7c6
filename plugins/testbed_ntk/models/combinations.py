"""Sums and products of kernels."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from testbed import Example, Mistake, ParameterError, Space, inner_misfit, parameter
from testbed_ntk.models.base import FormulaKernel
from testbed_ntk.numerics import kernels, profiles
from testbed_ntk.numerics.kernels import Kernel
from testbed_ntk.numerics.profiles import Profile


@frozen(kw_only=True)
class Combination(FormulaKernel):
    """Base of combinations of two kernels, which may be combinations themselves; no scenario can
    name it.

    The route is a parameter of the combination; the routes of its parts play no role.
    """

    first: FormulaKernel = parameter(
        help="a kernel: a table with use = …, sums and products included"
    )
    second: FormulaKernel = parameter(help="another kernel")

    def __attrs_post_init__(self) -> None:
        named: tuple[tuple[str, Any], ...] = (("first", self.first), ("second", self.second))
        for name, part in named:
            if not isinstance(part, FormulaKernel):
                raise ParameterError(
                    f"found {part.name}",
                    "a kernel of a known formula, such as ntk.rbf or ntk.relu",
                    parameter=name,
                )

    def combined(self, first: Profile, second: Profile) -> Profile:
        """The profile, from those of the parts."""
        raise NotImplementedError

    def misfit(self, space: Space) -> Mistake | None:
        first = inner_misfit(self.first, space, "first")
        return first or inner_misfit(self.second, space, "second")

    def profile(self, dim: int) -> Profile | None:
        first, second = self.first.profile(dim), self.second.profile(dim)
        return None if first is None or second is None else self.combined(first, second)

    @property
    def known_on(self) -> str:
        parts = {part.name: part.known_on for part in (self.first, self.second)}
        if set(parts.values()) == {"sphere"}:
            return "sphere"
        details = "; ".join(f"{name}: {designs}" for name, designs in parts.items())
        return f"sphere, where each of its parts is known there ({details})"


@frozen(kw_only=True)
class Sum(Combination):
    """w₁k₁ + w₂k₂ of two kernels; nested sums add more.

    A constant is ntk.dot-product with coefficients = [1.0].
    """

    name = "ntk.sum"
    references = ()

    weights: tuple[float, ...] = parameter((1.0, 1.0), help="w₁ and w₂, at least 0")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"first": {"use": "ntk.relu"}, "second": {"use": "ntk.periodic"}}),)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if len(self.weights) != 2 or min(self.weights) < 0 or not any(self.weights):
            raise ParameterError(
                f"found {self.weights!r}",
                "two numbers at least 0, one of them above it",
                parameter="weights",
            )

    def kernel(self, dim: int) -> Kernel:
        return kernels.weighted_sum(self.first.kernel(dim), self.second.kernel(dim), self.weights)

    def combined(self, first: Profile, second: Profile) -> Profile:
        first_weight, second_weight = self.weights
        return profiles.added(
            profiles.scaled(first, first_weight), profiles.scaled(second, second_weight)
        )


@frozen(kw_only=True)
class Product(Combination):
    """k₁k₂ of two kernels; nested products multiply more.

    ntk.dot-product with coefficients = [c] as one of them scales the other by c.
    """

    name = "ntk.product"
    references = ()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"first": {"use": "ntk.rbf"}, "second": {"use": "ntk.polynomial"}}),)

    def kernel(self, dim: int) -> Kernel:
        return kernels.pointwise_product(self.first.kernel(dim), self.second.kernel(dim))

    def combined(self, first: Profile, second: Profile) -> Profile:
        return profiles.multiplied(first, second)
