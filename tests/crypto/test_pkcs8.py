"""Private keys under a passphrase: what a thief of the file has to pay, and who can open it."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from limpet.crypto.keys import generate_key, generate_signing_key, key_to_pem, signing_key_from_pem
from limpet.crypto.pkcs8 import SCRYPT_N, SCRYPT_P, SCRYPT_R
from limpet.errors import Rejected

PASSPHRASE = b"six words that a die has chosen"


@pytest.mark.parametrize("scheme", ["ed25519", "ml-dsa-65/1"])
def test_a_sealed_key_is_opened_by_its_passphrase_and_by_no_other(scheme: str) -> None:
    key = generate_signing_key(scheme)
    pem = key_to_pem(key, passphrase=PASSPHRASE)
    found = signing_key_from_pem(pem, passphrase=PASSPHRASE)
    assert found.public_key().public_bytes_raw() == key.public_key().public_bytes_raw()
    for wrong in (b"six words that a die has not chosen", None):
        with pytest.raises(Rejected) as refused:
            signing_key_from_pem(pem, passphrase=wrong)
        assert refused.value.reason == "bad-key"


def test_openssl_opens_it_and_sees_a_memory_hard_derivation(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(key_to_pem(generate_key(), passphrase=PASSPHRASE))
    parsed = _openssl("asn1parse", "-in", str(file))
    assert ":PBES2" in parsed
    assert ":scrypt" in parsed
    assert ":aes-256-cbc" in parsed
    costs = [line.rpartition(":")[2] for line in parsed.splitlines() if "INTEGER" in line]
    assert [int(cost, 16) for cost in costs] == [SCRYPT_N, SCRYPT_R, SCRYPT_P]
    plain = _openssl("pkey", "-in", str(file), "-passin", f"pass:{PASSPHRASE.decode()}")
    assert load_pem_private_key(plain.encode(), None)


def test_two_files_of_one_key_and_passphrase_have_nothing_in_common() -> None:
    key = generate_signing_key()
    one, two = (key_to_pem(key, passphrase=PASSPHRASE) for _ in range(2))
    assert one != two
    assert b"ENCRYPTED" not in key_to_pem(key)


def _openssl(*arguments: str) -> str:
    done = subprocess.run(
        ["openssl", *arguments], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
