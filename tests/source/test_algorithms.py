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
        (b"import hashlib as h\nh.md5(b'x')", "MD5 is broken"),
        (b"import hashlib\nmake = hashlib.md5", "MD5 is broken"),
        (b"import hashlib\ngetattr(hashlib, 'md5')(b'x')", "MD5 is broken"),
        (b"from hashlib import *\nmd5(b'x')", "MD5 is broken"),
        (b"import _md5", "_md5: is broken"),
        (b"hashlib.new(name='sha1')", "hashlib.new('sha1')"),
        (b"hmac.new(key, text, 'md5')", "hmac.new('md5')"),
        (b"hmac.new(key, text, digestmod='sha1')", "hmac.new('sha1')"),
        (b"import hmac as h\nh.digest(key, text, 'md5')", "hmac.digest('md5')"),
        (b"hashlib.pbkdf2_hmac('sha1', word, salt, 600000)", "pbkdf2_hmac('sha1')"),
        (b"hashlib.file_digest(file, 'md5')", "file_digest('md5')"),
        (b"importlib.import_module('Crypto.Cipher.AES')", "PyCrypto"),
        (b"__import__('Crypto')", "PyCrypto"),
        (b"from Cryptodome.Cipher import DES", "DES is broken"),
        (b"from cryptography.hazmat.primitives import hashes as h\nh.MD5()", "MD5 is broken"),
        (b"context.verify_mode = 0", "verifies no certificate"),
        (b"context.verify_mode = ssl.VerifyMode.CERT_NONE", "verifies no certificate"),
        (b"import ssl as s\ns.CERT_NONE", "verifies no certificate"),
        (b"requests.get(url, verify=False)", "get(verify=False)"),
        (b"session.verify = False", "verify = False"),
        (b"PoolManager(cert_reqs='CERT_NONE')", "CERT_NONE"),
        (b"context.set_ciphers('ALL:@SECLEVEL=0')", "@SECLEVEL=0"),
        (b"context.set_ciphers('HIGH:DES-CBC3-SHA')", "DES-CBC3-SHA"),
        (b"ssl.TLSVersion.MINIMUM_SUPPORTED", "below TLS 1.2"),
        (b"rsa.generate_private_key(65537, 1024)", "1024 bits"),
        (b"rsa.generate_private_key(public_exponent=65537, key_size=1024)", "1024 bits"),
        (b"ec.generate_private_key(ec.SECP192R1())", "below 256 bits"),
        (b"S = bytes.fromhex('637c777bf26b6fc53001672bfed7ab76')", "S-box of AES"),
        (b"S = b'\\x63\\x7cw{\\xf2ko\\xc50\\x01g+\\xfe\\xd7\\xabv'", "S-box of AES"),
        (b"bytes(a ^ b for a, b in zip(data, itertools.cycle(key)))", "XOR"),
        (b"bytes(c ^ key[i % len(key)] for i, c in enumerate(data))", "XOR"),
        (b"from random import choice\ntoken = choice(words)", "use the module secrets"),
        (b"import random as r\ntoken = r.randint(0, 9)", "use the module secrets"),
        (b"import random\nrng = random.Random(7)\nnonce = rng.randbytes(12)", "module secrets"),
        (b"import uuid\ntoken = uuid.uuid1().hex", "use the module secrets"),
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
        b"record.md5",
        b"import record as hashes\nhashes.MD5",
        b"hmac.new(key, text, 'sha256')",
        b"hashlib.new('md5', data, usedforsecurity=False)",
        b"rsa.generate_private_key(65537, 3072)",
        b"requests.get(url, verify=True)",
        b"cache.get(name, verify=None)",
        b"context.set_ciphers('ECDHE+AESGCM:!aNULL:!MD5:!3DES')",
        b"import random\nrng = random.SystemRandom()\ntoken = rng.randbytes(12)",
        b"crc = TABLE[(crc ^ byte) % 256] ^ crc",
        b"for a, b in zip(left, right): parity ^= a ^ b",
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
