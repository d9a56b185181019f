"""Secrets in files are found by their form, and what only looks like one is left alone."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
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
        ("app.py", b'def login(name, password="k3jH8sLq"): ...', "as password", 1),
        ("app.py", b'name, password = "anna", "k3jH8sLq"', "as password", 1),
        ("app.py", b'settings["password"] = "k3jH8sLq"', "as password", 1),
        ("app.py", b'self.password: str = "k3jH8sLq"', "as password", 1),
        ("app.py", b'mqttPassword = "k3jH8sLq"', "as mqttPassword", 1),
        ("app.py", b'password = "k3jH" + "8sLq"', "as password", 1),
        ("app.py", b'password = b64decode("k3jH8sLq")', "as password", 1),
        ("app.py", b'SECRET_KEY = bytes.fromhex("9f8e7d6c5b4a")', "as SECRET_KEY", 1),
        ("app.py", b'password = os.environ.get("PASSWORD", "k3jH8sLq")', "as password", 1),
        ("app.py", b'password = given or "k3jH8sLq"', "as password", 1),
        ("app.py", b'if password == "k3jH8sLq": ...', "as password", 1),
        ("app.py", b'password = "k3jH8sLq"\nprint "of an old Python"', "as password", 1),
        (".env", b"MQTT_PASSWORD=k3jH8sLq\n", "as MQTT_PASSWORD", 1),
        ("a/settings.toml", b'[mqtt]\npassword = "k3jH8sLq"\n', "as password", 2),
        ("settings.json", b'{"api_key": "k3jH8sLq"}', "as api_key", 1),
        ("settings.yaml", b"secret: k3jH8sLq\n", "as secret", 1),
        ("start.sh", b"export DB_PASSWORD='k3jH8sLq'", "as DB_PASSWORD", 1),
        (".netrc", b"machine a.example login me password k3jH8sLq", "a password for a host", 1),
        ("call.py", b'{"Authorization": "Basic YWRtaW46VHIwdWI0ZG9y"}', "credentials of HTTP", 1),
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
        b'BEGIN, END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"',
        b'password = ask("password", "of the owner")',
        b'if token == "identifier": ...',
        b'qtoken = "unquoted"',
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: bytes) -> None:
    assert list(find_secrets("app.py", text)) == []


@pytest.mark.parametrize(
    "text",
    [
        b'secret = "claim-code"',
        b'password = "${PASSWORD_1}"',
        b'private_key = "keys/device-1.pem"',
        b'password_file = "k3jH8sLq"',
        b'token = "pkcs11:token=Signer1"',
    ],
)
def test_settings_that_only_point_at_a_secret_are_left_alone(text: bytes) -> None:
    assert list(find_secrets("settings.toml", text)) == []


def _der(form: serialization.PrivateFormat, key: Any) -> bytes:
    plain = serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.DER, form, plain))


P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
KEY_FORMS = {
    "in code, in one line": b'KEY = "%b"' % KEY.replace(b"\n", rb"\n"),
    "in code, line by line": b"\n".join(b'"%b\\n"' % line for line in KEY.splitlines()),
    "in JSON": json.dumps({"private_key": KEY.decode()}).encode(),
    "in UTF-16": KEY.decode().encode("utf-16"),
    "in Base64": base64.b64encode(KEY),
    "in Base64, in lines": base64.encodebytes(KEY),
    "PKCS #8": _der(serialization.PrivateFormat.PKCS8, P256),
    "PKCS #8 of RSA": _der(serialization.PrivateFormat.PKCS8, RSA),
    "PKCS #8 of Ed25519": _der(serialization.PrivateFormat.PKCS8, Ed25519PrivateKey.generate()),
    "PKCS #8 in a file": b"\x7fELF" + bytes(99) + _der(serialization.PrivateFormat.PKCS8, P256),
    "PKCS #8 in Base64": base64.b64encode(_der(serialization.PrivateFormat.PKCS8, P256)),
    "PKCS #1": _der(serialization.PrivateFormat.TraditionalOpenSSL, RSA),
    "SEC 1": _der(serialization.PrivateFormat.TraditionalOpenSSL, P256),
    "SEC 1 in Base64": base64.b64encode(_der(serialization.PrivateFormat.TraditionalOpenSSL, P256)),
    "PKCS #12": pkcs12.serialize_key_and_certificates(
        b"device", P256, None, None, serialization.NoEncryption()
    ),
    "a JSON Web Key": b'{"kty": "EC", "crv": "P-256", "x": "AA", "d": "'
    + b"jpsQnnGQmL" * 4
    + b'"}',
    "age": b"AGE-SECRET-KEY-1" + b"QPZRY9X8GF" * 6,
    "WireGuard": b"PrivateKey = " + base64.b64encode(bytes(range(32))),
}


@pytest.mark.parametrize("form", KEY_FORMS)
def test_a_private_key_is_found_in_any_form(form: str) -> None:
    found = [spot.what for spot in find_secrets("file", KEY_FORMS[form])]
    assert len(found) == 1
    assert "private key" in found[0].lower() or "private JSON Web Key" in found[0]


def test_public_keys_and_certificates_are_left_alone_in_any_form() -> None:
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    for key in (P256.public_key(), RSA.public_key()):
        der = key.public_bytes(serialization.Encoding.DER, info)
        pem = key.public_bytes(serialization.Encoding.PEM, info)
        for data in (der, pem, base64.b64encode(der), base64.b64encode(pem)):
            assert list(find_secrets("file", data)) == []


@given(st.binary(max_size=300))
def test_any_file_is_looked_through(data: bytes) -> None:
    list(find_secrets("app.py", data))
    list(find_secrets("any", data))
