"""The code that a cell's numbers depend on: which modules, with a digest of each.

A component depends on the module that defines it and on all modules of its distribution that this
module imports, also inside functions. The same holds for the modules of its base classes. It also
depends on the modules of core that compute numbers. Other libraries count by their versions.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import testbed
from testbed.contract.border import GROUP
from testbed.planning.loaded import expect_class_as_loaded
from testbed.planning.source import (
    Source,
    compiled_digest,
    file_of,
    library_folders,
    locations,
    remembered,
    source_of,
)

CORE = ("testbed.numerics", "testbed.running", "testbed.layers", "testbed.contract")
"""The packages of core that compute numbers, except for the modules below."""
SILENT = frozenset(
    f"testbed.{name}"
    for name in (
        "contract.findings",
        "contract.hooks",
        "contract.names",
        "contract.parameters",
        "running.costs",
        "running.executors",
        "running.guarded",
        "running.interrupts",
        "running.workers",
    )
)
"""Modules of these packages that decide only what is computed, where and under which name."""
STARTS = ("testbed.running.execute", "testbed.running.threads")
LIBRARIES = ("numpy", "scipy", "torch")
DISTRIBUTION = "theory-testbed"
WITHOUT_NUMBERS = frozenset({"attr", "attrs", "pluggy", "pooch", "threadpoolctl"})
"""Libraries that do no arithmetic: their versions are not recorded with a cell."""
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python"}

Code = Mapping[str, str]
"""Digests by module."""


@remembered
def code_of(component: type) -> Code:
    """The modules that a component's numbers depend on: those of its classes, and what they
    import. Modules of core that every cell depends on are in `core_code`."""
    modules: dict[str, str] = {}
    for base in component.__mro__:
        if base is not object:
            modules |= _code_of_class(base)
    return modules


def _code_of_class(component: type) -> Code:
    if component.__module__ in sys.stdlib_module_names or _is_foreign(component.__module__):
        return {}
    if source_of(component.__module__) is None:
        return {f"{component.__module__}.{component.__qualname__}": compiled_digest(component)}
    expect_class_as_loaded(component)
    return _digests(_closure(component.__module__))


@remembered
def core_code() -> Code:
    """The modules of core that compute numbers."""
    return _digests(name for start in STARTS for name in _closure(start))


def code_for(components: Iterable[type]) -> Code:
    """The code of several components, and of core."""
    modules = dict(core_code())
    for component in components:
        modules |= code_of(component)
    return dict(sorted(modules.items()))


# --- modules ------------------------------------------------------------------------------------


def _digests(modules: Iterable[str]) -> dict[str, str]:
    sources: dict[str, Source | None] = {name: source_of(name) for name in modules}
    return {name: source.digest for name, source in sources.items() if source is not None}


@remembered
def _closure(module: str) -> frozenset[str]:
    """A module and all that it imports of its distribution, of other plugins and of core."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _followed(name)
    return frozenset(reached)


@remembered
def _followed(module: str) -> tuple[str, ...]:
    """The imports of a module whose source counts."""
    source = source_of(module)
    names = source.imports if source else ()
    modules = dict.fromkeys(filter(None, map(_module, names)))
    return tuple(name for name in modules if _counts(name, module))


def _module(name: str) -> str | None:
    """The longest part of a dotted name that is a module: `package.module.function` → its module.

    A public name of `testbed` leads to the module that defines it.
    """
    top, _, public = name.partition(".")
    if top == "testbed" and public in testbed._HOME:
        return testbed._HOME[public]
    while name and file_of(name) is None:
        name = name.rpartition(".")[0]
    return name or None


def _counts(name: str, importer: str) -> bool:
    top, home = name.partition(".")[0], importer.partition(".")[0]
    if top == "testbed":
        return name.startswith(CORE) and name not in SILENT and name not in CORE
    return top == home or top in plugin_packages() or (not _is_foreign(name) and _beside(top, home))


def _is_foreign(name: str) -> bool:
    """Whether a module belongs to a library, whose version counts instead of its source."""
    top = name.partition(".")[0]
    if top in plugin_packages() or top == "testbed":
        return False
    if top in sys.stdlib_module_names:
        return True
    file = file_of(name) or next(iter(locations(top)), None)
    return file is not None and any(folder in file.parents for folder in library_folders())


def _beside(top: str, importer: str) -> bool:
    """Whether two top-level modules lie in one folder, as those of one source tree do."""
    return _home(importer) is not None and _home(top) == _home(importer)


@remembered
def _home(top: str) -> Path | None:
    folders = locations(top)
    if folders:
        return folders[0].parent
    file = file_of(top)
    return file.parent if file else None


@remembered
def plugin_packages() -> Mapping[str, str]:
    """The top-level modules of all distributions that offer plugins, each with its distribution."""
    packages: dict[str, str] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        name = entry.dist.name if entry.dist else "unknown"
        packages[entry.value.partition(":")[0].partition(".")[0]] = name
        for file in (entry.dist and entry.dist.files) or ():
            top = file.parts[0]
            if file.suffix == ".py" and not top.startswith((".", "_")) and top != "testbed":
                packages.setdefault(top.removesuffix(".py"), name)
    return packages


# --- versions -----------------------------------------------------------------------------------


def versions_for(code: Code) -> dict[str, str]:
    """Versions of the libraries that numbers depend on: those that every number needs, and those
    that the modules import."""
    versions = {"python": platform.python_version()}
    tops = dict.fromkeys(LIBRARIES)
    for module in code:
        tops |= dict.fromkeys(_libraries(module))
    for top in tops:
        distribution = _DISTRIBUTIONS.get(top, top)
        version = library_version(distribution)
        if version:
            versions[distribution] = version
    return versions


def distributions_of(code: Code) -> dict[str, str]:
    """The distributions that brought these modules, with their versions."""
    versions = {}
    for module in code:
        top = module.partition(".")[0]
        name = DISTRIBUTION if top == "testbed" else plugin_packages().get(top)
        if name:
            versions[name] = library_version(name) or "(not installed)"
    return versions


@remembered
def _libraries(module: str) -> tuple[str, ...]:
    """Top-level names of libraries that a module imports."""
    source = source_of(module)
    tops = dict.fromkeys(name.partition(".")[0] for name in (source.imports if source else ()))
    silent = sys.stdlib_module_names | WITHOUT_NUMBERS
    return tuple(top for top in tops if top not in silent and _is_foreign(top))


@remembered
def library_version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
