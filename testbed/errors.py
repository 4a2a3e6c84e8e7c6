"""The family of errors: each says what was found, what was expected, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Real

from attrs import frozen


class TestbedError(Exception):
    """Base of every error that testbed raises on purpose; commands show it without a traceback."""

    __test__ = False  # the name begins with "Test": pytest must not collect it


@frozen
class Mistake:
    """A fault in a request: `where` is a place such as `$.design.n`, a file and a place in it, or a
    plugin.

    Texts come from files and plugins, so control characters are shown escaped.
    """

    where: str
    found: str
    expected: str = ""
    advice: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}" if self.where else self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.advice:
            text += f"; {self.advice}"
        text = printable(text)
        return text if text.endswith((".", "?", "!")) else text + "."

    def moved_to(self, place: str) -> Mistake:
        """The same mistake at another place."""
        return Mistake(place, self.found, self.expected, self.advice)

    def in_file(self, file: str) -> Mistake:
        """The same mistake with its place inside a file."""
        return self.moved_to(f"{file}: {self.where}")


def printable(text: str) -> str:
    """The text on one line, with every control character escaped.

    >>> printable("red \\x1b[31m")
    'red \\\\x1b[31m'
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


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
    """Raised by a component that cannot compute with its data or parameters.

    The cell in which it is raised becomes a failed cell with this text; other cells go on.
    """

    def __init__(self, found: str, expected: str = "", advice: str = ""):
        self.mistake = Mistake("", found, expected, advice)
        super().__init__(found, expected, advice)

    def __str__(self) -> str:
        text = ", expected ".join(filter(None, (self.mistake.found, self.mistake.expected)))
        return "; ".join(filter(None, (text, self.mistake.advice)))


class ParameterError(TestbedError, ValueError):
    """Raised for a value that a parameter cannot take; `mistake` holds its fields.

    A component raises it from `__attrs_post_init__` and names the parameter, so that the objection
    is shown at that parameter's place in the scenario:

        raise ParameterError("found 3", "an even number", parameter="width")
    """

    def __init__(self, found: str, expected: str = "", advice: str = "", parameter: str = ""):
        self.mistake = Mistake(parameter, found, expected, advice)
        super().__init__(found, expected, advice, parameter)

    def __str__(self) -> str:
        return str(self.mistake)


def printable_lines(text: str) -> str:
    """The text with every line of it printable."""
    return "\n".join(map(printable, text.split("\n")))


def shown(value: object, longest: int = 160) -> str:
    """A value as messages show it: its repr, cut in the middle where that is long.

    >>> shown([1.5, "a"])
    "[1.5, 'a']"
    """
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of more than 4300 digits"
    except RecursionError:
        return "a value that is nested too deeply"
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


class DoesNotApply(TestbedError):
    """Raised by a theory whose assumptions do not hold in a cell, with the reason."""


LISTED = 10  # allowed words that a message lists although one of them resembles what was found


def one_of(allowed: Iterable[object], word: object) -> str:
    """The allowed words, and the one that a misspelt word resembles, or the number nearest to a
    number; of many allowed words that one alone.

    >>> one_of(["relu", "tanh"], "rleu")
    "one of 'relu', 'tanh'; did you mean 'relu'?"
    >>> one_of([float(number) for number in range(100)], 12.4)
    'one of 100 numbers from 0 to 99; the nearest is 12'
    """
    allowed = tuple(allowed)
    if len(allowed) > LISTED and _is_number(word) and all(map(_is_number, allowed)):
        numbers: list[float] = sorted(float(str(option)) for option in allowed)
        nearest = min(numbers, key=lambda number: abs(number - float(str(word))))
        span = f"from {numbers[0]:g} to {numbers[-1]:g}"
        return f"one of {len(allowed)} numbers {span}; the nearest is {nearest:g}"
    words = [option for option in allowed if isinstance(option, str)]
    near = get_close_matches(word, words, n=1, cutoff=0.6) if isinstance(word, str) else []
    listed = ", ".join(map(repr, allowed))
    if near and len(allowed) > LISTED:
        listed = f"{len(allowed)} words"
    return f"one of {listed}" + "".join(f"; did you mean {option!r}?" for option in near)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def with_article(noun: str) -> str:
    """The noun with "a" or "an".

    >>> with_article("optimizer")
    'an optimizer'
    """
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """The nearest of the allowed words, or the list of them when none is near.

    >>> did_you_mean("lineer", ["linear", "ntk.relu"])
    "did you mean 'linear'?"
    >>> did_you_mean("mine.kernel", ["linear", "ntk.relu"])
    "no installed plugin has the namespace 'mine'; install the one that does (`testbed plugins`)"
    >>> did_you_mean("ntk.cosine", ["linear", "ntk.relu"])
    "known in 'ntk': ntk.relu"
    """
    allowed = sorted(allowed)
    space, dot, _ = word.partition(".")
    siblings = [name for name in allowed if dot and name.startswith(f"{space}.")]
    near = get_close_matches(word, siblings or allowed, n=1, cutoff=0.6)
    if siblings and not near:
        return f"known in {space!r}: " + ", ".join(siblings)
    advice = [f"did you mean {near[0]!r}?"] if near else []
    spaces = {name.partition(".")[0] for name in allowed if "." in name}
    if dot and spaces and space not in spaces:
        absent = f"no installed plugin has the namespace {space!r}"
        advice.append(f"{absent}; install the one that does (`testbed plugins`)")
    if advice:
        return "; ".join(advice)
    return "known: " + ", ".join(allowed) if allowed else "none is known here"
