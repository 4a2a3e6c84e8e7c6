"""`--set estimator.adaptive.model.depth=2`: change values of a scenario before it is read."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from typing import Any

from testbed.errors import Mistake, ParameterError, ScenarioError, did_you_mean, shown


def apply_overrides(document: dict[str, object], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the document with every override applied; ScenarioError if one cannot be
    applied."""
    changed = copy.deepcopy(document)
    mistakes: list[Mistake] = []
    for override in overrides:
        try:
            _apply(changed, override)
        except ParameterError as error:
            mistakes.append(error.mistake.moved_to(f"--set {override}"))
    if mistakes:
        raise ScenarioError(mistakes)
    return changed


def _apply(document: dict[str, object], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals:
        raise ParameterError("found no '='", "PATH=VALUE such as replicates=8")
    set_value(document, path.strip(), _value(text.strip()))


def set_value(document: dict[str, object], path: str, value: object) -> None:
    """Put a value at a path such as `estimator.adaptive.model.depth`.

    An element of a list is named by its `name`, its `use` or its position.
    """
    *parents, key = path.split(".")
    place: object = document
    if parents[:1] == ["compute"]:
        document.setdefault("compute", {})  # a table that a scenario may leave out
    for parent in parents:
        place = _step(place, parent)
    if isinstance(place, list):
        place[place.index(_step(place, key))] = value
    elif isinstance(place, dict):
        place[key] = value
    else:
        raise ParameterError(f"found {shown(place)} before {key!r}", "a table")


def _value(text: str) -> Any:
    """The value as TOML reads it; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        if text.replace("-", "").replace("_", "").replace(".", "").isalnum():
            return text
        raise ParameterError(f"found the value {shown(text)}", "a TOML value") from None


def _step(place: object, key: str) -> Any:
    """One step into the document: a key, or an element of a list by its name, use or number."""
    if isinstance(place, list) and all(isinstance(element, dict) for element in place):
        for element in place:
            if key in (element.get("name"), element.get("use")):
                return element
        if key.isdigit() and int(key) < len(place):
            return place[int(key)]
        names = [str(element.get("name", element.get("use"))) for element in place]
        raise ParameterError(f"found no element {key!r}", "", did_you_mean(key, names))
    if not isinstance(place, dict):
        raise ParameterError(f"found {shown(place)} before {key!r}", "a table")
    if key not in place:
        text = f"found no {key!r} in the scenario"
        raise ParameterError(text, "", did_you_mean(key, place))
    return place[key]
