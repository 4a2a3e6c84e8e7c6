"""The space of a design's points, and the spaces on which targets and models are defined.

A design returns its space from `space()`. A component that is not defined everywhere lists the
kinds of spaces in `defined_on`; its `misfit` may check more, such as directions beyond the
dimension. The plan refuses what does not fit, and names its place in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from attrs import frozen

from testbed.errors import Mistake

if TYPE_CHECKING:
    from testbed.contract.components import Design, Model, Target

Kind = Literal["sphere", "torus", "hypercube", "euclidean", "sequence", "data"]
POINTS: tuple[Kind, ...] = ("sphere", "torus", "hypercube", "euclidean", "data")
SEQUENCES: tuple[Kind, ...] = ("sequence",)
Population = Literal["sphere", "torus", "hypercube", "gaussian", "anisotropic gaussian"]
_POPULATIONS: dict[tuple[str, str], Population] = {
    ("sphere", "uniform"): "sphere",
    ("torus", "uniform"): "torus",
    ("hypercube", "uniform"): "hypercube",
    ("euclidean", "gaussian"): "gaussian",
    ("euclidean", "anisotropic gaussian"): "anisotropic gaussian",
}
_WORDS: dict[str, str] = {
    "sphere": "points of the unit sphere",
    "torus": "points of the torus [−1, 1)^d",
    "hypercube": "points of the hypercube {−1, 1}^d",
    "euclidean": "points of R^d",
    "sequence": "the coefficients of a sequence",
    "data": "points of a data set",
}


@frozen
class Space:
    """The space and the law of a design's inputs.

    `dim` is the number d of coordinates of a point, or the number of coefficients of a sequence;
    None if only the data tell. `law` distinguishes designs of one kind where it matters: "uniform",
    "gaussian", "anisotropic gaussian", "linear model".
    """

    kind: Kind
    dim: int | None = None
    law: str = ""
    scale: float = 1.0  # standard deviation of one coordinate, where the law is gaussian
    variances: tuple[float, ...] | None = None  # of the coordinates, where they differ
    labels: Literal["", "classes", "numbers"] = ""  # what it observes itself, if anything
    outputs: int | None = 1  # numbers observed at a point; None if only the data tell
    design: Design | None = None  # filled in by core: the design itself
    target: Target | None = None  # filled in by core for models: what they are to learn

    def __str__(self) -> str:
        return _WORDS[self.kind]

    @property
    def population(self) -> Population | None:
        """The law of the points where it is one whose orthogonal functions are known, else None."""
        return _POPULATIONS.get((self.kind, self.law))


class Placed:
    """A component that is defined on some spaces only."""

    name: ClassVar[str]
    defined_on: ClassVar[tuple[Kind, ...]] = ()
    """The kinds of spaces the component is defined on; empty if it does not say."""

    def misfit(self, space: Space) -> Mistake | None:
        """Why the component makes no sense on a space; None if it does. `where` names
        the parameter at fault, or is empty."""
        return self.kind_misfit(space)

    def kind_misfit(self, space: Space) -> Mistake | None:
        """The mistake of a space of the wrong kind; None if the kind is right."""
        if not self.defined_on or space.kind in self.defined_on:
            return None
        expected = " or ".join(_WORDS[kind] for kind in self.defined_on)
        if set(self.defined_on) == set(POINTS):
            expected = "points, such as those of the sphere or of R^d"
        problem = f"found {self.name} on {space}"
        return Mistake("", problem, expected, "choose another design or component")


def narrow_misfit(
    space: Space, least: int, what: str, parameter: str, advice: str = ""
) -> Mistake | None:
    """The mistake of a part that needs more coordinates than a space has; None if it has enough.

    >>> str(narrow_misfit(Space("sphere", 5), 7, "the coordinate x₇", "exponents"))
    'exponents: found the coordinate x₇ on points of 5 coordinates; expected at most 5.'
    """
    if space.dim is None or least <= space.dim:
        return None
    problem = f"found {what} on points of {space.dim} coordinates"
    if space.kind == "sequence":
        problem = f"found {what} in a sequence of {space.dim} coefficients"
    return Mistake(parameter, problem, f"at most {space.dim}", advice)


def inner_misfit(model: Model, space: Space, parameter: str) -> Mistake | None:
    """The mistake of a model that a component holds in one of its parameters; None if it fits."""
    mistake = model.misfit(space)
    if mistake is None:
        return None
    where = f"{parameter}.{mistake.where}" if mistake.where else parameter
    return mistake.moved_to(where)
