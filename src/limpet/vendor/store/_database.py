"""One SQLite file, opened with care: write-ahead log, durable commits, one clear error.

Owns connections, transactions and migrations. A transaction takes the write lock at its
start (BEGIN IMMEDIATE), so that two processes wait for each other instead of
failing half-way. Who only reads sees one moment of the database, holds up nobody and
waits for nobody. Never repairs a damaged file, and never makes a missing one
unless told to.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from limpet.errors import Rejected, Unavailable
from limpet.storage import sync_directory

from ._migrations import MIGRATIONS
from ._schema import SCHEMA_VERSION, metadata

__all__ = ["BUSY_SECONDS", "Database"]

BUSY_SECONDS = 10.0
"""How long a transaction waits for another process's."""

_TRANSIENT: Mapping[str, str] = {
    "database is locked": "another command or the service holds it: try again when it has ended",
    "disk I/O error": "is the disk full, or failing? free some space, then try again",
    "database or disk is full": "free some space, then try again",
    "attempt to write a readonly database": "run it as the user who owns it",
    "unable to open database file": "run it as its owner, and see that the disk has room",
}
"""What a person can do about SQLite's words for what passes."""

_READS = "limpet_reads"

ADVICE = "stop the service, move the file away, and restore it from a backup"


class Database:
    """The database in `file`. Usable from several threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._engine = create_engine(
            f"sqlite+pysqlite:///{file}",
            poolclass=NullPool,
            connect_args={"timeout": BUSY_SECONDS, "isolation_level": None},
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._reader = self._engine.execution_options(**{_READS: True})

    @classmethod
    def create(cls, file: Path) -> Self:
        """Make the file with empty tables. Raises `Unavailable` if it exists or cannot be made."""
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise Unavailable(f"cannot create {file}: {(error.strerror or '').lower()}") from error
        database = cls(file)
        with database.transaction() as connection:
            metadata.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
        sync_directory(file.parent)
        return database

    @classmethod
    def open(cls, file: Path) -> Self:
        """Open and check the file; one of an older schema is brought to this one, or left as it is.

        Raises `Unavailable` if there is none, `Rejected("bad-database")` if it is damaged or of
        a version of the schema that this limpet does not know.
        """
        if not file.is_file():
            raise Unavailable(f"there is no database {file}", hint="restore it from a backup")
        if file.stat().st_size == 0:
            raise Rejected("bad-database", f"{file} is empty", hint=ADVICE)
        database = cls(file)
        with database.reading() as connection:  # of years of rows: others write meanwhile
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
        if verdict != "ok":
            found = " ".join(str(verdict).split())
            raise Rejected("bad-database", f"{file} is damaged: {found}", hint=ADVICE)
        while version in MIGRATIONS:
            version = database._migrate()
        if version != SCHEMA_VERSION:
            raise Rejected(
                "bad-database",
                f"{file} has schema {version}, this limpet knows {SCHEMA_VERSION}",
                hint="run the version of limpet that wrote it",
            )
        return database

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: all of the block, or nothing of it; durable after the block.

        Raises `Unavailable` (busy, full disk) or `Rejected("bad-database")`.
        """
        with self._telling(), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """All that the block reads is of one moment; it can write nothing, and holds up no writer.

        What it says may be out of date when the block ends: who then writes compares first.
        Raises as `transaction` does.
        """
        with self._telling(), self._reader.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what SQLite says into an error for people."""
        try:
            yield
        except OperationalError as error:
            cause = _cause(error)
            raise Unavailable(f"{self._file}: {cause}", hint=_TRANSIENT.get(cause, "")) from error
        except DatabaseError as error:
            message = f"{self._file} is damaged: {_cause(error)}"
            raise Rejected("bad-database", message, hint=ADVICE) from error

    def _migrate(self) -> int:
        """One step, all of it or nothing; the version now. Two processes at once do it once."""
        with self.transaction() as connection:
            version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
            if version in MIGRATIONS:
                for statement in MIGRATIONS[version]:
                    connection.exec_driver_sql(statement)
                version += 1
                connection.exec_driver_sql(f"PRAGMA user_version = {version:d}")
        return version

    def close(self) -> None:
        """Forget the engine; open files are closed with their transactions."""
        self._engine.dispose()


def _configure(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(_READS):
        connection.exec_driver_sql("PRAGMA query_only = ON")  # this connection ends with the block
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or type(error).__name__)
