"""The factory's choice of a key store: what is understood, kept, and refused."""

import pytest

from limpet.errors import Rejected
from limpet.wire.keystore import SOFTWARE, decode_key_store, encode_key_store, parse_key_store

URI = "pkcs11:token=my%20token?module-path=/usr/lib/softhsm/libsofthsm2.so"


@pytest.mark.parametrize("text", ["software", "tpm", "tpm:swtpm:path=/run/tpm", URI])
def test_a_choice_survives_its_file(text: str) -> None:
    chosen = parse_key_store(text)
    assert decode_key_store(encode_key_store(chosen)) == chosen


def test_each_choice_is_what_was_typed() -> None:
    assert parse_key_store("software") == SOFTWARE
    assert parse_key_store("tpm").tcti == "device:/dev/tpmrm0"
    assert parse_key_store("tpm:swtpm:path=/run/tpm").tcti == "swtpm:path=/run/tpm"
    assert parse_key_store(URI).token == "my token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hardware",
        "software:now",
        "pkcs11:token=a",
        "pkcs11:token=a?module-path=relative.so",
        "pkcs11:token=a;object=b?module-path=/m.so",
        f"pkcs11:token={'a' * 33}?module-path=/m.so",
        "pkcs11:token=?module-path=/m.so",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_key_store(text)
    assert refused.value.reason == "bad-key-store"


@pytest.mark.parametrize(
    "data",
    [b"backend = ", b"\xff", b'backend = "paper"', b'fallback = "software"', b'backend = "tpm"'],
)
def test_a_damaged_choice_is_refused_and_never_read_as_software(data: bytes) -> None:
    with pytest.raises(Rejected, match=r"keystore\.toml|module"):
        decode_key_store(data)
