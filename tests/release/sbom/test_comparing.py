"""Whose bill it is: every way in which a bill and an image can part is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.release.sbom.trees import any_image, make_tree

from limpet.release.sbom import Difference, Problem, Sbom, compare_sbom, make_sbom, read_sbom
from limpet.release.sbom._debian import parse_status
from limpet.vendor.home import Home

IMAGE = "ab" * 32


@pytest.fixture(scope="module")
def small(maker: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(maker, tmp_path_factory.mktemp("compared") / "tree", "h11", "msgspec")


@pytest.fixture(scope="module")
def bill(small: Path) -> bytes:
    return make_sbom(small, any_image(IMAGE))


@pytest.fixture
def spoiled(small: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return shutil.copytree(small, tmp_path / "spoiled")


def compare(bill: bytes, tree: Path, image: str = IMAGE) -> tuple[Problem, ...]:
    return compare_sbom(read_sbom(bill, "bill"), tree, image_sha256=image)


def kinds(problems: tuple[Problem, ...]) -> set[tuple[str, str]]:
    return {(one.difference.value, one.component) for one in problems}


def edited(bill: bytes, edit: Callable[[dict[str, Any]], None]) -> Sbom:
    document = json.loads(bill)
    edit(document)
    return read_sbom(json.dumps(document).encode(), "bill")


def part_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (part for part in document["components"] if part["name"] == name)
    part: dict[str, Any] = found
    return part


def test_a_bill_is_that_of_its_own_image(bill: bytes, small: Path) -> None:
    assert compare(bill, small) == ()


def test_the_bill_of_another_image_is_told(bill: bytes, small: Path) -> None:
    assert kinds(compare(bill, small, "cd" * 32)) == {("another-image", "")}


def test_the_bill_of_another_version_is_told(maker: Home, tmp_path: Path, bill: bytes) -> None:
    other = make_tree(maker, tmp_path / "other", "h11", "msgspec", version="1.1.0")
    found = kinds(compare(bill, other))
    assert ("another-tree", "") in found
    assert ("version", "thermostat-app") in found


def test_a_package_whose_content_was_swapped_is_told(bill: bytes, spoiled: Path) -> None:
    with (spoiled / "packages" / "h11" / "_connection.py").open("a") as file:
        file.write("# and something else\n")
    assert kinds(compare(bill, spoiled)) == {("another-tree", ""), ("content", "h11")}


def test_a_file_that_was_put_beside_a_package_is_told(bill: bytes, spoiled: Path) -> None:
    (spoiled / "packages" / "h11" / "extra.py").write_text("")
    (spoiled / "packages" / "smuggled.py").write_text("")
    found = kinds(compare(bill, spoiled))
    assert ("content", "h11") in found
    assert ("missing", "packages/smuggled.py") in found


def test_a_changed_app_and_a_changed_runtime_are_told(bill: bytes, spoiled: Path) -> None:
    (spoiled / "app" / "thermostat" / "more.py").write_text("")
    (spoiled / "runtime" / "limpet" / "errors.py").unlink()
    found = kinds(compare(bill, spoiled))
    assert {("content", "thermostat-app"), ("content", "limpet")} <= found


def test_a_changed_root_of_trust_is_told_by_the_tree(bill: bytes, spoiled: Path) -> None:
    root = spoiled / "trust" / "root.json"
    root.write_bytes(root.read_bytes() + b" ")
    assert kinds(compare(bill, spoiled)) == {("another-tree", "")}


def test_a_component_that_was_left_out_of_the_bill_is_told(bill: bytes, small: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        gone = part_of(document, "h11")["bom-ref"]
        document["components"].remove(part_of(document, "h11"))
        document["dependencies"] = [one for one in document["dependencies"] if one["ref"] != gone]
        for one in document["dependencies"]:
            one["dependsOn"] = [to for to in one.get("dependsOn", ()) if to != gone]

    found = compare_sbom(edited(bill, edit), small, image_sha256=IMAGE)
    assert kinds(found) == {("missing", "h11")}


def test_a_component_that_is_only_in_the_bill_is_told(bill: bytes, small: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        extra = {"type": "library", "name": "flask", "version": "3.0", "purl": "pkg:pypi/flask@3.0"}
        document["components"].append(extra)

    found = compare_sbom(edited(bill, edit), small, image_sha256=IMAGE)
    assert kinds(found) == {("added", "flask")}


def test_a_system_that_the_image_has_not_is_told(bill: bytes, small: Path) -> None:
    """That it calls itself a part of the system helps it nothing."""

    def edit(document: dict[str, Any]) -> None:
        facts = [{"name": "limpet:origin", "value": "system"}]
        extra = {"type": "library", "name": "libc6", "version": "1", "properties": facts}
        document["components"].append(extra)

    found = compare_sbom(edited(bill, edit), small, image_sha256=IMAGE)
    assert kinds(found) == {("added", "libc6")}


def test_a_system_is_compared_with_what_dpkg_recorded(small: Path) -> None:
    line = b"Package: libc6\nStatus: install ok installed\nVersion: %s\nArchitecture: amd64\n"
    old, new = (parse_status(line % version, b"") for version in (b"2.36-9", b"2.36-10"))
    bill = read_sbom(make_sbom(small, any_image(IMAGE), system=old), "bill")
    assert compare_sbom(bill, small, image_sha256=IMAGE, system=old) == ()
    found = compare_sbom(bill, small, image_sha256=IMAGE, system=new)
    assert kinds(found) == {("version", "libc6")}


def test_a_version_that_is_a_lie_is_told(bill: bytes, small: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        part = part_of(document, "h11")
        part["version"] = "9.9.9"
        part["purl"] = "pkg:pypi/h11@9.9.9"

    found = compare_sbom(edited(bill, edit), small, image_sha256=IMAGE)
    assert kinds(found) == {("version", "h11")}


@pytest.mark.parametrize("what", ["wheel", "content"])
def test_a_hash_that_is_a_lie_or_left_out_is_told(bill: bytes, small: Path, what: str) -> None:
    def lie(document: dict[str, Any]) -> None:
        part = part_of(document, "h11")
        if what == "wheel":
            part["hashes"][0]["content"] = "0" * 64
        else:
            fact = next(one for one in part["properties"] if one["name"] == "limpet:content-sha256")
            fact["value"] = "0" * 64

    def leave_out(document: dict[str, Any]) -> None:
        part = part_of(document, "h11")
        if what == "wheel":
            del part["hashes"]
        else:
            part["properties"] = [
                one for one in part["properties"] if one["name"] != "limpet:content-sha256"
            ]

    found = compare_sbom(edited(bill, lie), small, image_sha256=IMAGE)
    assert kinds(found) == {("content", "h11")}
    found = compare_sbom(edited(bill, leave_out), small, image_sha256=IMAGE)
    assert kinds(found) == {("unproven", "h11")}


def test_a_bill_of_another_tool_proves_little(small: Path) -> None:
    foreign = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "components": [{"type": "library", "name": "h11", "version": "0.16.0",
                        "purl": "pkg:pypi/h11@0.16.0"}],
    }  # fmt: skip
    sbom = read_sbom(json.dumps(foreign).encode(), "foreign")
    found = kinds(compare_sbom(sbom, small, image_sha256=IMAGE))
    assert ("unproven", "") in found  # it names no image
    assert ("unproven", "h11") in found
    assert ("missing", "msgspec") in found


def test_one_library_in_two_packages_is_two_components(bill: bytes, small: Path) -> None:
    """A bill that has one of them twice is not taken for one that has both."""

    def edit(document: dict[str, Any]) -> None:
        copy = {**part_of(document, "h11"), "bom-ref": "again"}
        document["components"].append(copy)

    found = compare_sbom(edited(bill, edit), small, image_sha256=IMAGE)
    assert [one.difference for one in found] == [Difference.ADDED]
