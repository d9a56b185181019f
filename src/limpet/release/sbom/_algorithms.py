"""The algorithms that an inventory can name: what each is, and how strong.

Owns the table. A name of a suite that is not here is an error, never an entry left out. Strengths
are those of NIST SP 800-57 part 1 rev. 5 (classical bits) and of NIST's categories for security
against quantum computers (AES-128 is category 1, SHA-256 is 2, AES-256 is 5); 0 is none: a large
quantum computer breaks it.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ALGORITHMS",
    "CIPHER_PARTS",
    "GROUP_NAMES",
    "SCHEME_NAMES",
    "SIGNATURE_PARTS",
    "Algorithm",
]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm with its parameters, in CycloneDX's words."""

    name: str
    primitive: str
    functions: tuple[str, ...]
    bits: int  # classical security
    quantum: int  # NIST's category, 0 to 6
    standard: str
    parameters: str = ""
    curve: str = ""
    mode: str = ""
    padding: str = ""
    oid: str = ""


_SIGN = ("keygen", "sign", "verify")
_VERIFY = ("verify",)
_AGREE = ("keygen", "keyderive")
_DIGEST = ("digest",)
_SEAL = ("encrypt", "decrypt", "tag")

_ALL = (
    Algorithm("AES-128-GCM", "ae", _SEAL, 128, 1, "NIST SP 800-38D", mode="gcm", parameters="128",
        oid="2.16.840.1.101.3.4.1.6"),
    Algorithm("AES-256-GCM", "ae", _SEAL, 256, 5, "NIST SP 800-38D", mode="gcm", parameters="256",
        oid="2.16.840.1.101.3.4.1.46"),
    Algorithm("ChaCha20-Poly1305", "ae", _SEAL, 256, 5, "RFC 8439", parameters="256",
        oid="1.2.840.113549.1.9.16.3.18"),
    Algorithm("SHA-1", "hash", _DIGEST, 80, 0, "FIPS 180-4", parameters="160", oid="1.3.14.3.2.26"),
    Algorithm("SHA-256", "hash", _DIGEST, 128, 2, "FIPS 180-4", parameters="256",
        oid="2.16.840.1.101.3.4.2.1"),
    Algorithm("SHA-384", "hash", _DIGEST, 192, 4, "FIPS 180-4", parameters="384",
        oid="2.16.840.1.101.3.4.2.2"),
    Algorithm("SHA-512", "hash", _DIGEST, 256, 6, "FIPS 180-4", parameters="512",
        oid="2.16.840.1.101.3.4.2.3"),
    Algorithm("HMAC-SHA-1", "mac", ("tag",), 128, 1, "RFC 2104, RFC 6238", parameters="160",
        oid="1.2.840.113549.2.7"),
    Algorithm("HMAC-SHA-256", "mac", ("tag",), 256, 5, "RFC 2104", parameters="256",
        oid="1.2.840.113549.2.9"),
    Algorithm("HKDF-SHA-256", "kdf", ("keyderive",), 256, 5, "RFC 5869", parameters="256"),
    Algorithm("HKDF-SHA-384", "kdf", ("keyderive",), 256, 5, "RFC 5869", parameters="384"),
    Algorithm("Argon2id", "kdf", ("keyderive",), 128, 2, "RFC 9106"),
    Algorithm("ECDH P-256", "key-agree", _AGREE, 128, 0, "NIST SP 800-56A rev. 3",
        curve="secp256r1"),
    Algorithm("ECDH P-384", "key-agree", _AGREE, 192, 0, "NIST SP 800-56A rev. 3",
        curve="secp384r1"),
    Algorithm("ECDH P-521", "key-agree", _AGREE, 256, 0, "NIST SP 800-56A rev. 3",
        curve="secp521r1"),
    Algorithm("X25519", "key-agree", _AGREE, 128, 0, "RFC 7748", curve="Curve25519",
        oid="1.3.101.110"),
    Algorithm("X448", "key-agree", _AGREE, 224, 0, "RFC 7748", curve="Curve448", oid="1.3.101.111"),
    Algorithm("FFDHE-2048", "key-agree", _AGREE, 112, 0, "RFC 7919", parameters="2048"),
    Algorithm("FFDHE-3072", "key-agree", _AGREE, 128, 0, "RFC 7919", parameters="3072"),
    Algorithm("FFDHE-4096", "key-agree", _AGREE, 152, 0, "RFC 7919", parameters="4096"),
    Algorithm("ML-KEM-768", "kem", ("keygen", "encapsulate", "decapsulate"), 192, 3, "FIPS 203",
        parameters="768", oid="2.16.840.1.101.3.4.4.2"),
    Algorithm("ML-KEM-1024", "kem", ("keygen", "encapsulate", "decapsulate"), 256, 5, "FIPS 203",
        parameters="1024", oid="2.16.840.1.101.3.4.4.3"),
    Algorithm("X25519MLKEM768", "combiner", ("keyderive",), 128, 3, "draft-ietf-tls-ecdhe-mlkem"),
    Algorithm("SecP256r1MLKEM768", "combiner", ("keyderive",), 128, 3,
        "draft-ietf-tls-ecdhe-mlkem"),
    Algorithm("SecP384r1MLKEM1024", "combiner", ("keyderive",), 192, 5,
        "draft-ietf-tls-ecdhe-mlkem"),
    Algorithm("ECDSA P-256", "signature", _SIGN, 128, 0, "FIPS 186-5", curve="secp256r1",
        oid="1.2.840.10045.4.3.2"),
    Algorithm("ECDSA P-384", "signature", _SIGN, 192, 0, "FIPS 186-5", curve="secp384r1",
        oid="1.2.840.10045.4.3.3"),
    Algorithm("ECDSA P-521", "signature", _SIGN, 256, 0, "FIPS 186-5", curve="secp521r1",
        oid="1.2.840.10045.4.3.4"),
    Algorithm("Ed25519", "signature", _SIGN, 128, 0, "RFC 8032", curve="Ed25519",
        oid="1.3.101.112"),
    Algorithm("Ed448", "signature", _SIGN, 224, 0, "RFC 8032", curve="Ed448", oid="1.3.101.113"),
    Algorithm("ML-DSA-44", "signature", _SIGN, 128, 2, "FIPS 204", parameters="44",
        oid="2.16.840.1.101.3.4.3.17"),
    Algorithm("ML-DSA-65", "signature", _SIGN, 192, 3, "FIPS 204", parameters="65",
        oid="2.16.840.1.101.3.4.3.18"),
    Algorithm("ML-DSA-87", "signature", _SIGN, 256, 5, "FIPS 204", parameters="87",
        oid="2.16.840.1.101.3.4.3.19"),
    Algorithm("RSASSA-PSS", "signature", _VERIFY, 112, 0, "RFC 8017, 8.1",
        oid="1.2.840.113549.1.1.10", padding="other"),
    Algorithm("RSASSA-PKCS1-v1_5", "signature", _VERIFY, 112, 0, "RFC 8017, 8.2",
        padding="pkcs1v15", oid="1.2.840.113549.1.1.1"),
    Algorithm("getrandom(2)", "drbg", ("generate",), 256, 5, "Linux, random(7)"),
)  # fmt: skip

