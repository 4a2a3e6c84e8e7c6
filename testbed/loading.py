"""Find plugins by their metadata, load each separately, and register their components.

A plugin that cannot be loaded does not affect the others: its row holds the error. Hooks are called
plugin by plugin, so that the distribution of every component is known. A hook that raises an error
later causes a warning that names its plugin.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pluggy
from attrs import evolve, field, frozen

from testbed.contract import hooks
from testbed.contract.border import GROUP
from testbed.contract.claims import ClaimKind
from testbed.contract.components import KINDS, Component, Theory
from testbed.contract.declarations import (
    declaration_objection,
    measured_variables,
    prediction_objection,
)
from testbed.contract.findings import Finding
from testbed.contract.published import PublishedTable, read_published
from testbed.contract.shape import shape_objection
from testbed.contract.version import ATTRIBUTE, CONTRACT, changes_since
from testbed.errors import Mistake, PluginError, did_you_mean

RESERVED = (
    "kind", "name", "references", "examples", "facts", "files", "needs", "requires", "variables",
    "use",
)  # fmt: skip
BARE = ("theory-testbed", "basics")  # the one plugin whose names need no namespace
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)*")
_ANSWERS: dict[str, tuple[Any, str]] = {
    "testbed_scenarios": (str | os.PathLike, "a list of paths"),
    "testbed_published": (str | os.PathLike, "a list of paths"),
    "testbed_check_scenario": (str | Mistake, "a list of strings or mistakes"),
    "testbed_check_results": (Finding, "a list of findings"),
    "testbed_claims": (ClaimKind, "a list of kinds of claims"),
}


class PluginWarning(UserWarning):
    """A plugin that loaded, but whose hook raised an error or returned a wrong value."""


@frozen
class Plugin:
    """A plugin as `testbed plugins` shows it."""

    name: str
    distribution: str
    version: str
    error: str = ""
    components: tuple[str, ...] = ()
    contract: int | None = None  # the version that the plugin states

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}{self.age}"

    @property
    def age(self) -> str:
        """What is said of a plugin that is written for an earlier contract."""
        if self.contract is None or self.contract >= CONTRACT:
            return ""
        return f", written for contract {self.contract}, this is {CONTRACT}"


@frozen
class Offer:
    """A component class and the plugin that brought it."""

    component: type[Component]
    plugin: Plugin


@frozen
class Fresh:
    """An argument of a hook that is made separately for each plugin, so that no plugin sees the
    changes of another."""

    make: Callable[[], Any]


@frozen
class Registry:
    """Components by kind and name. Names are unique over all kinds."""

    plugins: tuple[Plugin, ...]
    offers: dict[str, Offer] = field(factory=dict)
    manager: Any = None

    def get(self, kind: str, name: str) -> type[Component] | None:
        """The component of this kind and name, or None."""
        offer = self.offers.get(name)
        return offer.component if offer and offer.component.kind == kind else None

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted."""
        return sorted(name for name, offer in self.offers.items() if offer.component.kind == kind)

    def find(self, name: str) -> Offer:
        """The component of a name, whatever its kind; PluginError with suggestions otherwise."""
        if name not in self.offers:
            raise PluginError(f"no component is named {name!r}; {did_you_mean(name, self.offers)}")
        return self.offers[name]

    def components(self) -> list[type[Component]]:
        """Every component, by name."""
        return [self.offers[name].component for name in sorted(self.offers)]

    def scenarios(self) -> dict[str, Path]:
        """Shipped scenario files by their stem; if two have the same stem, the first is taken."""
        shipped: dict[str, Path] = {}
        for files in self.hook("testbed_scenarios")():
            for file in map(Path, files):
                if shipped.setdefault(file.stem, file) != file:
                    problem = f"found two shipped scenarios named {file.stem!r}"
                    text = f"{problem}: {shipped[file.stem]} and {file}; the second needs its path"
                    warnings.warn(text, PluginWarning, stacklevel=2)
        return shipped

    def published(self) -> dict[str, PublishedTable]:
        """The tables of published numbers, by the key of each of their quantities."""
        shipped = self.hook("testbed_published")()
        tables = [read_published(Path(file)) for files in shipped for file in files]
        return {key: table for table in reversed(tables) for key in table.number_keys}

    def hook(self, name: str, failures: list[str] | None = None) -> Callable[..., list[Any]]:
        """A function that calls a hook of every loaded plugin in order and lists the answers.

        A plugin that raises an error, or returns a wrong value, causes a PluginWarning that names
        it, and a line in `failures`. The items that it yielded before the error are kept.
        """
        implementations = getattr(self.manager.hook, name).get_hookimpls()
        callers = [
            (implementation.plugin_name, _alone(self.manager, name, implementation))
            for implementation in implementations
        ]

        def call(**arguments: object) -> list[Any]:
            answers: list[object] = []
            for plugin, caller in callers:
                answer: list[object] = []
                try:
                    prepared = {key: _fresh(value) for key, value in arguments.items()}
                    for part in caller(**prepared):
                        answers.append(answer := [])
                        _collect(name, part, answer)
                except (Exception, SystemExit) as error:
                    text = f"plugin {plugin}: {name} raised {type(error).__name__}: {error}"
                    warnings.warn(f"{text}; it is left out", PluginWarning, stacklevel=2)
                    if failures is not None:
                        failures.append(text)
            return answers

        return call


