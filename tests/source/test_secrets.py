"""Secrets in files are found by their form, and what only looks like one is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.crypto.attesting import new_attesting_key
from limpet.crypto.keys import key_to_pem
from limpet.source import find_secrets

KEY = key_to_pem(new_attesting_key())
SEALED = key_to_pem(new_attesting_key(), passphrase=b"four words are enough")
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "x" * 43


@pytest.mark.parametrize(
    ("name", "text", "what", "line"),
    [
        ("key.pem", KEY, "a private key", 1),
        ("key.pem", SEALED, "a private key", 1),
        ("firmware.bin", b"\x7fELF\n\0\0" + KEY, "a private key", 2),
        ("cloud.py", b'x = 1\nname = "AKIA' + b"Q" * 16 + b'"\n', "an access key of a cloud", 2),
        ("host.cfg", b"token: ghp_" + b"a1B2" * 9, "a token of a code host", 1),
        ("chat.cfg", b"xoxb-" + b"123456789012-abcdefgh", "a token of a chat service", 1),
        ("web.txt", JWT.encode(), "a signed web token", 1),
        ("db.ini", b"\nurl = mqtt://user:hunter2hunter@broker.example", "a password in an", 2),
        ("app.py", b'API_KEY = "9f8e7d6c5b4a"\n', "a secret written into the code, as API_KEY", 1),
        ("app.py", b'\nlogin(password="k3jH8sLq")', "as password", 2),
        ("app.py", b'self.auth_token = b"k3jH8sLq"', "as auth_token", 1),
        ("app.py", b'settings = {"passphrase": "k3jH8sLq"}', "as passphrase", 1),
    ],
)
def test_a_secret_is_found_with_its_line_and_never_repeated(
    name: str, text: bytes, what: str, line: int
) -> None:
    found = list(find_secrets(name, text))
    assert [(spot.line, what in spot.what) for spot in found] == [(line, True)]
    assert "k3jH8sLq" not in found[0].what


@pytest.mark.parametrize(
    "text",
    [
        b'password = "********"',
        b'password = "<your password>"',
        b'PASSWORD = "change-me-please"',
        b'token = ""',
        b'password = "aaaaaaaaaaaa"',
        b'password = input("Your password: ")',
        b'password_hint = "the name of your first dog"',
        b"-----BEGIN PRIVATE KEY-----",
        b'MARK = b"-----BEGIN PRIVATE KEY-----"',
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        b"https://vendor.example.com/path@2x.png",
        b"def broken(:",
        b"\0" * 100,
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: bytes) -> None:
    assert list(find_secrets("app.py", text)) == []


@given(st.binary(max_size=300))
def test_any_file_is_looked_through(data: bytes) -> None:
    list(find_secrets("app.py", data))
    list(find_secrets("any", data))
