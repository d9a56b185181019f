"""After a theft: the vendor replaces what is online, and devices go on without the thief."""

import base64
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from tests.vendor.test_suites import Files
from tests.vendor.workshop import (
    HOST,
    MODEL,
    NOW,
    PRODUCT,
    Clock,
    Running,
    make_release,
    make_report,
    running,
)
from tests.vendor.workshop import Device as Enrolled
from tuf.api.metadata import Metadata, Timestamp
from typer.testing import CliRunner

from limpet.cli.vendor import app
from limpet.crypto.certificates import issue_operational, load_issuer
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.errors import Rejected, Unavailable
from limpet.https.client import HttpsClient
from limpet.vendor.home import FORMER_FILE, Home, create
from limpet.vendor.repository import Repository, rekeying
from limpet.vendor.repository._authorities import MOST_FORMER, next_name
from limpet.vendor.repository._metadata import load_drawer_signers, meta_file, sign_metadata
from limpet.vendor.repository.rekeying import replace_online_keys
from limpet.wire.enrollment import SIMPLE_ENROLL
from limpet.wire.report import ReportKind

ONLINE = ("tuf-timestamp", "tuf-snapshot", f"rollout-{MODEL}")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True)


class Device:
    """A device with a memory of its own, of the vendor as it was when it was made."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.floor = Floor(time=NOW)
        self.client = DeviceRepository(
            Files(home),
            model=MODEL,
            directory=directory,
            trusted_root=(home.trust / "root.json").read_bytes(),
        )

    def look(self) -> None:
        self.floor = self.client.look(self.floor, now=NOW, keep=self.keep).floor

    def keep(self, floor: Floor) -> None:
        self.floor = floor


def race_ahead(home: Home, drawer: Path) -> None:
    """What a thief with the keys in `drawer` does: versions that the vendor never reaches."""
    state = Repository(home, Clock()).state()
    state.snapshot.version = 1_000_000
    data = sign_metadata(state.snapshot, *load_drawer_signers(drawer, "tuf-snapshot"))
    place(home, "1000000.snapshot", data)
    state.timestamp.version = 1_000_000
    state.timestamp.snapshot_meta = meta_file(1_000_000, data)
    place(
        home, "timestamp", sign_metadata(state.timestamp, *load_drawer_signers(drawer, ONLINE[0]))
    )


def place(home: Home, name: str, data: bytes) -> None:
    (home.repository / "metadata" / f"{name}.json").write_bytes(data)


def recover(home: Home) -> None:
    replace_online_keys(home, offline=home.offline, now=NOW)


def test_devices_go_on_with_the_new_keys_and_know_the_thiefs_no_more(
    home: Home, tmp_path: Path
) -> None:
    stolen, backup = tmp_path / "stolen", tmp_path / "backup"
    shutil.copytree(home.online, stolen)
    shutil.copytree(home.public, backup)
    device, other = Device(home, tmp_path / "one"), Device(home, tmp_path / "two")
    device.look()
    race_ahead(home, stolen)
    device.look()
    assert device.floor.roles["snapshot"].version == 1_000_000, "the thief was believed"

    shutil.rmtree(home.public)
    shutil.copytree(backup, home.public)
    with pytest.raises(Rejected) as behind:
        device.look()
    assert behind.value.reason == "rollback"
    recover(home)
    device.look()
    assert device.floor.roles["snapshot"].version < 10, "begun anew, with the new keys"

    race_ahead(home, stolen)
    for one in (device, other):
        with pytest.raises(Rejected) as refused:
            one.look()
        assert refused.value.reason == "bad-signature"


def test_the_vendor_goes_on_publishing_and_its_plan_stays(home: Home, tmp_path: Path) -> None:
    before = Repository(home, Clock()).plan()
    recover(home)
    repository = Repository(home, Clock())
    assert repository.plan() == before
    repository.verify_keys()
    repository.add_release(make_release(home, tmp_path))
    repository.publish_plan(before)
    device = Device(home, tmp_path / "made-after")
    device.look()
    recover(home)
    device.look()


def test_every_online_key_is_another_and_no_old_one_is_named(home: Home) -> None:
    before = {stem: keyids(home.online, stem) for stem in ONLINE}
    tls = (home.online / "service.key").read_bytes()
    recover(home)
    state = Repository(home, Clock()).state()
    assert state.targets.delegations is not None
    named = {*state.root.keys, *state.targets.delegations.keys}
    for stem in ONLINE:
        assert not keyids(home.online, stem) & before[stem]
        assert not named & before[stem]
        assert keyids(home.online, stem) <= named
    assert (home.online / "service.key").read_bytes() != tls
    assert all(file.stat().st_mode & 0o077 == 0 for file in home.online.glob("tuf-*.pem"))


def keyids(drawer: Path, stem: str) -> set[str]:
    return {signer.public_key.keyid for signer in load_drawer_signers(drawer, stem)}


class CutError(Exception):
    """The power is gone."""


def test_after_a_cut_at_any_write_the_same_command_ends_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, true, cuts = Device(home, tmp_path / "device"), rekeying.write_atomic, 0
    shelf_write = rekeying.Shelf.write
    for at in range(40):
        writes = 0

        def count() -> None:
            nonlocal writes
            writes += 1
            if writes > at:  # noqa: B023 - read within this turn
                raise CutError

        def cut_write(*given: object, **named: object) -> None:
            count()
            true(*given, **named)  # type: ignore[arg-type]

        def cut_shelf(shelf: rekeying.Shelf, name: str, data: bytes) -> None:
            count()
            shelf_write(shelf, name, data)

        with monkeypatch.context() as patched:
            patched.setattr(rekeying, "write_atomic", cut_write)
            patched.setattr(rekeying.Shelf, "write", cut_shelf)
            try:
                recover(home)
            except CutError:
                cuts += 1
            else:
                break
        recover(home)
        Repository(home, Clock()).verify_keys()
        device.look()
    assert cuts >= 10
    assert not (home.online / "rekeying.json").exists()


def test_nothing_changes_without_the_drawer(home: Home) -> None:
    before = {file.name: file.read_bytes() for file in home.online.glob("*.[pk]e[my]")}
    shutil.rmtree(home.offline)
    with pytest.raises((Rejected, Unavailable)):
        recover(home)
    assert {file.name: file.read_bytes() for file in home.online.glob("*.[pk]e[my]")} == before


REPORTS = "/api/v1/reports"
JSON = {"content-type": "application/json"}


@dataclass
class Shown:
    """A client certificate and its key."""

    chain: bytes
    key: TlsKey

    def report(self, server: Running, sequence: int) -> int:
        body = make_report(ReportKind.RUNNING, sequence=sequence)
        client = server.client(self.chain, self.key)
        return client.post(REPORTS, body, max_bytes=9000, headers=JSON).status


def enroll(server: Running, device: Enrolled, key: TlsKey) -> Shown:
    """By EST, with the device's permanent identity."""
    client = server.client(device.chain, device.key)
    body = base64.b64encode(x509.load_pem_x509_csr(device.request(key)).public_bytes(Encoding.DER))
    headers = {"content-type": "application/pkcs10"}
    answer = client.post(SIMPLE_ENROLL, body, max_bytes=64 << 10, headers=headers)
    assert answer.status == 200, answer.body
    found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.body))
    ordered = sorted(found, key=lambda one: one.public_key() != key.public_key())
    return Shown(b"".join(one.public_bytes(Encoding.PEM) for one in ordered), key)


