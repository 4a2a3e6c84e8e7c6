"""Whether the code that runs is the code on disk.

Python keeps a module as it was when it was imported. In a long session, such as a notebook, the
file may have changed since: its digest would then name code that did not make the numbers. So the
functions of the loaded module are compared with those that the file compiles to now.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from testbed.errors import TestbedError

_MARGIN = 3600.0  # seconds before the first use of testbed, where a process hides when it began


class CodeChangedError(TestbedError):
    """A file changed after this process had loaded it."""


def _process_start() -> float:
    """When this process began, in seconds since the epoch; an earlier time if that is unknown."""
    try:
        with open("/proc/self/stat", encoding="utf-8") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        age = _MARGIN
    return time.time() - max(age, 0.0) - 1.0


_STARTED = _process_start()


def expect_as_loaded(name: str, file: Path) -> None:
    """CodeChangedError if the process runs other functions of a module than the file holds now.

    Files that were written before the process began are not looked at.
    """
    module = sys.modules.get(name)
    if module is not None and _may_differ(module, file):
        classes = [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == name]
        _compare(file, [vars(module), *map(vars, classes)])


def expect_class_as_loaded(component: type) -> None:
    """CodeChangedError if a class has other methods than the file of its module holds now: the
    module was loaded again, and the class is of the time before."""
    module = sys.modules.get(component.__module__)
    place = getattr(module, "__file__", None)
    if module is not None and place and _may_differ(module, Path(place)):
        _compare(Path(place), [vars(component)])


def _may_differ(module: ModuleType, file: Path) -> bool:
    """Whether a file was written since this process began, and nothing but Python's loader of
    source files may have rewritten the code."""
    spec = module.__spec__
    plain = spec is not None and type(spec.loader) is SourceFileLoader
    return plain and file.suffix == ".py" and file.stat().st_mtime >= _STARTED


def _compare(file: Path, spaces: Iterable[Mapping[str, object]]) -> None:
    """CodeChangedError if a function of these namespaces is not among those that the file has."""
    try:
        compiled = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        raise CodeChangedError(
            f"{file}: found that Python cannot read the file any more, expected that the code that "
            "runs is the code on disk. Correct the file, and restart Python"
        ) from None
    present = {_content(code) for code in _codes(compiled)}
    for function in _functions(spaces, str(file)):
        if _content(function.__code__) not in present:
            raise CodeChangedError(
                f"{file}: found that {function.__qualname__} has changed since this process loaded "
                "it, expected that the code that runs is the code on disk. Restart Python, so that "
                "the file is loaded again"
            )


def _functions(spaces: Iterable[Mapping[str, object]], file: str) -> Iterator[FunctionType]:
    """The functions in these namespaces that a file defines."""
    for space in spaces:
        for member in list(space.values()):
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            function = getattr(function, "__wrapped__", function)
            if isinstance(function, FunctionType) and function.__code__.co_filename == file:
                yield function


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _content(code: CodeType) -> tuple[object, ...]:
    """The code of a function without its place in the file and its documentation."""
    plain = bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_name.startswith("<")
    documented = plain and bool(code.co_consts) and isinstance(code.co_consts[0], str)
    constants = tuple(
        _content(value) if isinstance(value, CodeType) else repr(value)
        for value in code.co_consts[int(documented) :]
    )
    return code.co_name, code.co_code, constants, code.co_names, code.co_varnames
