"""Other keys and certificates of the service's TLS and of the operational authority.

Owns what of the two PKIs lies in `online/`; the keys of their roots come from the drawer. Writes
nothing: the files are part of an order (`rekeying`).
"""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from limpet.crypto.certificates import Issuer, issue_service, load_issuer, make_intermediate
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.errors import naming
from limpet.storage import read_bounded
from limpet.vendor.home import FORMER_FILE, LOCAL_ADDRESSES, SERVICE_DAYS, Home

__all__ = ["AUTHORITY", "MOST_FORMER", "authority_files", "next_name", "service_files"]

PEM_BYTES = 64 << 10
AUTHORITY = "operational-ca"
MOST_FORMER = 8
"""Authorities that were replaced and are remembered: whoever replaces more within the life of a
certificate lets the devices of the oldest enroll again."""

_STEM = 58  # of 64 characters that a common name may have (RFC 5280, A.1)


def service_files(
    home: Home, offline: Path, now: datetime, passphrase: bytes | None
) -> dict[str, str]:
    """Another key and certificate of the service, by name. Raises `Rejected`, `Unavailable`."""
    issuer = _root(offline, "service-root", passphrase)
    key = generate_key(home.service_suite)
    chain = issue_service(
        issuer,
        key,
        hostnames=home.settings.hostnames,
        addresses=LOCAL_ADDRESSES,
        now=now,
        days=SERVICE_DAYS,
        suite=home.service_suite,
    )
    return {"service.key": key_to_pem(key).decode(), "service.pem": chain.decode()}


def authority_files(
    home: Home, offline: Path, now: datetime, passphrase: bytes | None
) -> dict[str, str]:
    """Another operational authority under the same root, and the certificates of former ones."""
    root = _root(offline, "device-root", passphrase)
    before, former = home.online / f"{AUTHORITY}.pem", home.online / FORMER_FILE
    with naming(before, hint="restore online/ from a backup"):
        pem = read_bounded(before, max_bytes=PEM_BYTES)
        name = load_certificates(pem)[0].subject
    if former.exists():
        pem += read_bounded(former, max_bytes=PEM_BYTES)
    kept = [
        certificate.public_bytes(Encoding.PEM).decode()
        for certificate in load_certificates(pem)[:MOST_FORMER]
    ]
    common = str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    made = make_intermediate(root, next_name(common), now=now, suite=home.service_suite)
    return {
        FORMER_FILE: "".join(kept),
        f"{AUTHORITY}.key": key_to_pem(made.key).decode(),
        f"{AUTHORITY}.pem": made.certificate_pem().decode(),
    }


def next_name(name: str) -> str:
    """As "Example Operational CA 2": certificates name their issuer, so no two are called alike."""
    stem, _, number = name.rpartition(" ")
    if not number.isdigit():
        stem, number = name, "1"
    return f"{stem[:_STEM]} {int(number) + 1}"


def _root(offline: Path, stem: str, passphrase: bytes | None) -> Issuer:
    with naming(offline / f"{stem}.pem and .key", hint="restore them from a backup"):
        return load_issuer(
            read_bounded(offline / f"{stem}.pem", max_bytes=PEM_BYTES),
            read_bounded(offline / f"{stem}.key", max_bytes=PEM_BYTES),
            passphrase=passphrase,
        )
