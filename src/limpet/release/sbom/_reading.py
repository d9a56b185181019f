"""Reading a CycloneDX document of any tool: bytes in, an `Sbom` that is whole out, or one error.

Numbered as it runs: 1. size; 2. it is CycloneDX, of a version that is known, in JSON; 3. shape,
nesting and number; 4. every component has a name, a package URL that is one, and a reference of
its own; 5. every reference of the dependencies leads to something. Judges nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from packageurl import PackageURL

from limpet.errors import Rejected
from limpet.release.sbom._component import Component, CryptoAsset, Origin, Sbom
from limpet.release.sbom._document import Document, Part, Service
from limpet.wire.release import SBOM_BYTES

__all__ = ["MAX_COMPONENTS", "read_sbom"]

MAX_COMPONENTS = 20_000
MAX_EDGES = 1_000_000
MAX_NESTING = 32
MAX_TEXT = 2000  # characters of a name, version, reference or licence

VERSIONS: Final = ("1.4", "1.5", "1.6", "1.7")
CRYPTO = "cryptographic-asset"
_HEX = re.compile(r"[0-9a-fA-F]{32,128}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Where the version of a package URL and the component's own must be the same text. (Go and RPM
# write a version in two ways.)
_ONE_VERSION = frozenset({"pypi", "deb"})
_CONVERT = "as with: syft convert FILE -o cyclonedx-json"
_PREFIX = "limpet:"


def read_sbom(data: bytes, name: str) -> Sbom:
    """The bill of materials in `data`, a CycloneDX document of version 1.4 to 1.7 in JSON.

    `name` is what messages call it. Raises `Rejected("too-large" | "not-cyclonedx" | "bad-sbom")`,
    and nothing else whatever the bytes are.
    """
    try:
        return _read(data)
    except Rejected as error:
        if not error.message.startswith(f"{name}: "):
            error.message = f"{name}: {error.message}"
        raise


def _read(data: bytes) -> Sbom:
    # 1.
    if len(data) > SBOM_BYTES:
        raise Rejected("too-large", f"{len(data)} bytes, at most {SBOM_BYTES} are read")
    # 2. and 3.
    document = _decode(data)
    subject = document.metadata.component if document.metadata else None
    if subject is None:
        # syft and others may leave it out where nobody named what they looked at.
        subject = Part(type="application", name="(not named)")
    inside = [*(subject.components or ()), *(document.components or ())]
    parts = [part for part in _flatten(inside) if not _repeats(part, subject)]
    # 4.
    references = _references([subject, *parts])
    whole = _component(subject, references[0])
    components, crypto = [], []
    for part, reference in zip(parts, references[1:], strict=True):
        if part.type == CRYPTO:
            crypto.append(_crypto_asset(part, reference))
        else:
            components.append(_component(part, reference))
    # 5.
    leading = {whole.reference, *(one.reference for one in components)}
    elsewhere = {*(one.reference for one in crypto), *_service_references(document.services)}
    return Sbom(
        subject=whole,
        subject_sha256=whole.hashes.get("SHA-256", ""),
        components=tuple(components),
        dependencies=_dependencies(document, leading, elsewhere),
        serial=_text(document.serial_number, "the serial number"),
        crypto=tuple(crypto),
        tree_sha256=_limpet(subject).get("tree-sha256", ""),
    )


def _decode(data: bytes) -> Document:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Rejected("not-cyclonedx", "this is XML", hint=f"give it as JSON, {_CONVERT}")
    try:
        document = msgspec.json.decode(data, type=Document)
    except msgspec.ValidationError as error:
        raise _bad(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("not-cyclonedx", f"not JSON: {error}") from error
    if document.spdx_version is not None:
        said = f"this is an SPDX document ({str(document.spdx_version)[:20]!a})"
        raise Rejected("not-cyclonedx", said, hint=f"convert it to CycloneDX, {_CONVERT}")
    if document.bom_format != "CycloneDX":
        raise Rejected("not-cyclonedx", "not a CycloneDX document", hint='it has no "bomFormat"')
    if document.spec_version not in VERSIONS:
        found = f"CycloneDX {str(document.spec_version)[:20]!a} is not known"
        raise Rejected("not-cyclonedx", found, hint=f"known are {', '.join(VERSIONS)}")
    return document


def _bad(why: str) -> Rejected:
    return Rejected("bad-sbom", why[:MAX_TEXT])


def _flatten(parts: list[Part]) -> Iterator[Part]:
    """Parts and those inside them, without recursion: the nesting is the document's."""
    waiting = [(part, 1) for part in reversed(parts)]
    count = 0
    while waiting:
        part, depth = waiting.pop()
        count += 1
        if count > MAX_COMPONENTS:
            raise Rejected("too-large", f"more than {MAX_COMPONENTS} components")
        if depth > MAX_NESTING:
            raise _bad(f"components are nested more than {MAX_NESTING} deep")
        yield part
        waiting += [(inner, depth + 1) for inner in reversed(part.components or ())]


def _repeats(part: Part, subject: Part) -> bool:
    """auditwheel lists the subject among its own components, under the same reference."""
    return part.bom_ref is not None and (part.bom_ref, part.name, part.version, part.purl) == (
        subject.bom_ref,
        subject.name,
        subject.version,
        subject.purl,
    )


