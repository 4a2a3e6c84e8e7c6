"""One family of errors: what was found, what was expected, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from attrs import frozen


class TestbedError(Exception):
    """Base of every error that testbed raises on purpose; commands show it without a traceback."""

    __test__ = False  # the name begins with "Test": pytest must not collect it


@frozen
class Mistake:
    """One thing wrong with a request. `where` is a file with its `$.path`, or a plugin."""

    where: str
    found: str
    expected: str = ""
    fix: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.fix:
            text += f"; {self.fix}"
        return text if text.endswith((".", "?", "!")) else text + "."


class ScenarioError(TestbedError):
    """A request that cannot be carried out: every mistake in it, found before any computation."""

    def __init__(self, mistakes: Iterable[Mistake]):
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class PluginError(TestbedError):
    """A plugin that cannot be loaded, or two plugins that claim the same component name."""


class ResultError(TestbedError):
    """A result file or run folder that cannot be used, and what to do about it."""


class UnsuitableError(TestbedError, ValueError):
    """Raised by a component whose data or parameters cannot be computed with.

    The cell in which it is raised becomes a failed cell with this text; nothing else is disturbed.
    """


def one_of(known: Iterable[object], word: object) -> str:
    """The known words, and which of them a misspelt one comes near to.

    >>> one_of(["relu", "tanh"], "rleu")
    "one of 'relu', 'tanh'; did you mean 'relu'?"
    """
    known = tuple(known)
    words = [other for other in known if isinstance(other, str)]
    near = get_close_matches(word, words, n=1, cutoff=0.6) if isinstance(word, str) else []
    return f"one of {', '.join(map(repr, known))}" + "".join(
        f"; did you mean {one!r}?" for one in near
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the nearest known word, or list all when none is near."""
    known = sorted(known)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(known) if known else "none is known here"
