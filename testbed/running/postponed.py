"""Heavy libraries are loaded when they are first used, so that commands that only read answer fast.

torch alone takes two seconds to load, and most commands never use it: they list components, or
check and plan a scenario. After `postpone(["torch"])`, `import torch` binds a module that is still
empty; its code runs when it is first asked for a name. `from torch import nn` asks at once, so
modules that are loaded with the plugins write `import torch`, and `from torch import Tensor` under
`if TYPE_CHECKING`. Other plugins work as well; they only start more slowly.

This changes how a whole process imports, so only the command line does it, in its own process.
`import testbed` elsewhere, and worker processes, import as usual.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import cast

ASKED = ("dask", "pyarrow")
"""What xarray and pandas load to ask whether a value is theirs, in most of a second."""

_lock = RLock()
_loading: set[str] = set()


class PostponedModule(ModuleType):
    """A module whose code runs when it is asked for a name that it does not have yet."""

    def __getattr__(self, name: str) -> object:
        with _lock:  # a second thread waits until the module is complete
            if self.__name__ in _loading:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
            load(self)
        return getattr(self, name)


def load(module: ModuleType) -> None:
    """Run the code of a postponed module; a module that is complete stays as it is."""
    with _lock:
        name, loader = module.__name__, module.__loader__
        if not isinstance(loader, PostponingLoader) or name in _loading:
            return
        assert module.__spec__ is not None
        _loading.add(name)
        module.__loader__ = module.__spec__.loader = loader.loader
        try:
            loader.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)  # as after any import that fails
            raise
        finally:
            _loading.discard(name)
        module.__class__ = ModuleType


class PostponingLoader(Loader):
    """Leaves it to `load` to run a module's code."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__class__ = PostponedModule


class LoadedLoader(Loader):
    """Hands out a module that its package has loaded in the meantime."""

    def __init__(self, module: ModuleType):
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class PostponingFinder:
    """Finds modules as Python does, and gives those of certain names a loader that waits."""

    def __init__(self, names: Iterable[str]):
        self.names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, PostponedModule):  # `import torch.nn` needs torch itself first
            load(package)
            if name in sys.modules:
                return _spec_of_loaded(sys.modules[name])
        if name not in self.names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = PostponingLoader(spec.loader)
        return spec


def _spec_of_loaded(module: ModuleType) -> ModuleSpec:
    """A spec that hands out a loaded module. Until then it is the module's own: if a package turns
    out to have loaded a module that is being imported, Python takes the spec from the module."""
    module.__spec__ = ModuleSpec(module.__name__, LoadedLoader(module))
    return module.__spec__


def postpone(names: Iterable[str]) -> None:
    """From now on this process loads modules of these names when they are first used."""
    if not _postpones():
        sys.meta_path.insert(0, PostponingFinder(names))


def go_without(name: str) -> None:
    """From now on this process does as if a library were not installed, if it postpones imports.

    For libraries that others load only to ask whether a value is theirs.
    """
    if _postpones():
        sys.modules.setdefault(name, cast(ModuleType, None))  # how Python is told so


def no_longer_without(name: str) -> None:
    """Let a library be found again that this process went without: scikit-learn takes what it finds
    under that name among the loaded modules for the library itself."""
    if sys.modules.get(name, name) is None:
        del sys.modules[name]


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """For a while do as if a library that is postponed were not there. Matplotlib looks among the
    loaded modules, and would load one to ask whether a value is its own."""
    module = sys.modules.get(name)
    if not isinstance(module, PostponedModule):
        yield
        return
    sys.modules[name] = cast(ModuleType, None)
    try:
        yield
    finally:
        sys.modules[name] = module


def _postpones() -> bool:
    return any(isinstance(finder, PostponingFinder) for finder in sys.meta_path)


def load_postponed() -> None:
    """Load what was imported and not used yet. Cells are run after that, so that no cell's time
    includes it, and the threads of all numerical libraries can be counted."""
    for module in list(sys.modules.values()):
        if isinstance(module, PostponedModule):
            load(module)
