"""secrets-absent: no private key, token or password lies in the source or in the image."""

from collections.abc import Iterator

from limpet.release.gate._rule import Fault, Finding, Rule, judged
from limpet.release.gate._scanning import Scanned, scan_image, scan_source
from limpet.release.gate._subject import Subject
from limpet.release.packages import PACKAGES
from limpet.source import Spot, find_pem_keys, find_secrets

__all__ = ["RULE", "judge"]

_PARTS = ("app", "trust")


def judge(subject: Subject) -> Finding:
    """Source and image; keys that a test made for itself belong into its own process."""
    source = list(scan_source(subject))
    ours = [file for part in _PARTS for file in scan_image(subject, part)]
    theirs = list(scan_image(subject, PACKAGES))
    # What a public package holds, everybody has: but no key of ours may have slipped into one.
    slipped = [fault for file in theirs for fault in _faults(file, find_pem_keys(file.data))]
    found = [
        fault
        for file in (*source, *ours)
        for fault in _faults(file, find_secrets(file.name, file.data))
    ]
    faults = [*found, *slipped]
    image = [*ours, *theirs]
    return judged(tuple(faults), f"{len(source)} files of the source, {len(image)} of the image")


def _faults(file: Scanned, spots: Iterator[Spot]) -> list[Fault]:
    return [Fault(spot.what, file.where, spot.line) for spot in spots]


RULE = Rule(
    id="secrets-absent",
    title="No private key, token or password lies in the source or in the image",
    reason="A secret that every device carries is no secret: who has one device has it.",
    statements=("R2.1b", "R2.2.5a", "R2.5a"),
    hint="take it out, make a new one (the old one is spent), and let each device make its own",
    judge=judge,
)
