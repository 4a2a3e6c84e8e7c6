"""`--set estimator.adaptive.model.depth=2`: changing one value of a scenario from the outside."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from typing import Any

from testbed.errors import Mistake, ScenarioError, did_you_mean


def apply_overrides(document: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the document with every override applied; ScenarioError if one cannot be."""
    changed = copy.deepcopy(document)
    mistakes = []
    for override in overrides:
        try:
            _apply(changed, override)
        except ValueError as error:
            what, _, expected = str(error).partition(", expected ")
            mistakes.append(Mistake(f"--set {override}", what, expected))
    if mistakes:
        raise ScenarioError(mistakes)
    return changed


def _apply(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals:
        raise ValueError("found no '=', expected PATH=VALUE such as replicates=8")
    keys = path.strip().split(".")
    place: Any = document
    for key in keys[:-1]:
        place = _step(place, key)
    if not isinstance(place, dict):
        raise ValueError(f"found no table that could hold {keys[-1]!r}, expected one")
    place[keys[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    """The value as TOML reads it; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text.replace("-", "").replace("_", "").replace(".", "").isalnum():
            return text
        raise ValueError(f"found the value {text!r}, expected a TOML value") from None


def _step(place: Any, key: str) -> Any:
    """One step into the document: a key, or an element of a list by its name, use or number."""
    if isinstance(place, list) and all(isinstance(element, dict) for element in place):
        for element in place:
            if key in (element.get("name"), element.get("use")):
                return element
        if key.isdigit() and int(key) < len(place):
            return place[int(key)]
        names = [str(element.get("name", element.get("use"))) for element in place]
        raise ValueError(f"found no element {key!r}; {did_you_mean(key, names)}")
    if not isinstance(place, dict) or key not in place:
        if not isinstance(place, dict):
            raise ValueError(f"found {place!r} before {key!r}, expected a table")
        raise ValueError(f"found no {key!r} in the scenario; {did_you_mean(key, place)}")
    return place[key]