def _references(parts: list[Part]) -> list[str]:
    """A reference for each: its own, or one that is made up where it has none."""
    seen: dict[str, Part] = {}
    for part in parts:
        if part.bom_ref:
            reference = _text(part.bom_ref, f"the reference of {part.name[:80]!a}")
            if reference in seen:
                first = seen[reference].name
                raise _bad(f"two components are {reference!a}: {first[:80]!a}, {part.name[:80]!a}")
            seen[reference] = part
    free = (f"component-{number}" for number in range(1, 2 * len(parts) + 2))
    unused = (reference for reference in free if reference not in seen)
    return [part.bom_ref or next(unused) for part in parts]


def _component(part: Part, reference: str) -> Component:
    name = _text(part.name, "a component's name")
    if not name:
        raise _bad(f"the component {reference!a} has no name")
    version = _text(part.version, f"the version of {name!a}")
    stated = _limpet(part)
    content = stated.get("content-sha256", "")
    return Component(
        name=name,
        version=version,
        purl=_purl(part, name, version),
        reference=reference,
        hashes=_hashes(part, name),
        licences=_licences(part),
        kind=_text(part.type, f"the type of {name!a}"),
        origin=_origin(stated.get("origin", "")),
        content_sha256=content if _SHA256.fullmatch(content) else "",
        paths=tuple(sorted(_stated(part, "path"))),
    )


def _crypto_asset(part: Part, reference: str) -> CryptoAsset:
    name = _text(part.name, "a component's name")
    stated = part.crypto_properties
    if stated is None:
        return CryptoAsset(name=name, kind="", reference=reference)
    algorithm, protocol = stated.algorithm_properties, stated.protocol_properties
    material = stated.related_crypto_material_properties
    details = (
        algorithm.primitive if algorithm else None,
        f"{protocol.type or ''} {protocol.version or ''}".strip() if protocol else None,
        material.type if material else None,
    )
    places = (part.evidence.occurrences if part.evidence else None) or ()
    return CryptoAsset(
        name=name,
        kind=_text(stated.asset_type, f"the asset type of {name!a}"),
        reference=reference,
        detail=_text(next((detail for detail in details if detail), ""), f"what {name!a} is"),
        used_by=tuple(_text(place.location, f"a place of {name!a}") for place in places),
    )


def _text(value: str | None, what: str) -> str:
    text = value or ""
    if len(text) > MAX_TEXT:
        raise _bad(f"{what} is longer than {MAX_TEXT} characters")
    if not text.isprintable():  # it would reach a terminal
        raise _bad(f"{what} holds characters that cannot be printed: {text[:80]!a}")
    return text


def _purl(part: Part, name: str, version: str) -> str:
    if not part.purl:
        return ""
    stated = _text(part.purl, f"the package URL of {name!a}")
    try:
        found = PackageURL.from_string(stated)
        if version and not found.version:
            found = found._replace(version=version)
        canonical = PackageURL.from_string(found.to_string())
    except (ValueError, UnicodeError, LookupError, TypeError, AttributeError) as error:
        raise _bad(f"{name!a}: {stated[:200]!a} is not a package URL") from error
    if found.type in _ONE_VERSION and version and found.version != version:
        raise _bad(
            f"{name!a} is of version {version!a}, and its package URL says {found.version!a}"
        )
    return canonical.to_string()


def _hashes(part: Part, name: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for one in part.hashes or ():
        algorithm = _text(one.alg, f"a hash of {name!a}")
        if not _HEX.fullmatch(one.content):
            raise _bad(f"{name!a}: {one.content[:80]!a} is not a hash")
        if found.setdefault(algorithm, one.content.lower()) != one.content.lower():
            raise _bad(f"{name!a} has two different hashes of {algorithm}")
    return found


def _licences(part: Part) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for one in part.licenses or ():
        named = one.license
        text = one.expression or (named.id or named.name if named else None) or ""
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if text:
            found[text[:MAX_TEXT]] = None
    return tuple(found)


def _origin(stated: str) -> Origin:
    try:
        return Origin(stated)
    except ValueError:
        return Origin.UNKNOWN


def _limpet(part: Part) -> dict[str, str]:
    """limpet's own properties that can only be there once."""
    found: dict[str, str] = {}
    for one in part.properties or ():
        if one.name and one.name.startswith(_PREFIX) and one.value:
            found.setdefault(one.name.removeprefix(_PREFIX), _text(one.value, one.name[:80]))
    return found


def _stated(part: Part, name: str) -> Iterator[str]:
    for one in part.properties or ():
        if one.name == f"{_PREFIX}{name}" and one.value:
            yield _text(one.value, name)


def _service_references(services: Iterable[Service] | None) -> Iterator[str]:
    waiting = list(services or ())
    count = 0
    while waiting:
        count += 1
        if count > MAX_COMPONENTS:
            raise Rejected("too-large", f"more than {MAX_COMPONENTS} services")
        service = waiting.pop()
        if service.bom_ref:
            yield service.bom_ref
        waiting += service.services or ()


def _dependencies(
    document: Document, leading: set[str], elsewhere: set[str]
) -> Mapping[str, tuple[str, ...]]:
    """Edges between components. Those to services and to the cryptographic inventory are looked
    at and left out."""
    found: dict[str, set[str]] = {}
    edges = 0
    for one in document.dependencies or ():
        targets = one.depends_on or []
        edges += len(targets) + 1
        if edges > MAX_EDGES:
            raise Rejected("too-large", f"more than {MAX_EDGES} dependencies")
        for reference in (one.ref, *targets):
            if reference not in leading and reference not in elsewhere:
                raise _bad(f"a dependency leads to {reference[:200]!a}, which is no component")
        if one.ref in leading:
            found.setdefault(one.ref, set()).update(t for t in targets if t in leading)
    return {key: tuple(sorted(found[key])) for key in sorted(found)}
