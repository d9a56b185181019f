"""support-covers: a release is made within the support period, or says that it comes after it."""

from limpet.release.gate._rule import Fault, Finding, Rule, judged
from limpet.release.gate._subject import Subject

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """The day of this judgement against the design file's promise."""
    until = subject.design.support.until
    if subject.now.date() <= until:
        return judged((), f"supported until {until.isoformat()}")
    return judged((Fault(f"support ended on {until.isoformat()}", "product.toml"),))


RULE = Rule(
    id="support-covers",
    title="The support period covers the release",
    reason="A product past its support must not be sold or updated as if it were supported.",
    statements=("R5.1a", "R5.1b"),
    hint="extend the support period, or build with --after-support if this is a late gift",
    judge=judge,
)
