"""What limpet writes: valid, the same every time, and true of the tree."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from cyclonedx.schema import _res as schemas
from tests.release.sbom.trees import MADE, add_packages, any_image, make_tree

from limpet.errors import Rejected
from limpet.firmware.tree import digest_tree
from limpet.release.sbom import Component, Origin, make_sbom, read_sbom
from limpet.release.sbom._debian import parse_status
from limpet.vendor.home import Home
from limpet.wire.release import Image


def errors_of(document: object, version: str = "1.6") -> list[str]:
    """What the official schema (as cyclonedx-python-lib ships it) has against it."""
    folder = Path(schemas.__file__).parent
    found = {
        f"http://cyclonedx.org/schema/{file.name}": json.loads(file.read_text())
        for file in folder.glob("*.SNAPSHOT.schema.json")
    }
    schema = found[f"http://cyclonedx.org/schema/bom-{version}.SNAPSHOT.schema.json"]
    registry = jsonschema_rs.Registry(list(found.items()))
    judge = jsonschema_rs.validator_for(schema, registry=registry, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in judge.iter_errors(document)]


def component_of(data: bytes, name: str) -> Component:
    (found,) = (one for one in read_sbom(data, "sbom").components if one.name == name)
    return found


def facts_of(part: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fact in part["properties"]:
        found.setdefault(fact["name"].removeprefix("limpet:"), []).append(fact["value"])
    return found


def test_the_document_is_valid_against_the_official_schema(written: bytes) -> None:
    document = json.loads(written)
    assert document["specVersion"] == "1.6"
    assert errors_of(document) == []
    # The judge can find something: a control.
    document["components"][0]["type"] = "nonsense"
    del document["components"][1]["name"]
    assert len(errors_of(document)) >= 2


def test_it_names_the_image_the_tree_and_the_hardware(
    written: bytes, tree: Path, image: Image
) -> None:
    document = json.loads(written)
    subject = document["metadata"]["component"]
    assert (subject["type"], subject["name"], subject["version"]) == (
        "firmware",
        "thermostat",
        "1.0.0",
    )
    assert subject["hashes"] == [
        {"alg": "SHA-256", "content": image.path.removeprefix("images/").removesuffix(".img")}
    ]
    assert subject["supplier"]["name"] == "Example Instruments"
    assert document["metadata"]["timestamp"] == MADE.isoformat()
    facts = facts_of(subject)
    assert facts["hardware-revision"] == ["A1", "A2"]
    assert facts["tree-sha256"] == [digest_tree(tree)] == [image.tree_sha256]
    assert facts["source-commit"] == ["0123abcd"]
    assert facts["suite"] == ["limpet-2026-hybrid (version 2)"]


def test_it_says_what_the_image_needs_and_does_not_hold(written: bytes) -> None:
    facts = facts_of(json.loads(written)["metadata"]["component"])
    python = "{}.{}".format(*sys.version_info[:2])
    assert facts["requires-python"] == [python]
    assert facts["requires-libc"][0].startswith("glibc >= 2.")
    assert any("interpreter" in text for text in facts["not-contained"])


def test_two_documents_of_the_same_firmware_are_equal(
    maker: Home, tmp_path: Path, written: bytes, tree: Path, image: Image
) -> None:
    """In another process, with another hash seed, from a tree in another place."""
    copy = shutil.copytree(tree, tmp_path / "elsewhere")
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
    program = (
        "import sys, pathlib, msgspec; from limpet.release.sbom import make_sbom;"
        "from limpet.wire.release import Image;"
        "image = msgspec.json.decode(sys.argv[2], type=Image);"
        "sys.stdout.buffer.write(make_sbom(pathlib.Path(sys.argv[1]), image))"
    )
    import msgspec

    arguments = [str(copy), msgspec.json.encode(image).decode()]
    found = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        check=True,
    )
    assert found.stdout == written
    other = make_sbom(copy, any_image())
    assert json.loads(other)["serialNumber"] != json.loads(written)["serialNumber"]


def test_every_file_of_app_runtime_and_packages_is_of_exactly_one_component(
    written: bytes, tree: Path
) -> None:
    paths = [path for one in read_sbom(written, "sbom").components for path in one.paths]
    assert len(paths) == len(set(paths))
    covered = [
        file
        for path in paths
        for file in ((tree / path).rglob("*") if (tree / path).is_dir() else [tree / path])
        if file.is_file()
    ]
    there = [
        file
        for top in ("app", "runtime", "packages")
        for file in (tree / top).rglob("*")
        if file.is_file()
    ]
    assert sorted(covered) == sorted(set(there) - {tree / "packages" / "packages.json"})


def test_the_digest_of_a_component_can_be_made_with_sha256sum(written: bytes, tree: Path) -> None:
    for name in ("cffi", "limpet"):
        one = component_of(written, name)
        command = (
            f"find {' '.join(one.paths)} -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
        )
        done = subprocess.run(
            ["sh", "-c", command], cwd=tree, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[0] == one.content_sha256


def test_packages_come_with_purl_hash_licence_and_origin(written: bytes, tree: Path) -> None:
    listed = {
        one["name"]: one for one in json.loads((tree / "packages" / "packages.json").read_text())
    }
    sbom = read_sbom(written, "sbom")
    packages = {one.name: one for one in sbom.components if one.origin is Origin.PACKAGE}
    assert packages.keys() == listed.keys()
    for name, one in packages.items():
        assert one.version == listed[name]["version"]
        assert one.purl == f"pkg:pypi/{name}@{one.version}"
        assert one.hashes == {"SHA-256": listed[name]["sha256"]}
    assert packages["h11"].licences == ("MIT",)
    assert packages["tuf"].licences == ("Apache-2.0 OR MIT",)


def test_the_graph_follows_requirements_that_hold_on_the_device_and_imports(written: bytes) -> None:
    sbom = read_sbom(written, "sbom")
    names = {one.reference: one.name for one in (*sbom.components, sbom.subject)}
    packages = {one.name: one.reference for one in sbom.components if one.origin is Origin.PACKAGE}

    def needs(reference: str) -> set[str]:
        return {names[one] for one in sbom.dependencies[reference]}

    assert needs(packages["tuf"]) == {"securesystemslib", "urllib3"}
    assert "cffi" in needs(packages["cryptography"])
    assert "typing-extensions" not in needs(packages["cryptography"])  # python < 3.11
    assert "cffi" not in needs(packages["zstandard"])  # an extra that nobody asks for
    runtime = component_of(written, "limpet").reference
    assert needs(runtime) >= {"cryptography", "h11", "msgspec", "tuf", "zstandard"}
    assert needs(sbom.subject.reference) == {"thermostat-app"}
    assert "limpet" in needs(component_of(written, "thermostat-app").reference)


def test_libraries_inside_wheels_are_named_as_the_wheels_state_them(written: bytes) -> None:
    import zstandard
    from cryptography.hazmat.backends.openssl import backend

    sbom = read_sbom(written, "sbom")
    inside = {one.name: one for one in sbom.components if one.purl.startswith("pkg:generic/")}
    assert backend.openssl_version_text().split()[1] == inside["openssl"].version
    assert inside["openssl"].origin is Origin.BUNDLED
    assert ".".join(map(str, zstandard.ZSTD_VERSION)) == inside["zstd"].version
    crates = [one for one in sbom.components if one.purl.startswith("pkg:cargo/")]
    assert len(crates) > 20
    assert "file:" not in written.decode().replace('"file:packages', "")
    (cffi,) = (part for part in json.loads(written)["components"] if part["name"] == "cffi")
    assert facts_of(cffi)["unversioned-part"] == ["libffi"]


def test_what_no_package_claims_is_in_the_bill_all_the_same(tree: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tree, tmp_path / "tree")
    (copy / "packages" / "smuggled.py").write_text("print('here')")
    one = component_of(make_sbom(copy, any_image()), "packages/smuggled.py")
    assert one.kind == "file"
    assert one.purl == ""
    assert one.content_sha256


def test_the_byte_code_of_a_single_module_is_of_its_package(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree", "h11")
    before = component_of(make_sbom(bare, any_image()), "h11").content_sha256
    cache = bare / "packages" / "__pycache__"
    cache.mkdir()
    for name in ("h11", "smuggled"):
        (cache / f"{name}.cpython-311.pyc").write_bytes(b"x")
    after = make_sbom(bare, any_image())
    assert component_of(after, "h11").content_sha256 != before
    names = [one.name for one in read_sbom(after, "sbom").components]
    smuggled = "packages/__pycache__/smuggled.cpython-311.pyc"
    assert [name for name in names if "__pycache__" in name] == [smuggled]


def test_a_tree_without_packages_says_so(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "bare")
    data = make_sbom(bare, any_image())
    facts = facts_of(json.loads(data)["metadata"]["component"])
    assert any("packages that limpet's runtime imports" in one for one in facts["not-contained"])
    assert facts["requires-python"] == [">=3.11"]
    assert errors_of(json.loads(data)) == []


@pytest.mark.parametrize("spoil", ["unlisted", "unpacked", "twice", "odd-wheel", "bad-requirement"])
def test_packages_that_do_not_say_what_they_are_stop_the_bill(
    maker: Home, tmp_path: Path, spoil: str
) -> None:
    bare = make_tree(maker, tmp_path / "tree", "h11")
    file = bare / "packages" / "packages.json"
    listed = json.loads(file.read_text())
    info = next((bare / "packages").glob("h11-*.dist-info"))
    make_sbom(bare, any_image())  # it is whole
    match spoil:
        case "unlisted":
            listed = []
        case "unpacked":
            listed.append({**listed[0], "name": "missing"})
        case "twice":
            listed *= 2
        case "odd-wheel":
            listed[0]["wheel"] = "../h11.whl"
        case "bad-requirement":
            text = (info / "METADATA").read_text()
            (info / "METADATA").write_text(f"Requires-Dist: ===\n{text}")
    file.write_text(json.dumps(listed))
    with pytest.raises(Rejected) as caught:
        make_sbom(bare, any_image())
    assert caught.value.reason == "not-firmware"


def test_licences_are_what_the_package_says_and_no_more(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree", "h11")
    info = next((bare / "packages").glob("h11-*.dist-info"))
    several = "MIT AND (Apache-2.0 OR BSD-2-Clause)"
    vague = "Classifier: License :: OSI Approved :: BSD License"
    for stated, expected in (
        (f"License-Expression: {several}", (several,)),
        ("Classifier: License :: OSI Approved :: MIT License", ("MIT",)),
        (vague, ("BSD License",)),
        (f"License: BSD-3-Clause\n{vague}", ("BSD-3-Clause",)),
        ("License: My own words", ("My own words",)),
        ("License: UNKNOWN", ()),
        ("License: " + "a very long text " * 30, ()),
        ("Keywords: none", ()),
    ):
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: h11\n{stated}\n\nbody\n")
        data = make_sbom(bare, any_image())
        assert component_of(data, "h11").licences == expected
        assert errors_of(json.loads(data)) == []


def test_a_system_around_it_is_listed(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree")
    status = (
        b"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n"
        b"Version: 3.0.17-1~deb12u2\nDescription: libraries\n more: text\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n"
    )
    system = parse_status(status, b'ID=debian\nVERSION_ID="12"\n')
    one = component_of(make_sbom(bare, any_image(), system=system), "libssl3")
    assert one.origin is Origin.SYSTEM
    assert one.purl == (
        "pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl"
    )
    assert len(system) == 1


@pytest.mark.parametrize(
    "status",
    [
        b"Package: a b\nStatus: install ok installed\nVersion: 1\n",
        b"Package: a\nStatus: install ok installed\nVersion: \x1b[2J\n",
        b"Status: install ok installed\n",
        b"Package: a\nStatus: install ok installed\nVersion: 1\nSource: b (1\n",
        b"Package: a\nStatus: install ok installed\nVersion: 1\n\n" * 2,
    ],
)
def test_a_status_file_that_is_none_is_refused(status: bytes) -> None:
    with pytest.raises(Rejected, match="dpkg/status"):
        parse_status(status, b"")


def test_extras_that_another_package_asks_for_are_followed(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree", "tuf", "securesystemslib", "cryptography", "cffi")
    without = read_sbom(make_sbom(bare, any_image()), "sbom")
    reference = component_of(make_sbom(bare, any_image()), "securesystemslib").reference
    assert without.dependencies[reference] == ()
    info = next((bare / "packages").glob("tuf-*.dist-info"))
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(f"Requires-Dist: securesystemslib[crypto]~=1.0\n{text}")
    found = read_sbom(make_sbom(bare, any_image()), "sbom")
    assert [one.partition("@")[0] for one in found.dependencies[reference]] == [
        "pkg:pypi/cryptography"
    ]


def test_packages_for_different_machines_are_not_one_firmware(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree", "h11", "cffi")
    file = bare / "packages" / "packages.json"
    listed = json.loads(file.read_text())
    listed[1]["wheel"] = "h11-0.16.0-cp312-cp312-manylinux_2_17_aarch64.whl"
    file.write_text(json.dumps(listed))
    with pytest.raises(Rejected, match="not for one device"):
        make_sbom(bare, any_image())


def test_adding_a_package_later_changes_the_serial_number(maker: Home, tmp_path: Path) -> None:
    bare = make_tree(maker, tmp_path / "tree", "h11")
    before = json.loads(make_sbom(bare, any_image()))["serialNumber"]
    add_packages(bare, "h11", "msgspec")
    assert json.loads(make_sbom(bare, any_image()))["serialNumber"] != before
