"""What is banned, weakened or home-made is found; a library's use of the same is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.source import find_algorithms

RC4 = b"""
def crypt(data, key):
    return bytes(data[i] ^ key[i % len(key)] for i in range(len(data)))
"""
SBOX = b"TABLE = [0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30]\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"import hashlib\nhashlib.md5(b'x')", "MD5 is broken"),
        (b"hashlib.sha1(data).hexdigest()", "SHA-1 is broken"),
        (b"hashlib.new('md5', data)", "hashlib.new('md5')"),
        (b"from hashlib import md5", "hashlib.md5"),
        (b"from Crypto.Cipher import AES", "PyCrypto"),
        (b"from cryptography.hazmat.primitives.ciphers import modes\nmodes.ECB()", "equal blocks"),
        (b"c = algorithms.TripleDES(key)", "Triple-DES"),
        (b"from ssl import CERT_NONE", "verifies no certificate"),
        (b"context.verify_mode = ssl.CERT_NONE", "verifies no certificate"),
        (b"context.check_hostname = False", "any host's"),
        (b"connect(check_hostname=False)", "any host's"),
        (b"ssl._create_unverified_context()", "verifies no certificate"),
        (b"ctx.minimum_version = ssl.TLSVersion.TLSv1_1", "RFC 8996"),
        (RC4, "XOR"),
        (SBOX, "S-box of AES"),
        (b"K = (0x428a2f98, 0x71374491)", "SHA-2"),
        (b"delta = 0x9E3779B9", "TEA"),
        (b"import random\ntoken = random.randbytes(16)", "use the module secrets"),
        (b"import random\ndef make_key():\n    return random.getrandbits(128)", "module secrets"),
    ],
)
def test_it_is_found(text: bytes, what: str) -> None:
    found = list(find_algorithms("app.py", text))
    assert any(what in spot.what for spot in found), found


@pytest.mark.parametrize(
    "text",
    [
        b"hashlib.sha256(data)",
        b"hashlib.md5(data, usedforsecurity=False)",
        b"import random\nwait = random.uniform(1, 2)",
        b"import secrets\ntoken = secrets.token_bytes(16)",
        b"parity = bits[0] ^ bits[1]",
        b"flags ^= MASK",
        b"context.check_hostname = True",
        b"[99, 1, 2, 3, 4, 5, 6, 7, 8]",
        b"def broken(:",
        b"import rsa_like",
    ],
)
def test_honest_code_is_left_alone(text: bytes) -> None:
    assert list(find_algorithms("app.py", text)) == []


def test_a_compiled_file_with_a_cipher_in_it_is_found() -> None:
    sbox = bytes.fromhex("637c777bf26b6fc53001672bfed7ab76")
    assert list(find_algorithms("fast.so", b"\x7fELF" + bytes(50) + sbox))
    assert not list(find_algorithms("fast.so", b"\x7fELF" + bytes(50) + sbox[1:]))


@given(st.binary(max_size=300))
def test_any_file_is_looked_through(data: bytes) -> None:
    list(find_algorithms("app.py", data))
    list(find_algorithms("any", data))
