"""The watch's database: entries, the looks, and what a webhook is still owed.

Owns the file `online/watch.sqlite`. A look is one transaction: after a kill it was made, or it was
not. What is owed is written with what it is about, so that no note is lost; one may come twice.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable

from ._types import Entry

__all__ = ["MAX_ATTEMPTS", "Owed", "WatchStore"]

APPLICATION = 0x4C4D5057  # "LMPW"
FORMAT = 1
BUSY_SECONDS = 10.0
MAX_ATTEMPTS = 50
"""Tries of one note, over all looks; then it is given up, and the status says so."""

_SCHEMA = """
CREATE TABLE entry (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE look (number INTEGER PRIMARY KEY, at TEXT NOT NULL, conclusive INTEGER NOT NULL)
    STRICT;
CREATE TABLE owed (
    number INTEGER PRIMARY KEY, entry TEXT NOT NULL, body BLOB NOT NULL,
    attempts INTEGER NOT NULL, delivered_at TEXT
) STRICT;
"""
_KEPT_LOOKS = 1000
_HINT = "restore it from a backup; without one, move it away: what is open is found again"


@dataclass(frozen=True, slots=True)
class Owed:
    """A note that a webhook did not take yet."""

    number: int
    entry: str
    body: bytes
    attempts: int


class WatchStore:
    """The database in `file`, made where it is missing. A context; not for several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with _damage(file):
            if not file.exists():
                os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
            self._sql = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            with _damage(file):
                self._prepare()
        except BaseException:
            self._sql.close()
            raise

    def entries(self) -> tuple[Entry, ...]:
        """All entries. Raises `Rejected("damaged")`, `Unavailable`."""
        with _damage(self._file):
            rows = self._sql.execute("SELECT body FROM entry ORDER BY id").fetchall()
            return tuple(msgspec.json.decode(body, type=Entry) for (body,) in rows)

    def last_look(self) -> datetime | None:
        """When the last look was, in the order in which they were made."""
        with _damage(self._file):
            row = self._sql.execute("SELECT at FROM look ORDER BY number DESC LIMIT 1").fetchone()
            return datetime.fromisoformat(row[0]) if row else None

    def was_conclusive(self) -> bool:
        """Whether the last look was the whole truth; without any look nothing was."""
        with _damage(self._file):
            row = self._sql.execute(
                "SELECT conclusive FROM look ORDER BY number DESC LIMIT 1"
            ).fetchone()
            return bool(row and row[0])

    def record(
        self,
        entries: Sequence[Entry],
        *,
        at: datetime,
        conclusive: bool,
        owed: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """One look, whole or not at all; `owed` are notes (entry, body) for a webhook."""
        with self._transaction():
            rows = [(one.id, msgspec.json.encode(one)) for one in entries]
            self._sql.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", rows)
            self._sql.executemany(
                "INSERT INTO owed (entry, body, attempts) VALUES (?, ?, 0)", list(owed)
            )
            self._sql.execute(
                "INSERT INTO look (at, conclusive) VALUES (?, ?)", (at.isoformat(), conclusive)
            )
            self._sql.execute(
                "DELETE FROM look WHERE number <= (SELECT max(number) FROM look) - ?",
                (_KEPT_LOOKS,),
            )

    def owed(self) -> tuple[Owed, ...]:
        """What is still to be delivered, oldest first; what was given up is not."""
        query = (
            "SELECT number, entry, body, attempts FROM owed"
            " WHERE delivered_at IS NULL AND attempts < ? ORDER BY number"
        )
        with _damage(self._file):
            return tuple(Owed(*row) for row in self._sql.execute(query, (MAX_ATTEMPTS,)))

    def given_up(self) -> int:
        """How many notes no try could deliver."""
        query = "SELECT count(*) FROM owed WHERE delivered_at IS NULL AND attempts >= ?"
        with _damage(self._file):
            return int(self._sql.execute(query, (MAX_ATTEMPTS,)).fetchone()[0])

    def note_attempt(self, number: int, *, delivered_at: datetime | None) -> None:
        """That a note was tried, and taken or not."""
        with self._transaction():
            self._sql.execute(
                "UPDATE owed SET attempts = attempts + 1, delivered_at = ? WHERE number = ?",
                (delivered_at.isoformat() if delivered_at else None, number),
            )

    def close(self) -> None:
        """Let go of the file."""
        self._sql.close()

    def __enter__(self) -> "WatchStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
        self._sql.execute("PRAGMA trusted_schema = OFF")
        with self._transaction():
            (version,) = self._sql.execute("PRAGMA user_version").fetchone()
            (application,) = self._sql.execute("PRAGMA application_id").fetchone()
            if (version, application) == (0, 0):
                for statement in _SCHEMA.split(";"):
                    self._sql.execute(statement)
                self._sql.execute(f"PRAGMA application_id = {APPLICATION:d}")
                self._sql.execute(f"PRAGMA user_version = {FORMAT:d}")
            elif (version, application) != (FORMAT, APPLICATION):
                message = f"{self._file} is no database of this version's watch"
                raise Rejected("damaged", message, hint=_HINT)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _damage(self._file):
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._sql.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._sql.execute("ROLLBACK")
                raise


@contextlib.contextmanager
def _damage(file: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        hint = "another process uses it, or its disk is full: try again"
        raise Unavailable(f"{file}: {error}", hint=hint) from error
    except (sqlite3.Error, msgspec.DecodeError, ValueError) as error:
        raise Rejected("damaged", f"{file} is damaged: {error}", hint=_HINT) from error
    except OSError as error:
        raise Unavailable(f"{file}: {(error.strerror or 'failed').lower()}") from error
