"""A product's durable state: one typed value, replaced as a whole, across versions.

Owns the file `<name>.<schema>.json` in the app's own directory. A value that
`replace` returned from is on the disk; a damaged file is set aside and never
half used. It never destroys what another firmware version wrote: after an
update that falls back, the older program still finds its own file.

Each file carries a sequence number. Of all files whose schema this program
knows, the one with the highest is the state; an older schema goes through the
migrations. So a change that the old program made after a fall back is not lost
when the new one comes again. With a way back declared (`back`), a change is also
written in the older schemas' files, so that the older program finds it too.

After a fall back the device has put the directory back as it was before the trial;
the trial's own files lie in `left-behind`. One of them that is sound, that this
program's type accepts and that is newer is an owner's setting: it is taken over.
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
LEFT_BEHIND = "left-behind"

M = TypeVar("M")
Migration = Callable[[dict[str, Any]], dict[str, Any]]
"""From the data of one schema to the data of the next, or of the one before."""

NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    sequence: int
    sha256: str
    data: msgspec.Raw


class State(Generic[M]):
    """The value `kind` under `name` in `directory`.

    `default` is the value of a new device. `migrations[n]` turns the data of schema n into that
    of n + 1, `back[n]` that of n + 1 into that of n. After damage the state is the best file that
    is left, else the default; `damage` then says what was set aside (as `<file>.damaged`) and is
    empty otherwise.
    `warn` is told what went wrong with a way back, once; the state itself is durable all the same.
    Raises `Unavailable` if the directory cannot be read, `Misuse` for a gap in the migrations,
    `Rejected("bad-migration")` for one that fails: then every file is as it was.
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
        back: Mapping[int, Migration] | None = None,
        warn: Callable[[str], None] = lambda what: None,
    ) -> None:
        if not NAME.fullmatch(name):
            raise Misuse(f"not a name for a state: {name!r}")
        self._directory, self._name, self._kind = directory, name, kind
        self._schema, self._migrations = schema, dict(migrations or {})
        self._back = dict(back or {})
        self._warn, self._warned = warn, ""
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
        self._write(self._schema, data)
        self._sequence += 1
        self._value = value
        self._write_back(data)

    def _write(self, schema: int, data: bytes, *, ahead: int = 1) -> None:
        file = _File(
            schema=schema,
            sequence=self._sequence + ahead,
            sha256=hashlib.sha256(data).hexdigest(),
            data=msgspec.Raw(data),
        )
        write_atomic(self._path(schema), msgspec.json.encode(file))

    def _write_back(self, data: bytes) -> None:
        """The same change for older programs, as far back as there is a way."""
        try:
            for schema in range(self._schema - 1, 0, -1):
                if schema not in self._back:
                    break
                data = msgspec.json.encode(self._back[schema](msgspec.json.decode(data)))
                self._write(schema, data, ahead=0)
            self._warned = ""
        except MemoryError:
            raise
        except Exception as error:
            # The product's code failed, or the disk: the state itself is durable all the same.
            said = f"{self._name}: {type(error).__name__}: {error}"[:200]
            if said != self._warned:
                self._warned = said
                self._warn(said)

    def _path(self, schema: int) -> Path:
        return self._directory / f"{self._name}.{schema}.json"

    def _load(self) -> None:
        found: list[tuple[int, int, M]] = []
        for schema, path in self._files(self._directory):
            try:
                file = _parse(path, schema)
                # A file of a newer program stays as it is; only its number counts.
                self._sequence = max(self._sequence, file.sequence)
                if schema <= self._schema:
                    found.append((file.sequence, schema, self._migrated(file)))
            except Rejected as error:
                if error.reason == "bad-migration":
                    raise
                self.damage = error.message
                self._set_aside(path)
        if found:
            self._value = max(found, key=lambda entry: entry[:2])[2]
        self._take_over(max(found, key=lambda entry: entry[:2])[0] if found else 0)

    def _take_over(self, known: int) -> None:
        """What was set while a newer program was on trial, if this one can read it."""
        place = self._directory / LEFT_BEHIND
        if not place.is_dir():
            return
        files = sorted(self._files(place), reverse=True)
        self._sequence = max([self._sequence, *(_sequence_of(*file) for file in files)])
        for schema, path in files:
            if schema > self._schema:
                continue
            with contextlib.suppress(Rejected):  # not readable here: it is the trial's alone
                file = _parse(path, schema)
                if file.sequence > known:
                    self.replace(self._migrated(file))
                    return

    def _files(self, directory: Path) -> list[tuple[int, Path]]:
        pattern = re.compile(rf"{re.escape(self._name)}\.([0-9]{{1,6}})\.json")
        try:
            names = [entry.name for entry in directory.iterdir()]
        except OSError as error:
            raise Unavailable(f"cannot read {directory}: {error.strerror}") from error
        matches = [match for match in map(pattern.fullmatch, names) if match]
        files = sorted((int(match[1]), directory / match[0]) for match in matches)
        return files[-MAX_SCHEMAS:]

    def _migrated(self, file: _File) -> M:
        data = msgspec.json.decode(file.data)
        for schema in range(file.schema, self._schema):
            if schema not in self._migrations:
                raise Misuse(f"the state {self._name} has no migration from schema {schema}")
            try:
                data = self._migrations[schema](data)
            except MemoryError:
                raise
            except Exception as error:
                why = f"{type(error).__name__}: {error}"[:200]
                message = f"{self._name}: the migration from schema {schema} failed: {why}"
                raise Rejected("bad-migration", message) from error
        try:
            return msgspec.convert(data, self._kind)
        except msgspec.ValidationError as error:
            # What was sound before a migration is not damaged by one: the file stays in its place.
            reason = "malformed" if file.schema == self._schema else "bad-migration"
            raise Rejected(reason, f"{self._name}.{file.schema}.json: {error}") from error

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # it is read again at the next start
            path.replace(path.with_name(f"{path.name}.damaged"))
            sync_directory(path.parent)


def _sequence_of(schema: int, path: Path) -> int:
    """The number of a file that need not be sound."""
    try:
        return _parse(path, schema).sequence
    except Rejected:
        return 0


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
