"""The factory station with real devices: what each gets, and what the station never has."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.workshop import example_product

from limpet.crypto.certificates import MUD_URL
from limpet.crypto.chains import load_certificates, verify_chain
from limpet.crypto.keys import tls_key_from_pem
from limpet.crypto.requests import Purpose, verify_request
from limpet.device.link.identity import load_identity
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.slots import load_boot_state
from limpet.firmware.tree import digest_tree
from limpet.product.label import LabelClaim, parse_label_uri
from limpet.release import BuildOrder, build_release
from limpet.vendor.factory import station as subject
from limpet.vendor.factory.console import open_console
from limpet.vendor.factory.floor import load_first_floor
from limpet.vendor.factory.register import Register
from limpet.vendor.factory.station import FactoryImage, MadeDevice, Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.vendor.rollout import list_rings
from limpet.vendor.store import Database
from limpet.wire.factory import CertificateRequest, Identify, InstallIdentity
from limpet.wire.release import Bounds

pytestmark = pytest.mark.end_to_end
PRODUCT = example_product()
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return create(tmp_path_factory.mktemp("station") / "vendor", PRODUCT, now=NOW)


@pytest.fixture(scope="module")
def image(home: Home) -> FactoryImage:
    order = BuildOrder(
        product=PRODUCT,
        trust=home.trust,
        version="1.0.0",
        security_counter=3,
        interface_version=1,
        bounds=Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
        built_at=NOW,
    )
    build_release(order, home.root.parent / "release")
    return load_factory_image(home.root.parent / "release")


@pytest.fixture(scope="module")
def made(home: Home, image: FactoryImage) -> list[MadeDevice]:
    return list(_station(home).make(image, home.root.parent / "devices", count=2))


def _station(home: Home) -> Station:
    return Station(home, clock=lambda: datetime.now(UTC))


def _claim(device: MadeDevice) -> LabelClaim:
    return parse_label_uri(Path(device.label_text).read_text().strip())


def test_each_device_knows_what_was_published_when_it_was_made(
    made: list[MadeDevice], home: Home
) -> None:
    for device in made:
        assert load_identity(Path(device.directory)).seen == load_first_floor(home) != {}


def test_each_device_has_its_own_serial_key_and_claim_code(made: list[MadeDevice]) -> None:
    keys = [(Path(d.directory) / "keeper" / "idevid.key").read_bytes() for d in made]
    assert len({d.serial for d in made}) == len(set(keys)) == 2
    assert len({_claim(d).claim_code for d in made}) == 2


def test_the_identity_is_signed_by_the_factory_for_the_key_on_the_device(
    home: Home, made: list[MadeDevice]
) -> None:
    for device in made:
        keeper = Path(device.directory) / "keeper"
        chain = (keeper / "idevid.pem").read_bytes()
        root = (home.trust / "device-root.pem").read_bytes()
        verified = verify_chain(chain, root, now=datetime.now(UTC), purpose=Purpose.CLIENT)
        assert (verified.model, verified.serial) == ("thermostat", device.serial)
        key = tls_key_from_pem((keeper / "idevid.key").read_bytes())
        assert verified.leaf.public_key() == key.public_key()
        assert verified.not_after.year == 9999  # IEEE 802.1AR, 8.7
        mud = verified.leaf.extensions.get_extension_for_oid(MUD_URL).value.public_bytes()
        assert mud[2:] == b"https://vendor.example.com/mud/thermostat.json"


def test_the_register_knows_every_certificate(home: Home, made: list[MadeDevice]) -> None:
    with sqlite3.connect(home.factory / "manufactured.sqlite") as connection:
        rows = dict(connection.execute("SELECT serial, certificate_sha256 FROM device"))
    for device in made:
        chain = (Path(device.directory) / "keeper" / "idevid.pem").read_bytes()
        leaf = load_certificates(chain)[0].public_bytes(Encoding.DER)
        assert rows[device.serial] == hashlib.sha256(leaf).hexdigest()


def _forms_of_a_secret(secret: bytes) -> set[bytes]:
    """The forms in which a file might hold it, hashes of a guessable code included."""
    plain = secret.replace(b"-", b"")
    digests = {hashlib.sha256(s).digest() for s in (secret, plain)}
    return {secret, plain, secret.lower(), *digests, *(d.hex().encode() for d in digests)}


def test_the_station_keeps_no_claim_code_and_no_private_key_of_a_device(
    home: Home, made: list[MadeDevice]
) -> None:
    secrets: set[bytes] = set()
    for device in made:
        secrets |= _forms_of_a_secret(_claim(device).claim_code.encode())
        pem = (Path(device.directory) / "keeper" / "idevid.key").read_bytes()
        key = tls_key_from_pem(pem)
        secrets |= {b"".join(pem.splitlines()[1:-1])[40:80], *pem.splitlines()[1:3]}
        secrets.add(key.private_numbers().private_value.to_bytes(32, "big"))
    files = [file for file in home.root.rglob("*") if file.is_file()]
    assert len(files) > 10
    for file in files:
        content = file.read_bytes()
        assert not [secret for secret in secrets if secret in content], file


def test_a_search_for_secrets_would_find_one(made: list[MadeDevice]) -> None:
    """The positive control of the test above: the label does hold the code."""
    code = _claim(made[0]).claim_code.encode()
    text = Path(made[0].label_text).read_bytes()
    assert any(secret in text for secret in _forms_of_a_secret(code))


def test_no_log_of_the_device_holds_its_claim_code(made: list[MadeDevice]) -> None:
    for device in made:
        code = _claim(device).claim_code.encode()
        for file in Path(device.directory).rglob("*"):
            if file.is_file():
                assert code not in file.read_bytes()
                assert code.replace(b"-", b"") not in file.read_bytes()


def test_the_device_starts_from_what_the_image_says(
    image: FactoryImage, made: list[MadeDevice]
) -> None:
    for device in made:
        state = load_boot_state(Path(device.directory) / "slots" / "boot.json")
        assert state.a is not None
        assert state.a.tree_sha256 == image.manifest.image.tree_sha256
        assert digest_tree(Path(device.directory) / "slots" / "a") == state.a.tree_sha256
        assert state.security_counter == 3


def test_a_label_is_readable_by_the_printers_user_alone(made: list[MadeDevice]) -> None:
    for device in made:
        for file in (device.label_svg, device.label_pdf, device.label_text):
            assert Path(file).stat().st_mode & 0o077 == 0


def test_a_finished_device_cannot_be_made_again(made: list[MadeDevice]) -> None:
    command = [sys.executable, "-I", "-m", "limpet.device.boot", made[0].directory, "--factory"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=150)
    assert done.returncode != 0
    assert "this device has its identity" in done.stdout + done.stderr


def _fails(home: Home, image: FactoryImage, **options: object) -> LimpetError:
    out = home.root.parent / "refused"
    with pytest.raises(LimpetError) as caught:
        list(_station(home).make(image, out, **{"count": 1, **options}))  # type: ignore[arg-type]
    if out.exists():
        assert [entry.name for entry in out.iterdir()] == ["labels"]
        assert list((out / "labels").iterdir()) == []
    return caught.value


def test_an_image_that_was_changed_makes_no_device(home: Home, image: FactoryImage) -> None:
    changed = home.root.parent / "changed.img"
    content = bytearray(image.image.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    error = _fails(home, replace(image, image=changed))
    assert isinstance(error, Rejected)
    assert error.reason == "tampered-image"


def test_a_hardware_revision_that_does_not_exist_is_refused(
    home: Home, image: FactoryImage
) -> None:
    assert "there is A1, A2" in str(_fails(home, image, hardware_revision="Z9"))


def test_no_device_at_all_is_not_an_order(home: Home, image: FactoryImage) -> None:
    assert "1 to" in str(_fails(home, image, count=0))


def test_a_missing_image_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"manifest\.json"):
        load_factory_image(tmp_path)


def test_a_serial_number_is_never_given_twice(tmp_path: Path) -> None:
    register = Register.create(tmp_path / "r.sqlite")
    first = register.reserve("TH-1", model="t", hardware_revision="A1", at=NOW)
    register.failed("TH-1")
    again = register.reserve("TH-1", model="t", hardware_revision="A1", at=NOW)
    assert (first, again) == (True, False)


def test_a_damaged_register_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "r.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Unavailable, match="factory's register"):
        Register(tmp_path / "r.sqlite")


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_a_lost_register_is_not_begun_anew(tmp_path: Path, what: str) -> None:
    file = tmp_path / "r.sqlite"
    if what == "empty":
        file.touch()
    with pytest.raises(Unavailable, match="no factory's register"):
        Register(file)
    assert file.exists() is (what == "empty")


def test_an_image_that_was_built_for_another_vendor_makes_no_device(
    image: FactoryImage, tmp_path: Path
) -> None:
    station = _station(create(tmp_path / "other", PRODUCT, now=NOW))
    with pytest.raises(Rejected) as caught:
        list(station.make(image, tmp_path / "out", count=1))
    assert caught.value.reason == "wrong-vendor"
    assert "--trust" in caught.value.hint
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "labels"]


def test_a_register_that_another_station_holds_is_waited_for(tmp_path: Path) -> None:
    register = Register.create(tmp_path / "r.sqlite")
    other = sqlite3.connect(tmp_path / "r.sqlite", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    assert register.reserve("TH-1", model="t", hardware_revision="A1", at=NOW)
    release.join()
    other.close()


@pytest.fixture
def unfinished(home: Home, image: FactoryImage, tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "device"
    directory.mkdir()
    subject._install(image, directory)
    yield directory
    shutil.rmtree(directory)


IDENTIFY = Identify(
    model="thermostat", hardware_revision="A1", serial="TH-00000001", manufactured_at=NOW
)


def test_a_device_cut_off_halfway_is_still_new_and_reuses_nothing(
    unfinished: Path, tmp_path: Path
) -> None:
    keys = []
    for _ in range(2):
        with open_console(unfinished, errors=tmp_path / "said") as console:
            console.say(IDENTIFY)
            keys.append(verify_request(console.expect(CertificateRequest).csr_pem.encode()))
            os.kill(console._process.pid, signal.SIGKILL)
        assert not (unfinished / "identity.json").exists()
    assert keys[0].public_key != keys[1].public_key


def test_a_certificate_for_another_key_is_refused_by_the_device(
    unfinished: Path, home: Home, made: list[MadeDevice], tmp_path: Path
) -> None:
    chain = (Path(made[0].directory) / "keeper" / "idevid.pem").read_text()
    with open_console(unfinished, errors=tmp_path / "said") as console:
        console.say(IDENTIFY)
        console.expect(CertificateRequest)
        console.say(InstallIdentity(chain_pem=chain))
        with pytest.raises(Rejected, match="not for this device's key"):
            console.expect(CertificateRequest)
    assert not (unfinished / "identity.json").exists()


def test_a_station_that_goes_away_leaves_no_process(unfinished: Path, tmp_path: Path) -> None:
    with open_console(unfinished, errors=tmp_path / "said") as console:
        console.say(IDENTIFY)
        console.expect(CertificateRequest)
    end = time.monotonic() + 120
    while time.monotonic() < end and _processes(unfinished):
        time.sleep(0.05)
    assert _processes(unfinished) == []


def _processes(directory: Path) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(directory) in line]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"nonsense\n", "malformed"),
        (b'{"type":"install-identity","chain_pem":""}\n', "malformed"),
        (b"x" * (80 << 10), "too-large"),
    ],
)
def test_a_station_that_talks_nonsense_gets_a_refusal(
    line: bytes, said: str, unfinished: Path
) -> None:
    command = [sys.executable, "-I", "-m", "limpet.device.boot", str(unfinished), "--factory"]
    done = subprocess.run(command, input=line, capture_output=True, timeout=150)
    assert json.loads(done.stdout)["reason"] == said
    assert done.returncode == 1


def test_the_command_puts_what_it_makes_into_a_ring(
    home: Home, image: FactoryImage, tmp_path: Path
) -> None:
    def make(ring: str, out: str) -> "subprocess.CompletedProcess[bytes]":
        words = ["--vendor", home.root, "--image", image.image.parent, "--out", tmp_path / out]
        command = [sys.executable, "-m", "limpet", "factory", "make", *words, "--ring", ring]
        return subprocess.run([*command, "--json"], capture_output=True, timeout=120, check=False)

    refused = make("No Ring", "none")
    assert refused.returncode != 0
    assert b"no name for a ring" in refused.stderr
    assert not (tmp_path / "none").exists(), "nothing was made"
    done = make("lab", "some")
    assert done.returncode == 0, done.stderr
    [device] = json.loads(done.stdout)
    rings = list_rings(Database.open(home.database), "thermostat")
    assert [(ring.name, ring.serials) for ring in rings] == [("lab", (device["serial"],))]
