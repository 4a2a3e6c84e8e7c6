"""A scenario's text as a document: TOML, within bounds of size and nesting."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from testbed.errors import Mistake, ScenarioError

LARGEST_FILE = 2**22  # bytes
DEEPEST = 30  # levels of nested tables and lists
SIZE_VARIABLE = "TESTBED_LARGEST_SCENARIO"  # an environment variable that raises LARGEST_FILE
LONG_NUMBER = re.compile(r"\d{1000}")
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{300}}")
"""A key of hundreds of parts, for which Python's reader takes time that grows with their square."""


def read_file(path: str | Path) -> str:
    """The text of a file; ScenarioError if it cannot be read or is too large."""
    file = Path(path)
    most = int(os.environ.get(SIZE_VARIABLE, LARGEST_FILE))
    try:
        with file.open("rb") as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            advice = f"write lists as geom or linspace, or raise {SIZE_VARIABLE} (in bytes)"
            mistake = Mistake(str(path), "found a larger file", f"at most {most} bytes", advice)
            raise ScenarioError([mistake])
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        text = f"found no readable file ({reason})"
        raise ScenarioError([Mistake(str(path), text, "a scenario in TOML")]) from None


def parse_document(text: str, path: str) -> dict[str, Any]:
    """The document of a text; ScenarioError where it is not TOML or is nested too deeply."""
    nested = Mistake(path, "found tables or lists inside one another", f"at most {DEEPEST} levels")
    if LONG_KEY.search(text):
        raise ScenarioError([nested])
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([Mistake(path, f"found broken TOML: {error}", "TOML 1.0")]) from None
    except RecursionError:
        raise ScenarioError([nested]) from None
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise ScenarioError([_long_number(text, path)]) from None
    if _is_deeper(document, DEEPEST):
        raise ScenarioError([nested])
    return document


def _long_number(text: str, path: str) -> Mistake:
    match = LONG_NUMBER.search(text)
    line = text.count("\n", 0, match.start()) + 1 if match else 0
    place = f"{path}: line {line}" if match else path
    return Mistake(place, "found a number of thousands of digits", "an integer below 2^63")


def _is_deeper(document: Any, most: int) -> bool:
    """Whether values are nested in more than `most` tables and lists."""
    layer = [document]
    for _ in range(most):
        layer = [
            value
            for parent in layer
            for value in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(value, dict | list)
        ]
        if not layer:
            return False
    return True
