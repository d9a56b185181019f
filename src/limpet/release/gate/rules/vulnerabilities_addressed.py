"""vulnerabilities-addressed: nothing is known that could be fixed, by data that is fresh."""

from datetime import datetime

from limpet.release.advisories import (
    TRIAGE_FILE,
    Judged,
    Lookup,
    Outcome,
    Policy,
    judge_vulnerabilities,
    load_triage,
    load_vex,
    look_up,
)
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict
from limpet.release.gate._subject import Subject

__all__ = ["RULE", "VEX", "judge"]

VEX = "vex"
"""The directory below the product's that holds its VEX statements; committed like all else."""

MAX_SHOWN = 200


def judge(subject: Subject) -> Finding:
    """Every component of the bill in the store of advisories; `limpet.release.advisories` decides.

    Refused where something can be fixed or nobody owns it, else inconclusive where the data or a
    component could not be looked at.
    """
    store = subject.need(subject.advisories, "--advisories")
    sbom = subject.sbom
    statements = load_vex(sorted((subject.product / VEX).glob("*.json")))
    found = look_up(store, sbom.components)
    judged = judge_vulnerabilities(
        found,
        statements,
        load_triage(subject.product),
        subject.now,
        Policy(max_age=subject.advisories_age),
        subject=sbom.subject.purl,
    )
    outcomes = {one.outcome for one in judged}
    blocking = [one for one in judged if one.outcome.blocks]
    verdict = Verdict.PASSED
    if blocking:
        only_unknown = outcomes <= {Outcome.INCONCLUSIVE, Outcome.LISTED, Outcome.EXCUSED}
        verdict = Verdict.INCONCLUSIVE if only_unknown else Verdict.REFUSED
    return Finding(
        verdict,
        evidence=tuple(_evidence(found, subject.now)),
        faults=tuple(_fault(one) for one in blocking[:MAX_SHOWN]),
        listed=tuple(_listed(one) for one in judged if not one.outcome.blocks)[:MAX_SHOWN],
    )


def _evidence(found: Lookup, now: datetime) -> list[str]:
    if found.facts is None:
        return []
    told = [
        f"{found.components} components in {found.facts.advisories} advisories,"
        f" sha256 {found.facts.digest[:16]}…"
    ]
    for name, one in sorted(found.facts.ecosystems.items()):
        days = (now - one.imported_at).total_seconds() / 86400
        told.append(f"{name} imported {days:.1f} days ago, newest of {one.newest.date()}")
    return told


def _fault(one: Judged) -> Fault:
    if not one.advisory or one.component is None:  # the reason names what it is about
        return Fault(one.reason, hint=one.fix)
    about = f"{one.advisory} in {one.component.name} {one.component.version}"
    return Fault(f"{about}: {one.reason}", hint=one.fix)


def _listed(one: Judged) -> str:
    about = f"{one.advisory} in {one.component.name}: " if one.advisory and one.component else ""
    until = f", until {one.until.date()}" if one.until else ""
    excused = "excused: " if one.outcome is Outcome.EXCUSED else ""
    return f"{excused}{about}{one.reason}{f' ({one.by}{until})' if one.by else ''}"


RULE = Rule(
    id="vulnerabilities-addressed",
    title="No component has a known vulnerability that could be fixed or has no owner",
    reason="What is known to be broken and can be mended must not be shipped (4).",
    statements=("R4d", "R4f", "R4g"),
    hint=f"update the component; if there is no fix yet, name an owner in {TRIAGE_FILE}",
    judge=judge,
)
