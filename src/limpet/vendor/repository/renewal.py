"""Renewal with the drawer open: root, targets and the service's own certificate.

Owns what a person does once a year. Keeps every key; changing one is a ceremony
of its own. The running service never imports it.
"""

from datetime import datetime
from pathlib import Path

from limpet.crypto.certificates import issue_service, load_issuer
from limpet.crypto.keys import tls_key_from_pem
from limpet.storage import read_bounded, write_atomic
from limpet.vendor.home import LOCAL_ADDRESSES, SERVICE_DAYS, Home

from ._lifetimes import ROOT, TARGETS
from ._metadata import load_signer, renewed, sign_metadata
from ._repository import Repository

__all__ = ["renew"]

PEM_BYTES = 64 << 10
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
    signed_root = sign_metadata(root, load_signer(offline / "tuf-root.pem", passphrase=passphrase))
    signer = load_signer(offline / "tuf-targets.pem", passphrase=passphrase)
    repository.publish_roots(signed_root, sign_metadata(targets, signer))
    write_atomic(home.trust / "root.json", signed_root, mode=PUBLIC_FILE)
    _renew_certificate(home, offline, now, passphrase)
    return min(root.expires, targets.expires)


def _renew_certificate(home: Home, offline: Path, now: datetime, passphrase: bytes | None) -> None:
    def read(path: Path) -> bytes:
        return read_bounded(path, max_bytes=PEM_BYTES)

    issuer = load_issuer(
        read(offline / "service-root.pem"),
        read(offline / "service-root.key"),
        passphrase=passphrase,
    )
    chain = issue_service(
        issuer,
        tls_key_from_pem(read(home.online / "service.key")),
        hostnames=home.settings.hostnames,
        addresses=LOCAL_ADDRESSES,
        now=now,
        days=SERVICE_DAYS,
    )
    write_atomic(home.online / "service.pem", chain, mode=PUBLIC_FILE)
