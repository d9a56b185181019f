"""The vendor's public list of advisories, as CSAF 2.0 wants a provider to distribute (7.1).

Owns the files below `public/advisories` and `public/csaf`, and their order, which is right at
every instant: a hash that is there is that of its document, and a list names only what is there.
What a kill leaves is repaired by the next publication, which makes the lists from the documents.

    advisories/2026/<id>.json, .json.sha256    requirements 11, 18
    advisories/index.txt, changes.csv          requirements 12, 13
    advisories/feed.json                       requirement 15 (ROLIE)
    advisories/<id>.json                       the same document, for the public page
    csaf/provider-metadata.json                requirements 7, 9
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from limpet.errors import LimpetError, Rejected
from limpet.storage import make_directory, read_bounded, remove_durably, write_atomic

from ._csaf import (
    ADVISORY_BYTES,
    Advisory,
    Tracking,
    encode_advisory,
    file_name,
    load_advisory,
)

__all__ = ["Distribution", "Listed"]

MAX_LISTED = 10_000
SCHEMA = "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"
PUBLIC = 0o644


def _silent(name: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A published document."""

    path: str  # below `advisories`
    advisory: Advisory


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The list in the `public` directory of a vendor, served under the name `host`."""

    public: Path
    host: str
    after_write: Callable[[str], None] = _silent

    @property
    def root(self) -> Path:
        """Where the documents are."""
        return self.public / "advisories"

    def find(self, advisory_id: str) -> Advisory | None:
        """The published document of that id. Raises `Rejected` if it is damaged."""
        name = file_name(advisory_id)
        found = [one for one in sorted(self.root.glob(f"[0-9]*/{name}")) if one.is_file()]
        return load_advisory(found[-1]) if found else None

    def listed(self) -> tuple[Listed, ...]:
        """Every document, newest change first. Raises `Rejected` for one that is damaged."""
        found = []
        for file in sorted(self.root.glob("[0-9][0-9][0-9][0-9]/*.json"))[:MAX_LISTED]:
            found.append(Listed(f"{file.parent.name}/{file.name}", load_advisory(file)))
        found.sort(key=lambda one: one.path)
        found.sort(key=lambda one: _tracking(one).current_release_date, reverse=True)
        return tuple(found)

    def place(self, advisory: Advisory, *, now: datetime) -> str:
        """Put a released document into the list; its path. Raises `Unavailable`, `Rejected`."""
        tracking = advisory.document.tracking
        if tracking.status == "draft":
            raise Rejected("draft", f"{tracking.id} is a draft")
        name = file_name(tracking.id)
        path = f"{tracking.initial_release_date.astimezone(UTC):%Y}/{name}"
        file = self.root / path
        make_directory(file.parent, mode=0o755)
        data = encode_advisory(advisory)
        self._put(file, data)
        self._write(self.root / name, data)
        self.write_lists(now=now)
        return path

    def write_lists(self, *, now: datetime) -> None:
        """Make the lists from the documents; what is as it should be is left as it is."""
        listed = self.listed()
        self._write(self.root / "feed.json", self._feed(listed, now))
        self._write(self.root / "changes.csv", _changes(listed))
        self._write(self.root / "index.txt", _index(listed))
        make_directory(self.public / "csaf", mode=0o755)
        if listed:
            self._write(self.public / "csaf" / "provider-metadata.json", self._provider(listed))

    def _put(self, file: Path, data: bytes) -> None:
        """A document with its hash: no hash is ever there that is of another document."""
        hashed = file.with_name(f"{file.name}.sha256")
        line = f"{hashlib.sha256(data).hexdigest()}  {file.name}\n".encode()
        if _is(file, data) and _is(hashed, line):
            return
        if hashed.exists() and not _is(file, data):
            remove_durably(hashed)
            self.after_write(hashed.name)
        self._write(file, data)
        self._write(hashed, line)

    def _write(self, file: Path, data: bytes) -> None:
        if not _is(file, data):
            write_atomic(file, data, mode=PUBLIC)
            self.after_write(file.name)

    def _url(self, path: str) -> str:
        return f"https://{self.host}/advisories/{path}"

    def _feed(self, listed: Sequence[Listed], now: datetime) -> bytes:
        """A ROLIE feed (RFC 8322, JSON form as CSAF 2.0 has it)."""
        updated = max((_tracking(one).current_release_date for one in listed), default=now)
        feed = {
            "id": "advisories",
            "title": "Security advisories",
            "link": [{"rel": "self", "href": self._url("feed.json")}],
            "category": [
                {"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}
            ],
            "updated": updated,
            "entry": [self._entry(one) for one in listed],
        }
        return _json({"feed": feed})

    def _entry(self, one: Listed) -> dict[str, object]:
        tracking, url = _tracking(one), self._url(one.path)
        return {
            "id": tracking.id,
            "title": one.advisory.document.title,
            "link": [{"rel": "self", "href": url}, {"rel": "hash", "href": f"{url}.sha256"}],
            "published": tracking.initial_release_date,
            "updated": tracking.current_release_date,
            "content": {"type": "application/json", "src": url},
            "format": {"schema": SCHEMA, "version": "2.0"},
        }

    def _provider(self, listed: Sequence[Listed]) -> bytes:
        publisher = listed[0].advisory.document.publisher
        return _json(
            {
                "canonical_url": f"https://{self.host}/.well-known/csaf/provider-metadata.json",
                "distributions": [
                    {"directory_url": self._url("")},
                    {
                        "rolie": {
                            "feeds": [
                                {
                                    "summary": "All advisories",
                                    "tlp_label": "WHITE",
                                    "url": self._url("feed.json"),
                                }
                            ]
                        }
                    },
                ],
                "last_updated": _tracking(listed[0]).current_release_date,
                "list_on_CSAF_aggregators": True,
                "metadata_version": "2.0",
                "mirror_on_CSAF_aggregators": True,
                "publisher": publisher,
                "role": "csaf_provider",
            }
        )


def _tracking(one: Listed) -> Tracking:
    return one.advisory.document.tracking


def _index(listed: Sequence[Listed]) -> bytes:
    return "".join(f"{path}\n" for path in sorted(one.path for one in listed)).encode()


def _changes(listed: Sequence[Listed]) -> bytes:
    """Latest first; file names hold no quote."""
    lines = (
        f'"{one.path}","{_tracking(one).current_release_date.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"\n'
        for one in listed
    )
    return "".join(lines).encode()


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _is(file: Path, data: bytes) -> bool:
    try:
        return read_bounded(file, max_bytes=max(len(data), ADVISORY_BYTES)) == data
    except LimpetError:
        return False
