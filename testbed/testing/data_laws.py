"""Laws of every component's declaration, of designs and of targets."""

from __future__ import annotations

import inspect
import pickle
import re
import typing
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
from attrs import evolve

from testbed.contract.components import Design
from testbed.contract.parameters import names_with, parameter_of
from testbed.contract.seeds import Streams
from testbed.contract.values import Sample
from testbed.errors import UnsuitableError
from testbed.planning.keys import describe
from testbed.testing.cases import Case
from testbed.testing.laws import Law, close, drawn_alike, finite

# --- every component ----------------------------------------------------------------------------


def is_declared(case: Case) -> None:
    """A frozen class with a docstring, whose parameters have a type and a help."""
    component: Any = case.component
    cls = type(component)
    assert inspect.getdoc(cls), f"found {cls.__name__} without a docstring"
    hints = typing.get_type_hints(cls)
    for attribute in attrs.fields(cls):
        help_ = parameter_of(attribute).help
        assert help_, f"found {attribute.name} without a help, expected testbed.parameter(help=…)"
        assert attribute.name in hints, f"found {attribute.name} without a type annotation"
    hash(component)
    try:
        component.anything = 0
    except (attrs.exceptions.FrozenInstanceError, AttributeError):
        return
    raise AssertionError(f"found {cls.__name__} open to changes, expected a frozen attrs class")


def travels(case: Case) -> None:
    """It can be pickled to a worker process, and the journal recognises it afterwards."""
    component = case.component
    back = pickle.loads(pickle.dumps(component))
    assert back == component, "found another component after pickling, expected an equal one"
    text = str(describe(component))
    assert text == str(describe(back)), "found other parameters after pickling"
    assert not re.search(r" at 0x[0-9a-f]+", text), (
        "found an object without a value of its own among the parameters, expected numbers, "
        "strings, tuples or components: the journal could not recognise it"
    )


EVERY = (Law(is_declared), Law(travels))


# --- designs --------------------------------------------------------------------------------------


def _sample(design: Design, case: Case, replicate: int = 0) -> Sample:
    return design.draw(Streams(case.seed, replicate))


def sample_is_sound(case: Case) -> None:
    """Inputs, weights and noise have a row for each point; weights are positive, all finite."""
    sample = _sample(case.design, case)
    for prefix in ("", "test_"):
        rows = len(getattr(sample, f"{prefix}x"))
        for name in ("weight", "noise"):
            values = getattr(sample, f"{prefix}{name}")
            assert len(values) == rows, f"found {len(values)} {prefix}{name}, expected {rows}"
            finite(values, f"{prefix}{name}")
        weight = getattr(sample, f"{prefix}weight")
        assert weight.shape == (rows,), f"found {prefix}weight of shape {weight.shape}"
        assert (weight > 0).all(), f"found {prefix}weight of {weight.min()}, expected above 0"
    assert np.isfinite(sample.variance) and sample.variance >= 0, (
        f"found the variance {sample.variance}, expected ε² of at least 0"
    )


def sample_repeats(case: Case) -> None:
    """Drawing again from fresh streams gives the same float64 NumPy arrays."""
    drawn_alike(lambda: tuple(_sample(case.design, case)))


def sizes_are_true(case: Case) -> None:
    """`sizes` says how many points are drawn."""
    sample, sizes = _sample(case.design, case), case.design.sizes()
    for name, x in (("train", sample.x), ("test", sample.test_x)):
        assert sizes.get(name) == len(x), f"found sizes {sizes}, expected {len(x)} of {name}"


def _larger(design: Any) -> Iterator[tuple[str, Design]]:
    """The design with each of its counts doubled."""
    for attribute in attrs.fields(type(design)):
        value = getattr(design, attribute.name)
        if type(value) is int and value > 0:
            try:
                alias = attribute.alias or attribute.name
                yield attribute.name, evolve(design, **{alias: 2 * value})
            except ValueError:
                continue


def samples_extend(case: Case) -> None:
    """A longer sample begins with the shorter one: inputs, and noise of the same law."""
    short = _sample(case.design, case)
    rows = len(short.x)
    for name, larger in _larger(case.design):
        long = _sample(larger, case)
        if len(long.x) <= rows or long.x.shape[1:] != short.x.shape[1:]:
            continue
        assert np.array_equal(long.x[:rows], short.x), (
            f"found other inputs among the first {rows} when {name} is doubled, expected the same; "
            "draw rows one after another from one stream"
        )
        assert np.array_equal(long.noise[:rows], short.noise), (
            f"found other noise among the first {rows} when {name} is doubled, expected the same"
        )


def noise_leaves_inputs(case: Case) -> None:
    """The parameter with the role `noise` changes the noise alone, never the inputs."""
    (name,) = names_with(case.design, "noise")
    design: Any = case.design
    level = getattr(design, name)
    changed = evolve(design, **{name: 2 * level + 1})
    quiet, loud = _sample(case.design, case), _sample(changed, case)
    assert np.array_equal(quiet.x, loud.x), "found other inputs for another noise level"
    assert not np.array_equal(quiet.noise, loud.noise), "found noise that ignores the noise level"


DESIGN_LAWS = (
    Law(sample_is_sound),
    Law(sample_repeats),
    Law(sizes_are_true),
    Law(samples_extend),
    Law(noise_leaves_inputs, lambda case: bool(names_with(case.design, "noise"))),
)


# --- targets --------------------------------------------------------------------------------------


def _drawn(case: Case) -> tuple[Any, Sample]:
    sample = _sample(case.design, case)._replace(design=case.design)
    return case.target.draw(Streams(case.seed, 0), sample), sample


def truth_repeats(case: Case) -> None:
    """Drawing again from fresh streams gives the same NumPy arrays."""
    drawn_alike(lambda: _drawn(case)[0])


def values_are_sound(case: Case) -> None:
    """f*(x) is one finite float64 number, or one row of outputs, for each x."""
    drawn, sample = _drawn(case)
    for name, x in (("training", sample.x), ("test", sample.test_x)):
        values = case.target.values(drawn, x)
        assert values.shape[0] == len(x) and values.ndim <= 2, (
            f"found values of shape {values.shape} at {len(x)} {name} inputs"
        )
        assert values.dtype == np.float64, f"found values in {values.dtype}, expected float64"
        finite(values, f"f* at the {name} inputs")


def values_are_pointwise(case: Case) -> None:
    """f* at an input depends neither on the order of the inputs nor on how many there are."""
    drawn, sample = _drawn(case)
    values = case.target.values(drawn, sample.x)
    half = max(1, len(sample.x) // 2)
    parts = [("the first half of the inputs", sample.x[:half], values[:half])]
    if sample.x.ndim > 1:  # of a sequence, inputs are its indices
        both = np.concatenate([sample.test_x, sample.x])
        together = np.concatenate([case.target.values(drawn, sample.test_x), values])
        parts += [
            ("the inputs in reverse order", sample.x[::-1].copy(), values[::-1]),
            ("one input alone", sample.x[-1:], values[-1:]),
            ("test and training inputs together", both, together),
        ]
    for words, x, expected in parts:
        try:
            computed = case.target.values(drawn, x)
        except UnsuitableError:
            continue  # a sequence too short for this truth, which says so
        close(computed, expected, 1e-12, f"f* at {words}")


TARGET_LAWS = (
    Law(truth_repeats),
    Law(values_are_sound, lambda case: case.target.facts().truth_known),
    Law(values_are_pointwise, lambda case: case.target.facts().truth_known),
)
