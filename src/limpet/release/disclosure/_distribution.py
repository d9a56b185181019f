"""The vendor's public list of advisories, as CSAF 2.0 wants a provider to distribute (7.1).

Owns the files below `public/advisories` and `public/csaf`, and their order, which is right at
every instant: a hash or a signature that is there is that of its document, and what names a key
comes after the key. What a kill leaves is repaired by the next publication, which makes the lists
from the documents.

    advisories/2026/<id>.json                  requirement 11
      .json.sha256, .sha512, .asc              requirements 18, 19
    advisories/index.txt, changes.csv          requirements 12, 13
    advisories/feed.json                       requirement 15 (ROLIE)
    advisories/<id>.json                       the same document, for the public page
    csaf/provider-metadata.json                requirements 7, 9
    csaf/openpgp/<fingerprint>.asc             requirement 20
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
from ._openpgp import KEY_BYTES, Signer, verify_signature

__all__ = ["Distribution", "Listed"]

MAX_LISTED = 10_000
SCHEMA = "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"
PUBLIC = 0o644
HASHES = ("sha256", "sha512")
SIGNATURE = "asc"


def _silent(name: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A published document."""

    path: str  # below `advisories`
    advisory: Advisory


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The list in the `public` directory of a vendor, served under the name `host`.

    With a `signer`, what is placed is signed.
    """

    public: Path
    host: str
    signer: Signer | None = None
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

    def sign(self, advisory: Advisory) -> bytes:
        """The signature that `place` will put beside it; nothing is written. Empty: no signer.

        One that is there and good is kept, so that the same publication changes nothing.
        """
        data = encode_advisory(advisory)
        file = self.root / _path_of(advisory)
        if _is(file, data) and (kept := self._kept_signature(file, data)):
            return kept
        return self.signer.sign(data) if self.signer else b""

    def place(self, advisory: Advisory, *, now: datetime, signature: bytes = b"") -> str:
        """Put a released document into the list; its path. Raises `Unavailable`, `Rejected`.

        `signature` is what `sign` gave; without one, the document has none from then on.
        """
        tracking = advisory.document.tracking
        if tracking.status == "draft":
            raise Rejected("draft", f"{tracking.id} is a draft")
        path = _path_of(advisory)
        file = self.root / path
        make_directory(file.parent, mode=0o755)
        if self.signer is not None:
            make_directory(self._openpgp, mode=0o755)
            self._write(self._openpgp / f"{self.signer.fingerprint}.asc", self.signer.public)
        data = encode_advisory(advisory)
        self._put(file, data, signature)
        self._write(self.root / file.name, data)
        self.write_lists(now=now)
        return path

    def sign_all(self, *, now: datetime) -> tuple[str, ...]:
        """Sign each document that has no good signature, then make the lists; their paths."""
        signed = []
        for one in self.listed():
            signature = self.sign(one.advisory)
            if not _is(self._beside(one.path, SIGNATURE), signature):
                self.place(one.advisory, now=now, signature=signature)
                signed.append(one.path)
        self.write_lists(now=now)
        return tuple(signed)

    @property
    def _openpgp(self) -> Path:
        return self.public / "csaf" / "openpgp"

    def _keys(self) -> dict[str, bytes]:
        """The public keys that are published, by fingerprint."""
        files = sorted(self._openpgp.glob("*.asc"))
        return {one.stem: read_bounded(one, max_bytes=KEY_BYTES) for one in files}

    def _beside(self, path: str, suffix: str) -> Path:
        return self.root / f"{path}.{suffix}"

    def _kept_signature(self, file: Path, data: bytes) -> bytes:
        """The signature beside `file` if it is good; without a signer it is not looked at."""
        try:
            kept = read_bounded(Path(f"{file}.{SIGNATURE}"), max_bytes=KEY_BYTES)
            if self.signer is not None:
                verify_signature(data, kept, list(self._keys().values()))
        except LimpetError:
            return b""
        return kept

    def write_lists(self, *, now: datetime) -> None:
        """Make the lists from the documents; what is as it should be is left as it is."""
        listed = self.listed()
        self._write(self.root / "feed.json", self._feed(listed, now))
        self._write(self.root / "changes.csv", _changes(listed))
        self._write(self.root / "index.txt", _index(listed))
        make_directory(self.public / "csaf", mode=0o755)
        if listed:
            self._write(self.public / "csaf" / "provider-metadata.json", self._provider(listed))

    def _put(self, file: Path, data: bytes, signature: bytes) -> None:
        """A document with its hashes and signature: none is ever there that is of another one."""
        beside = {
            Path(f"{file}.{name}"): f"{hashlib.new(name, data).hexdigest()}  {file.name}\n".encode()
            for name in HASHES
        }
        signed = Path(f"{file}.{SIGNATURE}")
        stale = [signed] if not signature else []
        if not _is(file, data):
            stale = [signed, *beside]
        for one in stale:
            if one.exists():
                remove_durably(one)
                self.after_write(one.name)
        self._write(file, data)
        for one, line in (beside | ({signed: signature} if signature else {})).items():
            self._write(one, line)

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
        rel = dict.fromkeys(HASHES, "hash") | {SIGNATURE: "signature"}
        beside = [
            {"rel": rel[name], "href": f"{url}.{name}"}
            for name in rel
            if self._beside(one.path, name).is_file()
        ]
        return {
            "id": tracking.id,
            "title": one.advisory.document.title,
            "link": [{"rel": "self", "href": url}, *beside],
            "published": tracking.initial_release_date,
            "updated": tracking.current_release_date,
            "content": {"type": "application/json", "src": url},
            "format": {"schema": SCHEMA, "version": "2.0"},
        }

    def _provider(self, listed: Sequence[Listed]) -> bytes:
        """A trusted provider (7.2.3) is one that has signed all it lists.

        Distribution is by ROLIE: one by directory asks for listings (7.1.14), and we serve none.
        """
        publisher = listed[0].advisory.document.publisher
        base = f"https://{self.host}/.well-known/csaf"
        keys = [{"fingerprint": name, "url": f"{base}/openpgp/{name}.asc"} for name in self._keys()]
        signed = all(self._beside(one.path, SIGNATURE).is_file() for one in listed)
        return _json(
            {
                "canonical_url": f"{base}/provider-metadata.json",
                "distributions": [
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
                "role": "csaf_trusted_provider" if keys and signed else "csaf_provider",
            }
            | ({"public_openpgp_keys": keys} if keys else {})
        )


def _path_of(advisory: Advisory) -> str:
    """One folder a year, of the first release (7.1.11)."""
    tracking = advisory.document.tracking
    return f"{tracking.initial_release_date.astimezone(UTC):%Y}/{file_name(tracking.id)}"


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