ALGORITHMS: Final = {one.name: one for one in _ALL}

GROUP_NAMES: Final = {
    "secp256r1": ("ECDH P-256",),
    "secp384r1": ("ECDH P-384",),
    "secp521r1": ("ECDH P-521",),
    "x25519": ("X25519",),
    "x448": ("X448",),
    "ffdhe2048": ("FFDHE-2048",),
    "ffdhe3072": ("FFDHE-3072",),
    "ffdhe4096": ("FFDHE-4096",),
    "X25519MLKEM768": ("X25519MLKEM768", "X25519", "ML-KEM-768"),
    "SecP256r1MLKEM768": ("SecP256r1MLKEM768", "ECDH P-256", "ML-KEM-768"),
    "SecP384r1MLKEM1024": ("SecP384r1MLKEM1024", "ECDH P-384", "ML-KEM-1024"),
}
"""A suite's groups: the first is the group itself, the others what it is made of."""

SIGNATURE_PARTS: Final = {
    "rsa_pkcs1_sha256": ("RSASSA-PKCS1-v1_5", "SHA-256"),
    "rsa_pkcs1_sha384": ("RSASSA-PKCS1-v1_5", "SHA-384"),
    "rsa_pkcs1_sha512": ("RSASSA-PKCS1-v1_5", "SHA-512"),
    "ecdsa_secp256r1_sha256": ("ECDSA P-256", "SHA-256"),
    "ecdsa_secp384r1_sha384": ("ECDSA P-384", "SHA-384"),
    "ecdsa_secp521r1_sha512": ("ECDSA P-521", "SHA-512"),
    "rsa_pss_rsae_sha256": ("RSASSA-PSS", "SHA-256"),
    "rsa_pss_rsae_sha384": ("RSASSA-PSS", "SHA-384"),
    "rsa_pss_rsae_sha512": ("RSASSA-PSS", "SHA-512"),
    "ed25519": ("Ed25519",),
    "ed448": ("Ed448",),
    "mldsa44": ("ML-DSA-44",),
    "mldsa65": ("ML-DSA-65",),
    "mldsa87": ("ML-DSA-87",),
}

CIPHER_PARTS: Final = {
    "TLS_AES_128_GCM_SHA256": ("AES-128-GCM", "HKDF-SHA-256"),
    "TLS_AES_256_GCM_SHA384": ("AES-256-GCM", "HKDF-SHA-384"),
    "TLS_CHACHA20_POLY1305_SHA256": ("ChaCha20-Poly1305", "HKDF-SHA-256"),
}

SCHEME_NAMES: Final = {
    "ed25519": "Ed25519",
    "ml-dsa-44/1": "ML-DSA-44",
    "ml-dsa-65/1": "ML-DSA-65",
    "ml-dsa-87/1": "ML-DSA-87",
    "secp256r1": "ECDSA P-256",
    "secp384r1": "ECDSA P-384",
    "secp521r1": "ECDSA P-521",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
"""The words of a suite's other tables."""
