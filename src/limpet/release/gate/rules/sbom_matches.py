"""sbom-matches: the bill of materials is that of the image, part by part."""

from pathlib import Path

from limpet.release.gate._rule import Fault, Finding, Rule, Verdict, passed
from limpet.release.gate._subject import Subject
from limpet.release.sbom import SBOM_FILE, compare_sbom

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """The bill beside the image, against the files in it.

    One that differs is inconclusive: whatever was looked up in it, was looked up of something else.
    """
    sbom = subject.sbom
    image = Path(subject.manifest.image.path).stem
    problems = compare_sbom(sbom, subject.tree, image_sha256=image)
    if problems:
        faults = tuple(Fault(one.text, SBOM_FILE) for one in problems)
        return Finding(Verdict.INCONCLUSIVE, faults=faults)
    return passed(f"{len(sbom.components)} components, each as it is in the image")


RULE = Rule(
    id="sbom-matches",
    title="The bill of materials is that of the image",
    reason="Vulnerabilities are looked up by the bill: a wrong one hides those of what is shipped.",
    statements=("R4d", "R4f"),
    hint="build it again; a bill is made with its image",
    judge=judge,
)
