"""Check once, while planning, what core will read of a cell's parts later.

A part that returns a wrong answer is refused at its place in the file, before anything runs.
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
from testbed.contract.spaces import Space
from testbed.errors import Mistake


def inspect_design(design: Design) -> str:
    """The mistake in a design's answers; empty if they are right."""
    try:
        _expect_design(design)
    except ComponentFault as fault:
        return str(fault)
    return ""


def inspect_optimizer(optimizer: Optimizer, times: tuple[float, ...]) -> str:
    """The mistake in an optimizer's answers; empty if they are right."""
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


def target_misfit(target: Target, design: Design) -> Mistake | None:
    """Why a target makes no sense on a design's points; None if it does.

    Its place is relative to the target: empty, or a parameter.
    """
    try:
        space = _space_of(design)
        if space is None:
            return None
        with calling(target, "misfit"):
            return target.misfit(space) or _outputs_of_truth(target, space)
    except ComponentFault as fault:
        return Mistake("", str(fault))


def model_misfit(model: Model, design: Design, target: Target | None) -> Mistake | None:
    """Why a model makes no sense on a design's points, or cannot learn a target there; None if it
    can. A target that does not fit the design itself is left out."""
    try:
        space = _space_of(design)
        if space is None:
            return None
        with calling(model, "misfit"):
            return model.misfit(evolve(space, target=target)) or _outputs_of_model(model, space)
    except ComponentFault as fault:
        return Mistake("", str(fault))


def _space_of(design: Design) -> Space | None:
    with calling(design, "space"):
        space = design.space()
    return None if space is None else evolve(space, design=design)


def _outputs_of_truth(target: Target, space: Space) -> Mistake | None:
    if target.facts().outputs == "observed" or space.outputs in (None, 1):
        return None
    return Mistake(
        "",
        f"found {target.name}, one number at a point, on a design that observes {space.outputs}",
        f"a truth of {space.outputs} numbers",
        'take the target "labels", or two classes of the data',
    )


def _outputs_of_model(model: Model, space: Space) -> Mistake | None:
    if model.facts().outputs == "any" or space.outputs in (None, 1):
        return None
    return Mistake(
        "",
        f"found {model.name}, which fits one number at a point, and {space.outputs} observed",
        "one number",
        "take two classes of the data, or another model",
    )


def expect_reached(optimizer: Optimizer, times: tuple[float, ...]) -> tuple[float, ...]:
    """The times at which training stops, one for each requested time."""
    with calling(optimizer, "reached"):
        reached = tuple(optimizer.reached(times))
    real_array(optimizer, "reached", reached, (len(times),))
    return reached


def auxiliary_names(
    design: Design, optimizer: Optimizer, times: tuple[float, ...]
) -> dict[str, str]:
    """The coordinates that the parts of a cell add, each with the name of its part."""
    along_time = dict.fromkeys(optimizer.auxiliary(times), optimizer.name)
    return {**dict.fromkeys(derived_size(design), design.name), **along_time}


def expect_coordinates(owner: Metric | Theory, design: Design) -> None:
    """ComponentFault if an owner certainly cannot return the coordinates of its dims.

    The number of modes of a model is known only when it runs, so a ValueError proves nothing.
    """
    sizes = design.sizes()
    try:
        coordinates_of(owner, variables_of(owner), {"modes": sizes["train"], **sizes})
    except ComponentFault as fault:
        if fault.__cause__ is not None and not isinstance(fault.__cause__, ValueError):
            raise
