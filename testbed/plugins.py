"""Finding plugins by their metadata, loading each on its own, and the components they offer.

A plugin that cannot be loaded costs only itself: it becomes a row with its error. Hooks are called
plugin by plugin, so that every component knows the distribution it came from.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from functools import cache
from typing import Any

import attrs
import pluggy
from attrs import evolve, field, frozen

from testbed import hookspecs
from testbed.components import KINDS, Component
from testbed.errors import PluginError, did_you_mean

GROUP = "testbed.plugins"
RESERVED = ("kind", "name", "references", "batching", "needs", "variables", "use")
BARE = "theory-testbed"  # the one distribution whose names need no namespace


@frozen
class Plugin:
    """A plugin as `testbed plugins` shows it."""

    name: str
    distribution: str
    version: str
    error: str = ""
    components: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@frozen
class Offer:
    """A component class and the plugin that brought it."""

    component: type[Component]
    plugin: Plugin


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

    def hook(self, name: str) -> Any:
        """The pluggy caller of a hook, for the plugins that loaded."""
        return getattr(self.manager.hook, name)


@cache
def load_registry() -> Registry:
    """Find and load every installed plugin."""
    return make_registry(_entry_points())


def _entry_points() -> list[tuple[Plugin, importlib.metadata.EntryPoint]]:
    """Plugins by distribution metadata alone: nothing is imported here."""
    found = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        distribution = entry.dist
        name = distribution.name if distribution else "unknown"
        version = distribution.version if distribution else "?"
        found.append((Plugin(entry.name, name, version), entry))
    return sorted(found, key=lambda pair: (pair[0].distribution != BARE, pair[0].name))


def make_registry(found: list[tuple[Plugin, Any]]) -> Registry:
    """Load plugins one by one; `found` pairs each with something that has `load()`."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    rows: list[Plugin] = []
    offers: dict[str, Offer] = {}
    for plugin, entry in found:
        try:
            module = entry.load()
            components = list(_register(manager, plugin, module))
            _admit(offers, plugin, components)
        except Exception as error:
            _forget(manager, plugin)
            rows.append(evolve(plugin, error=f"{type(error).__name__}: {error}"))
        else:
            rows.append(evolve(plugin, components=tuple(c.name for c in components)))
    return Registry(tuple(rows), offers, manager)


def _register(manager: Any, plugin: Plugin, module: Any) -> Iterator[type[Component]]:
    """Register one module with pluggy and ask it, and it alone, for its components."""
    name = f"{plugin.distribution}:{plugin.name}"
    if manager.has_plugin(name):
        raise PluginError(f"{plugin} is installed twice")
    manager.register(module, name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{plugin}: {error}; the hooks are listed in docs/hooks.md") from None
    others = [other for other in manager.get_plugins() if other is not module]
    for kind, base in KINDS.items():
        hook = "testbed_theories" if kind == "theory" else f"testbed_{kind}s"
        for offered in manager.subset_hook_caller(hook, others)():
            for component in offered:
                if not (isinstance(component, type) and issubclass(component, base)):
                    raise PluginError(
                        f"{plugin}: {hook} returned {component!r}, expected subclasses of "
                        f"testbed.{base.__name__}"
                    )
                yield component


def _admit(offers: dict[str, Offer], plugin: Plugin, components: list[type[Component]]) -> None:
    """Add a plugin's components, all or none."""
    for component in components:
        name = getattr(component, "name", None)
        if not isinstance(name, str) or not name:
            raise PluginError(f"{plugin}: {component.__name__} has no name")
        own = {attribute.name for attribute in attrs.fields(component)}  # type: ignore[arg-type]
        clash = sorted(own & set(RESERVED))
        if clash:
            raise PluginError(
                f"{plugin}: found the parameter {clash[0]!r} in {name}, which every component has "
                "already; rename it, scenarios can still say it with parameter(alias=…)"
            )
        if "." not in name and plugin.distribution != BARE:
            raise PluginError(
                f"{plugin}: found the name {name!r}, expected one with a namespace such as "
                f"{plugin.name}.{name}"
            )
        if name in offers:
            raise PluginError(f"{plugin}: the name {name!r} is taken by {offers[name].plugin}")
    offers.update({component.name: Offer(component, plugin) for component in components})


def _forget(manager: Any, plugin: Plugin) -> None:
    name = f"{plugin.distribution}:{plugin.name}"
    if manager.has_plugin(name):
        manager.unregister(name=name)
