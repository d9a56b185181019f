"""Bringing a dump of advisories into the store.

Owns the import: made beside the store, synced, renamed over it. At every instant the store is the
old one or the new one; a killed import leaves a `.part` file that the next one removes.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import advice_for, make_directory, reason_for, sync_directory

from ._osv import Advisory, Affected, base_of, parse_record
from ._source import Bounds, Dump, Entry, find_dumps
from ._store import APPLICATION, FORMAT, SCHEMA, AdvisoryStore, read_digest, read_facts
from ._types import ImportReport, Refusal

__all__ = ["ALL_ECOSYSTEMS", "LEAST_SHARE", "Order", "import_dump"]

ALL_ECOSYSTEMS = "*"
"""Says that a dump is whole for every ecosystem that it names, as OSV's own of everything is."""

LEAST_SHARE = 0.9
"""A dump with less than this share of the advisories that the store has is not whole."""

MAX_REFUSED = 1000
_CACHE_KIB = 65_536
_NOTE_EVERY = 2000
_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to import, and how it is told about."""

    source: Path
    ecosystems: tuple[str, ...]
    now: datetime
    bounds: Bounds
    progress: Callable[[str], None]


def import_dump(path: Path, order: Order) -> ImportReport:
    """Import into the store at `path`; see `AdvisoryStore.import_osv`."""
    dumps = find_dumps(order.source, order.bounds)
    make_directory(path.parent)
    with _told(path), _only_one(path), _replacing(path) as connection:
        importer = _Importer(connection, order)
        for dump in dumps:
            importer.take(dump)
        order.progress("checking")
        return importer.finish()


class _Importer:
    """Fills the new database, and counts."""

    def __init__(self, connection: sqlite3.Connection, order: Order) -> None:
        self._sql, self._order = connection, order
        self._encoder = msgspec.msgpack.Encoder()
        self._counts = {"added": 0, "changed": 0, "unchanged": 0, "withdrawn": 0}
        self._read = self._bytes = 0
        self._refused: list[Refusal] = []
        self._covered: set[str] = set()

    def take(self, dump: Dump) -> None:
        """Read all of one dump."""
        before = len(self._refused)
        seen: dict[str, int] = {}
        common: set[str] | None = None
        for entry in dump.entries():
            bases = self._take_entry(entry)
            for base in bases:
                seen[base] = seen.get(base, 0) + 1
            if bases:
                common = bases if common is None else common & bases
        refused = self._refused[before:]
        covered = self._find_coverage(dump, seen, common or set(), refused)
        self._require_whole(covered, seen)
        self._note_refused(covered, refused)
        for base in covered:
            self._sql.execute(
                "INSERT OR REPLACE INTO coverage VALUES (?, 0, '', ?)",
                (base, _text(self._order.now)),
            )
        self._covered |= covered

    def finish(self) -> ImportReport:
        """Write what the whole says of itself, its digest last."""
        self._sql.execute("DELETE FROM release")
        self._sql.execute(
            "INSERT INTO release SELECT ecosystem, count(DISTINCT name) FROM affected"
            " GROUP BY ecosystem"
        )
        self._count_coverage()
        self._sql.execute("DELETE FROM digest")
        self._sql.execute("INSERT INTO digest VALUES (?)", (read_digest(self._sql),))
        self._sql.commit()
        return ImportReport(
            read=self._read,
            **self._counts,
            refused=tuple(self._refused[:_SHOWN]),
            refused_count=len(self._refused),
            ecosystems=tuple(sorted(self._covered)),
            facts=read_facts(self._sql),
        )

    def _take_entry(self, entry: Entry) -> set[str]:
        """The ecosystems of a record that is now in the store; none if it was refused."""
        self._read += 1
        if self._read % _NOTE_EVERY == 0:
            self._order.progress(f"{self._read:,} records")
        # OSV calls a record's file by its id; where it is not, the record is only read again.
        known = self._sql.execute(
            "SELECT seal, bases, withdrawn FROM advisory WHERE id = ?",
            (entry.name.removesuffix(".json"),),
        ).fetchone()
        try:
            if known and entry.seal == known[0]:
                return self._pass_over(known)
            data = entry.read()
        except Rejected as error:
            return self._refuse(entry, error)
        self._bytes += len(data)
        if self._bytes > self._order.bounds.total_bytes:
            raise Rejected(
                "too-large", f"{self._order.source} unpacks to more than an import reads"
            )
        seal = f"{zlib.crc32(data):08x}-{len(data)}"
        if known and seal == known[0]:
            return self._pass_over(known)
        try:
            advisory, packages = parse_record(data, now=self._order.now)
        except Rejected as error:
            return self._refuse(entry, error)
        return self._write(advisory, packages, seal)

    def _pass_over(self, known: tuple[str, str, int]) -> set[str]:
        self._counts["unchanged"] += 1
        self._counts["withdrawn"] += known[2]
        return _split(known[1])

    def _refuse(self, entry: Entry, error: Rejected) -> set[str]:
        self._refused.append(
            Refusal(entry=entry.name[:200], reason=error.reason, message=error.message[:300])
        )
        if len(self._refused) > MAX_REFUSED:
            first = self._refused[0]
            message = f"over {MAX_REFUSED} entries cannot be read; {first.entry}: {first.message}"
            raise Rejected("damaged", f"{self._order.source}: {message}")
        return set()

    def _write(
        self, advisory: Advisory, packages: dict[tuple[str, str], list[Affected]], seal: str
    ) -> set[str]:
        """Put it in the place of an earlier one; the later `modified` holds (OSV, "modified")."""
        bases = {base_of(ecosystem) for ecosystem, _ in packages}
        row = self._sql.execute(
            "SELECT modified, body FROM advisory WHERE id = ?", (advisory.id,)
        ).fetchone()
        withdrawn = advisory.withdrawn is not None and advisory.withdrawn <= self._order.now
        self._counts["withdrawn"] += withdrawn
        if row and row[0] > _text(advisory.modified):
            self._counts["unchanged"] += 1
            return bases
        if row:
            old = msgspec.msgpack.decode(row[1], type=Advisory)
            gone = [(ecosystem, name, old.id) for ecosystem, name in old.packages]
            self._sql.executemany(
                "DELETE FROM affected WHERE ecosystem = ? AND name = ? AND id = ?", gone
            )
        self._counts["changed" if row else "added"] += 1
        self._sql.execute(
            "INSERT OR REPLACE INTO advisory VALUES (?, ?, ?, ?, ?, ?)",
            (
                advisory.id,
                _text(advisory.modified),
                seal,
                int(withdrawn),
                ",".join(sorted(bases)),
                self._encoder.encode(advisory),
            ),
        )
        rows = [
            (ecosystem, name, advisory.id, self._encoder.encode(affected))
            for (ecosystem, name), affected in packages.items()
        ]
        self._sql.executemany("INSERT INTO affected VALUES (?, ?, ?, ?)", rows)
        return bases

    def _find_coverage(
        self, dump: Dump, seen: dict[str, int], common: set[str], refused: list[Refusal]
    ) -> set[str]:
        """Of which ecosystems this dump is whole. Raises `Rejected` if that cannot be told.

        A record of PyPI may name a package of npm: that does not make the dump one of npm.
        """
        if not seen:
            first = f"{refused[0].entry}: {refused[0].message}" if refused else "it is empty"
            raise Rejected(
                "damaged",
                f"{self._order.source}: no record can be read; {first}",
                hint="get the dump again, and see that this computer's clock is right",
            )
        named = {dump.ecosystem} if dump.ecosystem else set(self._order.ecosystems)
        if ALL_ECOSYSTEMS in named:
            return set(seen)
        if missing := named - set(seen):
            message = f"{self._order.source} has no advisory of {', '.join(sorted(missing))}"
            hint = f"it has {', '.join(sorted(seen))}"
            if dump.ecosystem:  # a checkout, say, whose directory is called otherwise
                hint += f"; import its directory {dump.ecosystem} itself, or call that by its name"
            raise Rejected("no-such-ecosystem", message, hint=hint)
        if not named and not common:
            message = f"{self._order.source}: it does not show of which ecosystem it is whole"
            hint = "name them: --ecosystem PyPI --ecosystem Debian (or '*' for all that it has)"
            raise Rejected("which-ecosystem", message, hint=hint)
        return named or common

    def _require_whole(self, covered: set[str], seen: dict[str, int]) -> None:
        """A dump that was cut off would take nothing away, but would count as fresh."""
        for base, before in self._sql.execute("SELECT base, advisories FROM coverage").fetchall():
            if base in covered and seen[base] < LEAST_SHARE * before:
                message = (
                    f"it has {seen[base]} advisories of {base}, the store has {before} already"
                )
                raise Rejected("not-whole", f"{self._order.source}: {message}")

    def _note_refused(self, covered: set[str], refused: list[Refusal]) -> None:
        """Replace what earlier dumps of the same ecosystems left unread."""
        rows = self._sql.execute("SELECT entry, dump FROM refused").fetchall()
        gone = [(entry,) for entry, dump in rows if _split(dump) <= covered]
        self._sql.executemany("DELETE FROM refused WHERE entry = ?", gone)
        dump = ",".join(sorted(covered))
        self._sql.executemany(
            "INSERT OR REPLACE INTO refused VALUES (?, ?, ?, ?)",
            [(one.entry, dump, one.reason, one.message) for one in refused],
        )

    def _count_coverage(self) -> None:
        counts: dict[str, tuple[int, str]] = {}
        query = "SELECT bases, count(*), max(modified) FROM advisory GROUP BY bases"
        for bases, count, newest in self._sql.execute(query).fetchall():
            for base in _split(bases):
                had, latest = counts.get(base, (0, ""))
                counts[base] = (had + count, max(latest, newest))
        self._sql.executemany(
            "UPDATE coverage SET advisories = ?, newest = ? WHERE base = ?",
            [(count, newest, base) for base, (count, newest) in counts.items()],
        )


def _split(text: str) -> set[str]:
    return set(text.split(",")) if text else set()


def _text(at: datetime) -> str:
    """One form, so that text compares as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[sqlite3.Connection]:
    """A database beside `path`, with what is there; it takes its place if the block ends well."""
    for left in path.parent.glob(f".{path.name}.*.part*"):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        fresh = not _copy_whole(path, temporary)
        connection = sqlite3.connect(temporary)
        try:
            # Only the finished file counts: what is lost with a crash is lost whole.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            if fresh:
                connection.executescript(SCHEMA)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            yield connection
            connection.commit()
        finally:
            connection.close()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _copy_whole(path: Path, temporary: Path) -> bool:
    """Copy the store if there is one and it is whole; a damaged one is begun anew."""
    if not path.exists():
        return False
    try:
        AdvisoryStore.open(path).close()
    except LimpetError:
        return False
    shutil.copyfile(path, temporary)
    return True


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two imports at once would lose one of the two: the second is turned away."""
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another import into {path} is under way"
            raise Unavailable(message, hint="wait until it has ended") from error
        yield


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(f"cannot write {path}: {error}", hint="is the disk full?") from error
    except OSError as error:
        message = f"cannot write {path}: {(error.strerror or 'failed').lower()}"
        raise Unavailable(message, hint=advice_for(error), reason=reason_for(error)) from error
