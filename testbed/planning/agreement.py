"""Whether every process of a run has the code that the plan was made with.

A worker loads its modules later than the main process, perhaps on another machine. If a module that
it has loaded differs, its numbers would have the key of code that did not make them: it refuses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import field, frozen

from testbed.contract.cells import Cell
from testbed.errors import TestbedError
from testbed.planning.code import versions_for
from testbed.planning.keys import code_of_key, origin_of_cell
from testbed.planning.loaded import CodeChangedError
from testbed.planning.source import FileState, file_of, refresh, source_of, state_of


class OtherCodeError(TestbedError):
    """A process has other code than the plan was made with."""


@frozen
class Agreement:
    """The code of a plan: digests of modules, the files that the main process read them from, and
    versions of libraries."""

    code: Mapping[str, str] = field(factory=dict)
    files: Mapping[str, tuple[Path, FileState | None]] = field(factory=dict)
    libraries: Mapping[str, str] = field(factory=dict)

    def covers(self, needed: Agreement) -> bool:
        """Whether a process that keeps this agreement keeps the needed one too."""
        return (
            needed.code.items() <= self.code.items()
            and needed.files.items() <= self.files.items()
            and needed.libraries.items() <= self.libraries.items()
        )


def agreement_of(cells: Iterable[Cell]) -> Agreement:
    """The code that these cells are planned with."""
    examples = {code_of_key(cell.key): cell for cell in cells}
    code: dict[str, str] = {}
    libraries: dict[str, str] = {}
    for cell in examples.values():
        origin = origin_of_cell(cell)
        code |= origin.code
        libraries |= origin.libraries
    files = {}
    for module in code:
        source = source_of(module)
        if source is not None and source.file is not None:
            files[module] = source.file, state_of(source.file)
    return Agreement(code, files, libraries)


class Witness:
    """Compares the modules that this process has loaded with an agreement, each module once."""

    def __init__(self, agreement: Agreement):
        self._agreement = agreement
        self._checked: set[str] = set()
        self._loaded = 0

    def expect_same_code(self) -> None:
        """OtherCodeError if a module that was loaded since the last call has other code."""
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        new = [
            module
            for module in self._agreement.code
            if module in sys.modules and module not in self._checked
        ]
        self._checked.update(new)
        changed = [module for module in new if not self._as_read(module)]
        if changed:
            refresh()
            changed = [module for module in changed if not self._same(module)]
        if changed:
            names = ", ".join(changed)
            raise OtherCodeError(
                f"found other code than the run was planned with, in {names}; expected the same on "
                "every worker, unchanged while the run goes on. Start it again: the finished cells "
                "are kept"
            )

    def expect_same_libraries(self) -> None:
        """OtherCodeError if a library has another version here. Python itself does not count."""
        here = versions_for(self._agreement.code)
        wrong = [
            f"{name} {here.get(name, '(not installed)')} instead of {version}"
            for name, version in self._agreement.libraries.items()
            if name != "python" and here.get(name) != version
        ]
        if wrong:
            raise OtherCodeError(
                f"found {', '.join(wrong)}; expected the versions that the run was planned with. "
                "Install the same versions on every worker"
            )

    def _as_read(self, module: str) -> bool:
        """Whether the module comes from the file that the plan read, as it was then."""
        place, state = self._agreement.files.get(module, (None, None))
        return place is not None and file_of(module) == place and state_of(place) == state

    def _same(self, module: str) -> bool:
        """Whether the module computes the same, wherever it lies; True where no file tells."""
        try:
            source = source_of(module)
        except CodeChangedError:
            return False
        return source is None or source.digest == self._agreement.code[module]
