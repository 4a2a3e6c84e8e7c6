"""`[[figure]]`: a declaration for each kind of figure, made from the options of the kind.

`testbed.contract.figures` defines the kinds; `testbed.figures` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import field, frozen

from testbed.contract.figures import KINDS, OPTIONS, FigureKind
from testbed.contract.parameters import parameter
from testbed.scenario.declaration import Table, fields_of


@frozen(kw_only=True)
class Figure(Table):
    """A figure that is drawn after the run."""

    tag: ClassVar[str] = "kind"

    @classmethod
    def variants(cls) -> Mapping[str, type[Table]]:
        """The kinds of figures, by the word at `kind`."""
        return FIGURES

    @property
    def kind(self) -> str:
        """The value of the key `kind`."""
        return self.word

    @property
    def options(self) -> dict[str, Any]:
        """The other keys that the scenario sets."""
        values = {part.key: getattr(self, part.attribute) for part in fields_of(type(self))}
        return {key: value for key, value in values.items() if value is not None}


@frozen
class FigureSpec:
    """A figure that is requested in Python: its kind and its other keys."""

    kind: str
    options: Mapping[str, Any] = field(factory=dict, hash=False)


def _declared(word: str, kind: FigureKind) -> type[Figure]:
    """The table of one kind of figure: its keys are optional unless the kind requires them."""
    body: dict[str, Any] = {
        "__doc__": f"{kind.help}.",
        "__module__": __name__,
        "__annotations__": {"word": ClassVar[str], **{k: OPTIONS[k].type for k in kind.options}},
        "word": word,
    }
    for key in kind.options:
        option = OPTIONS[key]
        facts: dict[str, Any] = {"help": option.help, "choices": option.choices}
        body[key] = parameter(**facts) if key in kind.required else parameter(None, **facts)
    name = "".join(map(str.capitalize, word.split("-")))
    return frozen(kw_only=True)(type(name, (Figure,), body))


FIGURES: dict[str, type[Figure]] = {word: _declared(word, kind) for word, kind in KINDS.items()}
"""The kinds of figures, by the word at `kind`."""
