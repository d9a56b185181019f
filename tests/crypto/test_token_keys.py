"""A signer's key in a PKCS#11 token (SoftHSM 2): made there, signing there, never outside."""

import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from tests.needs import needs

from limpet.crypto.cryptoki import PRIVATE_KEY, Attribute, Session, ulong
from limpet.crypto.token_keys import (
    MODULE_VARIABLE,
    make_token_key,
    open_token_key,
    parse_token_uri,
)
from limpet.errors import Rejected, Unavailable

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = b"82736451"
URI = f"pkcs11:token=signer;object=root-2026?module-path={MODULE}"

pytestmark = needs(MODULE, package="softhsm2", untried="no key was in a token")


def pin(token: str) -> bytes:
    assert token == "signer"
    return PIN


@pytest.fixture
def _token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path}/tokens\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    words = ["--init-token", "--free", "--label", "signer", "--pin", PIN.decode()]
    subprocess.run(
        ["softhsm2-util", *words, "--so-pin", "12345678"],
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.mark.usefixtures("_token")
def test_a_key_is_made_in_the_token_and_signs_there() -> None:
    place = parse_token_uri(URI)
    made = make_token_key(place, pin)
    found = open_token_key(place, pin)
    assert found.public_key.public_bytes_raw() == made.public_key.public_bytes_raw()
    signature = found.sign(b"metadata")
    found.public_key.verify(signature, b"metadata")
    with pytest.raises(InvalidSignature):
        found.public_key.verify(signature, b"other metadata")


@pytest.mark.usefixtures("_token")
def test_the_token_hands_the_private_key_to_nobody_who_has_the_pin() -> None:
    place = parse_token_uri(URI)
    make_token_key(place, pin)
    session = Session(MODULE, "signer")
    try:
        session.open(PIN)
        wanted = ((Attribute.CLASS, ulong(PRIVATE_KEY)), (Attribute.LABEL, b"root-2026"))
        [handle] = session.find(wanted)
        assert session.read(handle, Attribute.SENSITIVE) == b"\x01"  # what may be read is
        with pytest.raises(Unavailable, match="0x11 to C_GetAttributeValue"):
            session.read(handle, 0x11)  # CKA_VALUE
    finally:
        session.close()


@pytest.mark.usefixtures("_token")
def test_a_wrong_pin_a_taken_name_and_a_missing_key_are_refused_by_name() -> None:
    place = parse_token_uri(URI)
    make_token_key(place, pin)
    with pytest.raises(Rejected) as refused:
        open_token_key(place, lambda token: b"11111111")
    assert refused.value.reason == "wrong-pin"
    assert "11111111" not in str(refused.value)
    with pytest.raises(Rejected) as refused:
        make_token_key(place, pin)
    assert refused.value.reason == "key-exists"
    with pytest.raises(Unavailable, match="0 public keys named 'other'"):
        open_token_key(parse_token_uri(URI.replace("root-2026", "other")), pin)
    with pytest.raises(Unavailable, match="no token 'absent'"):
        open_token_key(parse_token_uri(URI.replace("token=signer", "token=absent")), pin)
    open_token_key(place, pin)  # a refusal leaves the module ready for the next


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (f"{URI}&pin-value=82736451", "a PIN does not belong"),
        (URI.replace("?", ";pin-source=file:x?"), "a PIN does not belong"),
        (URI.replace("object=", "objekt="), "'objekt' is not understood"),
        ("pkcs11:token=signer;object=a", "module's absolute path"),
        ("pkcs11:token=signer;object=a?module-path=x.so", "module's absolute path"),
        (f"pkcs11:token=signer?module-path={MODULE}", "token and object are needed"),
        (f"pkcs11:token={'x' * 33};object=a?module-path={MODULE}", "token and object are needed"),
    ],
)
def test_a_uri_that_is_not_understood_is_refused_and_a_pin_in_it_too(uri: str, said: str) -> None:
    with pytest.raises(Rejected, match=said) as refused:
        parse_token_uri(uri)
    assert refused.value.reason == "bad-key-uri"
    assert "82736451" not in str(refused.value)


def test_the_module_of_a_uri_may_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODULE_VARIABLE, MODULE)
    assert parse_token_uri("pkcs11:token=a%20b;object=c").module == MODULE
    assert parse_token_uri("pkcs11:token=a%20b;object=c").token == "a b"
