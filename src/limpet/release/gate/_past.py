"""The product's own past advisories (CSAF 2.0), and which tests keep them from coming back.

Owns how an advisory names its tests: a note of category "other" with the title "regression-test",
whose text is a test's id as pytest prints it ("tests/test_claim.py::test_a_short_code_is_refused").
Notes of a vulnerability are about it, notes of the document about all of them. Reads nothing else
of an advisory; whether it is a whole one is not judged here.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.source import committed_blobs, head_commit, read_committed
from limpet.storage import read_bounded

__all__ = ["ADVISORIES", "REGRESSION_TEST", "Past", "load_gone", "load_past", "load_published"]

ADVISORIES = "advisories"
REGRESSION_TEST = "regression-test"
MAX_ADVISORIES = 2000
MAX_ADVISORY = 1 << 20


class _Note(msgspec.Struct, frozen=True):
    category: str = ""
    text: str = ""
    title: str = ""


class _Id(msgspec.Struct, frozen=True):
    text: str = ""


class _Vulnerability(msgspec.Struct, frozen=True):
    cve: str = ""
    title: str = ""
    ids: tuple[_Id, ...] = ()
    notes: tuple[_Note, ...] = ()


class _Tracking(msgspec.Struct, frozen=True):
    id: str


class _Document(msgspec.Struct, frozen=True):
    tracking: _Tracking
    notes: tuple[_Note, ...] = ()


class _Advisory(msgspec.Struct, frozen=True):
    document: _Document
    vulnerabilities: tuple[_Vulnerability, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """One vulnerability that the product had, and the tests that would find it again."""

    id: str  # of the advisory
    file: str  # below the product's directory
    vulnerability: str  # as the advisory names it
    tests: tuple[str, ...]


def load_past(product: Path) -> tuple[Past, ...]:
    """Every vulnerability of `advisories/*.json`, by file; none without such a directory.

    Raises `Rejected("bad-advisory" | "too-large")` naming the file, `Unavailable`.
    """
    folder = product / ADVISORIES
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.rglob("*.json") if path.is_file())
    if len(files) > MAX_ADVISORIES:
        raise Unavailable(f"more than {MAX_ADVISORIES} advisories")
    found = ((read_bounded(path, max_bytes=MAX_ADVISORY), path) for path in files)
    return tuple(one for data, path in found for one in _read(data, path.relative_to(product)))


def load_gone(product: Path, since: str) -> tuple[str, ...]:
    """Ids of the advisories that commit `since` had and the product has no more.

    Raises as `load_past`.
    """
    before, now = (_committed(product, commit) for commit in (since, head_commit(product)))
    changed = [name for name, blob in sorted(before.items()) if now.get(name) != blob]
    if len(changed) > MAX_ADVISORIES:
        raise Unavailable(f"more than {MAX_ADVISORIES} advisories")
    had = {
        one.id
        for name in changed
        if (data := read_committed(product, since, name)) is not None
        for one in _read(data, Path(name))
    }
    return tuple(sorted(had - {one.id for one in load_past(product)})) if had else ()


def load_published(folder: Path | None, model: str) -> tuple[str, ...]:
    """Ids of the advisories about `model` that lie in `folder`; none where there is no such
    directory. Raises as `load_past`."""
    if folder is None or not folder.is_dir():
        return ()
    files = sorted(path for path in folder.glob("*.json") if path.is_file())
    if len(files) > MAX_ADVISORIES:
        raise Unavailable(f"more than {MAX_ADVISORIES} advisories")
    about = f'"pkg:generic/{model}@'.encode()
    found = ((read_bounded(path, max_bytes=MAX_ADVISORY), path.name) for path in files)
    return tuple(
        one.id for data, name in found if about in data for one in _read(data, Path(name))[:1]
    )


def _committed(product: Path, commit: str) -> dict[str, str]:
    return {
        name: blob
        for name, blob in committed_blobs(product, commit).items()
        if name.startswith(f"{ADVISORIES}/") and name.endswith(".json")
    }


def _read(data: bytes, name: Path) -> list[Past]:
    try:
        advisory = msgspec.json.decode(data, type=_Advisory)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("bad-advisory", f"{name}: not a CSAF advisory: {error}") from error
    document = advisory.document
    if not document.tracking.id.strip():
        raise Rejected("bad-advisory", f"{name}: /document/tracking/id is empty")
    for_all = _tests(document.notes)
    # An advisory without a list of vulnerabilities is about one thing all the same.
    vulnerabilities = advisory.vulnerabilities or (_Vulnerability(),)
    return [
        Past(document.tracking.id, str(name), _name(one, document), for_all + _tests(one.notes))
        for one in vulnerabilities
    ]


def _name(one: _Vulnerability, document: _Document) -> str:
    ids = next((each.text for each in one.ids if each.text), "")
    return one.cve or ids or one.title or document.tracking.id


def _tests(notes: tuple[_Note, ...]) -> tuple[str, ...]:
    named = (note for note in notes if note.category == "other" and note.title == REGRESSION_TEST)
    return tuple(note.text.strip() for note in named)
