"""What a suite says, as frozen types: one table of the file, one type.

Owns the names that a suite may use. A name that is not here is an error in the file,
not an algorithm that is silently left out.
"""

import enum
from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = [
    "CIPHERS",
    "GROUPS",
    "SIGNATURES",
    "CertificateRules",
    "Families",
    "FirmwareRules",
    "PasswordRules",
    "Suite",
    "SuiteId",
    "TlsRules",
    "TlsUse",
]

# TLS Supported Groups (IANA); the names are OpenSSL's, which are IANA's in most cases.
GROUPS = {
    "secp256r1": 0x0017,
    "secp384r1": 0x0018,
    "secp521r1": 0x0019,
    "x25519": 0x001D,
    "x448": 0x001E,
    "ffdhe2048": 0x0100,
    "ffdhe3072": 0x0101,
    "ffdhe4096": 0x0102,
    "SecP256r1MLKEM768": 0x11EB,
    "X25519MLKEM768": 0x11EC,
    "SecP384r1MLKEM1024": 0x11ED,
}
# TLS SignatureScheme (IANA)
SIGNATURES = {
    "rsa_pkcs1_sha256": 0x0401,
    "rsa_pkcs1_sha384": 0x0501,
    "rsa_pkcs1_sha512": 0x0601,
    "ecdsa_secp256r1_sha256": 0x0403,
    "ecdsa_secp384r1_sha384": 0x0503,
    "ecdsa_secp521r1_sha512": 0x0603,
    "rsa_pss_rsae_sha256": 0x0804,
    "rsa_pss_rsae_sha384": 0x0805,
    "rsa_pss_rsae_sha512": 0x0806,
    "ed25519": 0x0807,
    "ed448": 0x0808,
    "mldsa44": 0x0904,
    "mldsa65": 0x0905,
    "mldsa87": 0x0906,
}
# TLS 1.3 cipher suites (RFC 8446, B.4)
CIPHERS = {
    "TLS_AES_128_GCM_SHA256": 0x1301,
    "TLS_AES_256_GCM_SHA384": 0x1302,
    "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
}

SuiteName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
Version = Annotated[int, Meta(ge=1, le=1_000_000)]
TlsVersion = Literal["TLSv1.3"]
Hash = Literal["sha256", "sha384", "sha512"]
Curve = Literal["secp256r1", "secp384r1", "secp521r1"]
EdwardsKey = Literal["ed25519"]
Scheme = Literal["ed25519", "ml-dsa-44/1", "ml-dsa-65/1", "ml-dsa-87/1"]

SchemeFamily = Annotated[tuple[Scheme, ...], Meta(min_length=1)]
SchemeFamilies = Annotated[tuple[SchemeFamily, ...], Meta(min_length=1)]

Families = tuple[tuple[str, ...], ...]
"""Of metadata keys: a valid signature of each family is asked for, by any scheme of it."""


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: nothing may be missing, and nothing unknown may be there."""


class TlsUse(enum.Enum):
    """Whom a connection is with; each has rules of its own."""

    LOCAL = "local"  # the device's own API and its clients
    VENDOR = "vendor"  # devices and the vendor's service
    OUTBOUND = "outbound"  # an app and the hosts that its design file declares


class SuiteId(_Table, frozen=True):
    """Which suite: its name is for people, its version decides which is the newer one."""

    name: SuiteName
    version: Version

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


class TlsRules(_Table, frozen=True):
    """What is offered and accepted in TLS; each list in order of preference."""

    versions: Annotated[tuple[TlsVersion, ...], Meta(min_length=1)]
    groups: Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]
    signatures: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    ciphers: Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]


class _TlsTable(_Table, frozen=True):
    local: TlsRules
    vendor: TlsRules
    outbound: TlsRules


class CertificateRules(_Table, frozen=True):
    """Of certificates and requests; the first hash and curve are those that limpet makes."""

    hashes: Annotated[tuple[Hash, ...], Meta(min_length=1)]
    curves: Annotated[tuple[Curve, ...], Meta(min_length=1)]
    edwards: tuple[EdwardsKey, ...]
    rsa_minimum_bits: Annotated[int, Meta(ge=2048, le=16384)]  # limpet makes no RSA key


class PasswordRules(_Table, frozen=True):
    """A named set of Argon2id's costs: memory in KiB, passes, lanes."""

    profile: SuiteName
    memory_kib: Annotated[int, Meta(ge=7168, le=1 << 21)]
    passes: Annotated[int, Meta(ge=1, le=64)]
    lanes: Annotated[int, Meta(ge=1, le=64)]


class FirmwareRules(_Table, frozen=True):
    """Which signatures metadata needs, and which other keys its roles may name besides."""

    offline: SchemeFamilies
    online: SchemeFamilies
    besides: tuple[Scheme, ...]


class Suite(_Table, frozen=True):
    """All that is offered and accepted; everything else is refused in both directions."""

    spec: Literal["limpet-suite-1"]
    name: SuiteName
    version: Version
    tls: _TlsTable
    certificates: CertificateRules
    passwords: PasswordRules
    firmware: FirmwareRules

    @property
    def id(self) -> SuiteId:
        """Name and version."""
        return SuiteId(name=self.name, version=self.version)

    def tls_rules(self, use: TlsUse) -> TlsRules:
        """The rules for connections of this use."""
        rules: TlsRules = getattr(self.tls, use.value)
        return rules
