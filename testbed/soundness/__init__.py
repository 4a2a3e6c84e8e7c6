"""Soundness checks: where the results of a finished run are not reliable.

    findings = examine(plan, tree)              # core's checks, then those of plugins
    tree = with_findings(tree, findings)        # the group `soundness` of results.nc
    read_findings(tree)                         # the same list back

A check is a function of the plan and the results alone, so that findings are the same however the
run was executed. It reports once for each estimator: the worst point, and how many there are.
Other packages also use `soundness.table` (findings in words).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from testbed.contract.findings import SEVERITIES, Finding
from testbed.loading import Fresh
from testbed.results.groups import without_scalars
from testbed.results.read_only import read_only
from testbed.soundness.agreement import agreement
from testbed.soundness.blow_up import blow_up_findings, blown_up, without_blown_up
from testbed.soundness.divergence import divergence
from testbed.soundness.failure import failure
from testbed.soundness.features import collapse, misalignment
from testbed.soundness.sampling import undecided, wide_mean, wide_slope
from testbed.soundness.stopping import overfitting, unbracketed
from testbed.soundness.table import findings_text, read_findings, with_findings
from testbed.soundness.times import times

if TYPE_CHECKING:
    import xarray as xr

    from testbed.loading import Registry
    from testbed.planning.plan import Plan
    from testbed.scenario.tables import Expectation

__all__ = ["CHECKS", "examine", "findings_text", "read_findings", "with_findings"]

Check = Callable[["xr.DataTree"], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "failure": failure,
    "divergence": divergence,
    "times": times,
    "unbracketed": unbracketed,
    "wide-mean": wide_mean,
    "wide-slope": wide_slope,
    "undecided": undecided,
    "agreement": agreement,
    "collapse": collapse,
    "misalignment": misalignment,
    "overfitting": overfitting,
}
"""Core's checks, by the name in their findings."""
OF_STATUS = ("failure", "divergence")
"""Checks that tell of lost replicates; the others leave out those that have blown up."""


def examine(plan: Plan, tree: xr.DataTree, registry: Registry | None = None) -> list[Finding]:
    """The findings of all checks of core and of plugins, the most severe first.

    A check that fails becomes a finding and does not end the run. Checks of plugins see the
    results read-only.
    """
    findings: list[Finding] = []
    swept = without_scalars(tree)
    try:
        shares = blown_up(plan, swept)
        findings += blow_up_findings(shares)
        sane = without_blown_up(swept, shares)
    except Exception as error:
        findings.append(_not_made("divergence", error))
        sane = swept
    for name, check in CHECKS.items():
        findings += _made(name, check, swept if name in OF_STATUS else sane)
    if registry is not None:
        failures: list[str] = []
        hook = registry.hook("testbed_check_results", failures)
        for answer in hook(plan=plan, tree=Fresh(lambda: read_only(tree))):
            findings += answer
        findings += [_failed("plugin-check", text) for text in failures]
    findings = list(_expected(findings, plan.scenario.expectations))
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _made(name: str, check: Check, tree: xr.DataTree) -> list[Finding]:
    """A check's findings, or a finding that says why the check failed."""
    try:
        return list(check(tree))
    except Exception as error:
        return [_not_made(name, error)]


def _not_made(name: str, error: Exception) -> Finding:
    """The finding that says which error a check of core raised."""
    return _failed(name, f"the check could not be made: {type(error).__name__}: {error}")


def _failed(name: str, text: str) -> Finding:
    """The finding that says that a check failed."""
    return Finding(check=name, observation=text, advice="look at the results without it")


def _expected(
    findings: Sequence[Finding], expectations: Iterable[Expectation]
) -> Iterator[Finding]:
    """The findings, expected ones marked as such; an expectation without a finding is a note."""
    expectations = list(expectations)
    for finding in findings:
        covering = [
            expectation
            for expectation in expectations
            if expectation.covers(finding.check, finding.estimator)
        ]
        if covering:
            finding = evolve(finding, severity="expected", because=covering[0].because)
        yield finding
    for expectation in expectations:
        for name in expectation.of or ("",):
            if not any(
                f.check == expectation.check and name in ("", f.estimator) for f in findings
            ):
                yield Finding(
                    check=expectation.check,
                    severity="note",
                    estimator=name,
                    observation="the scenario expects it, and it was not found",
                    advice=f"remove the expectation, or see why it fails: {expectation.because}",
                )
