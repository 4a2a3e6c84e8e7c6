"""What core will read of a cell's parts later, asked once while planning.

A part that answers wrongly is refused at its place in the file, before anything runs.
"""

from __future__ import annotations

from attrs import evolve

from testbed.contract.answers import (
    coordinates_of,
    numbers_by_name,
    real_array,
    texts_by_name,
    variables_of,
)
from testbed.contract.border import ComponentFault, calling
from testbed.contract.components import (
    Design,
    Metric,
    Model,
    Optimizer,
    Target,
    Theory,
    derived_size,
)
from testbed.errors import Mistake


def inspect_design(design: Design) -> str:
    """What a design answers that it must not; empty if all is well."""
    try:
        _expect_design(design)
    except ComponentFault as fault:
        return str(fault)
    return ""


def inspect_optimizer(optimizer: Optimizer, times: tuple[float, ...]) -> str:
    """What an optimizer answers that it must not; empty if all is well."""
    try:
        _expect_optimizer(optimizer, times)
    except ComponentFault as fault:
        return str(fault)
    return ""


def _expect_design(design: Design) -> None:
    with calling(design, "sizes"):
        sizes = design.sizes()
    numbers_by_name(design, "sizes", sizes)
    if "train" not in sizes:
        problem = f"found that sizes returned {', '.join(sizes) or 'nothing'}"
        raise ComponentFault(design, f"{problem}, expected train and test")
    with calling(design, "attributes"):
        attributes = design.attributes()
    texts_by_name(design, "attributes", attributes)


def _expect_optimizer(optimizer: Optimizer, times: tuple[float, ...]) -> None:
    if any(variable.dims for variable in variables_of(optimizer).values()):
        raise ComponentFault(optimizer, "found variables with dims, expected numbers along time")
    with calling(optimizer, "auxiliary"):
        auxiliary = optimizer.auxiliary(times)
    numbers_by_name(optimizer, "auxiliary", auxiliary, len(times))


def misfit_of(part: Target | Model, design: Design) -> Mistake | None:
    """Why a target or a model makes no sense on a design's points; None if it does.

    Its place follows the part's: empty, or a parameter.
    """
    try:
        with calling(design, "space"):
            space = design.space()
        if space is None:
            return None
        with calling(part, "misfit"):
            return part.misfit(evolve(space, design=design))
    except ComponentFault as fault:
        return Mistake("", str(fault))


def expect_reached(optimizer: Optimizer, times: tuple[float, ...]) -> tuple[float, ...]:
    """The times that training stops at, one for each time asked."""
    with calling(optimizer, "reached"):
        reached = tuple(optimizer.reached(times))
    real_array(optimizer, "reached", reached, (len(times),))
    return reached


def auxiliary_names(
    design: Design, optimizer: Optimizer, times: tuple[float, ...]
) -> dict[str, str]:
    """The coordinates that the parts of a cell bring along, each with the part it is of."""
    along_time = dict.fromkeys(optimizer.auxiliary(times), optimizer.name)
    return {**dict.fromkeys(derived_size(design), design.name), **along_time}


def expect_coordinates(owner: Metric | Theory, design: Design) -> None:
    """ComponentFault if it is certain that an owner cannot tell the coordinates of its dims.

    How many modes a model has is known when it runs, so that a ValueError now proves nothing.
    """
    sizes = design.sizes()
    try:
        coordinates_of(owner, variables_of(owner), {"modes": sizes["train"], **sizes})
    except ComponentFault as fault:
        if fault.__cause__ is not None and not isinstance(fault.__cause__, ValueError):
            raise
