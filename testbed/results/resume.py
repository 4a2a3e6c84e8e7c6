"""Compare a journal with a plan: which cells are finished, which run again, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from attrs import evolve, field, frozen

from testbed.contract.cells import WORKER_DIED, Cell, CellResult
from testbed.errors import ResultError
from testbed.planning.keys import origin_of_cell, request_of
from testbed.planning.origin import Origin
from testbed.planning.plan import Plan
from testbed.results.journal import Journal, Stored
from testbed.results.provenance import Made, files_read

UNRECORDED = "nobody recorded which code made them"


class VersionsError(ResultError):
    """Finished cells that other versions of the libraries made; the user decides."""


@frozen
class Kept:
    """The finished cells of a plan. All mappings use the keys of the plan.

    `keys` leads to the key in the journal, another one for a stale cell; `stale` says what changed
    since a stale cell was made; `errors` what a failed one raised.
    """

    keys: Mapping[str, str] = field(factory=dict, hash=False)
    origins: Mapping[str, str] = field(factory=dict, hash=False)
    stale: Mapping[str, str] = field(factory=dict, hash=False)
    errors: Mapping[str, str] = field(factory=dict, hash=False)
    deadly: frozenset[str] = frozenset()
    """Cells, not kept, that ended the process they ran in."""


def kept_cells(
    plan: Plan, journal: Journal, *, keep_stale: bool = False, keep_failed: bool = False
) -> Kept:
    """The cells of a plan that need not run: finished by the same code, or by any if `keep_stale`;
    failed ones only if `keep_failed`. Every row is checked for damage."""
    keys: dict[str, str] = {}
    stale = changed_cells(plan, journal) if keep_stale else {}
    earlier = journal.earlier(request_of(key) for key in stale)
    origins: dict[str, str] = {}
    errors: dict[str, str] = {}
    deadly: set[str] = set()
    for cell in plan.cells:
        source = earlier.get(request_of(cell.key), cell.key) if cell.key in stale else cell.key
        for origin, failure, error in map(_facts, journal.stored([source])):
            if not failure or keep_failed:
                keys[cell.key], origins[cell.key] = source, origin
                errors |= {cell.key: failure} if failure else {}
            elif error.startswith(WORKER_DIED):
                deadly.add(cell.key)
    stale = {key: reason for key, reason in stale.items() if key in keys}
    return Kept(keys, origins, stale, errors, frozenset(deadly))


def _facts(stored: Stored) -> tuple[str, str, str]:
    """What is asked of a finished cell, without its arrays: origin, failure and error."""
    return stored.origin, stored.result.failure, stored.result.error


def changed_cells(plan: Plan, journal: Journal) -> dict[str, str]:
    """Cells that only other code has computed, by key, each with what has changed since."""
    present = journal.cell_keys()
    missing = {cell.key: cell for cell in plan.cells if cell.key not in present}
    earlier = journal.earlier(map(request_of, missing))
    origins, digests = journal.origins(), journal.origins_of_cells()
    reasons: dict[str, str] = {}
    words: dict[tuple[str, str], str] = {}
    for key, cell in missing.items():
        if request_of(key) in earlier:
            digest = digests.get(earlier[request_of(key)], "")
            pair = (digest, key.partition(".")[2])
            if pair not in words:
                words[pair] = _changes(origin_of_cell(cell), origins.get(digest))
            reasons[key] = words[pair]
    return reasons


def _changes(now: Origin, earlier: Origin | None) -> str:
    return UNRECORDED if earlier is None else ", ".join(now.changes_since(earlier))


def expect_same_libraries(plan: Plan, journal: Journal, kept: Kept) -> None:
    """VersionsError if other versions of libraries made some of the kept cells."""
    origins = journal.origins()
    cells = {cell.key: cell for cell in plan.cells}
    then: dict[str, dict[str, None]] = {}
    count = 0
    compared: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for key, digest in kept.origins.items():
        pair = (digest, key.partition(".")[2])
        if digest in origins and pair not in compared:
            compared[pair] = origin_of_cell(cells[key]).other_libraries(origins[digest])
        differing = compared.get(pair, {})
        count += bool(differing)
        for name, (before, now) in differing.items():
            then.setdefault(f"{name} {before} (here {now})", {})[key] = None
    if count:
        raise VersionsError(
            f"{journal.path.parent}: found {count} finished cells that {', '.join(sorted(then))} "
            "made, expected the versions installed here. Keep them with --mix-versions, compute "
            "everything again with --fresh, or choose another folder with -o"
        )


def expect_same_experiment(plan: Plan, journal: Journal, folder: str, place: str) -> None:
    """ResultError if the folder holds another scenario of the same name.

    Another scenario is one from another file than `place`, with other text, that shares no cell
    with this one.
    """
    scenario = plan.scenario
    file, text = journal.fact("file"), journal.fact("text")
    if file in ("", place) or text == scenario.text:
        return
    requests = {request_of(key) for key in journal.cell_keys()}
    if requests and not requests & {request_of(cell.key) for cell in plan.cells}:
        raise ResultError(
            f"{folder}: found the run of another scenario of the name {scenario.name!r}, from "
            f"{file}, that shares no cell with {scenario.path}, expected one scenario in a folder. "
            "Choose another folder with -o, give one of the two another name, or start again with "
            "--fresh"
        )


class JournaledResults:
    """The results of a plan's finished cells, read one at a time, in the order of the plan."""

    def __init__(self, journal: Journal, cells: Collection[Cell], kept: Mapping[str, str]):
        self._journal, self._cells, self._kept = journal, cells, kept

    def __iter__(self) -> Iterator[CellResult]:
        return filter(None, map(self._result, self._cells))  # holds no result while it reads one

    def _result(self, cell: Cell) -> CellResult | None:
        """The result of a cell; None if it is not finished."""
        source = self._kept.get(cell.key)
        stored = next(self._journal.stored([source]), None) if source else None
        if stored is None:
            return None
        return stored.result if source == cell.key else evolve(stored.result, key=cell.key)


def made_by(
    plan: Plan, journal: Journal, finished: Collection[str], stale: Mapping[str, str]
) -> Made:
    """The origins of the finished cells of a plan; `finished` are keys of the journal."""
    digests = journal.origins_of_cells()
    used = dict.fromkeys(digests.get(key, "") for key in finished)
    origins = journal.origins()
    present = tuple(origins[digest] for digest in used if digest in origins)
    return Made(present, files_read(plan.cells), stale)
