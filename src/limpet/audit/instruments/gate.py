"""What the vendor's gate said of the newest release.

Owns finding that word: the release keys have signed its hash, so that no online key can put
another in its place. With the vendor's own files at hand, the gate's signature is verified too.
"""

from dataclasses import dataclass
from datetime import datetime

from limpet.audit.instruments.repository import read_repository
from limpet.audit.target import Target
from limpet.crypto.attesting import public_keys_from_pem
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.attestation import (
    GATE_KEYS_FILE,
    Attestation,
    open_attestation,
    verify_attestation,
)

__all__ = ["Word", "read_word"]

_KEYS_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Word:
    """The gate's word on one release."""

    version: str
    judged_at: datetime  # UTC
    passed: bool
    evidence: dict[str, str]  # by rule, of those that passed
    failed: tuple[str, ...]  # rules
    key_was_known: bool  # else the release keys' signature over its hash is what stands behind it


def read_word(target: Target) -> Word:
    """On the newest release. Raises `Rejected("ungated")`, `Unavailable` where there is none."""
    repository = target.observe(read_repository)
    if not repository.releases:
        raise Unavailable("no release is published")
    manifest = repository.releases[-1]
    gated = repository.words.get(manifest.version)
    if gated is None:
        raise Rejected(
            "ungated", f"no gate spoke of {manifest.version}, or nobody signed what it said"
        )
    keys = target.vendor_dir / "trust" / GATE_KEYS_FILE if target.vendor_dir else None
    if keys is None or not keys.is_file():
        return _word(manifest.version, open_attestation(gated.envelope), known=False)
    public = public_keys_from_pem(read_bounded(keys, max_bytes=_KEYS_BYTES))
    verified = verify_attestation(gated.envelope, public, manifest_sha256=gated.manifest_sha256)
    return _word(manifest.version, verified.attestation, known=True)


def _word(version: str, attestation: Attestation, *, known: bool) -> Word:
    result = attestation.predicate
    return Word(
        version=version,
        judged_at=result.judged_at,
        passed=result.result == "PASSED",
        evidence={rule: _evidence(result.report, rule) for rule in result.passed_tests},
        failed=result.failed_tests,
        key_was_known=known,
    )


def _evidence(report: dict[str, object], rule: str) -> str:
    """What the report says of a rule; the report is the gate's, and may say nothing."""
    judgements = report.get("judgements")
    for one in judgements if isinstance(judgements, list) else ():
        if isinstance(one, dict) and one.get("rule") == rule:
            finding = one.get("finding")
            said = finding.get("evidence") if isinstance(finding, dict) else None
            return "; ".join(str(text) for text in said) if isinstance(said, list) else ""
    return ""
