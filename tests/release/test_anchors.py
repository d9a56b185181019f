"""A release that trusts somebody else is not published: each of its roots is another's in turn."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.release.workshop import EXAMPLE, NOW, now, order, signing

from limpet.cli.main import run
from limpet.crypto.attesting import new_attesting_key, public_pem
from limpet.errors import Rejected
from limpet.release import Built, build_release, publish, sign_release
from limpet.release._anchors import verify_anchors
from limpet.vendor.home import Home, create
from limpet.vendor.repository.renewal import renew

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


def test_each_root_that_is_anothers_is_named(built: Built, home: Home, other: Home) -> None:
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
    block = msgspec.structs.replace(built.manifest.image, kind="block")  # is left to its trial
    verify_anchors(block, built.image, trust=home.root, metadata=home.root)


def test_a_release_from_before_the_root_was_renewed_is_still_the_vendors(
    built: Built, home: Home
) -> None:
    renew(home, offline=home.offline, now=NOW + timedelta(seconds=1))
    assert len(list((home.repository / "metadata").glob("*.root.json"))) == 2
    judge(built, home)
