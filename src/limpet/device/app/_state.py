"""A product's durable state: one typed value, replaced as a whole, across versions.

Owns the file `<name>.<schema>.json` in the app's own directory. A value that
`replace` returned from is on the disk; a damaged file is set aside and never
half used. It never destroys what another firmware version wrote: after an
update that falls back, the older program still finds its own file.

Each file carries a sequence number. Of all files whose schema this program
knows, the one with the highest is the state; an older schema goes through the
migrations. So a change that the old program made after a fall back is not lost
when the new one comes again.
"""

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from limpet.errors import Misuse, Rejected, Unavailable
from limpet.storage import read_bounded, sync_directory, write_atomic

__all__ = ["MAX_STATE_BYTES", "Migration", "State"]

MAX_STATE_BYTES = 256 << 10
MAX_SCHEMAS = 16  # files of one state that are looked at

M = TypeVar("M")
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""From the data of one schema to the data of the next."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    sequence: int
    sha256: str
    data: msgspec.Raw


class State(Generic[M]):
    """The value `kind` under `name` in `directory`.

    `default` is the value of a new device. `migrations[n]` turns the data of schema n into that
    of n + 1. After damage the state is the best file that is left, else the default; `damage`
    then says what was set aside (as `<file>.damaged`) and is empty otherwise.
    Raises `Unavailable` if the directory cannot be read, `Misuse` for a gap in the migrations.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        kind: type[M],
        *,
        default: M,
        schema: int = 1,
        migrations: Mapping[int, Migration] | None = None,
    ) -> None:
        if not NAME.fullmatch(name):
            raise Misuse(f"not a name for a state: {name!r}")
        self._directory, self._name, self._kind = directory, name, kind
        self._schema, self._migrations = schema, dict(migrations or {})
        self.damage = ""
        self._sequence = 0
        self._value = default
        self._load()

    @property
    def value(self) -> M:
        """The state as it is now."""
        return self._value

    def replace(self, value: M) -> None:
        """Make `value` the state; durable on return. `Unavailable` leaves the old one standing."""
        data = msgspec.json.encode(value)
        if len(data) > MAX_STATE_BYTES // 2:
            raise Misuse(f"the state {self._name} is larger than {MAX_STATE_BYTES // 2} bytes")
        file = _File(
            schema=self._schema,
            sequence=self._sequence + 1,
            sha256=hashlib.sha256(data).hexdigest(),
            data=msgspec.Raw(data),
        )
        write_atomic(self._path(self._schema), msgspec.json.encode(file))
        self._sequence += 1
        self._value = value

    def _path(self, schema: int) -> Path:
        return self._directory / f"{self._name}.{schema}.json"

    def _load(self) -> None:
        found: list[tuple[int, M]] = []
        for schema, path in self._files():
            try:
                file = _parse(path, schema)
                # A file of a newer program stays as it is; only its number counts.
                self._sequence = max(self._sequence, file.sequence)
                if schema <= self._schema:
                    found.append((file.sequence, self._migrated(file)))
            except Rejected as error:
                self.damage = error.message
                self._set_aside(path)
        if found:
            self._value = max(found, key=lambda entry: entry[0])[1]

    def _files(self) -> list[tuple[int, Path]]:
        pattern = re.compile(rf"{re.escape(self._name)}\.([0-9]{{1,6}})\.json")
        try:
            names = [entry.name for entry in self._directory.iterdir()]
        except OSError as error:
            raise Unavailable(f"cannot read {self._directory}: {error.strerror}") from error
        matches = [match for match in map(pattern.fullmatch, names) if match]
        files = sorted((int(match[1]), self._directory / match[0]) for match in matches)
        return files[-MAX_SCHEMAS:]

    def _migrated(self, file: _File) -> M:
        data = msgspec.json.decode(file.data)
        for schema in range(file.schema, self._schema):
            if schema not in self._migrations:
                raise Misuse(f"the state {self._name} has no migration from schema {schema}")
            data = self._migrations[schema](data)
        try:
            return msgspec.convert(data, self._kind)
        except msgspec.ValidationError as error:
            raise Rejected("malformed", f"{self._name}.{file.schema}.json: {error}") from error

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # it is read again at the next start
            path.replace(path.with_name(f"{path.name}.damaged"))
            sync_directory(path.parent)


def _parse(path: Path, schema: int) -> _File:
    """The file at `path`, whole and unchanged since it was written, or `Rejected`."""
    try:
        file = msgspec.json.decode(read_bounded(path, max_bytes=MAX_STATE_BYTES), type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"{path.name} is not a state file: {error}") from error
    data = bytes(file.data)
    if file.schema != schema or hashlib.sha256(data).hexdigest() != file.sha256:
        raise Rejected("malformed", f"{path.name} was changed since it was written")
    return file
