"""Bad files and wrong words, as somebody new meets them: one clear line, and nothing is lost."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import limpet
from tests.end_to_end.bad_input import (
    ENVIRONMENT,
    EXAMPLE,
    Founded,
    does,
    found,
    refuses,
    run,
)

from limpet.crypto.keys import generate_signing_key, key_to_pem

pytestmark = pytest.mark.end_to_end
JUNK = bytes(range(256)) * 8
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving up rights takes root")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return found(tmp_path_factory.mktemp("bad") / "whole")


@pytest.fixture
def founded(whole: Founded, tmp_path: Path) -> Founded:
    return whole.copy(tmp_path / "copy")


# --- product.toml


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"maker = ", "not TOML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'modle = "thermostat"\n', "modle: unknown key"),
        (b"x = " + b"[" * 100_000, "tables nested too deep"),
    ],
    ids=["cut", "binary", "unknown key", "nested"],
)
def test_a_broken_product_file_is_named_with_its_line(
    content: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / "product.toml").write_bytes(content)
    done = run("product", "check", tmp_path)
    assert done.status == 1
    assert f"{tmp_path}/product.toml:1: {says}" in done.out + done.err
    assert "Traceback" not in done.out + done.err
    vendor = tmp_path / "vendor"
    done = run("vendor", "init", vendor, "--product", tmp_path)
    assert (done.status, "product.toml:1:" in done.err) == (1, True)
    assert not vendor.exists()


@pytest.mark.parametrize("what", ["a file", "nothing"])
def test_a_product_that_is_no_directory_is_said_to_be_none(what: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if what == "a file":
        place.touch()
    refuses("product", "check", place, status=3, says=str(place), advice="product.toml")


# --- limpet vendor


def test_a_vendors_directory_is_never_overwritten(founded: Founded) -> None:
    before = founded.public_state()
    again = ("vendor", "init", founded.vendor, "--product", EXAMPLE)
    refuses(*again, status=3, says="exists and is not empty", advice="choose another")
    assert founded.public_state() == before


@pytest.mark.parametrize("host", ["", "not a host", "Vendor.Example", "a" * 64])
def test_a_vendor_is_not_made_under_a_name_that_is_no_host(host: str, tmp_path: Path) -> None:
    words = ("vendor", "init", tmp_path / "v", "--product", EXAMPLE, "--hostname", host)
    refuses(*words, status=1, says="is not a host name", advice="updates.vendor.example")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_passphrase_makes_no_vendor(tmp_path: Path) -> None:
    words = ("vendor", "init", tmp_path / "v", "--product", EXAMPLE)
    refuses(*words, "--passphrase-env", "NO_SUCH", status=1, says="NO_SUCH is empty or not set")
    assert list(tmp_path.iterdir()) == []


Damage = Callable[[Path], object]
DAMAGES: dict[str, Damage] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "junk": lambda path: path.write_bytes(JUNK),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
}
SERVED = (
    "vendor.json",
    "limpet.sqlite",
    "service.key",
    "service.pem",
    "operational-ca.key",
    "operational-ca.pem",
    "factory-ca.pem",
    "device-root.pem",
    "tuf-timestamp.pem",
    "tuf-snapshot.pem",
    "rollout-thermostat.pem",
    "product.toml",
)


@pytest.mark.parametrize("name", SERVED)
def test_a_service_does_not_start_on_a_damaged_file_and_names_it(
    name: str, founded: Founded
) -> None:
    file = founded.vendor / "online" / name
    content = file.read_bytes()
    kinds = list(DAMAGES) if name == "limpet.sqlite" else [["missing", "junk"][len(name) % 2]]
    for kind in kinds:
        DAMAGES[kind](file)
        done = run("vendor", "serve", founded.vendor, "--listen", "127.0.0.1:0")
        assert done.status in (1, 3), (kind, done)
        says = str(founded.vendor) if name == "vendor.json" else file.stem
        done.is_refusal(status=done.status, says=says)
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        file.write_bytes(content)


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "1.targets.json"])
def test_damaged_metadata_is_never_signed_over(name: str, founded: Founded) -> None:
    file = founded.vendor / "public" / "repository" / "metadata" / name
    file.write_bytes(JUNK)
    before = founded.public_state()
    publish = ("release", "publish", founded.signed, "--vendor", founded.vendor)
    refuses(*publish, status=1, says=name, advice="restore public/repository")
    assert founded.public_state() == before


@pytest.mark.parametrize("role", ["tuf-snapshot", "tuf-timestamp", "rollout-thermostat"])
def test_a_key_that_clients_do_not_know_publishes_nothing(role: str, founded: Founded) -> None:
    before = founded.public_state()
    (founded.vendor / "online" / f"{role}.pem").write_bytes(key_to_pem(generate_signing_key()))
    publish = ("release", "publish", founded.signed, "--vendor", founded.vendor)
    for words in (publish, ("vendor", "serve", founded.vendor, "--listen", "127.0.0.1:0")):
        refuses(*words, status=1, says=f"{role}.pem is not the key", advice="restore the key")
    assert founded.public_state() == before


def test_a_renewal_without_all_its_keys_changes_nothing(founded: Founded) -> None:
    before = founded.public_state()
    (founded.vendor / "offline" / "service-root.key").write_bytes(JUNK)
    refuses("vendor", "renew", founded.vendor, status=1, says="service-root", advice="restore")
    assert founded.public_state() == before


def test_a_clock_that_is_behind_publishes_nothing_that_has_expired(founded: Founded) -> None:
    settings = founded.vendor / "online" / "vendor.json"
    made = settings.read_text()
    year = made.partition('"created_at": "')[2][:4]
    settings.write_text(made.replace(f'"created_at": "{year}', f'"created_at": "{int(year) + 9}'))
    before = founded.public_state()
    refuses("vendor", "renew", founded.vendor, status=3, says="clock says", advice="set the clock")
    publish = ("release", "publish", founded.signed, "--vendor", founded.vendor)
    refuses(*publish, status=3, says="clock says", advice="set the clock")
    assert founded.public_state() == before


# --- limpet release, limpet rollout


def test_a_release_that_is_published_already_says_that_nothing_is_left_to_do(
    founded: Founded,
) -> None:
    words = ("release", "publish", founded.published, "--vendor", founded.vendor)
    refuses(*words, status=1, says="1.0.0 is published", advice="nothing is left to do")


def test_a_damaged_image_is_not_published(founded: Founded) -> None:
    image = founded.signed / "image.img"
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    before = founded.public_state()
    words = ("release", "publish", founded.signed, "--vendor", founded.vendor)
    refuses(*words, status=1, says="image.img is not the image of its manifest")
    assert founded.public_state() == before


def test_wrong_keys_and_a_wrong_passphrase_sign_nothing(founded: Founded, tmp_path: Path) -> None:
    release, offline = founded.root / "r3", founded.vendor / "offline"
    shutil.copytree(founded.signed, release)
    (release / "releases.json").unlink()
    words = (
        "release", "sign", release, "--offline", offline,
        "--repository", founded.vendor / "public" / "repository",
    )  # fmt: skip
    refuses(*words, "--key", offline / "device-root.key", status=1, says="Ed25519")
    refuses(*words, "--key", offline / "device-root.pem", status=1, says="not a private key")
    refuses(*words, "--key", offline / "tuf-root.pem", status=1, says="may not sign")
    locked = offline / "releases-thermostat.pem"
    locked.write_bytes(key_to_pem(generate_signing_key(), passphrase=b"right"))
    done = limpet(*words, "--passphrase-env", "WRONG", env={**ENVIRONMENT, "WRONG": "wrong"})
    assert (done.returncode, "passphrase" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    refuses(*words, status=3, says="no terminal to ask on", advice="--passphrase-env")
    assert not (release / "releases.json").exists()


def test_a_rollout_of_what_was_never_published_does_not_start(founded: Founded) -> None:
    words = ("rollout", "start", "9.9.9", "--vendor", founded.vendor)
    refuses(*words, status=1, says="9.9.9 is not published", advice="publish it first")


# --- limpet factory


@pytest.mark.parametrize(
    ("name", "kind", "status"),
    [
        ("factory-ca.key", "junk", 1),
        ("factory-ca.pem", "junk", 1),
        ("manufactured.sqlite", "missing", 3),
        ("manufactured.sqlite", "empty", 3),
        ("manufactured.sqlite", "junk", 3),
    ],
)
def test_a_damaged_factory_makes_no_device(
    name: str, kind: str, status: int, founded: Founded, tmp_path: Path
) -> None:
    DAMAGES[kind](founded.vendor / "factory" / name)
    words = ("factory", "make", "--vendor", founded.vendor, "--image", founded.published)
    says = name.partition(".")[0]
    refuses(*words, "--out", tmp_path / "out", status=status, says=says, advice="restore")
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_damaged_or_anothers_makes_no_device(
    founded: Founded, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("factory", "make", "--vendor", founded.vendor, "--out", out, "--image")
    refuses(*words, tmp_path, status=3, says="manifest.json", advice="limpet release build")
    image = founded.signed / "image.img"
    image.write_bytes(image.read_bytes()[:-1000])
    refuses(*words, founded.signed, status=1, says="image.img", advice="build the release again")
    does("vendor", "init", tmp_path / "other", "--product", EXAMPLE)
    other = ("factory", "make", "--vendor", tmp_path / "other", "--out", out, "--image")
    refuses(*other, founded.published, status=1, says="another vendor", advice="--trust")
    assert [path.name for path in out.iterdir()] == ["labels"]


# --- rights


@needs_root
def test_somebody_without_rights_is_told_whose_they_are(founded: Founded, tmp_path: Path) -> None:
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o055)
    founded.root.chmod(0o755)
    founded.vendor.chmod(0o755)
    advice = "run it as the user who owns it"
    fleet = ("vendor", "fleet", founded.vendor)
    refuses(*fleet, status=3, says="ermission denied", advice=advice, rights=False)
    product = tmp_path / "product"
    shutil.copytree(EXAMPLE, product)
    made = ("vendor", "init", founded.vendor / "v", "--product", product)
    refuses(*made, status=3, says="ermission denied", advice=advice, rights=False)
