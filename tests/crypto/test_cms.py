"""Detached signatures, verified by OpenSSL's own command as RFC 8520 (13.2) says."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.needs import need

from limpet.crypto.certificates import Issuer, issue_service, make_intermediate, make_root
from limpet.crypto.chains import load_certificates
from limpet.crypto.cms import sign_detached
from limpet.crypto.keys import generate_key
from limpet.errors import Rejected

NOW = datetime.now(UTC)
ROOT = make_root("Root", now=NOW)
AUTHORITY = make_intermediate(ROOT, "Authority", now=NOW)
KEY = generate_key()
CHAIN = load_certificates(issue_service(AUTHORITY, KEY, hostnames=["mud.example"], now=NOW))
DOCUMENT = b'{"ietf-mud:mud": {}}\r\n\n'


def _verifies(directory: Path, document: bytes, signature: bytes, root: Issuer = ROOT) -> bool:
    need("openssl", package="openssl", untried="the signature was not verified")
    for name, data in (
        ("document", document),
        ("signature", signature),
        ("root.pem", root.certificate_pem()),
    ):
        (directory / name).write_bytes(data)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any"]
    command += ["-in", "signature", "-content", "document", "-CAfile", "root.pem", "-out", "seen"]
    done = subprocess.run(command, cwd=directory, capture_output=True, timeout=150)
    return done.returncode == 0 and (directory / "seen").read_bytes() == document


def test_openssl_verifies_the_bytes_as_they_are_up_to_the_root(tmp_path: Path) -> None:
    signature = sign_detached(DOCUMENT, chain=CHAIN, key=KEY)
    assert DOCUMENT not in signature
    assert _verifies(tmp_path, DOCUMENT, signature)


def test_a_changed_byte_another_root_and_a_changed_signature_do_not_verify(tmp_path: Path) -> None:
    signature = sign_detached(DOCUMENT, chain=CHAIN, key=KEY)
    assert not _verifies(tmp_path, DOCUMENT.replace(b"{}", b"[]"), signature)
    assert not _verifies(tmp_path, DOCUMENT.replace(b"\r\n", b"\n"), signature)
    assert not _verifies(tmp_path, DOCUMENT, signature, make_root("Root", now=NOW))
    assert not _verifies(tmp_path, DOCUMENT, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_a_key_of_another_certificate_and_an_authority_do_not_sign() -> None:
    with pytest.raises(Rejected, match="does not fit"):
        sign_detached(DOCUMENT, chain=CHAIN, key=generate_key())
    with pytest.raises(Rejected, match="not for signing"):
        sign_detached(DOCUMENT, chain=[AUTHORITY.certificate], key=AUTHORITY.key)
