"""Check what a component declares in its class and in its facts, before anything is computed.

`declaration_objection` looks at a class when its plugin is loaded: needs and the arguments of
`measure`, variables, capabilities that are required, spaces, references, parameters and their
defaults. `answer_objection` looks at a component with its parameter values: its facts, and the
needs that these values lead to.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

import attrs

from testbed.contract.answers import misdeclared
from testbed.contract.capabilities import Capability
from testbed.contract.components import Component, Metric, Optimizer, Theory
from testbed.contract.needs import NEEDS, Asked, Need, alternatives
from testbed.contract.parameters import fields_of, parameter_of
from testbed.contract.shape import FACTS, NEAR
from testbed.contract.spaces import Kind
from testbed.errors import one_of


def declaration_objection(component: type[Component]) -> str | None:
    """The mistake in what a component class declares, and what to do; None if it is right."""
    return next(_objections(component), None)


def answer_objection(component: Component) -> str | None:
    """The mistake in a component's facts, and in the needs that its parameter values lead to; None
    if they are right. Errors that its methods raise pass through."""
    expected = FACTS.get(component.kind)
    if expected is not None:
        facts: object = getattr(component, "facts")()  # noqa: B009  (not all kinds have facts)
        if not isinstance(facts, expected):
            written = type(facts).__name__
            return f"found that facts() returned {written}, expected {expected.__name__}"
    if isinstance(component, Metric) and _overrides(type(component), Metric, "needed"):
        return _needs_objection(type(component), component.needed(), "needed()")
    return None


def _objections(component: type[Component]) -> Iterator[str]:
    """Every mistake, the most telling first."""
    name = component.name
    objections: Iterable[str | None] = (
        *(_tuple_objection(component, *expected) for expected in _TUPLES),
        *(_parameter_objection(field) for field in fields_of(component)),
        _annotation_objection(component),
        *_variable_objections(component),
        *_metric_objections(component),
        _facts_objection(component),
    )
    return (f"{name}: {objection}" for objection in objections if objection)


def prediction_objection(component: type[Component], measured: Iterable[str]) -> str | None:
    """The mistake in a theory that predicts a variable which no metric measures, although the name
    of one that is `measured` resembles it; None if there is none.

    A name that resembles none may be that of a metric which is not installed.
    """
    if not issubclass(component, Theory) or not isinstance(component.variables, Mapping):
        return None
    measured = sorted(measured)
    for name, variable in component.variables.items():
        told = variable.predicts
        near = get_close_matches(str(told), measured, n=1, cutoff=NEAR)
        if told is not None and told not in measured and near:
            return (
                f"found {component.name} with {name} that predicts {told!r}, expected the variable "
                f"of a metric; did you mean {near[0]!r}?"
            )
    return None


def measured_variables(components: Iterable[type[Component]]) -> set[str]:
    """The variables that metrics declare in their classes."""
    metrics = (component for component in components if issubclass(component, Metric))
    declared = (inspect.getattr_static(metric, "variables") for metric in metrics)
    return {name for variables in declared if isinstance(variables, Mapping) for name in variables}


# --- class attributes -----------------------------------------------------------------------------


def _is_capability(entry: object) -> bool:
    return isinstance(entry, type) and issubclass(entry, Capability)


_TUPLES: tuple[tuple[str, Callable[[object], bool], str, tuple[str, ...]], ...] = (
    ("references", lambda entry: isinstance(entry, str), 'texts such as "arXiv:2409.00894"', ()),
    ("defined_on", lambda entry: entry in get_args(Kind), "kinds of spaces", get_args(Kind)),
    ("requires", _is_capability, "capabilities such as testbed.HasGradient", ()),
    ("concluded", lambda entry: isinstance(entry, str), "names of variables", ()),
)
"""Class attributes that are tuples: name, test of an entry, what entries are, allowed words."""


def _tuple_objection(
    component: type[Component],
    name: str,
    allowed: Callable[[object], bool],
    what: str,
    words: tuple[str, ...],
) -> str | None:
    """The mistake in a class attribute that must be a tuple of entries of one kind."""
    value = inspect.getattr_static(component, name, ())
    if isinstance(value, property):
        return None
    if not isinstance(value, tuple):
        comma = f"; write {name} = ({value!r},)" if allowed(value) else ""
        return f"found {name} = {_shown(value)}, expected a tuple of {what}{comma}"
    for entry in value:
        if not allowed(entry):
            expected = one_of(words, entry) if words else what
            return f"found {_shown(entry)} in {name}, expected {expected}"
    return None


def _shown(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


# --- parameters -----------------------------------------------------------------------------------


def _parameter_objection(field: attrs.Attribute[Any]) -> str | None:
    """The mistake in a parameter's declaration: a pattern or a default that cannot be."""
    info = parameter_of(field)
    name = field.alias or field.name
    try:
        re.compile(info.pattern)
    except re.error as error:
        return f"found the pattern {info.pattern!r} of {name}, which is none: {error}"
    if field.default is attrs.NOTHING or isinstance(field.default, _FACTORY) or field.converter:
        return None
    mistake = info.objection(field.default)
    if mistake is None:
        return None
    return f"found the default {field.default!r} of {name}, expected {mistake.expected}"


