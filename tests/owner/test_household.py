"""`limpet owner trust` as a person types it, against the real processes of a device."""

import base64
import os
import plistlib
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.gateway.conftest import PASSWORD, SERIAL, Person, Stand, begin
from tests.needs import need

from limpet.crypto.certificates import issue_household, make_household, make_root
from limpet.crypto.keys import generate_key, key_to_pem, spki_sha256
from limpet.crypto.names import HOME_NETWORKS, parse_networks
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.device.link.permits import Role
from limpet.errors import Rejected
from limpet.owner import household, trusting
from limpet.owner.store import DeviceRecord, Store

pytestmark = pytest.mark.end_to_end
OWN, HOME, CHOSEN = f"{SERIAL.lower()}.local", f"{SERIAL.lower()}.home.arpa", "heating.home.arpa"


class Desk:
    """An owner's computer: a home directory, a store of devices, and the command."""

    def __init__(self, stand: Stand, home: Path) -> None:
        self.stand, self.home = stand, home
        self.store = Store(home / "devices")
        self.root = home / "root.pem"
        self.root.write_bytes(stand.device_root.certificate_pem())

    def owner(
        self, *words: str, stdin: str = "", status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "limpet",
            "owner",
            *words,
            "--store",
            str(self.store.directory),
        ]
        environment = {**os.environ, "HOME": str(self.home)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=150, env=environment
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done

    def claim(self) -> str:
        return self.owner(
            "claim", f"https://127.0.0.1:{self.stand.port}", "--code", self.stand.code,
            "--serial", SERIAL, "--root", str(self.root), "--password-stdin",
            stdin=PASSWORD + "\n",
        ).stdout  # fmt: skip

    def restart(self) -> None:
        """Kill the gateway; the new one has a new port, which the owner's client is told."""
        old = self.stand.port
        self.stand.kill(Role.GATEWAY)
        self.stand.start(Role.GATEWAY)
        end = time.monotonic() + 120
        while self.stand.port == old and time.monotonic() < end:
            time.sleep(0.02)
        self.stand.wait_enrolled()
        self.owner("status", "--url", f"https://127.0.0.1:{self.stand.port}")

    @property
    def authority(self) -> x509.Certificate:
        return household.load_authority(self.store).certificate

    def shown(self, name: str | None) -> x509.Certificate:
        """What the device shows a client that asks for `name`; nothing is verified here."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.stand.port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")

    def trusts(self, name: str) -> bool:
        """Whether a program that trusts the household's authority alone reaches the device."""
        pem = (self.store.household / "authority.pem").read_text()
        context = ssl.create_default_context(cadata=pem)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.stand.port), timeout=10) as raw,
                context.wrap_socket(raw, server_hostname=name),
            ):
                return True
        except ssl.SSLCertVerificationError:
            return False


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    stand = begin(tmp_path)
    try:
        yield Desk(stand, tmp_path_factory.mktemp("home"))
    finally:
        stand.close()


def test_a_claim_leads_to_a_browser_without_a_warning(desk: Desk) -> None:
    assert "limpet owner trust" in desk.claim()
    given = desk.owner("trust", "--hostname", CHOSEN).stdout
    for name in (OWN, HOME, CHOSEN, "127.0.0.1"):
        assert f"https://{name}:{desk.stand.port}/" in given
        assert desk.trusts(name), name
    assert not desk.trusts("another.home.arpa")
    if shutil.which("certutil"):
        listed = subprocess.run(
            ["certutil", "-L", "-d", f"sql:{desk.home / '.pki' / 'nssdb'}"],
            capture_output=True, text=True, timeout=150, check=True,
        ).stdout  # fmt: skip
        (line,) = [line for line in listed.splitlines() if line.startswith("limpet household")]
        assert line.split()[-1] == "C,,"  # servers, and neither mail nor programs
    key = desk.store.household / "authority-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert SERIAL in desk.owner("trust", "list").stdout


def test_pinned_clients_and_browsers_are_told_apart_by_the_name_that_they_ask_for(
    desk: Desk,
) -> None:
    desk.claim()
    before = desk.shown(None)
    desk.owner("trust", "--no-browsers")
    for name in (None, OWN, HOME, "localhost", "nobody.example"):
        assert desk.shown(name).issuer == desk.authority.subject, name
    for name in (f"{SERIAL.lower()}.limpet.alt", f"{SERIAL}.LIMPET.ALT"):
        assert desk.shown(name) == before
    assert SERIAL in desk.owner("status").stdout  # the owner's own client is one of these
    pins = msgspec.json.decode(desk.owner("trust", "pin", "--json").stdout)
    pin = base64.b64encode(spki_sha256(before)).decode()
    assert pins["operational"] == f"sha256//{pin}"
    if shutil.which("curl"):
        told = pins["as curl takes it"].split()
        done = subprocess.run([*told, "--silent"], capture_output=True, text=True, timeout=150)
        assert SERIAL in done.stdout
        wrong = [word.replace("sha256//", "sha256//AAAA") for word in told]
        assert (
            subprocess.run([*wrong, "--silent"], capture_output=True, timeout=150).returncode == 90
        )


