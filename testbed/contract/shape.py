"""Check that a component class has the shape of the contract when its plugin is loaded.

The check finds missing abstract methods, methods of a capability that the class does not inherit,
names that resemble those of the contract, and facts that are stated as class attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches

import attrs

from testbed.contract import capabilities
from testbed.contract.capabilities import Capability, HasLeverage
from testbed.contract.components import KINDS, Component
from testbed.contract.facts import MetricFacts, ModelFacts, OptimizerFacts, TargetFacts, TheoryFacts
from testbed.contract.parameters import fields_of

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
NEAR = 0.84  # similarity from which a name counts as a misspelling
FACTS: dict[str, type] = {
    "target": TargetFacts,
    "model": ModelFacts,
    "optimizer": OptimizerFacts,
    "metric": MetricFacts,
    "theory": TheoryFacts,
}
REPLACED = {
    "supports": "withheld(), which names what parameter values take away",
    "derived": 'the role "sample_size" of a parameter',
    "in_words": 'the role "source" of parameters',
}


def capabilities_of(kind: str) -> tuple[type[Capability], ...]:
    """The capabilities of the contract that components of a kind may inherit."""
    every = tuple(
        value
        for value in vars(capabilities).values()
        if isinstance(value, type) and issubclass(value, Capability) and value is not Capability
    )
    of_optimizers = (HasLeverage,)
    if kind == "model":
        return tuple(capability for capability in every if capability not in of_optimizers)
    return of_optimizers if kind == "optimizer" else ()


def members_of(base: type) -> list[str]:
    """Public members that a class itself declares: methods, properties and class attributes."""
    hidden = ("words", "kind", "name")
    fields = {attribute.name for attribute in fields_of(base)}
    return [
        name
        for name in vars(base)
        if not name.startswith("_") and name not in hidden and name not in fields
    ]


def shape_objection(component: type[Component]) -> str | None:
    """The mistake in a component class, and what to do; None if it is right."""
    return next(_objections(component), None)


def _objections(component: type[Component]) -> Iterator[str]:
    name, kind = component.name, component.kind
    written = _written(component)
    members = contract_members(component)
    for word in sorted(written - set(members)):
        if word in REPLACED:
            yield f"found {word!r} in {name}, expected {REPLACED[word]}"
        if kind in FACTS and word in {fact.name for fact in attrs.fields(FACTS[kind])}:
            yield (
                f"found the class attribute {word!r} in {name}, expected it in facts(): "
                f"return {FACTS[kind].__name__}({word}=…)"
            )
        for capability in capabilities_of(kind):
            if word in members_of(capability):
                yield (
                    f"found the method {word!r} in {name}, which is not declared; expected the "
                    f"base class testbed.{capability.__name__}, or another name"
                )
        near = get_close_matches(word, members, n=1, cutoff=NEAR)
        if near and near[0] not in written:
            what = "method" if _is_method(component, word) else "class attribute"
            yield (
                f"found the {what} {word!r} in {name}; did you mean {near[0]!r}? Expected that "
                f"name or, for a {what} of another meaning, a less similar one"
            )
    yield from _signature_objections(component, written & set(members))
    for missing in sorted(getattr(component, "__abstractmethods__", ())):
        home = next(base for base in component.__mro__ if missing in vars(base))
        yield f"found no method {missing!r} in {name}, expected it: {home.__name__} declares it"


def _signature_objections(component: type[Component], names: set[str]) -> Iterator[str]:
    """Methods that do not take the arguments that the contract hands over."""
    for word in sorted(names):
        method = inspect.getattr_static(component, word)
        declared = next(
            (vars(base)[word] for base in component.__mro__ if _declares(base, word)), None
        )
        if not inspect.isfunction(method) or not inspect.isfunction(declared):
            continue
        passed = inspect.signature(declared).parameters.values()
        if any(part.kind not in POSITIONAL for part in passed):
            continue  # what it is handed depends on what it declares, as for `measure`
        try:
            inspect.signature(method).bind(*passed)
        except TypeError:
            yield (
                f"found {_call(word, method)} in {component.name}, expected {_call(word, declared)}"
            )


def _declares(base: type, word: str) -> bool:
    return _of_contract(base) and word in vars(base)


def _call(name: str, method: object) -> str:
    """A method as it is written, without the types of its arguments."""
    assert callable(method)
    parts = inspect.signature(method).parameters
    return f"{name}({', '.join(parts)})"


def _written(component: type[Component]) -> set[str]:
    """Public names that the component's own classes define, without its parameters."""
    fields = {attribute.name for attribute in fields_of(component)}
    names = {
        name
        for base in component.__mro__
        if not _of_contract(base) and not issubclass(Component, base)
        for name in vars(base)
        if not name.startswith("_")
    }
    return names - fields


def _of_contract(base: type) -> bool:
    """Whether a class belongs to core, layers included, or is a plugin's own capability."""
    return base.__module__.startswith(("testbed.contract.", "testbed.layers.")) or (
        issubclass(base, Capability) and not issubclass(base, Component)
    )


def contract_members(component: type[Component]) -> list[str]:
    """Members of the base class of the component's kind, and of the capabilities it inherits."""
    root = KINDS[component.kind]
    bases = {*root.__mro__, *(base for base in component.__mro__ if issubclass(base, Capability))}
    inherited = [base for base in bases if _of_contract(base)]
    return sorted({*(name for base in inherited for name in members_of(base)), "kind", "name"})


def contract_methods(component: type[Component]) -> list[str]:
    """Public methods of a component that core or a layer declares, without class methods."""
    declared = {name for base in component.__mro__ if _of_contract(base) for name in vars(base)}
    return sorted(
        name
        for name in declared
        if not name.startswith("_") and inspect.isfunction(getattr(component, name, None))
    )


def _is_method(component: type[Component], word: str) -> bool:
    return callable(getattr(component, word, None))
