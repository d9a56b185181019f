"""The gate's word: in-toto in DSSE, verified step by step, and nothing but a pass counts."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.attesting import new_attesting_key, public_keys_from_pem, public_pem
from limpet.errors import Rejected
from limpet.wire.attestation import (
    ATTESTATION_BYTES,
    Attestation,
    Result,
    seal_attestation,
    signed_attestation,
    verify_attestation,
)

KEY = new_attesting_key()
MINE = "a" * 64
NOW = datetime(2026, 11, 27, tzinfo=UTC)
FILES = {"manifest.json": MINE}


def word(result: str = "PASSED", **files: str) -> bytes:
    verdict = Result(
        result=result,  # type: ignore[arg-type]
        configuration=(),
        failed_tests=("a-rule",) if result == "FAILED" else (),
        judged_at=NOW,
    )
    return seal_attestation(Attestation.of(files or FILES, verdict), KEY)


def test_a_pass_by_a_known_key_is_believed() -> None:
    other = new_attesting_key().public_key()
    verified = verify_attestation(word(), [other, KEY.public_key()], manifest_sha256=MINE)
    assert verified.attestation.predicate.result == "PASSED"


def test_the_envelope_is_dsse_and_the_payload_in_toto() -> None:
    envelope = json.loads(word())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["subject"] == [{"name": "manifest.json", "digest": {"sha256": MINE}}]


def test_what_is_signed_is_framed_as_the_specification_says() -> None:
    # PAE of the DSSE specification, protocol.md: "DSSEv1 29 http://example.com/HelloWorld 11 …".
    from limpet.wire import attestation

    framed = attestation._pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert framed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize(
    ("envelope", "says"),
    [
        (word("FAILED"), "did not let it pass: a-rule"),
        (word("WARNED"), "did not let it pass"),
        (word(other="b" * 64), "another release"),
        (word()[:-20], "not a valid"),
        (b"{}", "not a valid"),
        (b"[" * 100_000, "not a valid"),
        (b" " * (ATTESTATION_BYTES + 1), "at most"),
    ],
)
def test_anything_but_a_pass_on_this_release_is_refused(envelope: bytes, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        verify_attestation(envelope, [KEY.public_key()], manifest_sha256=MINE)


def test_a_word_by_nobody_who_counts_is_refused() -> None:
    with pytest.raises(Rejected, match="no key of the gate"):
        verify_attestation(word(), [new_attesting_key().public_key()], manifest_sha256=MINE)
    with pytest.raises(Rejected, match="no key of the gate"):
        verify_attestation(word(), [], manifest_sha256=MINE)


def test_a_verdict_that_is_changed_after_signing_is_refused() -> None:
    envelope = json.loads(word("FAILED"))
    payload = base64.b64decode(envelope["payload"]).replace(b"FAILED", b"PASSED")
    envelope["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(Rejected, match="no key of the gate"):
        verify_attestation(json.dumps(envelope).encode(), [KEY.public_key()], manifest_sha256=MINE)


def test_another_kind_of_payload_does_not_pass_for_a_statement() -> None:
    envelope = json.loads(word())
    envelope["payloadType"] = "text/plain"
    with pytest.raises(Rejected, match="no key of the gate"):
        verify_attestation(json.dumps(envelope).encode(), [KEY.public_key()], manifest_sha256=MINE)


@given(st.integers(0, len(word()) - 1), st.integers(1, 255))
def test_no_changed_byte_makes_another_word(place: int, change: int) -> None:
    data = bytearray(word())
    data[place] ^= change
    try:
        verified = verify_attestation(bytes(data), [KEY.public_key()], manifest_sha256=MINE)
    except Rejected:
        return
    assert verified.attestation.predicate.result == "PASSED"  # in what nobody signs: the key's id


@pytest.mark.parametrize("custom", [None, {}, {"gate": 1}, {"gate": "x"}, [], "gate"])
def test_metadata_that_names_no_word_names_none(custom: object) -> None:
    assert signed_attestation(custom) == ""
    assert signed_attestation({"gate": MINE, "more": 1}) == MINE


def test_several_keys_are_read_from_one_file_and_nothing_else() -> None:
    keys = [new_attesting_key().public_key() for _ in range(3)]
    pem = b"".join(public_pem(key) for key in keys)
    assert [public_pem(key) for key in public_keys_from_pem(pem)] == [public_pem(k) for k in keys]
    for bad in (b"", b"nothing", pem + b"more", pem * 3, pem.replace(b"MC", b"MD")):
        with pytest.raises(Rejected):
            public_keys_from_pem(bad)
