"""The gate's report as a signed statement that travels with the release.

Owns what of the report becomes which field. The statement is made whatever the verdict: what
was refused is on record too, and nobody accepts it.
"""

from pathlib import Path

import msgspec

import limpet
from limpet.crypto.attesting import AttestingKey, attesting_key_from_pem
from limpet.errors import naming
from limpet.release._gated import ATTESTATION_FILE
from limpet.release.gate._rule import Verdict
from limpet.release.gate._runner import Report
from limpet.storage import read_bounded, write_atomic
from limpet.wire.attestation import Attestation, Result, seal_attestation
from limpet.wire.codec import encode_json

__all__ = ["REPORT_FILE", "attest", "load_gate_key", "record_report"]

REPORT_FILE = "gate.json"
_KEY_BYTES = 16 << 10


def load_gate_key(path: Path, *, passphrase: bytes | None = None) -> AttestingKey:
    """The gate's private key. Raises `Rejected("bad-key" | "weak-key")`, `Unavailable`."""
    with naming(path):
        pem = read_bounded(path, max_bytes=_KEY_BYTES)
        return attesting_key_from_pem(pem, passphrase=passphrase)


def attest(report: Report) -> Attestation:
    """What `report` says, as a statement on the release's manifest and image."""
    by_verdict: dict[bool, list[str]] = {True: [], False: []}
    for one in report.judgements:
        if one.finding.verdict is not Verdict.NOT_APPLICABLE:
            by_verdict[one.finding.verdict is Verdict.PASSED].append(one.rule)
    result = Result(
        result="PASSED" if report.verdict is Verdict.PASSED else "FAILED",
        configuration=({"name": "limpet", "annotations": {"version": limpet.__version__}},),
        passed_tests=tuple(by_verdict[True]),
        failed_tests=tuple(by_verdict[False]),
        report=msgspec.to_builtins(report, builtin_types=()),
        judged_at=report.judged_at,
    )
    files = {"manifest.json": report.manifest_sha256, "image.img": report.image_sha256}
    return Attestation.of(files, result)


def record_report(release: Path, report: Report, key: AttestingKey | None) -> None:
    """Write the report, and signed by `key` the statement, into the release's directory.

    An older statement is taken away first: it speaks of an older look. Raises `Unavailable`.
    """
    (release / ATTESTATION_FILE).unlink(missing_ok=True)
    write_atomic(release / REPORT_FILE, encode_json(report), mode=0o644)
    if key is not None:
        data = seal_attestation(attest(report), key)
        write_atomic(release / ATTESTATION_FILE, data, mode=0o644)