def test_the_owners_client_renews_in_time_and_when_the_device_has_moved(desk: Desk) -> None:
    desk.claim()
    desk.owner("trust", "--no-browsers", "--hostname", CHOSEN)
    first = desk.shown(OWN)
    assert desk.owner("functions").stderr == ""
    assert desk.shown(OWN) == first
    record = desk.store.load(SERIAL)
    assert record.household is not None
    soon = msgspec.structs.replace(record.household, until=datetime.now(UTC) + timedelta(days=20))
    desk.store.save(msgspec.structs.replace(record, household=soon))
    assert "is renewed" in desk.owner("functions").stderr
    second = desk.shown(OWN)
    assert second.serial_number != first.serial_number
    assert second.public_key() == first.public_key()  # a pin holds
    assert desk.trusts(CHOSEN)
    moved = msgspec.structs.replace(record.household, shown=())
    desk.store.save(msgspec.structs.replace(desk.store.load(SERIAL), household=moved))
    assert "is renewed" in desk.owner("functions").stderr


def test_what_the_household_gave_survives_a_kill_and_ends_by_the_owners_word(desk: Desk) -> None:
    desk.claim()
    before = desk.shown(OWN)
    desk.owner("trust", "--no-browsers")
    given = desk.shown(OWN)
    desk.restart()
    assert desk.shown(OWN) == given
    assert desk.trusts(OWN)
    desk.owner("trust", "remove")
    assert desk.shown(OWN).public_key() == before.public_key()
    left = {path.name for path in (desk.stand.root / "gateway").iterdir()}
    assert not [name for name in left if name.startswith("household")]
    desk.owner("trust", "forget")
    assert not list(desk.store.household.iterdir())


def test_the_next_owner_finds_nothing_of_the_last_ones_household(desk: Desk) -> None:
    """Also where the owner leaves the data on the device."""
    desk.claim()
    before = desk.shown(OWN)
    desk.owner("trust", "--no-browsers")
    assert desk.shown(OWN) != before
    token, person = desk.store.load(SERIAL).token, Person(desk.stand)
    offer = {"password": PASSWORD, "erase": False}
    status, made, _ = person.ask("POST", "/v1/transfer", offer, token=token)
    assert status == 201, made
    taker = {"code": made["code"], "name": "next", "password": "another harbour, another tide"}
    status, session, _ = person.ask("POST", "/v1/transfer/accept", taker, token="")
    assert status == 201, session
    assert desk.shown(OWN).public_key() == before.public_key()
    status, found, _ = person.ask("GET", "/v1/household", token=session["token"])
    assert (status, found["installed"]) == (200, False)
    assert not list((desk.stand.root / "gateway").glob("household*"))


def test_nobody_but_the_owner_gives_or_takes_a_certificate_and_no_foreign_one_is_taken(
    desk: Desk,
) -> None:
    desk.claim()
    desk.owner("trust", "--no-browsers")
    given = desk.shown(OWN)
    token = desk.store.load(SERIAL).token
    person = Person(desk.stand)
    status, made, _ = person.ask(
        "POST", "/v1/tokens", {"label": "a member", "access": "member"}, token=token
    )
    assert status == 201
    chain = {"chain_pem": given.public_bytes(Encoding.PEM).decode()}
    for method, path, body in (
        ("POST", "/v1/household/request", None),
        ("PUT", "/v1/household", chain),
        ("DELETE", "/v1/household", None),
        ("PUT", "/v1/announcement", {"enabled": False}),
    ):
        assert person.ask(method, path, body, token=made["token"])[0] == 403, path
        assert person.ask(method, path, body, token="")[0] == 401, path
    foreign = make_household("x", networks=HOME_NETWORKS, now=datetime.now(UTC))
    csr = make_request(generate_key(), model="thermostat", serial=SERIAL, purpose=Purpose.SERVER)
    stolen = issue_household(
        foreign, verify_request(csr), now=datetime.now(UTC), lifetime=timedelta(days=9),
        hostnames=(OWN,), addresses=(),
    )  # fmt: skip
    for bad, reason in ((stolen.decode(), "wrong-certificate"), ("x", "bad-certificate")):
        status, refused, _ = person.ask("PUT", "/v1/household", {"chain_pem": bad}, token=token)
        assert (status, refused["reason"]) == (400, reason)
    assert desk.shown(OWN) == given


