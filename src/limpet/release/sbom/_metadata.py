"""What a package in a tree says of itself: `packages.json`, and METADATA of its `.dist-info`.

Owns their reading. Both came through the lock and its hashes, and yet are text that strangers
wrote: everything is bounded, and what is odd is an error that names the package.
"""

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from limpet.errors import Rejected, naming
from limpet.release.sbom._licences import stated_licences
from limpet.storage import read_bounded
from limpet.wire.codec import decode_json
from limpet.wire.release import Digest

__all__ = ["PACKAGES", "Distribution", "Listed", "load_distributions"]

PACKAGES = "packages"
PACKAGES_FILE = "packages.json"
MAX_PACKAGES = 1000
_LIST_BYTES = 1 << 20
_METADATA_BYTES = 4 << 20
_WORDS = 200
_MAX_LINKS = 20


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of `packages.json`."""

    name: str
    version: str
    wheel: str  # file name
    sha256: Digest  # of the wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A package of the tree, and what its METADATA says."""

    listed: Listed
    info: str  # name of its `.dist-info`
    licences: tuple[str, ...]
    summary: str
    authors: tuple[tuple[str, str], ...]  # name, address
    links: tuple[tuple[str, str], ...]  # label, URL
    requires: tuple[Requirement, ...]
    claims: frozenset[str]  # top-level names that are its own

    @property
    def name(self) -> str:
        """As PyPI normalises it (PEP 503)."""
        return canonicalize_name(self.listed.name)


def load_distributions(tree: Path) -> tuple[Distribution, ...]:
    """The packages of `tree`, by name; none if it has no directory of them.

    Raises `Rejected("not-firmware")` if `packages.json` and the directories do not name the
    same packages, or METADATA cannot be understood.
    """
    place = tree / PACKAGES
    if not place.is_dir():
        return ()
    with naming(place / PACKAGES_FILE):
        data = read_bounded(place / PACKAGES_FILE, max_bytes=_LIST_BYTES)
        listed = decode_json(data, tuple[Listed, ...], max_bytes=_LIST_BYTES)
    if len(listed) > MAX_PACKAGES:
        raise Rejected("too-large", f"{place} holds more than {MAX_PACKAGES} packages")
    infos = {_key(path.name): path.name for path in sorted(place.glob("*.dist-info"))}
    found: dict[tuple[str, str], Distribution] = {}
    for one in listed:
        key = (str(canonicalize_name(one.name)), one.version)
        if key not in infos or key in found:
            why = "twice" if key in found else "without its .dist-info"
            raise Rejected("not-firmware", f"{place / PACKAGES_FILE} lists {one.name} {why}")
        found[key] = _load(place, one, infos[key])
    for key, name in infos.items():
        if key not in found:
            raise Rejected("not-firmware", f"{place / name} is not in {PACKAGES_FILE}")
    return tuple(found[key] for key in sorted(found))


def _key(info: str) -> tuple[str, str]:
    name, _, version = info.removesuffix(".dist-info").partition("-")
    return canonicalize_name(name), version


def _load(place: Path, listed: Listed, info: str) -> Distribution:
    path = place / info / "METADATA"
    with naming(path):
        metadata = BytesParser().parsebytes(
            read_bounded(path, max_bytes=_METADATA_BYTES), headersonly=True
        )
        try:
            texts = metadata.get_all("Requires-Dist") or ()
            requires = tuple(Requirement(str(text)) for text in texts)
        except InvalidRequirement as error:
            message = f"a requirement that says nothing: {str(error).splitlines()[0][:_WORDS]}"
            raise Rejected("not-firmware", message) from error
    return Distribution(
        listed=listed,
        info=info,
        licences=stated_licences(metadata),
        summary=_text(metadata.get("Summary")),
        authors=tuple(_people(metadata)),
        links=tuple(_links(metadata)),
        requires=requires,
        claims=frozenset(_claims(place / info, metadata, listed.name)),
    )


def _claims(info: Path, metadata: Message, name: str) -> set[str]:
    """Names that the package imports as: RECORD is the truth where it is kept, else what it states
    (PEP 794, `top_level.txt`), and its own name."""
    record = info / "RECORD"
    if record.is_file():
        lines = read_bounded(record, max_bytes=_METADATA_BYTES).decode("utf-8", "replace")
        return {line.split("/")[0].split(",")[0].split(".")[0] for line in lines.splitlines()}
    stated = {str(one).split(";")[0].split(".")[0].strip() for one in _all(metadata, "Import-Name")}
    top = info / "top_level.txt"
    if top.is_file():
        stated |= set(
            read_bounded(top, max_bytes=_METADATA_BYTES).decode("utf-8", "replace").split()
        )
    plain = canonicalize_name(name).replace("-", "_")
    return {one.split("/")[0] for one in stated if one} | {plain, f"_{plain}", name}


def _all(metadata: Message, field: str) -> list[str]:
    return [str(value) for value in metadata.get_all(field) or ()]


def _people(metadata: Message) -> list[tuple[str, str]]:
    """Author and maintainer: names, with the address where one is given for each."""
    from email.utils import getaddresses

    found: dict[tuple[str, str], None] = {}
    for role in ("Author", "Maintainer"):
        pairs = getaddresses(_all(metadata, f"{role}-email"))
        mails = [(_text(name), mail) for name, mail in pairs if "@" in mail]
        names = [text for value in _all(metadata, role) if (text := _text(value))]
        if len(names) == 1 and len(mails) == 1 and not mails[0][0]:
            found[names[0], mails[0][1]] = None
            continue
        found |= dict.fromkeys(mails)
        found |= {(name, ""): None for name in names if name not in {one for one, _ in mails}}
    return sorted(found)


def _links(metadata: Message) -> list[tuple[str, str]]:
    pairs = [value.partition(",") for value in _all(metadata, "Project-URL")]
    found = {(label.strip().lower(), url.strip()) for label, _, url in pairs}
    found |= {("homepage", url.strip()) for url in _all(metadata, "Home-page")}
    return sorted(pair for pair in found if pair[1].startswith(("https://", "http://")))[
        :_MAX_LINKS
    ]


def _text(value: object) -> str:
    text = " ".join(str(value or "").split())
    return "" if text.upper() == "UNKNOWN" else text[:_WORDS]
