"""The bill of materials on its way: built, signed over, published, and looked into."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.needs import need
from tests.release.workshop import APP, EXAMPLE, NOW, now, order, signing

from limpet.cli.main import run
from limpet.errors import Rejected, Unavailable
from limpet.release import Built, Form, build_release, load_built, publish, sign_release
from limpet.release.sbom import compare_sbom, read_sbom, unpack_image
from limpet.vendor.front.static import cache_control
from limpet.vendor.home import Home, create, open_home
from limpet.vendor.repository import Repository
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, sbom_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path, Path]:
    """A vendor, a product and a release, made once: the fixtures below give copies."""
    place = tmp_path_factory.mktemp("made")
    home = create(place / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True)
    app = place / "product" / "app" / "thermostat"
    app.mkdir(parents=True)
    shutil.copy(EXAMPLE / "product.toml", place / "product")
    (app / "__init__.py").write_text(APP)
    build_release(order(place / "product", home), place / "out")
    return home, place / "product", place / "out"


@pytest.fixture
def home(made: tuple[Home, Path, Path], tmp_path: Path) -> Home:
    return open_home(shutil.copytree(made[0].root, tmp_path / "vendor"))


@pytest.fixture
def product(made: tuple[Home, Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(made[1], tmp_path / "product")


@pytest.fixture
def built(made: tuple[Home, Path, Path], tmp_path: Path) -> Built:
    return load_built(shutil.copytree(made[2], tmp_path / "out"))


def test_a_build_writes_the_bill_of_its_image_and_names_it(built: Built, tmp_path: Path) -> None:
    data = (built.directory / "sbom.cdx.json").read_bytes()
    assert built.manifest.sbom == hashlib.sha256(data).hexdigest()
    sbom = read_sbom(data, "sbom")
    image = built.manifest.image
    assert f"images/{sbom.subject_sha256}.img" == image.path
    (tmp_path / "look").mkdir()
    unpacked = unpack_image(built.image, image, tmp_path / "look")
    assert compare_sbom(sbom, unpacked.tree, image_sha256=sbom.subject_sha256) == ()


def test_two_builds_have_one_bill(product: Path, home: Home, built: Built, tmp_path: Path) -> None:
    again = build_release(order(product, home), tmp_path / "again")
    assert again.manifest.sbom == built.manifest.sbom
    assert again.manifest_sha256 == built.manifest_sha256


@pytest.mark.parametrize("how", ["changed", "gone", "another's"])
def test_a_release_whose_bill_is_not_its_own_is_no_release(
    built: Built, product: Path, home: Home, tmp_path: Path, how: str
) -> None:
    load_built(built.directory)
    file = built.directory / "sbom.cdx.json"
    match how:
        case "changed":
            file.write_bytes(file.read_bytes() + b" ")
        case "gone":
            file.unlink()
        case _:
            other = build_release(order(product, home, "1.1.0"), tmp_path / "other")
            shutil.copy(other.directory / file.name, file)
    with pytest.raises((Rejected, Unavailable)) as caught:
        load_built(built.directory)
    assert "sbom.cdx.json" in caught.value.message


def test_a_manifest_from_before_is_read_and_written_as_it_was(built: Built) -> None:
    old = msgspec.structs.replace(built.manifest, sbom=msgspec.UNSET)
    data = encode_json(old)
    assert b"sbom" not in data
    again = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    assert again == old
    assert not again.sbom
    (built.directory / "manifest.json").write_bytes(data)
    (built.directory / "sbom.cdx.json").unlink()
    assert load_built(built.directory).sbom is None


def test_it_is_published_before_anything_names_it(
    built: Built, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_release(built.directory, signing(home), now=now())
    written: list[str] = []
    whole = Repository.__init__

    def watched(self: Repository, *args: object, **more: object) -> None:
        whole(self, *args, **{**more, "after_write": written.append})  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "__init__", watched)
    publish(built.directory, home.root, clock=now)
    assert built.manifest.sbom
    place = sbom_path(built.manifest.sbom)
    published = (home.repository / place).read_bytes()
    assert published == (built.directory / "sbom.cdx.json").read_bytes()
    targets = [name for name in written if name.startswith("targets/firmware")]
    assert written.index(place) < written.index(targets[0])
    assert "immutable" in cache_control(place)


def test_a_bill_that_changed_after_signing_is_not_published(built: Built, home: Home) -> None:
    sign_release(built.directory, signing(home), now=now())
    repository = Repository(home, now)
    before = sorted(path for path in home.repository.rglob("*") if path.is_file())
    from limpet.vendor.repository import SignedRelease

    manifest = (built.directory / "manifest.json").read_bytes()
    metadata = (built.directory / "releases.json").read_bytes()
    bad = built.directory / "other.json"
    bad.write_text("{}")
    for sbom, reason in ((bad, "tampered-sbom"), (None, "bad-metadata")):
        with pytest.raises(Rejected) as caught:
            repository.add_release(
                SignedRelease(manifest, built.image, metadata, sbom=sbom, rights=built.rights)
            )
        assert caught.value.reason == reason
    assert not list(home.repository.glob("sboms/*"))
    left = sorted(path for path in home.repository.rglob("*") if path.is_file())
    assert left == before


def test_a_block_image_is_unpacked_and_compared(product: Path, home: Home, tmp_path: Path) -> None:
    need("mksquashfs", package="squashfs-tools", untried="no bill of a block image was compared")
    built = build_release(replace(order(product, home), form=Form.BLOCK), tmp_path / "blocks")
    assert built.sbom is not None
    sbom = read_sbom(built.sbom.read_bytes(), "sbom")
    (tmp_path / "look").mkdir()
    unpacked = unpack_image(built.image, built.manifest.image, tmp_path / "look")
    image = built.manifest.image.path[7:71]
    assert compare_sbom(sbom, unpacked.tree, image_sha256=image, system=unpacked.system) == ()


def test_a_system_that_a_packer_puts_around_the_tree_is_in_the_bill(
    product: Path, home: Home, tmp_path: Path
) -> None:
    need("mksquashfs", package="squashfs-tools", untried="no bill of a block image was compared")
    packer = tmp_path / "packer"
    packer.write_text(
        '#!/bin/sh\nset -eu\nmkdir -p "$1/var/lib/dpkg" "$1/etc"\n'
        "printf 'Package: libc6\\nStatus: install ok installed\\nArchitecture: amd64\\n"
        'Source: glibc\\nVersion: 2.36-9\\n\\n\' > "$1/var/lib/dpkg/status"\n'
        'printf \'ID=debian\\nVERSION_ID="12"\\n\' > "$1/etc/os-release"\n'
        'mksquashfs "$1" "$2" -noappend -quiet -no-progress -all-root >/dev/null\n'
        'rm -r "$1/var" "$1/etc"\n'
    )
    packer.chmod(0o755)
    wanted = replace(order(product, home), form=Form.BLOCK, packer=packer)
    built = build_release(wanted, tmp_path / "blocks")
    assert built.sbom is not None
    sbom = read_sbom(built.sbom.read_bytes(), "sbom")
    purls = [one.purl for one in sbom.components if one.name == "libc6"]
    assert purls == ["pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12&upstream=glibc"]
    (tmp_path / "look").mkdir()
    unpacked = unpack_image(built.image, built.manifest.image, tmp_path / "look")
    image = built.manifest.image.path[7:71]
    found = compare_sbom(sbom, unpacked.tree, image_sha256=image, system=unpacked.system)
    assert found == ()
    assert [one.component for one in compare_sbom(sbom, unpacked.tree, image_sha256=image)] == [
        "libc6"
    ]


def test_a_packer_whose_image_cannot_be_looked_into_is_said(
    product: Path, home: Home, tmp_path: Path
) -> None:
    packer = tmp_path / "packer"
    packer.write_text('#!/bin/sh\nhead -c 1048576 /dev/zero > "$2"\n')
    packer.chmod(0o755)
    wanted = replace(order(product, home), form=Form.BLOCK, packer=packer)
    built = build_release(wanted, tmp_path / "blocks")
    assert built.sbom is not None
    facts = json.loads(built.sbom.read_bytes())["metadata"]["component"]["properties"]
    assert any(one["name"] == "limpet:not-listed" for one in facts)
    (tmp_path / "look").mkdir()
    with pytest.raises(Unavailable, match="no squashfs"):
        unpack_image(built.image, built.manifest.image, tmp_path / "look")


# --- the command


def test_the_command_shows_components_and_the_inventory(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["release", "sbom", str(built.directory)]) == 0
    said = capsys.readouterr().out
    assert "limpet" in said
    assert "Apache-2.0" in said
    assert "ML-DSA-65" in said
    assert run(["release", "sbom", str(built.directory / "sbom.cdx.json"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in shown["components"]} == {"thermostat-app", "limpet"}
    assert any(one["name"] == "Ed25519" for one in shown["crypto"])
    assert "problems" not in shown or shown["problems"] is None


def test_the_command_compares_a_bill_with_an_image(
    built: Built, product: Path, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = str(built.directory)
    assert run(["release", "sbom", own, "--against", own, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []
    other = build_release(order(product, home, "1.1.0"), tmp_path / "other")
    file = str(other.directory / "sbom.cdx.json")
    assert run(["release", "sbom", file, "--against", own]) == 1
    assert "another-image" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spdx.json"
    file.write_text('{"spdxVersion": "SPDX-2.3"}')
    assert run(["release", "sbom", str(file)]) == 1
    assert "SPDX" in capsys.readouterr().err
    assert run(["release", "sbom", str(tmp_path / "missing.json")]) == 3
    assert "missing.json" in capsys.readouterr().err


def test_a_release_from_before_says_that_it_has_none(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    old = msgspec.structs.replace(built.manifest, sbom=msgspec.UNSET)
    (built.directory / "manifest.json").write_bytes(encode_json(old))
    assert run(["release", "sbom", str(built.directory)]) == 3
    assert "build it again" in capsys.readouterr().err
