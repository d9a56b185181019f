"""The vendor's service as anybody sees it, and the vendor's own records where given.

Owns the public pages, the enrollment roots (RFC 7030, 4.1), and the records of the
factory. Must never read what lies in the vendor's offline directory but the public
halves of keys.
"""

import base64
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import pkcs7

from limpet.audit.instruments.certificates import private_keys_below, public_key_sha256
from limpet.audit.instruments.http import Answer, converse_with_vendor
from limpet.audit.target import Target
from limpet.errors import Unavailable
from limpet.product.mud import mud_path

__all__ = ["Factory", "read_enrollment_roots", "read_factory", "read_pages", "read_vendor_keys"]

PAGES = ("/", "/security", "/.well-known/security.txt")
SQLITE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Factory:
    """The factory's records: devices made, and how many different keys or certificates."""

    devices: int
    different: Mapping[str, int]  # by column


def read_pages(target: Target) -> Mapping[str, Answer]:
    """The public pages by path; the model's support page as "support", its MUD file as "mud"."""
    with converse_with_vendor(target) as vendor:
        pages = {path: vendor.ask("GET", path) for path in PAGES}
        if target.product_dir is not None:
            from limpet.audit.instruments.dossier import read_design

            product = target.observe(read_design).product
            own = vendor.ask("GET", f"/security/{product.model.name}")  # where there are several
            if own.status == 200:
                pages["/security"] = own
            pages["support"] = vendor.ask("GET", f"/support/{product.model.name}")
            pages["mud"] = vendor.ask("GET", mud_path(product))
    return pages


def read_enrollment_roots(target: Target) -> tuple[str, ...]:
    """SHA-256 of the keys in `/.well-known/est/cacerts`."""
    with converse_with_vendor(target) as vendor:
        answer = vendor.ask("GET", "/.well-known/est/cacerts")
    if answer.status != 200:
        raise Unavailable(f"/.well-known/est/cacerts answered {answer.status}")
    try:
        der = base64.b64decode(answer.body)
        certificates = pkcs7.load_der_pkcs7_certificates(der)
    except ValueError as error:
        raise Unavailable("the enrollment roots are not a PKCS#7 of certificates") from error
    return tuple(public_key_sha256(one.public_key()) for one in certificates)


def read_factory(target: Target) -> Factory:
    """The manufactured devices, read only. Raises `Unavailable`."""
    directory = target.need(target.vendor_dir, "--vendor")
    path = directory / "factory" / "manufactured.sqlite"
    if not path.is_file():
        raise Unavailable("the factory keeps no record of manufactured devices")
    try:
        with sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=SQLITE_SECONDS
        ) as database:
            return _count(database)
    except sqlite3.Error as error:
        raise Unavailable(f"the factory's record cannot be read: {error}") from error
    finally:
        if "database" in locals():
            database.close()


def _count(database: sqlite3.Connection) -> Factory:
    names = [
        row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    for table in names:
        quoted = table.replace('"', '""')
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{quoted}")')]
        telling = [c for c in columns if "serial" in c or "cert" in c or "key" in c]
        if not telling or "serial" not in " ".join(columns):
            continue
        total = database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608
        different = {}
        for column in telling:
            name = column.replace('"', '""')
            sql = f'SELECT count(DISTINCT "{name}") FROM "{quoted}"'  # noqa: S608
            different[column] = int(database.execute(sql).fetchone()[0])
        return Factory(int(total), different)
    raise Unavailable("the factory's record has no table of devices")


def read_vendor_keys(target: Target) -> Mapping[str, Path]:
    """The private keys that the vendor holds, by the hash of their public half."""
    return private_keys_below(target.need(target.vendor_dir, "--vendor"))
