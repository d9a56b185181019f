"""The gate's word as an auditor finds it: named by the release keys, or by a key known too."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.audit.specimens import NOW, manifest, repository, seeded

from limpet.audit.instruments.gate import read_word
from limpet.audit.instruments.repository import Gated, Repository, read_repository
from limpet.audit.target import Target
from limpet.crypto.attesting import AttestingKey, new_attesting_key, public_pem
from limpet.errors import Rejected
from limpet.wire.attestation import GATE_KEYS_FILE, Attestation, Result, seal_attestation

KEY = new_attesting_key()
MANIFEST = "c" * 64


def gated(key: AttestingKey = KEY, manifest_sha256: str = MANIFEST) -> Repository:
    report = {"judgements": [{"rule": "tests-ran", "finding": {"evidence": ["9 tests passed"]}}]}
    result = Result(
        result="PASSED",
        configuration=(),
        passed_tests=("tests-ran", "other"),
        report=report,
        judged_at=datetime(2026, 11, 27, tzinfo=UTC),
    )
    word = seal_attestation(Attestation.of({"manifest.json": MANIFEST}, result), key)
    return repository(releases=(manifest("1.0.0"),), words={"1.0.0": Gated(word, manifest_sha256)})


def look(found: Repository, vendor: Path | None = None) -> object:
    observations = seeded({read_repository: found})
    return read_word(Target(vendor_dir=vendor, observations=observations, now=lambda: NOW))


def vendor(directory: Path) -> Path:
    (directory / "trust").mkdir()
    (directory / "trust" / GATE_KEYS_FILE).write_bytes(public_pem(KEY.public_key()))
    return directory


def test_from_outside_the_release_keys_stand_behind_it() -> None:
    word = look(gated())
    assert not word.key_was_known  # type: ignore[attr-defined]
    assert word.evidence == {"tests-ran": "9 tests passed", "other": ""}  # type: ignore[attr-defined]


def test_with_the_vendors_files_the_gates_own_signature_is_verified(tmp_path: Path) -> None:
    home = vendor(tmp_path)
    assert look(gated(), home).key_was_known  # type: ignore[attr-defined]
    with pytest.raises(Rejected, match="no key of the gate"):
        look(gated(key=new_attesting_key()), home)
    with pytest.raises(Rejected, match="another release"):
        look(gated(manifest_sha256="d" * 64), home)


def test_a_release_without_a_word_is_ungated() -> None:
    with pytest.raises(Rejected) as refused:
        look(repository(releases=(manifest("1.0.0"),)))
    assert refused.value.reason == "ungated"
