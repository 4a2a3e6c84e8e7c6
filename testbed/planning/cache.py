"""The folder in which testbed keeps what it learned on this machine, and facts about files in it.

Nothing there decides a number: a folder that is empty, damaged or cannot be written costs time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

FOLDER = "TESTBED_CACHE"  # the environment variable that names another folder
KEPT = 4000  # facts in a file; the newest replace the oldest

Fact = list[str]


def cache_folder() -> Path:
    """The folder of this user's cache; it need not exist."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "testbed"


def write_cache(name: str, text: str) -> None:
    """Write a file of the cache whole, or not at all where the folder cannot be written."""
    file = cache_folder() / name
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=f".{name}-", dir=file.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(aside, file)


class Facts:
    """Facts by key in a file of the cache, each a list of texts. A key must contain a digest of
    everything that its fact depends on, so that no fact can be out of date."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._facts: dict[str, Fact] | None = None
        self._changed = False

    def get(self, key: str) -> Fact | None:
        """The fact with this key, if it was kept."""
        return self._loaded().get(key)

    def add(self, key: str, fact: Fact) -> None:
        """Remember a fact; `save` keeps it for later processes."""
        self._loaded()[key] = fact
        self._changed = True

    def save(self) -> None:
        """Write the facts if there are new ones."""
        if not self._changed:
            return
        self._changed = False
        newest = list(self._loaded().items())[-KEPT:]
        text = json.dumps(dict(newest))
        write_cache(self.name, f"{_digest(text)}\n{text}")

    def _loaded(self) -> dict[str, Fact]:
        if self._facts is None:
            self._facts = self._read()
        return self._facts

    def _read(self) -> dict[str, Fact]:
        """What earlier processes kept; nothing unless the file's digest is right."""
        try:
            digest, _, text = (
                (cache_folder() / self.name).read_text(encoding="utf-8").partition("\n")
            )
        except (OSError, ValueError):
            return {}
        if digest != _digest(text):
            return {}
        facts: dict[str, Fact] = json.loads(text)
        return facts


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
