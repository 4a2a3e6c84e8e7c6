"""The source of one module: a digest of what it computes, and the modules that it imports.

Comments, formatting, docstrings and the help of parameters do not enter the digest, so that
rewriting a sentence makes no cell run again. What was read is remembered until a file or the path
of modules changes (`refresh`): a notebook sees edits as a fresh process does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType
from typing import TypeVar

from attrs import frozen

from testbed.planning.cache import Facts
from testbed.planning.loaded import expect_as_loaded

SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


Answer = TypeVar("Answer")
FileState = tuple[int, int, int]
"""What changes when a file is written: its node, the time of writing, its size."""
_caches: list[Callable[[], None]] = []
_read: dict[Path, FileState | None] = {}
_path: list[object] = []


def remembered(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """A cache of what was read of sources; `refresh` empties it."""
    cached = cache(function)
    _caches.append(cached.cache_clear)
    return cached


def refresh() -> None:
    """Forget everything that was read if a file, the path of modules or an installation changed."""
    path = [*sys.path, *map(state_of, library_folders())]
    changed = path != _path or any(state_of(file) != state for file, state in _read.items())
    if changed:
        _path[:] = path
        _read.clear()
        for clear in _caches:
            clear()


def state_of(file: Path) -> FileState | None:
    """The present state of a file or folder; None if there is none."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


@cache
def library_folders() -> tuple[Path, ...]:
    """The folders in which distributions are installed."""
    paths = sysconfig.get_paths()
    places = [paths[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")]
    places += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple(dict.fromkeys(Path(place) for place in places))


@frozen
class Source:
    """The content of a module's file: a digest, and the dotted names that it may import."""

    file: Path | None
    digest: str
    imports: tuple[str, ...] = ()


@remembered
def source_of(module: str) -> Source | None:
    """The source of a module; None where no file belongs to the name.

    CodeChangedError if this process loaded the module from another state of the file.
    """
    file = file_of(module)
    if file is None:
        return None
    _read[file] = state = state_of(file)
    expect_as_loaded(module, file)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _parsed(file, state, package)


@cache
def _parsed(file: Path, state: FileState | None, package: str) -> Source:
    """The source of a file of a package, read once for each state of the file."""
    content = file.read_bytes()
    plain = hashlib.sha256(content).hexdigest()
    if file.suffix != ".py":
        return Source(file, plain)
    key = f"{plain} {package} {_reader()}"
    parsed = _facts().get(key)
    if parsed is None:
        parsed = _digest_and_imports(content, package) or [plain]
        _facts().add(key, parsed)
    digest, *names = parsed
    return Source(file, digest, tuple(names))


def _digest_and_imports(content: bytes, package: str) -> list[str] | None:
    """The digest of a file's syntax tree, followed by the names that it imports; None for a file
    that cannot be parsed, which cannot have made numbers."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return None
    return [normalised_digest(tree), *dict.fromkeys(imports(tree, package))]


@cache
def _facts() -> Facts:
    """What earlier processes read, since parsing takes most of the time."""
    return Facts("sources.json")


@cache
def _reader() -> str:
    """What the reading of a file depends on besides the file: this module, and Python's parser."""
    here = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{here[:16]} {sys.version_info[0]}.{sys.version_info[1]}"


def keep_for_later() -> None:
    """Leave what was read to later processes."""
    _facts().save()


@remembered
def file_of(module: str) -> Path | None:
    """The file of a module, found without importing anything."""
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded and Path(loaded).is_absolute() and Path(loaded).is_file():  # torch.ops is no file
        return Path(loaded)
    top, *parts = module.split(".")
    for folder in locations(top) if parts else ():
        place = folder.joinpath(*parts)
        candidates = (
            place / "__init__.py",
            *(place.with_name(parts[-1] + end) for end in SUFFIXES),
        )
        source_file = next((file for file in candidates if file.is_file()), None)
        if source_file is not None:
            return source_file
    return None if parts else _top_file(top)


@remembered
def locations(top: str) -> tuple[Path, ...]:
    """The folders of a top-level package; none for a module that is no package."""
    loaded = sys.modules.get(top)
    if loaded is not None:
        return tuple(Path(place) for place in getattr(loaded, "__path__", ()))
    spec = _spec(top)
    return tuple(Path(place) for place in (spec and spec.submodule_search_locations) or ())


def _top_file(top: str) -> Path | None:
    spec = _spec(top)
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _spec(top: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None


# --- what a module computes ---------------------------------------------------------------------


def normalised_digest(tree: ast.AST) -> str:
    """A digest of a syntax tree without docstrings and the help of parameters."""
    parts: list[str] = []
    _dump(tree, parts)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _dump(node: ast.AST, parts: list[str]) -> None:
    """Node types, fields and constants in order. Empty fields are left out: other versions of
    Python have more of them."""
    parts.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or value == [] or name in ("ctx", "kind", "type_comment"):
            continue
        if name == "body" and isinstance(node, _DOCUMENTED):
            value = _without_docstring(value)
        elif name == "keywords" and _declares_parameter(node):
            value = [keyword for keyword in value if keyword.arg != "help"]
        parts.append(name)
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, ast.AST):
                _dump(item, parts)
            else:
                parts.append(repr(item))
        parts.append("]")


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    documented = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return body[1:] if documented else body


def _declares_parameter(node: ast.AST) -> bool:
    """Whether a node is `parameter(…)`."""
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Name) and function.id == "parameter"


# --- what a module imports ----------------------------------------------------------------------


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Dotted names that a syntax tree imports, in functions too, but not for type checkers alone.

    `from a import b` gives `a.b`: the files decide whether this or `a` is the module. So does the
    use of `a.b` after `import a`, since a module may load others when a name of theirs is used.
    """
    modules: dict[str, str] = {}  # the name in this module → the module
    used: list[tuple[str, str]] = []
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                modules[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                if not alias.asname:  # the name bound is that of the top package
                    yield alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            for alias in node.names:
                yield f"{base}.{alias.name}" if base else alias.name
        elif isinstance(node, ast.Call):
            yield from _imported_by_call(node, package)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.append((node.value.id, node.attr))
    yield from (f"{modules[name]}.{attribute}" for name, attribute in used if name in modules)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING`."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _for_type_checkers(node.test):
            waiting += node.orelse
            continue
        for name in node._fields:  # twice as fast as ast.iter_child_nodes
            value = getattr(node, name, None)
            if isinstance(value, list):
                waiting += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                waiting.append(value)


def _for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The module that a `from … import` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _imported_by_call(node: ast.Call, package: str) -> Iterator[str]:
    """The module of `importlib.import_module("…")` or `__import__("…")` with a literal name."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in ("import_module", "__import__") or not node.args:
        return
    first = node.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        name = first.value
        yield importlib.util.resolve_name(name, package) if name.startswith(".") else name


# --- classes without a file ---------------------------------------------------------------------


def compiled_digest(component: type) -> str:
    """A digest of the compiled methods of a class without a source file, as in a notebook."""
    parts = []
    for name, member in sorted(vars(component).items()):
        function = getattr(member, "__func__", member)
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            parts.append((name, _code(code)))
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _code(code: CodeType) -> tuple[object, ...]:
    constants = tuple(
        _code(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames
