"""Renewal with the drawer open: root, targets and the service's own certificate.

Owns what a person does once a year. Keeps every key; changing one is a ceremony
of its own. The running service never imports it.
"""

from datetime import datetime
from pathlib import Path

from limpet.crypto.certificates import issue_service, load_issuer
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import tls_key_from_pem
from limpet.errors import naming
from limpet.storage import read_bounded, write_atomic
from limpet.vendor.home import LOCAL_ADDRESSES, SERVICE_DAYS, Home

from ._lifetimes import ROOT, TARGETS
from ._metadata import load_drawer_signers, renewed, sign_metadata
from ._repository import Repository

__all__ = ["renew", "renew_service"]

PEM_BYTES = 64 << 10
ADVICE = "restore it from a backup of the drawer and of online/"
PUBLIC_FILE = 0o644


def renew(home: Home, *, offline: Path, now: datetime, passphrase: bytes | None = None) -> datetime:
    """Publish the next root and targets and give the service a new certificate.

    `offline` is the drawer. Returns when the first of the offline roles now expires. A running
    service shows the new certificate after its next start. Raises `Unavailable` or `Rejected`.
    """
    repository = Repository(home, lambda: now)
    state = repository.state()
    root = renewed(state.root, now=now, lifetime=ROOT)
    targets = renewed(state.targets, now=now, lifetime=TARGETS)
    signers = load_drawer_signers(offline, "tuf-root", passphrase=passphrase)
    signed_root = sign_metadata(root, *signers)
    signers = load_drawer_signers(offline, "tuf-targets", passphrase=passphrase)
    chain = _next_certificate(home, offline, now, passphrase)  # all keys fit, before any change
    repository.publish_roots(signed_root, sign_metadata(targets, *signers))
    write_atomic(home.trust / "root.json", signed_root, mode=PUBLIC_FILE)
    write_atomic(home.online / "service.pem", chain, mode=PUBLIC_FILE)
    return min(root.expires, targets.expires)


def renew_service(
    home: Home, *, offline: Path, now: datetime, passphrase: bytes | None = None
) -> datetime:
    """Give the service a new certificate, and touch nothing else: for a vendor whose root several
    people hold. Needs the service root's key alone. Returns when it ends. Raises `Unavailable` or
    `Rejected`."""
    chain = _next_certificate(home, offline, now, passphrase)
    write_atomic(home.online / "service.pem", chain, mode=PUBLIC_FILE)
    return load_certificates(chain)[0].not_valid_after_utc


def _next_certificate(home: Home, offline: Path, now: datetime, passphrase: bytes | None) -> bytes:
    def read(path: Path) -> bytes:
        return read_bounded(path, max_bytes=PEM_BYTES)

    with naming(offline / "service-root.pem and .key", hint=ADVICE):
        issuer = load_issuer(
            read(offline / "service-root.pem"),
            read(offline / "service-root.key"),
            passphrase=passphrase,
        )
    with naming(home.online / "service.key", hint=ADVICE):
        key = tls_key_from_pem(read(home.online / "service.key"))
    return issue_service(
        issuer,
        key,
        hostnames=home.settings.hostnames,
        addresses=LOCAL_ADDRESSES,
        now=now,
        days=SERVICE_DAYS,
        suite=home.service_suite,
    )
