"""A PKCS#11 token (SoftHSM 2) attacked by whoever already is the keeper."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.needs import needs

from limpet.crypto.requests import verify_request
from limpet.device.keeper._hardware import TokenKeyStore, load_settings, open_key_store
from limpet.device.keeper._store import FileKeyStore
from limpet.device.keeper._token import Token
from limpet.errors import LimpetError, Misuse, Rejected, Unavailable
from limpet.wire.keystore import KEYSTORE_FILE, encode_key_store, parse_key_store

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SETTINGS = parse_key_store(f"pkcs11:token=limpet?module-path={MODULE}")
VALUE, EXTRACTABLE, SENSITIVE = 0x11, 0x162, 0x103  # CKA_*

pytestmark = needs(MODULE, package="softhsm2", untried="no key was in a token")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TokenKeyStore]:
    made = TokenKeyStore(SETTINGS, tmp_path)
    made.generate(model="thermostat", serial="TH-00000001")
    yield made
    made.close()


def _token(store: TokenKeyStore) -> Token:
    """The open session, with the user logged in."""
    store.public_key()
    assert store._open is not None
    return store._open


def test_the_key_signs_and_is_the_one_of_the_request(store: TokenKeyStore) -> None:
    key = store.tls_key()
    signature = key.sign(b"text", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"text", ec.ECDSA(hashes.SHA256()))
    again = verify_request(store.generate(model="m", serial="s").encode())
    assert again.public_key == store.public_key()
    assert again.public_key != key.public_key()  # the first one is gone: it had no certificate


def test_the_token_hands_the_private_key_to_nobody(store: TokenKeyStore) -> None:
    token = _token(store)
    handle = token.private_handle()
    assert token.read(handle, SENSITIVE) == b"\x01"  # the same call reads what may be read
    with pytest.raises(Unavailable, match="0x11 to C_GetAttributeValue"):  # CKR_ATTRIBUTE_SENSITIVE
        token.read(handle, VALUE)
    with pytest.raises(Misuse):
        store.tls_key().private_numbers()


def test_the_key_cannot_be_made_extractable_afterwards(store: TokenKeyStore) -> None:
    token = _token(store)
    value = ctypes.create_string_buffer(b"\x01", 1)
    wanted = (ctypes.c_ulong * 3)(EXTRACTABLE, ctypes.addressof(value), 1)
    with pytest.raises(Unavailable, match="to C_SetAttributeValue"):
        token._call(
            "C_SetAttributeValue",
            token._session,
            ctypes.c_ulong(token.private_handle()),
            wanted,
            ctypes.c_ulong(1),
        )
    assert token.read(token.private_handle(), EXTRACTABLE) == b"\x00"


def test_a_wrong_pin_opens_nothing(store: TokenKeyStore, tmp_path: Path) -> None:
    store.close()
    (tmp_path / "token.pin").write_bytes(b"not-the-pin")
    with pytest.raises(Rejected) as refused:
        store.public_key()
    assert refused.value.reason == "wrong-pin"


def test_a_token_of_somebody_else_is_not_taken_over(store: TokenKeyStore, tmp_path: Path) -> None:
    store.close()
    token = Token(MODULE, "limpet")
    try:
        with pytest.raises(Rejected) as refused:
            token.initialize(officer_pin=b"12345678", pin=b"12345678")
    finally:
        token.close()
    assert refused.value.reason == "token-in-use"


def test_a_device_without_its_token_gets_no_key_in_software(tmp_path: Path) -> None:
    root = tmp_path / "device"
    root.mkdir()
    assert isinstance(open_key_store(load_settings(root), root), FileKeyStore)
    (root / KEYSTORE_FILE).write_bytes(
        encode_key_store(parse_key_store("pkcs11:token=gone?module-path=/nowhere/module.so"))
    )
    store = open_key_store(load_settings(root), root)
    with pytest.raises(LimpetError):
        store.generate(model="thermostat", serial="TH-00000001")
    assert not (root / "idevid.key").exists()
