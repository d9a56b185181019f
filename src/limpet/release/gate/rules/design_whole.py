"""design-whole: threats, measures, decisions, contacts and dates of the design are in order."""

from limpet.product import PRODUCT_FILE, Problem, Severity, read_notes, read_problems
from limpet.release.gate._rule import Fault, Finding, Rule, judged, passed
from limpet.release.gate._subject import Subject
from limpet.source import design_context

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """Every rule of `limpet product check`, as of now; `source-committed` sees that the image
    carries this very file. Names that nobody owns are noted: devices may be made with them for a
    trial, and not be sold."""
    path = subject.product / PRODUCT_FILE
    context = design_context(subject.product, today=subject.now.date())
    faults = tuple(
        _fault(one)
        for one in read_problems(path, context=context)
        if one.severity is Severity.ERROR
    )
    if faults:
        return judged(faults)
    design = subject.design
    return passed(
        f"{len(design.interfaces)} interfaces, {len(design.threats)} threats,"
        f" {len(design.measures)} measures",
        notes=tuple(_fault(one) for one in read_notes(path)),
    )


def _fault(one: Problem) -> Fault:
    return Fault(f"{one.key}: {one.message}", PRODUCT_FILE, one.line, one.hint)


RULE = Rule(
    id="design-whole",
    title="The design file names threats, measures, decisions and contacts without a gap",
    reason="What nobody wrote down, nobody has decided; a measure without code or check is a wish.",
    statements=("R1a", "R1b", "R2.1.1a", "R2.1.1b", "R5.2"),
    hint="limpet product check DIR names each line; build again after the change",
    judge=judge,
)