def test_only_the_names_of_the_device_are_taken_as_host_and_only_its_own_is_strict(
    desk: Desk,
) -> None:
    desk.claim()
    desk.owner("trust", "--no-browsers", "--hostname", CHOSEN)
    assert _status_of(desk, OWN) == (200, True)
    assert _status_of(desk, HOME) == (200, False)
    assert _status_of(desk, CHOSEN) == (200, False)
    assert _status_of(desk, "127.0.0.1") == (200, False)
    for host in ("evil.example", "another.home.arpa", f"{CHOSEN}.evil.example"):
        assert _status_of(desk, host)[0] == 403, host


def _status_of(desk: Desk, host: str) -> tuple[int, bool]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = (
        f"GET /v1/identity HTTP/1.1\r\nHost: {host}:{desk.stand.port}\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", desk.stand.port), timeout=10) as raw,
        context.wrap_socket(raw) as secured,
    ):
        secured.sendall(request.encode())
        answer = b""
        while data := secured.recv(65536):
            answer += data
    return int(answer.split()[1]), b"strict-transport-security" in answer.lower()


def test_the_owner_turns_the_announcement_off_and_it_stays_off(desk: Desk) -> None:
    desk.claim()
    assert "is told of" in desk.owner("announce").stdout
    assert "told nothing" in desk.owner("announce", "off").stdout
    desk.restart()
    assert "told nothing" in desk.owner("announce").stdout
    assert "is told of" in desk.owner("announce", "on").stdout


def test_an_authority_that_was_tampered_with_is_used_for_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    now = datetime.now(UTC)
    made = household.open_authority(store, owner="me", networks=None, now=now)
    assert household.load_authority(store).certificate == made.certificate
    key = store.household / "authority-key.pem"
    key.chmod(0o644)
    with pytest.raises(Rejected, match="read by others"):
        household.load_authority(store)
    unbound = make_root("a root for the whole Internet", now=now)
    (store.household / "authority.pem").write_bytes(unbound.certificate_pem())
    key.write_bytes(key_to_pem(unbound.key))
    key.chmod(0o600)
    with pytest.raises(Rejected, match="not held to"):
        household.load_authority(store)
    for place in (
        lambda: trusting.trust_in_browsers(unbound.certificate, tmp_path),
        lambda: trusting.trust_in_system(unbound.certificate, directory=tmp_path),
        lambda: trusting.export_authority(unbound.certificate, tmp_path / "x.pem"),
    ):
        with pytest.raises(Rejected, match="not held to"):
            place()
    assert not (tmp_path / "x.pem").exists()


def test_an_authority_for_one_network_signs_for_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    now = datetime.now(UTC)
    networks = parse_networks(["192.168.7.0/24"])
    household.open_authority(store, owner="me", networks=networks, now=now)
    with pytest.raises(Rejected, match="made already"):
        household.open_authority(store, owner="me", networks=networks, now=now)
    record = DeviceRecord(serial=SERIAL, model="t", url="https://10.0.0.1", root_pem="")
    authority = household.load_authority(store)
    assert not household._is_permitted(authority, "10.0.0.1")
    assert household._is_permitted(authority, "192.168.7.9")
    assert household.hosts_of(record) == ()


def test_the_systems_store_trusts_it_and_forgets_it(tmp_path: Path) -> None:
    """With Debian's own program, in directories of the test."""
    need("update-ca-certificates", package="ca-certificates", untried="no system trusted it")
    local, bundle = tmp_path / "local", tmp_path / "certs"
    local.mkdir()
    bundle.mkdir()
    update = ("update-ca-certificates", "--localcertsdir", str(local), "--etccertsdir", str(bundle),
              "--hooksdir", str(tmp_path / "hooks"))  # fmt: skip
    authority = make_household("h", networks=HOME_NETWORKS, now=datetime.now(UTC)).certificate
    placed = trusting.trust_in_system(authority, directory=local, update=update)
    assert placed.trusted
    pem = authority.public_bytes(Encoding.PEM).decode()
    assert pem.strip() in (bundle / "ca-certificates.crt").read_text()
    assert trusting.forget_in_system(authority, directory=local, update=update) is not None
    assert pem.strip() not in (bundle / "ca-certificates.crt").read_text()
    assert trusting.forget_in_system(authority, directory=local, update=update) is None


@pytest.mark.parametrize("name", ["home.pem", "home.cer", "home.mobileconfig"])
def test_the_authority_is_exported_without_its_key(tmp_path: Path, name: str) -> None:
    authority = make_household("h", networks=HOME_NETWORKS, now=datetime.now(UTC)).certificate
    assert trusting.export_authority(authority, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert b"PRIVATE" not in data
    if name.endswith("mobileconfig"):
        (payload,) = plistlib.loads(data)["PayloadContent"]
        assert payload["PayloadType"] == "com.apple.security.root"
        data = payload["PayloadContent"]
    load = (
        x509.load_pem_x509_certificate if name.endswith("pem") else x509.load_der_x509_certificate
    )
    assert load(data) == authority
