"""support-covers: a release is made within the support period, or says that it comes after it."""

from datetime import date

from limpet.product import PRODUCT_FILE
from limpet.release.gate._rule import Fault, Finding, Rule, judged, passed
from limpet.release.gate._subject import Subject

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """The day of this judgement against the design file's promise.

    A promise that became shorter is noted: signers agree to it, or do not sign.
    """
    until = subject.design.support.until
    before = subject.last_design
    promised = before.support.until if before else until
    notes = (_shorter(promised, until),) if until < promised else ()
    is_late = subject.manifest.after_support is True
    if subject.now.date() <= until:
        if is_late:
            return judged(
                (Fault(f"it says that it comes after support, which lasts until {until}"),),
            )
        return passed(f"supported until {until.isoformat()}", notes=notes)
    if is_late:
        return passed(
            f"support ended on {until.isoformat()}",
            listed=("it comes after the support period, says so, and extends nothing",),
            notes=notes,
        )
    return judged((Fault(f"support ended on {until.isoformat()}", PRODUCT_FILE),))


def _shorter(before: date, until: date) -> Fault:
    return Fault(
        f"support until {before} was promised at the release before, and {until} is before that",
        PRODUCT_FILE,
        hint="keep the promise: somebody bought the product on it",
    )


RULE = Rule(
    id="support-covers",
    title="The support period covers the release, or it says that it comes after",
    reason="A product past its support must not be sold or updated as if it were supported.",
    statements=("R5.1a", "R5.1b"),
    hint="extend the support period, or build with --after-support if this is a late gift",
    judge=judge,
)
