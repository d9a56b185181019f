"""crypto-standard: nothing banned, weakened or home-made, and no weak key, in source or image."""

from limpet.crypto.weakness import find_weak_keys
from limpet.product import PRODUCT_FILE
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict
from limpet.release.gate._scanning import Scanned, scan_image
from limpet.release.gate._subject import Subject
from limpet.source import find_algorithms

__all__ = ["RULE", "judge"]

_STATEMENT = "R2.1.2"


def judge(subject: Subject) -> Finding:
    """The app's code and compiled files, and every certificate and public key of the image.

    A product whose design file records a deviation, with its rationale, has its
    algorithms listed for the public instead; weak keys stay refused.
    """
    app = list(scan_image(subject, "app"))
    keys = [*app, *scan_image(subject, "trust")]
    algorithms = [_fault(file, spot.what, spot.line) for file in app
                  for spot in find_algorithms(file.name, file.data)]  # fmt: skip
    weak = [_fault(file, what, 0) for file in keys for what in find_weak_keys(file.data)]
    deviates = any(one.statement == _STATEMENT for one in subject.design.decisions.deviations)
    faults = tuple(weak if deviates else [*algorithms, *weak])
    listed = tuple(f"{one.file}:{one.line}: {one.text}" for one in algorithms) if deviates else ()
    evidence = (f"{len(app)} files of the app, {len(keys)} files for keys",)
    verdict = Verdict.REFUSED if faults else Verdict.PASSED
    return Finding(verdict, evidence=evidence, faults=faults, listed=listed)


def _fault(file: Scanned, what: str, line: int) -> Fault:
    return Fault(what, file.where, line)


RULE = Rule(
    id="crypto-standard",
    title="Cryptography is standard, current and from a library; no key is weak",
    reason="What one maker invents, nobody has attacked yet; what is broken stays broken.",
    statements=("R2.1.2", "R2.1.3", "R2.3.2b"),
    hint="use limpet's own TLS and `cryptography`; if the place is harmless, record why in"
    f" [[decisions.deviations]] of {PRODUCT_FILE} for {_STATEMENT}: it is public then",
    judge=judge,
)
