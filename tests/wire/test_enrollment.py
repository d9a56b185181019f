"""EST's encodings: what real servers send is read, anything else is refused."""

import base64
import contextlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.certificates import make_root
from limpet.crypto.keys import generate_key
from limpet.crypto.requests import Purpose, make_request
from limpet.errors import Rejected
from limpet.wire import enrollment as subject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = make_root("Example Device Root", now=NOW)
BODY = base64.b64encode(pkcs7.serialize_certificates([ROOT.certificate], Encoding.DER))


def test_a_request_is_one_line_of_base64_under_one_kilobyte() -> None:
    pem = make_request(
        generate_key(), model="thermostat", serial="TH-00000001", purpose=Purpose.SERVER
    )
    body = subject.encode_request(pem.decode())
    assert body.count(b"\n") == 1
    assert len(body) < 1024
    der = base64.b64decode(body)
    again = b"".join(pem.splitlines()[1:-1])
    assert der == base64.b64decode(again)


@pytest.mark.parametrize(
    "body", [BODY, BODY + b"\n", b"\r\n".join(BODY[i : i + 64] for i in range(0, len(BODY), 64))]
)
def test_wrapped_and_unwrapped_replies_are_read(body: bytes) -> None:
    assert subject.decode_certificates(body) == (ROOT.certificate,)


@pytest.mark.parametrize(
    "pem", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"[:-1]]
)
def test_what_is_no_request_is_not_sent(pem: str) -> None:
    with pytest.raises(Rejected, match="certificate request"):
        subject.encode_request(pem)


def test_a_reply_over_the_bound_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        subject.decode_certificates(b"A" * (subject.REPLY_BYTES + 1))
    assert caught.value.reason == "too-large"


@given(st.binary(max_size=300) | st.binary(max_size=300).map(base64.b64encode))
def test_no_reply_does_anything_but_be_refused(body: bytes) -> None:
    with pytest.raises(Rejected):
        subject.decode_certificates(body)


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255))
def test_a_damaged_reply_is_read_or_refused(at: int, byte: int) -> None:
    damaged = BODY[:at] + bytes([byte]) + BODY[at + 1 :]
    with contextlib.suppress(Rejected):
        assert len(subject.decode_certificates(damaged)) == 1
