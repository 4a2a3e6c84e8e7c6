"""The journal: an SQLite database of finished cells, each with its checksum and its origin.

A finished cell is committed before the next begins, in SQLite's write-ahead log: it survives
kill −9; a power loss may cost the last second. What is damaged is set aside and computed again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from testbed.contract.cells import CellResult
from testbed.errors import ResultError
from testbed.planning.keys import request_of
from testbed.planning.origin import Origin, origin_from
from testbed.results.encoding import decode, encode, failure_of, packed, trained_by

JOURNAL = "journal.sqlite"
_DISK = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
    )
)
"""Errors that speak of the disk, not of what the database holds."""
Answer = TypeVar("Answer")

_TABLES = """
CREATE TABLE IF NOT EXISTS run (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, header TEXT NOT NULL, arrays BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS origins (digest TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS damaged (key TEXT, header TEXT, arrays BLOB, origin TEXT, checksum BLOB);
"""
LARGE = 2**20  # bytes of arrays
LARGEST = 10**9 - 10**5  # bytes of a cell: SQLite stores 10⁹ in a row
_ALL = "key, header, arrays, origin, checksum"
Row = tuple[str, str, bytes, str | None, bytes | None]
_COLUMNS = (("origin", "TEXT"), ("checksum", "BLOB"))  # that journals of version 0.1 do not have


@frozen
class Stored:
    """A finished cell as the journal holds it; `origin` is empty where it was not recorded."""

    result: CellResult
    origin: str


class Journal:
    """The journal of one run folder. `notes` collects one line for each thing that was damaged."""

    def __init__(self, folder: Path, name: str | None = None):
        self.path = folder / JOURNAL
        self.notes: list[str] = []
        self._stored_origins: set[str] = set()  # digests of origins that are stored
        self._database = self._connect()
        if name is not None:
            self._claim(folder, name)

    def close(self) -> None:
        self._database.close()

    # --- opening ----------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        """Open the database. If it cannot be read, set it aside and rescue the rows that it
        holds."""
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if _is_of_disk(error):
                raise self._unusable(error) from None
            return self._rebuilt(error)

    def _rebuilt(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """A new database with what could be read of the damaged one, which is set aside."""
        aside = self._set_aside()
        database = self._opened()
        saved = _copy_readable(aside, database)
        self._stored_origins.clear()
        self.notes.append(
            f"{self.path}: found a damaged journal ({error}), set aside as {aside.name}; "
            f"{saved} finished cells could be kept"
        )
        return database

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False)
        database.text_factory = _text
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.executescript(_TABLES)
            columns = {row[1] for row in database.execute("PRAGMA table_info(cells)")}
            for column, kind in _COLUMNS:
                if column not in columns:
                    database.execute(f"ALTER TABLE cells ADD COLUMN {column} {kind}")
            database.execute("SELECT count(key) FROM cells").fetchone()
        except BaseException:
            database.close()
            raise
        self._file = _identity(self.path)
        return database

    def _set_aside(self) -> Path:
        """Rename a damaged journal, and drop what belongs to it."""
        number = 1
        while (aside := self.path.with_name(f"{JOURNAL}.damaged-{number}")).exists():
            number += 1
        os.replace(self.path, aside)
        for end in ("-wal", "-shm"):
            log = self.path.with_name(f"{JOURNAL}{end}")
            if log.exists():
                os.replace(log, aside.with_name(f"{aside.name}{end}"))
        return aside

    def _claim(self, folder: Path, name: str) -> None:
        """Give the folder to a scenario, or refuse one of another name."""
        row = self._safely(lambda: self._database.execute("SELECT name FROM run").fetchone())
        if row is None:
            self._write("INSERT INTO run VALUES (?)", [(name,)])
        elif row[0] != name:
            self._database.close()
            raise ResultError(
                f"{folder}: found the run of another scenario, {row[0]!r}, expected one of "
                f"{name!r}. Choose another folder with -o, or start again with --fresh"
            )

    # --- facts about the run ------------------------------------------------------------------

    def fact(self, name: str) -> str:
        """A fact about the folder's run; empty if it is not known."""
        query = "SELECT value FROM facts WHERE name = ?"
        row = self._safely(lambda: self._database.execute(query, (name,)).fetchone())
        return str(row[0]) if row else ""

    def set_facts(self, facts: Mapping[str, str]) -> None:
        """Store facts about the folder's run."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", list(facts.items()))

    # --- cells --------------------------------------------------------------------------------

    def add(self, result: CellResult, origin: Origin | None = None) -> None:
        """Commit a finished cell, with the code and the libraries that made it."""
        self._expect_file()
        digest = self._add_origin(origin) if origin else ""
        header, arrays = encode(result)
        if len(arrays) + len(header) > LARGEST:
            raise ResultError(
                f"{self.path}: found a cell of {len(arrays)} bytes, expected at most {LARGEST}, "
                "which is what SQLite stores in one row. Lower compute.block, thin a grid of times "
                'or modes, or keep replicates = "mean"'
            )
        row = (result.key, header, arrays, digest, _checksum(result.key, header, arrays, digest))
        self._write("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)", [row])

    def _expect_file(self) -> None:
        """ResultError if the file was removed or replaced: SQLite would go on writing into what
        nobody can open any more."""
        if _identity(self.path) != self._file:
            raise ResultError(
                f"{self.path}: found that the journal was moved or removed while the run went on, "
                "expected it to stay where it is. Put the folder back, if it is still there, and "
                "run the same command again; cells that no journal holds are computed anew"
            )

    def _add_origin(self, origin: Origin) -> str:
        digest = origin.digest()
        if digest not in self._stored_origins:
            self._write("INSERT OR IGNORE INTO origins VALUES (?, ?)", [(digest, origin.text())])
            self._stored_origins.add(digest)
        return digest

    def stored(self, keys: Iterable[str]) -> Iterator[Stored]:
        """The finished cells of these keys; damaged ones are set aside, to be computed again."""
        return filter(None, map(self._stored, keys))  # holds no cell while it reads the next

    def _stored(self, wanted: str) -> Stored | None:
        """A finished cell; None if there is none, or only a damaged one."""
        row = self._row(wanted)
        if row is None:
            return None
        key, header, arrays, origin, checksum = row
        try:
            if checksum is not None and checksum != _checksum(wanted, header, arrays, origin):
                raise ValueError("its checksum differs")
            return Stored(decode(key, header, arrays), origin or "")
        except (ValueError, TypeError, AttributeError) as error:
            self._quarantine(wanted, error)
            return None

    def _row(self, key: str) -> Row | None:
        query = (
            "SELECT key, header, iif(length(arrays) > ?, NULL, arrays), origin, checksum, rowid "
            "FROM cells WHERE key = ?"
        )
        row = self._safely(lambda: self._database.execute(query, (LARGE, key)).fetchone())
        if row is None:
            return None
        key, header, arrays, origin, checksum, number = row
        arrays = self._safely(lambda: self._large(number)) if arrays is None else arrays
        return key, header, arrays, origin, checksum

    def _large(self, row: int) -> bytes:
        """The arrays of a row. SQLite holds large ones twice unless they are read like a file."""
        try:
            with self._database.blobopen("cells", "arrays", row, readonly=True) as blob:
                return blob.read()
        except sqlite3.OperationalError:  # damaged: not of the type that it should have
            query = "SELECT arrays FROM cells WHERE rowid = ?"
            arrays: bytes = self._database.execute(query, (row,)).fetchone()[0]
            return arrays

    def _quarantine(self, key: str, error: Exception) -> None:
        """Set a damaged row aside, so that its cell is computed again."""
        self._write(f"INSERT INTO damaged SELECT {_ALL} FROM cells WHERE key = ?", [(key,)])
        self.forget([key])
        self.notes.append(
            f"{self.path}: found a damaged row ({error}), set aside in the table `damaged`; "
            "its cell is computed again"
        )

    def forget(self, keys: Iterable[str]) -> None:
        """Drop cells."""
        self._write("DELETE FROM cells WHERE key = ?", [(key,) for key in keys])

    def cell_keys(self) -> set[str]:
        """The keys of all cells."""
        return {key for key, _ in self._all("SELECT key, rowid FROM cells")}

    def errors(self) -> dict[str, str]:
        """The failures of cells and of their components, by key; damaged headers count as not
        failed."""
        failed = {}
        for key, header in self._all("SELECT key, header FROM cells"):
            with suppress(ValueError):
                failed[key] = failure_of(header)
        return {key: failure for key, failure in failed.items() if failure}

    def trained(self) -> dict[str, dict[str, dict[str, str]]]:
        """The cells whose states were to be kept: what was trained → key → variable → part."""
        cells: dict[str, dict[str, dict[str, str]]] = {}
        for key, header in self._all("SELECT key, header FROM cells ORDER BY rowid"):
            training, parts = trained_by(header)
            if training:
                cells.setdefault(training, {})[key] = parts
        return cells

    def origins(self) -> dict[str, Origin]:
        """Everything that made cells of this journal, by digest."""
        records = self._all("SELECT digest, record FROM origins")
        return {digest: origin_from(record) for digest, record in records}

    def origins_of_cells(self) -> dict[str, str]:
        """The digest of every cell's origin, by key; empty where none was recorded."""
        return {key: origin or "" for key, origin in self._all("SELECT key, origin FROM cells")}

    def earlier(self, requests: Iterable[str]) -> dict[str, str]:
        """For what other code has computed: the newest key of each request, cells in order."""
        wanted = set(requests)
        rows = self._all("SELECT key, rowid FROM cells ORDER BY rowid")
        return {request_of(key): key for key, _ in rows if request_of(key) in wanted}

    # --- size ---------------------------------------------------------------------------------

    def prune(self, keep: set[str]) -> tuple[int, int]:
        """Drop all cells but these, compress what stays: cells dropped, bytes that are free now."""
        before = self.path.stat().st_size
        dropped = sorted(self.cell_keys() - keep)
        self.forget(dropped)
        for stored_key in sorted(keep):
            row = self._row(stored_key)
            if row is None:
                continue
            key, header, arrays, origin, _ = row
            smaller, data = packed(header, arrays)
            new = (key, smaller, data, origin, _checksum(key, smaller, data, origin))
            self._write("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)", [new])
        self._write("DELETE FROM damaged", [()])
        self._safely(lambda: self._database.execute("VACUUM"))
        self._safely(lambda: self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        return len(dropped), before - self.path.stat().st_size

    # --- SQLite -------------------------------------------------------------------------------

    def _all(self, query: str) -> list[tuple[str, str]]:
        rows: list[tuple[str, str]] = self._safely(lambda: self._database.execute(query).fetchall())
        return rows

    def _write(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        def write() -> None:
            with self._database:
                self._database.executemany(statement, rows)

        self._safely(write)

    def _safely(self, action: Callable[[], Answer]) -> Answer:
        """Do something with the database. A full or read-only disk is a ResultError in one line;
        a database that turns out to be damaged is rebuilt, and the action done again."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            if _is_of_disk(error):
                raise self._unusable(error) from None
            self._database.close()
            self._database = self._rebuilt(error)
        return action()

    def _unusable(self, error: sqlite3.Error) -> ResultError:
        return ResultError(
            f"{self.path}: found that the journal cannot be written ({error}), expected room on a "
            "writable disk. The finished cells are safe: make room and run the same command again"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """What identifies a file as long as it is there; None if it is not."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _checksum(key: str, header: str, arrays: bytes, origin: str | None) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in (key.encode(), header.encode("utf-8", "replace"), (origin or "").encode(), arrays):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def _text(content: bytes) -> str:
    """Text as SQLite stores it; damaged bytes are told by the row's checksum."""
    return content.decode("utf-8", "replace")


def _is_of_disk(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DISK


def _copy_readable(damaged: Path, database: sqlite3.Connection) -> int:
    """Copy the rows that can still be read from a damaged database; how many cells they are."""
    source = sqlite3.connect(damaged)
    source.text_factory = _text
    try:
        _copy(source, "run", ("name",), database)
        _copy(source, "facts", ("name", "value"), database)
        _copy(source, "origins", ("digest", "record"), database)
        return _copy(source, "cells", tuple(_ALL.split(", ")), database)
    finally:
        source.close()


def _copy(
    source: sqlite3.Connection, table: str, columns: Sequence[str], target: sqlite3.Connection
) -> int:
    """Copy a table's rows from both ends up to the first that cannot be read; their number."""
    copied = 0
    insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(columns))})"
    for order in ("ASC", "DESC"):
        query = f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid {order}"
        with target, suppress(sqlite3.DatabaseError):
            for row in source.execute(query):
                copied += target.execute(insert, row).rowcount
            return copied
    return copied
