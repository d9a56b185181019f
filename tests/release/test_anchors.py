"""A release that trusts somebody else is not published: each of its roots is another's in turn."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.needs import needs
from tests.release.gate.bundles import PROGRAMS, Bundles
from tests.release.workshop import EXAMPLE, NOW, now, order, signing

from limpet.cli.main import run
from limpet.crypto.attesting import new_attesting_key, public_pem
from limpet.errors import Rejected, Unavailable
from limpet.release import Built, Form, build_release, publish, sign_release
from limpet.release._anchors import verify_anchors
from limpet.vendor.home import Home, create
from limpet.vendor.repository.renewal import renew

pytestmark = needs(
    *PROGRAMS, package="rauc squashfs-tools openssl", untried="no roots of an image were compared"
)

FILES = {
    "root.json": "root.json is none",
    "device-root.pem": "another device root",
    "service-root.pem": "another service's root",
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Another vendor of the same product."""
    place = tmp_path_factory.mktemp("other")
    return create(place / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True)


def judge(built: Built, home: Home) -> None:
    verify_anchors(
        built.manifest.image,
        built.image,
        trust=home.trust,
        metadata=home.repository / "metadata",
    )


def test_a_release_that_trusts_another_vendor_is_not_published(
    product: Path, home: Home, other: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every device would try it, not reach the vendor, and fall back."""
    built = build_release(replace(order(product, home), trust=other.trust), tmp_path / "foreign")
    (home.root / "gate").mkdir(exist_ok=True)
    (home.root / "gate" / "gate.pem").touch()  # it comes to no judgement that could be signed
    words = ["--release", str(built.directory), "--vendor", str(home.root)]
    assert run(["release", "check", str(product), *words]) == 1
    assert "another vendor" in capsys.readouterr().err
    sign_release(built.directory, signing(home), now=NOW)
    before = sorted(home.repository.rglob("*"))
    with pytest.raises(Rejected) as refused:
        publish(built.directory, home.root, clock=now)
    assert refused.value.reason == "wrong-vendor"
    assert sorted(home.repository.rglob("*")) == before


@pytest.mark.parametrize("form", list(Form))
def test_each_root_that_is_anothers_is_named(
    product: Path, home: Home, other: Home, tmp_path: Path, form: Form
) -> None:
    packer = None
    if form is Form.BUNDLE:
        packer = Bundles.found(tmp_path / "rauc").packer("foreign")  # whoever signs it
    wanted = replace(order(product, home), form=form, packer=packer)
    built = build_release(wanted, tmp_path / "built")
    judge(built, home)
    for name, said in FILES.items():
        place = home.trust if name != "root.json" else home.repository / "metadata"
        own = place / (name if name != "root.json" else "1.root.json")
        true = own.read_bytes()
        shutil.copy(other.trust / name, own)
        with pytest.raises(Rejected, match=said) as refused:
            judge(built, home)
        assert refused.value.reason == "wrong-vendor"
        own.write_bytes(true)
    # Without the gate's key its devices would take what no gate has judged, and nobody would see.
    (home.trust / "gate.pem").write_bytes(public_pem(new_attesting_key().public_key()))
    with pytest.raises(Rejected, match="gate"):
        judge(built, home)


def test_a_block_image_and_a_bundle_that_trust_another_vendor_are_not_published(
    product: Path, home: Home, other: Home, tmp_path: Path
) -> None:
    bundles = Bundles.found(tmp_path / "rauc")
    for form, packer in ((Form.BLOCK, None), (Form.BUNDLE, bundles.packer())):
        foreign = replace(order(product, home), trust=other.trust, form=form, packer=packer)
        built = build_release(foreign, tmp_path / form.value)
        sign_release(built.directory, signing(home), now=NOW)
        with pytest.raises(Rejected) as refused:
            publish(built.directory, home.root, clock=now)
        assert refused.value.reason == "wrong-vendor"
    assert not list(home.repository.glob("images/*"))


def test_an_image_that_nobody_here_can_look_into_is_left_to_its_trial(
    product: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer = tmp_path / "packer"
    packer.write_text('#!/bin/sh\nhead -c 65536 /dev/zero > "$2"\n')
    packer.chmod(0o755)
    wanted = replace(order(product, home), form=Form.BLOCK, packer=packer)
    judge(build_release(wanted, tmp_path / "zeros"), home)
    sound = build_release(replace(order(product, home), form=Form.BLOCK), tmp_path / "sound")
    judge(sound, home)
    # But not one that could be looked into, if only the program were there.
    monkeypatch.setattr("limpet.release._tools.shutil.which", lambda name: None)
    with pytest.raises(Unavailable, match="unsquashfs"):
        judge(sound, home)


def test_a_release_from_before_the_root_was_renewed_is_still_the_vendors(
    built: Built, home: Home
) -> None:
    renew(home, offline=home.offline, now=NOW + timedelta(seconds=1))
    assert len(list((home.repository / "metadata").glob("*.root.json"))) == 2
    judge(built, home)
