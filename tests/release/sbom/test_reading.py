"""What is read: documents of any tool; and nothing but `Rejected` for what is none."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.errors import Rejected
from limpet.release.sbom import MAX_COMPONENTS, Origin, Sbom, read_sbom
from limpet.wire.release import SBOM_BYTES


def document(*components: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"component": {"type": "firmware", "name": "product", "bom-ref": "product"}},
        "components": list(components),
        **more,
    }


def part(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "library", "name": name, "version": "1.0", **more}


def read(value: object) -> Sbom:
    return read_sbom(json.dumps(value).encode(), "their.json")


def refused(value: object) -> Rejected:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(Rejected) as caught:
        read_sbom(data, "their.json")
    assert caught.value.message.startswith("their.json: ")
    assert caught.value.message.isprintable()
    return caught.value


LIBC = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12&upstream=glibc"

# As the tools write: members in their order, what limpet passes over left in.
SYFT = {
    "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "serialNumber": "urn:uuid:2b1cbb5d-7a1c-4c26-8f0e-3f3c8b5b1c9a",
    "version": 1,
    "metadata": {
        "timestamp": "2026-11-01T10:00:00+00:00",
        "tools": {"components": [{"type": "application", "author": "anchore", "name": "syft"}]},
        "component": {"bom-ref": "af63bd4c8601b7f1", "type": "container", "name": "image"},
    },
    "components": [
        {
            "bom-ref": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&package-id=c7",
            "type": "library",
            "publisher": "GNU Libc Maintainers",
            "name": "libc6",
            "version": "2.36-9+deb12u10",
            "licenses": [{"license": {"id": "GPL-2.0-only"}}, {"license": {"name": "GFDL"}}],
            "cpe": "cpe:2.3:a:libc6:libc6:2.36-9\\+deb12u10:*:*:*:*:*:*:*",
            "purl": LIBC,
            "properties": [{"name": "syft:package:type", "value": "deb"}],
        },
        {"bom-ref": "os:debian@12", "type": "operating-system", "name": "debian", "version": "12"},
    ],
    "dependencies": [
        {
            "ref": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&package-id=c7",
            "dependsOn": ["os:debian@12"],
        }
    ],
}
CDXGEN = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {
        "component": {
            "name": "app",
            "group": "",
            "version": "latest",
            "purl": "pkg:npm/app@latest",
            "bom-ref": "pkg:npm/app@latest",
            "type": "application",
            "components": [{"name": "sub", "version": "1", "type": "library", "bom-ref": "sub"}],
        }
    },
    "components": [
        {
            "group": "@babel",
            "name": "core",
            "version": "7.24.0",
            "scope": "required",
            "hashes": [{"alg": "SHA-512", "content": "AB" * 64}],
            "licenses": [{"expression": "MIT"}],
            "purl": "pkg:npm/%40babel/core@7.24.0",
            "type": "library",
            "bom-ref": "pkg:npm/@babel/core@7.24.0",
            "evidence": {"identity": {"field": "purl", "confidence": 1}},
        }
    ],
    "services": [{"name": "api", "bom-ref": "service-1"}],
    "dependencies": [
        {"ref": "pkg:npm/app@latest", "dependsOn": ["pkg:npm/@babel/core@7.24.0", "service-1"]}
    ],
}
CYCLONEDX_PY = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.4",
    "components": [{"type": "library", "name": "h11", "version": "0.16.0"}],
}


def test_what_syft_writes_is_read() -> None:
    sbom = read(SYFT)
    libc, system = sbom.components
    assert libc.purl == LIBC
    assert libc.licences == ("GPL-2.0-only", "GFDL")
    assert libc.origin is Origin.UNKNOWN
    assert (system.kind, system.purl) == ("operating-system", "")
    assert sbom.dependencies == {libc.reference: ("os:debian@12",)}
    assert sbom.subject_sha256 == ""


def test_what_cdxgen_writes_is_read() -> None:
    sbom = read(CDXGEN)
    assert [one.name for one in sbom.components] == ["sub", "core"]
    core = sbom.components[1]
    assert core.hashes == {"SHA-512": "ab" * 64}
    assert sbom.dependencies == {"pkg:npm/app@latest": (core.reference,)}


def test_what_cyclonedx_py_writes_without_a_subject_is_read() -> None:
    sbom = read(CYCLONEDX_PY)
    (h11,) = sbom.components
    assert h11.purl == ""
    assert h11.reference == "component-2"
    assert sbom.subject.name == "(not named)"


def test_nested_components_come_out_flat_and_in_order() -> None:
    inner = part("inner", components=[part("innermost")])
    sbom = read(document(part("outer", components=[inner]), part("last")))
    assert [one.name for one in sbom.components] == ["outer", "inner", "innermost", "last"]
    assert len({one.reference for one in sbom.components}) == 4


def test_a_purl_is_made_canonical_and_gets_the_version_that_it_lacks() -> None:
    sbom = read(document(part("Flask", purl="pkg:PyPI/Flask_Login")))
    assert sbom.components[0].purl == "pkg:pypi/flask-login@1.0"


def test_a_reference_that_was_made_up_is_nobody_elses() -> None:
    sbom = read(document(part("a", **{"bom-ref": "component-1"}), part("b"), part("c")))
    assert len({one.reference for one in sbom.components}) == 3


BAD: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "not UTF-8": b'{"bomFormat": "\xff"}',
    "an array": [],
    "another format": {"bomFormat": "SWID", "specVersion": "1.5"},
    "XML": b"\xef\xbb\xbf <?xml version='1.0'?><bom/>",
    "SPDX": {"spdxVersion": "SPDX-2.3", "packages": []},
    "a version to come": {**document(), "specVersion": "9.9"},
    "an old version": {**document(), "specVersion": "1.0"},
    "a component without a name": document({"type": "library"}),
    "a component with an empty name": document(part("")),
    "a component without a type": document({"name": "x"}),
    "a version that is a number": document(part("x", version=1)),
    "two of one reference": document(part("x", **{"bom-ref": "r"}), part("y", **{"bom-ref": "r"})),
    "another with the subject's reference": document(part("x", **{"bom-ref": "product"})),
    "a purl that is none": document(part("x", purl="https://example.org/x")),
    "a purl with no name": document(part("x", purl="pkg:pypi/")),
    "a purl of another version": document(part("x", purl="pkg:pypi/x@2.0")),
    "a hash that is none": document(part("x", hashes=[{"alg": "SHA-256", "content": "zz"}])),
    "two hashes of one kind": document(
        part("x", hashes=[{"alg": "SHA-256", "content": c * 64} for c in "ab"])
    ),
    "a dependency to nowhere": document(
        dependencies=[{"ref": "product", "dependsOn": ["nowhere"]}]
    ),
    "a dependency of nothing": document(dependencies=[{"ref": "nothing"}]),
    "a name that clears the screen": document(part("x\x1b[2J")),
    "a name of a megabyte": document(part("x" * (1 << 20))),
    "a reference with a line break": document(part("x", **{"bom-ref": "a\nb"})),
    "components that are no list": document(**{"components": {"x": 1}}),
    "nesting without end": b'{"bomFormat":' + b"[" * 100_000,
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_not_a_whole_document_is_refused_by_name(what: str) -> None:
    read(document(part("x", purl="pkg:pypi/x@1.0")))  # the frame of them all is good
    assert refused(BAD[what]).reason in ("bad-sbom", "not-cyclonedx", "too-large")


@pytest.mark.parametrize(("what", "hint"), [("SPDX", "convert"), ("XML", "JSON")])
def test_another_format_gets_advice(what: str, hint: str) -> None:
    error = refused(BAD[what])
    assert error.reason == "not-cyclonedx"
    assert hint in error.hint


def test_too_many_components_are_refused_and_as_many_as_allowed_are_read() -> None:
    most = [{"type": "library", "name": "x"}] * MAX_COMPONENTS
    assert len(read(document(*most)).components) == MAX_COMPONENTS
    assert refused(document(*most, part("x"))).reason == "too-large"


def test_a_document_that_is_too_long_is_refused_before_it_is_read() -> None:
    assert refused(b" " * (SBOM_BYTES + 1)).reason == "too-large"


def test_components_nested_too_deeply_are_refused() -> None:
    nested = part("x")
    for _ in range(31):
        nested = part("x", components=[nested])
    assert len(read(document(nested)).components) == 32
    assert refused(document(part("x", components=[nested]))).reason == "bad-sbom"


def test_many_services_and_dependencies_are_bounded() -> None:
    services = [{"name": "s"}] * (MAX_COMPONENTS + 1)
    assert refused(document(services=services)).reason == "too-large"
    many = [{"ref": "product", "dependsOn": ["product"] * 1000}] * 1001
    assert refused(document(dependencies=many)).reason == "too-large"


def test_our_own_document_says_the_same_when_it_is_read(written: bytes) -> None:
    sbom = read_sbom(written, "sbom.cdx.json")
    known = {sbom.subject.reference, *(one.reference for one in sbom.components)}
    assert known >= {one for targets in sbom.dependencies.values() for one in targets}
    assert sbom.subject_sha256 == "cd" * 32
    assert sbom.serial.startswith("urn:uuid:")
    assert all(one.origin is not Origin.UNKNOWN for one in sbom.components)
    assert all(one.purl for one in sbom.components)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
SPECIMENS = (SYFT, CDXGEN, CYCLONEDX_PY)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_document_with_anything_in_any_place_is_read_or_refused(data: st.DataObject) -> None:
    value = copy.deepcopy(data.draw(st.sampled_from(SPECIMENS)))
    place: Any = value
    for _ in range(data.draw(st.integers(0, 5))):
        if isinstance(place, list) and place:
            step: Any = data.draw(st.integers(0, len(place) - 1))
        elif isinstance(place, dict) and place:
            step = data.draw(st.sampled_from(sorted(place)))
        else:
            break
        if not isinstance(place[step], (dict, list)) or data.draw(st.booleans()):
            place[step] = data.draw(JSON)
            break
        place = place[step]
    try:
        sbom = read(value)
    except Rejected:
        return
    known = {sbom.subject.reference, *(one.reference for one in sbom.components)}
    assert set(sbom.dependencies) <= known


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        read_sbom(data, "x")