@cache
def load_registry() -> Registry:
    """Find and load every installed plugin."""
    return make_registry(entry_points())


def entry_points() -> list[tuple[Plugin, importlib.metadata.EntryPoint]]:
    """Plugins by distribution metadata alone: nothing is imported here."""
    plugins = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        distribution = entry.dist
        name = distribution.name if distribution else "unknown"
        version = distribution.version if distribution else "?"
        plugins.append((Plugin(entry.name, name, version), entry))
    return sorted(plugins, key=lambda pair: _order(pair[0]))


def _order(plugin: Plugin) -> tuple[bool, str, str]:
    """First-party plugins come first: if two components have one name, theirs is kept."""
    return plugin.distribution != BARE[0], plugin.distribution, plugin.name


def make_registry(sources: list[tuple[Plugin, Any]]) -> Registry:
    """Load plugins one by one; `sources` pairs each with an object that has `load()`."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    rows: list[Plugin] = []
    offers: dict[str, Offer] = {}
    for plugin, entry in sources:
        try:
            module = entry.load()
            plugin = evolve(plugin, contract=_contract(plugin, module))
            components = list(_register(manager, plugin, module))
            _admit(offers, plugin, components)
        except (Exception, SystemExit) as error:  # a module may call sys.exit as it is imported
            _forget(manager, plugin)
            text = f"{type(error).__name__}: {error}{_since(plugin)}"
            rows.append(evolve(plugin, error=text))
        else:
            rows.append(evolve(plugin, components=tuple(c.name for c in components)))
    rows = [_with_known_predictions(manager, offers, row) for row in rows]
    return Registry(tuple(rows), offers, manager)


def _with_known_predictions(manager: Any, offers: dict[str, Offer], plugin: Plugin) -> Plugin:
    """The plugin, or its error if it predicts a variable whose name is misspelt. All metrics have
    to be known for that, so it is seen last."""
    measured = measured_variables(offer.component for offer in offers.values())
    for name in plugin.components:
        objection = prediction_objection(offers[name].component, measured)
        if objection:
            for lost in plugin.components:
                del offers[lost]
            _forget(manager, plugin)
            error = f"{PluginError.__name__}: {plugin}: {objection}"
            return evolve(plugin, error=error, components=())
    return plugin


def _contract(plugin: Plugin, module: object) -> int | None:
    """The version of the contract that a plugin states; PluginError if it is not offered here."""
    stated = getattr(module, ATTRIBUTE, None)
    if stated is None:
        return None
    if type(stated) is not int or stated < 1:
        raise PluginError(f"{plugin}: found {ATTRIBUTE} = {stated!r}, expected {CONTRACT}")
    if stated > CONTRACT:
        raise PluginError(
            f"{plugin} is written for contract {stated}, and this testbed has contract {CONTRACT}; "
            f"upgrade it: pip install --upgrade {BARE[0]}"
        )
    return stated


def _since(plugin: Plugin) -> str:
    """What changed since the contract of a plugin that cannot be loaded."""
    if plugin.contract is not None and plugin.contract < CONTRACT:
        changes = changes_since(plugin.contract)
        return f". The plugin is written for contract {plugin.contract}; since then: {changes}"
    return ""


def _unmarked(plugin: Plugin, module: object) -> None:
    """PluginError if a function of the module has the name of a hook and is not marked as one."""
    for name in sorted(set(dir(module)) & set(dir(hooks))):
        written = getattr(module, name)
        hook = name.startswith(f"{hooks.PROJECT}_") and callable(written)
        if hook and not hasattr(written, f"{hooks.PROJECT}_impl"):
            raise PluginError(
                f"{plugin}: found {name} without a mark, expected @testbed.hookimpl above it"
            )


def _register(manager: Any, plugin: Plugin, module: Any) -> Iterator[type[Component]]:
    """Register one module with pluggy, and yield the components of this module only."""
    name = f"{plugin.distribution}:{plugin.name}"
    if manager.has_plugin(name):
        raise PluginError(f"{plugin} is installed twice; uninstall one")
    if manager.is_registered(module):
        raise PluginError(f"{plugin} is the module of {manager.get_name(module)}; drop one entry")
    _unmarked(plugin, module)
    try:
        manager.register(module, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{plugin}: {error}; the hooks are listed in docs/hooks.md") from None
    for kind, base in KINDS.items():
        hook = "testbed_theories" if kind == "theory" else f"testbed_{kind}s"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is module:
                for offered in _alone(manager, hook, implementation)():
                    yield from _classes(plugin, hook, base, offered)


def _alone(manager: Any, hook: str, implementation: Any) -> Any:
    """The pluggy caller of one plugin's hook."""
    excluded = [plugin for plugin in manager.get_plugins() if plugin is not implementation.plugin]
    return manager.subset_hook_caller(hook, excluded)


