"""Where a device keeps its permanent key: what the factory decides and the keeper reads.

Owns `keystore.toml` in a device's directory: public, written by the station before the
first start, in a place that no role of the device may write. A PIN is never in it.
"""

import json
import tomllib
from typing import Annotated, Literal
from urllib.parse import parse_qs, unquote

import msgspec
from msgspec import Meta

from limpet.errors import Rejected

__all__ = [
    "KEYSTORE_BYTES",
    "KEYSTORE_FILE",
    "SOFTWARE",
    "Backend",
    "KeyStoreSettings",
    "decode_key_store",
    "encode_key_store",
    "parse_key_store",
]

KEYSTORE_FILE = "keystore.toml"
KEYSTORE_BYTES = 4096
TOKEN_LABEL = "limpet"  # noqa: S105
TPM_MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"
TPM_DEVICE = "device:/dev/tpmrm0"
_HINT = "software, tpm, tpm:TCTI, or pkcs11:token=LABEL?module-path=/path/to/module.so"

Backend = Literal["software", "pkcs11", "tpm"]
Text = Annotated[str, Meta(max_length=255)]


class KeyStoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One backend. `module` is a PKCS#11 module; `tcti` says how tpm2-tss reaches the TPM."""

    backend: Backend = "software"
    module: Text = ""
    token: Annotated[str, Meta(max_length=32)] = ""
    tcti: Text = ""


SOFTWARE = KeyStoreSettings()
"""A sealed file that the keeper alone may read."""


def parse_key_store(text: str) -> KeyStoreSettings:
    """The settings that a person typed; PKCS#11 as a URI (RFC 7512). Raises `Rejected`."""
    kind, _, rest = text.partition(":")
    if text == "software":
        return SOFTWARE
    if kind == "tpm":
        tcti = rest or TPM_DEVICE
        return _checked(
            KeyStoreSettings(backend="tpm", module=TPM_MODULE, token=TOKEN_LABEL, tcti=tcti)
        )
    if kind == "pkcs11":
        path, _, query = rest.partition("?")
        attributes = dict(part.split("=", 1) for part in path.split(";") if "=" in part)
        module = parse_qs(query).get("module-path", [""])[0]
        unknown = set(attributes) - {"token"}
        if unknown:
            raise Rejected("bad-key-store", f"{unknown.pop()} is not understood here", hint=_HINT)
        token = unquote(attributes.get("token", TOKEN_LABEL))
        return _checked(KeyStoreSettings(backend="pkcs11", module=module, token=token))
    raise Rejected("bad-key-store", f"{text!r} is no key store", hint=_HINT)


def encode_key_store(settings: KeyStoreSettings) -> bytes:
    """The file's content (TOML's basic strings are JSON's)."""
    fields = msgspec.to_builtins(settings)
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items()).encode()


def decode_key_store(data: bytes) -> KeyStoreSettings:
    """The settings in a file. Raises `Rejected("bad-key-store")`."""
    try:
        found = msgspec.convert(tomllib.loads(data.decode()), KeyStoreSettings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise Rejected("bad-key-store", f"{KEYSTORE_FILE}: {error}") from error
    return _checked(found)


def _checked(settings: KeyStoreSettings) -> KeyStoreSettings:
    if settings.backend != "software" and not settings.module.startswith("/"):
        raise Rejected("bad-key-store", "a token needs its module's absolute path", hint=_HINT)
    if settings.backend != "software" and not 1 <= len(settings.token.encode()) <= 32:
        raise Rejected("bad-key-store", "a token's label has 1 to 32 bytes", hint=_HINT)
    return settings
