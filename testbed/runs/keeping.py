"""The kept states of a run: what they save, and what the run keeps for later ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import evolve, field, frozen

from testbed.contract.cells import Cell, CellResult
from testbed.errors import ResultError, ScenarioError
from testbed.planning.keys import origin_of_cell, part_keys, request_of, training_key
from testbed.planning.origin import Origin
from testbed.planning.plan import Plan
from testbed.results.reuse import (
    NOT_KEPT,
    Reusable,
    Reuse,
    completed,
    keep_states,
    keys_of_states,
    reusable,
)
from testbed.results.store import RunFolder
from testbed.running.guarded import failed
from testbed.running.state_sizes import state_mistakes, state_sizes

GIB = 2**30


@frozen
class KeptStates:
    """The kept states in the folder of a run, as far as its missing cells can use them."""

    plan: Plan
    store: RunFolder
    reusable: Reusable
    told: set[str] = field(factory=set)  # notes that were made once

    @classmethod
    def for_run(
        cls, plan: Plan, store: RunFolder, missing: Sequence[Cell], mix_versions: bool
    ) -> KeptStates:
        """What the folder of a run holds for the cells that the run lacks."""
        if not store.states.sizes():
            return cls(plan, store, Reusable())
        return cls(plan, store, reusable(missing, store.journal, store.states, mix_versions))

    def reuse(self, cell: Cell) -> Reuse | None:
        """What can be reused for a cell; None if it must be trained."""
        return self.reusable.cells.get(cell.key)

    def with_states(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells, those with kept states ready to measure what is missing."""
        kept = self.reusable.cells
        return [kept[cell.key].cell if cell.key in kept else cell for cell in cells]

    def tell(self, watched: bool) -> None:
        """Note why cells with kept states are trained again and, to who watches the run, how many
        need no training."""
        count = len(self.reusable.cells)
        if count and watched:
            names = dict.fromkeys(name for r in self.reusable.cells.values() for name in r.measured)
            what = f" ({', '.join(names)})" if names else ""
            self.store.notes.append(
                f"{count} cells are measured{what} from kept states, without training"
            )
        reasons = Counter(reason for reason in self.reusable.reasons.values() if reason != NOT_KEPT)
        for reason, times in reasons.items():
            self.store.notes.append(f"{times} cells are trained again: {reason}")

    def expect_no_training(self, cells: Sequence[Cell]) -> None:
        """ResultError if some of the cells that a run lacks cannot be measured without training."""
        reasons: Counter[str] = Counter()
        for cell in cells:
            reuse = self.reuse(cell)
            if reuse is not None and reuse.companions:
                names = ", ".join(map(repr, reuse.companions))
                reasons[f"the states of their companion {names} were not kept"] += 1
            elif reuse is None and cell.replicates and cell.key not in self.reusable.failed:
                reasons[self.reusable.reasons.get(cell.key, NOT_KEPT)] += 1
        if reasons:
            listed = "; ".join(f"{count}: {reason}" for reason, count in reasons.items())
            raise ResultError(
                f"{self.store.path}: found {sum(reasons.values())} cells that cannot be measured "
                f"without training ({listed}), expected kept states of every cell. Train them with "
                f"`testbed run {self.plan.scenario.path} -o {self.store.path}`, which uses the "
                "states that are kept; [compute] keep_states = true keeps the others"
            )

    def expect_room(self, missing: Sequence[Cell]) -> None:
        """ScenarioError if cells have to be trained whose states cannot be kept, or if the states
        of the scenario would be too large. A run that trains nothing does not look."""
        trained = any(cell.replicates and self.reuse(cell) is None for cell in missing)
        if trained and self.plan.scenario.compute.keep_states:
            mistakes = list(state_mistakes(self.plan, state_sizes(self.plan.cells)))
            if mistakes:
                raise ScenarioError(m.in_file(self.plan.scenario.path) for m in mistakes)

    def carried_over(self, cells: Sequence[Cell]) -> list[CellResult]:
        """The failures of cells that failed in training, for a run that trains nothing."""
        errors = self.reusable.failed
        return [failed(cell, errors[cell.key]) for cell in cells if cell.key in errors]

    def finished(self, cell: Cell, result: CellResult) -> CellResult:
        """A cell's result with the variables that earlier cells hold; its states are on disk."""
        reuse, compute = self.reuse(cell), cell.compute
        if reuse is not None:
            result = completed(result, reuse, self.store.journal)
        if result.states or result.unkept:
            bound, folder = compute.states * GIB, self.store.states
            objection = keep_states(folder, cell, result, bound, self._requests)
            if objection and objection not in self.told:
                self.told.add(objection)
                self.store.notes.append(f"some states are not kept: {objection}")
        if not cell.replicates or not (compute.keep_states or reuse):
            return evolve(result, states={})
        training = training_key(cell)
        parts = {
            name: key
            for name, key in part_keys(cell, training).items()
            if name in result.variables and name not in result.faults
        }
        return evolve(result, states={}, training=training, parts=parts)

    def _requests(self) -> set[str]:
        """The requests of all states that the plan may use."""
        return set(map(request_of, keys_of_states(self.plan.cells)))

    def origin(self, cell: Cell) -> Origin:
        """The code and the libraries that made a cell's result, with those that made its states."""
        origin, reuse = origin_of_cell(cell), self.reuse(cell)
        if reuse is None or not reuse.libraries:
            return origin
        mixed = {name: f"{then} and {now}" for name, (then, now) in reuse.libraries.items()}
        return evolve(origin, libraries={**origin.libraries, **mixed})