def _classes(
    plugin: Plugin, hook: str, base: type[Component], offered: object
) -> Iterator[type[Component]]:
    """The answer of a hook, if it is a list of component classes of the right kind."""
    if not isinstance(offered, list | tuple):
        raise PluginError(f"{plugin}: {hook} returned {offered!r}, expected a list of classes")
    for component in offered:
        if not (isinstance(component, type) and issubclass(component, base)):
            raise PluginError(
                f"{plugin}: {hook} returned {component!r}, expected subclasses of "
                f"testbed.{base.__name__}"
            )
        yield component


def _collect(hook: str, answer: object, into: list[object]) -> None:
    """Append the items of an answer one by one, so that those before an error are kept. Answers of
    hooks that should return nothing are ignored."""
    if hook not in _ANSWERS:
        return
    wanted, words = _ANSWERS[hook]
    if not isinstance(answer, list | tuple | Iterator):
        raise TypeError(f"found the answer {answer!r}, expected {words}")
    for item in answer:
        if not isinstance(item, wanted):
            raise TypeError(f"found {item!r} in the answer, expected {words}")
        into.append(item)


def _fresh(value: object) -> Any:
    return value.make() if isinstance(value, Fresh) else value


def _admit(offers: dict[str, Offer], plugin: Plugin, components: list[type[Component]]) -> None:
    """Add a plugin's components, all or none."""
    for component in components:
        objection = _objection(offers, plugin, component)
        if objection:
            raise PluginError(f"{plugin}: {objection}")
    twice = [name for name, n in Counter(offered.name for offered in components).items() if n > 1]
    if twice:
        raise PluginError(f"{plugin}: found {twice[0]!r} offered twice, expected each name once")
    offers.update({component.name: Offer(component, plugin) for component in components})


def _objection(offers: dict[str, Offer], plugin: Plugin, component: type[Component]) -> str | None:
    """Why a component cannot be admitted; None if it can."""
    name = getattr(component, "name", None)
    if not isinstance(name, str) or not name:
        return (
            f'found {component.__name__} without a name, expected one: write name = "'
            f'{plugin.name}.words" in the class'
        )
    cls: type = component
    if not attrs.has(cls) or "__attrs_attrs__" not in vars(cls):
        return (
            f"found {name} as a plain class, expected an attrs class: write "
            "@attrs.frozen(kw_only=True) above it"
        )
    clash = sorted({attribute.name for attribute in attrs.fields(cls)} & set(RESERVED))
    if clash:
        return (
            f"found the parameter {clash[0]!r} in {name}, which every component has "
            "already; rename it, scenarios can still say it with parameter(alias=…)"
        )
    if issubclass(component, Theory) and hasattr(component, "applies"):
        return f"found {name} with applies, expected that predict raises DoesNotApply instead"
    if not _NAME.fullmatch(name):
        return f"found the name {name!r}, expected words of letters, digits, '-', '_' with dots"
    if "." not in name and (plugin.distribution, plugin.name) != BARE:
        return (
            f"found the name {name!r}, expected one with a namespace such as {plugin.name}.{name}"
        )
    if name in offers:
        return f"the name {name!r} is taken by {offers[name].plugin}"
    if plugin.distribution == BARE[0]:  # tests look at these, and every command would pay for it
        return None
    return shape_objection(component) or declaration_objection(component)


def _forget(manager: Any, plugin: Plugin) -> None:
    name = f"{plugin.distribution}:{plugin.name}"
    if manager.has_plugin(name):
        manager.unregister(name=name)