_FACTORY: type = type(attrs.Factory(list))


def _annotation_objection(component: type[Component]) -> str | None:
    """The mistake in the annotation of a parameter that cannot be read."""
    try:
        typing.get_type_hints(component)
    except NameError as error:
        return (
            f"the annotation of a parameter cannot be read: {error}; import the type at run time, "
            "not for type checking only"
        )
    return None


# --- variables ------------------------------------------------------------------------------------


def _variable_objections(component: type[Component]) -> Iterator[str]:
    """Mistakes in the variables that a metric, a theory or an optimizer declares."""
    if not hasattr(component, "variables"):
        return
    variables: object = inspect.getattr_static(component, "variables")
    if isinstance(variables, property):
        return
    if not isinstance(variables, Mapping):
        yield f"found variables = {variables!r}, expected a dict from names to Variable"
        return
    for name, variable in variables.items():
        yield misdeclared(name, variable)
    computed = issubclass(component, Metric) and _overrides(component, Metric, "declared")
    optional = computed or issubclass(component, Optimizer)
    if not variables and not optional:
        yield (
            "found no variables, expected those that it returns: "
            'variables = {"name": Variable("long name")}'
        )


# --- metrics --------------------------------------------------------------------------------------


def _metric_objections(component: type[Component]) -> Iterator[str | None]:
    """Mistakes in what a metric needs, measures and concludes."""
    if not issubclass(component, Metric):
        return
    if not _overrides(component, Metric, "needed"):
        yield _needs_objection(component, component.needs, "needs")
    if component.concluded and not _overrides(component, Metric, "conclude"):
        yield f"found concluded = {component.concluded} without the method conclude, expected it"
    if _overrides(component, Metric, "declared"):
        return
    for name in component.concluded:
        variable = component.variables.get(name)
        if variable is None:
            yield f"found {name!r} in concluded, expected {one_of(component.variables, name)}"
        elif variable.time:
            yield f"found {name!r} concluded, expected Variable(…, time=False)"


def _needs_objection(component: type[Metric], needs: object, where: str) -> str | None:
    """The mistake in a metric's needs, or in the arguments of `measure` that take them."""
    if not isinstance(needs, tuple):
        comma = f"; write ({needs!r},)" if isinstance(needs, str) else ""
        return f"found {where} = {needs!r}, expected a tuple of needs{comma}"
    groups = [group for group in needs if isinstance(group, tuple)]
    if groups and len(groups) < len(needs):
        return (
            f"found {where} = {needs!r}, expected needs alone, or tuples of needs alone, each an "
            "alternative"
        )
    entries = [entry for group in groups for entry in group] if groups else needs
    wrong = [entry for entry in entries if not isinstance(entry, str | Need | Asked)]
    if wrong:
        return f"found {wrong[0]!r} in {where}, expected names of {', '.join(NEEDS)}, or a Need"
    try:
        groups_of_needs = alternatives(needs)
    except ValueError as error:
        return str(error)
    return next(
        filter(None, (_argument_objection(component, group) for group in groups_of_needs)), None
    )


def _argument_objection(component: type[Metric], requests: tuple[Asked, ...]) -> str | None:
    """The mistake in the arguments of `measure`, which takes the problem and each need by name."""
    passed = {request.handed_over: request for request in requests}
    signature = inspect.signature(component.measure)
    try:
        signature.bind(None, None, **dict.fromkeys(passed))
    except TypeError:
        written = f"measure({', '.join(signature.parameters)})"
        expected = f"measure({', '.join(('self', 'problem', *passed))})"
        listed = ", ".join(request.name for request in requests) or "none"
        return f"found {written}, expected {expected}, as its needs are {listed}"
    return None


# --- facts ----------------------------------------------------------------------------------------


def _facts_objection(component: type[Component]) -> str | None:
    """The mistake in the facts of a component whose parameters all have defaults."""
    expected = FACTS.get(component.kind)
    written = inspect.getattr_static(component, "facts", None)
    if expected is None or getattr(written, "__module__", "").startswith("testbed."):
        return None
    if any(field.default is attrs.NOTHING for field in fields_of(component)):
        return None
    if hasattr(component, "__attrs_post_init__") or inspect.isabstract(component):
        return None  # making it may take long, or may need other parameters
    try:
        made = component()
    except Exception:  # its defaults do not fit together, which a scenario may change
        return None
    try:
        return answer_objection(made)
    except Exception as error:
        return f"facts() raised {type(error).__name__}: {error}"


@cache
def _overrides(component: type, base: type, method: str) -> bool:
    """Whether a class writes a method that its base offers."""
    return getattr(component, method, None) is not getattr(base, method)
