"""Where numbers come from: the code that makes them, its distributions, and the libraries below."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from attrs import field, frozen

from testbed.planning.code import (
    DISTRIBUTION,
    code_for,
    distributions_of,
    versions_for,
)
from testbed.planning.source import keep_for_later, remembered


@frozen
class Origin:
    """The code and the libraries that made a cell's numbers. `code` holds a digest for each
    module."""

    code: Mapping[str, str] = field(factory=dict, hash=False)
    distributions: Mapping[str, str] = field(factory=dict, hash=False)
    libraries: Mapping[str, str] = field(factory=dict, hash=False)

    def code_digest(self) -> str:
        """One short string that changes with the code, and with the version of a plugin.

        The version of testbed does not count: the digests of its modules cover it.
        """
        plugins = {name: v for name, v in self.distributions.items() if name != DISTRIBUTION}
        return _digest([self.code, plugins])[:16]

    def text(self) -> str:
        """The record as JSON, for the journal."""
        return json.dumps([self.code, self.distributions, self.libraries], sort_keys=True)

    def digest(self) -> str:
        """Identifies the record."""
        return _digest([self.code, self.distributions, self.libraries])[:32]

    def changes_since(self, earlier: Origin) -> list[str]:
        """The differences from an earlier origin, in words: modules first, then distributions."""
        lines = []
        for module in sorted({*self.code, *earlier.code}):
            before, now = earlier.code.get(module), self.code.get(module)
            if before != now:
                how = "changed" if before and now else "is new" if now else "is gone"
                lines.append(f"{module} {how}")
        for name in sorted({*self.distributions, *earlier.distributions} - {DISTRIBUTION}):
            before, now = earlier.distributions.get(name), self.distributions.get(name)
            if before != now:
                lines.append(f"{name} {before or '(none)'} → {now or '(none)'}")
        return lines

    def other_libraries(self, earlier: Origin) -> dict[str, tuple[str, str]]:
        """Libraries whose version is not that of an earlier origin: name → (then, now).

        Python itself is recorded but does not count: it does no arithmetic of its own.
        """
        names = {*self.libraries, *earlier.libraries} - {"python"}
        pairs = {
            name: (earlier.libraries.get(name, "none"), self.libraries.get(name, "none"))
            for name in sorted(names)
        }
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def origin_from(text: str) -> Origin:
    """The inverse of `Origin.text`."""
    code, distributions, libraries = json.loads(text)
    return Origin(code, distributions, libraries)


def origin_of(classes: Iterable[type]) -> Origin:
    """The origin of numbers that components of these classes make, in this process."""
    return _origin(frozenset(classes))


@remembered
def _origin(classes: frozenset[type]) -> Origin:
    code = code_for(classes)
    origin = Origin(code, distributions_of(code), versions_for(code))
    keep_for_later()
    return origin


@remembered
def code_digest_of(classes: frozenset[type]) -> str:
    """`Origin.code_digest` of what these classes make."""
    return _origin(classes).code_digest()


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
