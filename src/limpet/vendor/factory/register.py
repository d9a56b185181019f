"""The factory's register: which serial numbers were given, and what was signed for them.

Owns `manufactured.sqlite`. Holds no private key and no claim code; there is no column
for either. A serial number is reserved before it is used and never given twice.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from limpet.errors import Rejected, Unavailable

__all__ = ["Register"]

BUSY_SECONDS = 10.0
_ADVICE = "restore it from a backup if it is damaged or gone: it keeps serial numbers unique"

_SCHEMA = """
CREATE TABLE device (
    serial TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    hardware_revision TEXT NOT NULL,
    reserved_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'signed', 'finished', 'failed')),
    certificate_sha256 TEXT UNIQUE,
    firmware_version TEXT,
    finished_at TEXT
) STRICT
"""


class Register:
    """The register in the file `path`.

    Raises `Unavailable` if there is none: one that begins anew could give a serial number twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file() or path.stat().st_size == 0:
            raise Unavailable(f"there is no factory's register {path}", hint=_ADVICE)
        with self._open() as connection:
            connection.execute("SELECT count(*) FROM device").fetchone()

    @classmethod
    def create(cls, path: Path) -> "Register":
        """A new register, with the vendor's directory. Raises `Unavailable` if it exists."""
        if path.exists():
            raise Unavailable(f"{path} exists already", hint="never make a second register")
        try:
            path.touch(mode=0o600)
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"cannot create {path}: {error}") from error
        return cls(path)

    def reserve(self, serial: str, *, model: str, hardware_revision: str, at: datetime) -> bool:
        """Take `serial`; False if it was given before."""
        with self._open() as connection:
            done = connection.execute(
                "INSERT OR IGNORE INTO device"
                " (serial, model, hardware_revision, reserved_at, state)"
                " VALUES (?, ?, ?, ?, 'reserved')",
                (serial, model, hardware_revision, at.isoformat()),
            )
            return done.rowcount == 1

    def signed(self, serial: str, certificate_sha256: str) -> None:
        """An identity certificate was issued; recorded before the device gets it."""
        self._change(
            "UPDATE device SET state = 'signed', certificate_sha256 = ?"
            " WHERE serial = ? AND state = 'reserved'",
            (certificate_sha256, serial),
        )

    def finished(self, serial: str, *, firmware_version: str, at: datetime) -> None:
        """The device is made and its label drawn."""
        self._change(
            "UPDATE device SET state = 'finished', firmware_version = ?, finished_at = ?"
            " WHERE serial = ? AND state = 'signed'",
            (firmware_version, at.isoformat(), serial),
        )

    def failed(self, serial: str) -> None:
        """The device was not finished; its serial number stays spent."""
        self._change(
            "UPDATE device SET state = 'failed' WHERE serial = ? AND state != 'finished'",
            (serial,),
        )

    def count(self, state: str) -> int:
        """How many devices are in `state`."""
        with self._open() as connection:
            found = connection.execute("SELECT count(*) FROM device WHERE state = ?", (state,))
            return int(found.fetchone()[0])

    def _change(self, statement: str, values: tuple[str, ...]) -> None:
        with self._open() as connection:
            if connection.execute(statement, values).rowcount != 1:
                raise Rejected("bad-register", f"{self._path} does not know this serial number")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own, durable at its end."""
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"cannot use the factory's register {self._path}: {error}",
                hint="is it locked, or the disk full? then try again; it is not damaged",
            ) from error
        except sqlite3.DatabaseError as error:
            raise Unavailable(
                f"cannot use the factory's register {self._path}: {error}", hint=_ADVICE
            ) from error