def forge(stolen: Path, serial: str) -> Shown:
    """By the key of the authority that was stolen, before or after it was replaced."""
    issuer = load_issuer(
        (stolen / "operational-ca.pem").read_bytes(), (stolen / "operational-ca.key").read_bytes()
    )
    key = generate_key()
    request = verify_request(make_request(key, model=MODEL, serial=serial, purpose=Purpose.CLIENT))
    now, lifetime = datetime.now(UTC), timedelta(days=1)
    return Shown(issue_operational(issuer, request, now=now, lifetime=lifetime), key)


def issuer_of(shown: Shown) -> x509.Name:
    return load_certificates(shown.chain)[0].issuer


def test_a_replaced_authority_certifies_nobody_and_its_devices_go_on_to_the_new_one(
    home: Home, tmp_path: Path
) -> None:
    """Over TLS to the real service, before and after."""
    stolen = shutil.copytree(home.online, tmp_path / "stolen")
    device = Enrolled(home, "TH-00000001")
    with running(home) as server:
        old = enroll(server, device, generate_key())
        assert old.report(server, 1) == 204
        assert forge(stolen, "TH-00000001").report(server, 2) == 204, "the control: it is stolen"
    recover(home)
    with running(home) as server:
        assert old.report(server, 3) == 204, "it was issued here, and has not ended"
        for serial in ("TH-00000001", "TH-00009999"):
            assert forge(stolen, serial).report(server, 4) == 401
        new = enroll(server, device, old.key)
        assert issuer_of(new) != issuer_of(old)
        assert new.report(server, 5) == 204
    recover(home)
    with running(home) as server:
        assert [one.report(server, 6 + n) for n, one in enumerate((old, new))] == [204, 204]
        third = enroll(server, device, old.key)
    assert len({issuer_of(one).public_bytes() for one in (old, new, third)}) == 3
    assert (home.online / FORMER_FILE).stat().st_mode & 0o777 == 0o644
    assert (home.online / "operational-ca.key").stat().st_mode & 0o077 == 0


def test_no_more_authorities_are_remembered_than_have_names(home: Home) -> None:
    for _ in range(MOST_FORMER + 2):
        recover(home)
    former = load_certificates((home.online / FORMER_FILE).read_bytes())
    assert len(former) == MOST_FORMER
    now = load_certificates((home.online / "operational-ca.pem").read_bytes())[0]
    assert len({one.subject.public_bytes() for one in (*former, now)}) == len(former) + 1


@pytest.mark.parametrize(
    ("name", "next_one"),
    [
        ("A Operational CA", "A Operational CA 2"),
        ("A CA 9", "A CA 10"),
        ("x" * 64, "x" * 58 + " 2"),
    ],
)
def test_the_next_authority_has_a_name_of_its_own(name: str, next_one: str) -> None:
    assert next_name(name) == next_one


def test_an_operator_does_it_and_the_service_serves_by_it(home: Home) -> None:
    done = CliRunner().invoke(app, ["rekey", str(home.root)])
    assert done.exit_code == 0, done.output
    assert "restart the service" in done.output
    tls = client_context(roots_pem=(home.trust / "service-root.pem").read_bytes())
    with running(home) as service, HttpsClient(f"https://{HOST}:{service.port}", tls=tls) as client:
        answer = client.get("/repository/metadata/timestamp.json", max_bytes=16 << 10)
    assert answer.status == 200
    signed = Metadata[Timestamp].from_bytes(answer.body)
    assert set(signed.signatures) == keyids(home.online, "tuf-timestamp")
