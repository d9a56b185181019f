"""The advisories on file: one SQLite database, replaced whole, read only.

Owns the file and its form. A reader never sees half an import: one is made beside it and renamed
over it, so that whoever has the old file open keeps the old one. On opening, all of its content
is held against the digest that the import wrote: what is damaged is refused, never partly used.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from limpet.errors import Rejected, Unavailable

from ._osv import Advisory, Affected
from ._remote import RemoteDump, fetch_dump
from ._source import Bounds
from ._types import EcosystemFacts, ImportReport, StoreFacts

__all__ = ["AdvisoryStore", "Found", "connect", "read_digest", "read_facts"]

APPLICATION = 0x4C4D5041  # "LMPA"
FORMAT = 1
SCHEMA = """
CREATE TABLE advisory (
    id TEXT PRIMARY KEY, modified TEXT NOT NULL, seal TEXT NOT NULL,
    withdrawn INTEGER NOT NULL, bases TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE affected (
    ecosystem TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (ecosystem, name, id)
) WITHOUT ROWID, STRICT;
CREATE TABLE release (ecosystem TEXT PRIMARY KEY, packages INTEGER NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE coverage (
    base TEXT PRIMARY KEY, advisories INTEGER NOT NULL, newest TEXT NOT NULL,
    imported_at TEXT NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE refused (
    entry TEXT PRIMARY KEY, dump TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE digest (sha256 TEXT NOT NULL) STRICT;
"""
_HINT = "import the advisories again: limpet release advisories --import DIR|ZIP|URL"
_SHOWN = 20
# In this order; the time of an import is no content.
_DIGESTED = (
    "SELECT id, modified, withdrawn, bases, body FROM advisory ORDER BY id",
    "SELECT ecosystem, name, id, body FROM affected ORDER BY ecosystem, name, id",
    "SELECT ecosystem, packages FROM release ORDER BY ecosystem",
    "SELECT base, advisories, newest FROM coverage ORDER BY base",
    "SELECT entry, dump, reason FROM refused ORDER BY entry",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An advisory about a package, and what it says of the package's versions."""

    advisory: Advisory
    affected: tuple[Affected, ...]


class AdvisoryStore:
    """Read access to one state of the advisories; `open` makes one, and a context ends it."""

    def __init__(self, connection: sqlite3.Connection, path: Path, facts: StoreFacts) -> None:
        self._connection, self.path, self.facts = connection, path, facts
        self._advisory = msgspec.msgpack.Decoder(Advisory)
        self._affected = msgspec.msgpack.Decoder(tuple[Affected, ...])

    @classmethod
    def open(cls, path: Path) -> "AdvisoryStore":
        """Open the file and verify all of it.

        Raises `Unavailable` if there is none or it cannot be read, `Rejected("damaged")` if it is
        not what an import of this version of limpet wrote.
        """
        if not path.is_file():
            hint = "import one: limpet release advisories --import DIR|ZIP|URL"
            raise Unavailable(f"there is no database of advisories at {path}", hint=hint)
        with _damage(path):
            connection = connect(path)
            try:
                facts = read_facts(connection)
                if read_digest(connection) != facts.digest:
                    raise Rejected(
                        "damaged", f"{path} is damaged: its digest is another", hint=_HINT
                    )
            except BaseException:
                connection.close()
                raise
        return cls(connection, path, facts)

    @staticmethod
    def import_osv(
        path: Path,
        source: Path | RemoteDump,
        *,
        now: datetime,
        progress: Callable[[str], None] = lambda note: None,
        ecosystems: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> ImportReport:
        """Bring the dump at `source` into the store at `path`, which is made where missing.

        A record replaces an older one of its id, never a later one. `ecosystems` says of which the
        dump is whole; needed only where its directories or records do not show it. Records that
        cannot be read are named in the report and kept in mind: the store is inconclusive until a
        later import can read them. Raises `Rejected` or `Unavailable` with the old store in place.
        A `RemoteDump` is fetched whole first (`fetch_dump`), and is then a ZIP like any other.
        """
        from ._import import Order, import_dump

        bounds = bounds or Bounds()
        with contextlib.ExitStack() as stack:
            if isinstance(source, RemoteDump):
                fetched = fetch_dump(source, path, bounds=bounds, progress=progress)
                source = stack.enter_context(fetched)
            order = Order(
                source=source,
                ecosystems=tuple(ecosystems),
                now=now,
                bounds=bounds,
                progress=progress,
            )
            return import_dump(path, order)

    def has_release(self, ecosystem: str) -> bool:
        """Whether any advisory is about `ecosystem`, as "Debian:12"."""
        query = "SELECT 1 FROM release WHERE ecosystem = ?"
        with _damage(self.path):
            return self._connection.execute(query, (ecosystem,)).fetchone() is not None

    def find(self, ecosystems: Sequence[str], name: str) -> list[Found]:
        """All advisories about the package, withdrawn ones left out, by id."""
        query = (
            "SELECT id, advisory.body, affected.body FROM affected JOIN advisory USING (id)"
            " WHERE ecosystem = ? AND name = ? AND NOT withdrawn ORDER BY id"
        )
        found: dict[str, Found] = {}
        with _damage(self.path):
            for ecosystem in ecosystems:
                for key, about, body in self._connection.execute(query, (ecosystem, name)):
                    before = found[key].affected if key in found else ()
                    affected = before + self._affected.decode(body)
                    found[key] = Found(advisory=self._advisory.decode(about), affected=affected)
        return [found[key] for key in sorted(found)]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> "AdvisoryStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open for reading; raises `Rejected` for a file of another kind or format.

    A file under this name never changes, so it is opened without locks (`immutable`).
    """
    address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION, FORMAT):
            message = f"{path} is no database of advisories of this version of limpet"
            raise Rejected("damaged", message, hint=_HINT)
    except BaseException:
        connection.close()
        raise
    return connection


def read_facts(connection: sqlite3.Connection) -> StoreFacts:
    """What the import wrote about its content, the digest not verified."""
    query = "SELECT base, advisories, newest, imported_at FROM coverage"
    ecosystems = {
        base: EcosystemFacts(
            advisories=count,
            newest=datetime.fromisoformat(newest),
            imported_at=datetime.fromisoformat(at),
        )
        for base, count, newest, at in connection.execute(query)
    }
    (advisories,) = connection.execute("SELECT count(*) FROM advisory").fetchone()
    (refused,) = connection.execute("SELECT count(*) FROM refused").fetchone()
    names = connection.execute("SELECT entry FROM refused ORDER BY entry LIMIT ?", (_SHOWN,))
    shown = tuple(name for (name,) in names)
    (digest,) = connection.execute("SELECT sha256 FROM digest").fetchone() or ("",)
    return StoreFacts(
        advisories=advisories,
        ecosystems=ecosystems,
        digest=digest,
        refused=shown,
        refused_count=refused,
    )


def read_digest(connection: sqlite3.Connection) -> str:
    """SHA-256 over all content, hexadecimal; as MessagePack, so that no row runs into the next."""
    hashed = hashlib.sha256()
    encoder = msgspec.msgpack.Encoder()
    for query in _DIGESTED:
        for row in connection.execute(query):
            hashed.update(encoder.encode(row))
        hashed.update(encoder.encode(None))
    return hashed.hexdigest()


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, msgspec.DecodeError, UnicodeError, ValueError, TypeError) as error:
        raise Rejected("damaged", f"{path} is damaged: {error}", hint=_HINT) from error
