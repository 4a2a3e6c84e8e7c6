"""Metrics and theories that a plan leaves out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from testbed.errors import Mistake
from testbed.planning.candidates import Candidate, Verdict, Verdicts


@frozen
class Omission:
    """Something that is not measured or predicted, and why."""

    estimator: str
    what: str
    reason: str


def _is_refused(verdict: Verdict) -> bool:
    """Whether a metric cannot be measured on an estimator that its `of` names."""
    metric = verdict.candidate.component.kind == "metric"
    return metric and bool(verdict.candidate.table.of) and bool(verdict.reason)


def refused(verdicts: Verdicts) -> Iterator[Mistake]:
    for estimator, verdict in verdicts:
        if _is_refused(verdict):
            text = f"found {verdict.candidate.component.name} of {estimator!r}: {verdict.reason}"
            yield Mistake(verdict.candidate.place, text, "a metric that fits")


def omissions_of(verdicts: Verdicts) -> tuple[Omission, ...]:
    """The metrics and theories that some points leave out, each reason once."""
    return tuple(
        dict.fromkeys(
            Omission(estimator, verdict.candidate.component.name, verdict.reason or verdict.fault)
            for estimator, verdict in verdicts
            if (verdict.reason or verdict.fault) and not _is_refused(verdict)
        )
    )


def faults_of(verdicts: Verdicts) -> tuple[str, ...]:
    """The faults of metrics and theories; each loses only its own variables."""
    return tuple(
        dict.fromkeys(
            f"{verdict.candidate.place} of {estimator!r} is left out: {verdict.fault}"
            for estimator, verdict in verdicts
            if verdict.fault
        )
    )


def unused(candidates: Iterable[Candidate], verdicts: Verdicts) -> Iterator[Mistake]:
    """The metrics that are measured nowhere, and the theories that apply nowhere."""
    used = {id(v.candidate) for _, v in verdicts if v.fault or (v.planned and not v.reason)}
    for candidate in candidates:
        name, metric = candidate.component.name, candidate.component.kind == "metric"
        if id(candidate) in used or (metric and candidate.table.of):
            continue
        reasons = dict.fromkeys(v.reason for _, v in verdicts if v.candidate is candidate)
        where = "no estimator can be measured by" if metric else "applies to no estimator"
        text = ": ".join(filter(None, (f"found {name}, which {where}", "; ".join(reasons))))
        expected = f"a {candidate.component.kind} that fits at least one"
        yield Mistake(candidate.place, text, expected)
