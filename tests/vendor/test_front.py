"""The running service over real TLS: who gets in, who does not, and that it stays up."""

import base64
import json
import shutil
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from tests.vendor.test_enrollment import HOSTILE
from tests.vendor.workshop import (
    HOST,
    MODEL,
    Device,
    Running,
    make_report,
    running,
)

from limpet.crypto.certificates import issue_device_identity, make_intermediate, make_root
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.errors import LimpetError
from limpet.https.client import ClientResponse, HttpsClient
from limpet.vendor.fleet import view_fleet
from limpet.vendor.home import Home
from limpet.vendor.store import Database, Devices
from limpet.wire.report import ReportKind

SERIAL = "TH-A1B2C3D4"

EST = "/.well-known/est"

REPORTS = "/api/v1/reports"

PKCS10 = {"content-type": "application/pkcs10"}

JSON = {"content-type": "application/json"}


def post_csr(
    client: HttpsClient, csr_pem: bytes, path: str = "simpleenroll", *, wrapped: bool = False
) -> ClientResponse:
    der = base64.b64decode(b"".join(csr_pem.splitlines()[1:-1]))
    body = base64.encodebytes(der) if wrapped else base64.b64encode(der)
    return client.post(f"{EST}/{path}", body, max_bytes=9000, headers=PKCS10)


def pem_of(reply: ClientResponse) -> bytes:
    """The certificates of a reply, the device's first: CMS keeps them as a set, in no order."""
    found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply.body))
    issuers = {certificate.issuer for certificate in found}
    found.sort(key=lambda certificate: certificate.subject in issuers)
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found)


def enrolled(
    server: Running, device: Device, purpose: Purpose = Purpose.CLIENT
) -> tuple[bytes, TlsKey]:
    key = generate_key()
    reply = post_csr(server.client(device.chain, device.key), device.request(key, purpose))
    assert reply.status == 200, reply.body
    return pem_of(reply), key


def problem_of(reply: ClientResponse) -> dict[str, Any]:
    """The problem document of a refusal (RFC 9457)."""
    assert reply.headers["content-type"] == "application/problem+json"
    problem = json.loads(reply.body)
    assert isinstance(problem, dict)
    return problem


def reason_of(reply: ClientResponse) -> str:
    return str(problem_of(reply)["reason"])


# --- enrollment


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_device_enrolls_with_its_permanent_identity_and_renews(
    server: Running, home: Home, wrapped: bool
) -> None:
    device, key = Device(home, SERIAL), generate_key()
    reply = post_csr(server.client(device.chain, device.key), device.request(key), wrapped=wrapped)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    chain = pem_of(reply)
    assert len(load_certificates(chain)) == 2
    renewed = post_csr(server.client(chain, key), device.request(key), "simplereenroll")
    assert renewed.status == 200
    with_idevid = post_csr(
        server.client(device.chain, device.key), device.request(key), "simplereenroll"
    )
    assert with_idevid.status == 200


def test_first_enrollment_takes_the_permanent_identity_only(server: Running, home: Home) -> None:
    device = Device(home, SERIAL)
    chain, key = enrolled(server, device)
    reply = post_csr(server.client(chain, key), device.request(generate_key()))
    assert (reply.status, reason_of(reply)) == (403, "not-permanent")


def test_the_authorities_are_public_and_one_unwrapped_line(server: Running, home: Home) -> None:
    reply = server.client().get(f"{EST}/cacerts", max_bytes=9000)
    assert reply.status == 200
    assert reply.body.count(b"\n") == 1
    assert sorted(load_certificates(pem_of(reply)), key=hash) == sorted(
        (
            load_certificates((home.online / name).read_bytes())[0]
            for name in ("device-root.pem", "operational-ca.pem")
        ),
        key=hash,
    )


@pytest.mark.parametrize("path", [f"{EST}/simpleenroll", f"{EST}/simplereenroll", REPORTS])
def test_without_a_certificate_nothing_is_taken(server: Running, path: str) -> None:
    headers = JSON if path == REPORTS else PKCS10
    reply = server.client().post(path, b"x", max_bytes=9000, headers=headers)
    assert (reply.status, reason_of(reply)) == (401, "unauthenticated")


def test_a_certificate_of_another_root_ends_in_the_handshake(server: Running) -> None:
    now = datetime.now(UTC)
    key, root = generate_key(), make_root("Somebody", now=now)
    factory = make_intermediate(root, "Somebody's Factory", now=now)
    csr = make_request(key, model=MODEL, serial=SERIAL, purpose=Purpose.CLIENT)
    chain = issue_device_identity(factory, verify_request(csr), now=now)
    with pytest.raises(LimpetError):
        post_csr(server.client(chain, key), csr)
    with pytest.raises(LimpetError):
        server.client(chain, key).get("/", max_bytes=9000)
    assert server.client().get("/", max_bytes=90_000).status == 200


def test_a_devices_server_certificate_is_no_client_certificate(server: Running, home: Home) -> None:
    chain, key = enrolled(server, Device(home, SERIAL), Purpose.SERVER)
    with pytest.raises(LimpetError):
        server.client(chain, key).post(REPORTS, b"{}", max_bytes=9000, headers=JSON)


def test_a_request_for_another_serial_is_refused(server: Running, home: Home) -> None:
    device = Device(home, SERIAL)
    reply = post_csr(
        server.client(device.chain, device.key), device.request(generate_key(), serial="TH-0000")
    )
    assert (reply.status, reason_of(reply)) == (403, "wrong-device")


@pytest.mark.parametrize("kind", sorted(set(HOSTILE) - {"no-request", "too-large"}))
def test_a_hostile_request_is_refused_and_the_service_goes_on(
    server: Running, home: Home, kind: str
) -> None:
    device = Device(home, SERIAL)
    client = server.client(device.chain, device.key)
    assert post_csr(client, HOSTILE[kind]()).status in (400, 403)
    assert post_csr(client, device.request(generate_key())).status == 200


@pytest.mark.parametrize("body", [b"", b"\0" * 100, b"AAAA", b"%%%", b"A" * 8193, b"A" * 200_000])
def test_a_body_that_is_no_request_is_refused(server: Running, home: Home, body: bytes) -> None:
    device = Device(home, SERIAL)
    reply = server.client(device.chain, device.key).post(
        f"{EST}/simpleenroll", body, max_bytes=9000, headers=PKCS10
    )
    assert reply.status == (413 if len(body) > 8192 else 400)


def test_the_media_type_must_be_right(server: Running, home: Home) -> None:
    device = Device(home, SERIAL)
    client = server.client(device.chain, device.key)
    for path, wrong in ((f"{EST}/simpleenroll", JSON), (REPORTS, PKCS10)):
        assert client.post(path, b"x", max_bytes=9000, headers=wrong).status == 415


# --- reports


def test_a_report_is_stored_under_the_certificates_serial(server: Running, home: Home) -> None:
    chain, key = enrolled(server, Device(home, SERIAL))
    body = make_report(ReportKind.HELD, reason="phase-in", detail="position 73 %")
    client = server.client(chain, key)
    for _ in range(2):  # the second is a repeat of one whose answer was lost
        assert client.post(REPORTS, body, max_bytes=9000, headers=JSON).status == 204
    (seen,) = view_fleet(Database.open(home.database))
    assert (seen.serial, seen.state, seen.reason) == (SERIAL, "held", "phase-in")
    assert seen.running == "1.0.0"


def test_the_permanent_identity_does_not_report(server: Running, home: Home) -> None:
    device = Device(home, SERIAL)
    client = server.client(device.chain, device.key)
    body = make_report(ReportKind.RUNNING)
    reply = client.post(REPORTS, body, max_bytes=9000, headers=JSON)
    assert (reply.status, reason_of(reply)) == (403, "not-operational")


def test_a_device_speaks_for_its_own_model_only(server: Running, home: Home) -> None:
    chain, key = enrolled(server, Device(home, SERIAL))
    body = make_report(ReportKind.RUNNING, model="kettle")
    reply = server.client(chain, key).post(REPORTS, body, max_bytes=9000, headers=JSON)
    assert (reply.status, reason_of(reply)) == (403, "wrong-model")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"[" * 3000, 400),
        (b'{"serial":"TH-OTHER"}', 400),
        (b" " * 5000, 413),
        (make_report(ReportKind.RUNNING).replace(b"+00:00", b"").replace(b'Z"', b'"'), 400),
    ],
)
def test_a_body_that_is_no_report_is_refused(
    server: Running, home: Home, body: bytes, status: int
) -> None:
    chain, key = enrolled(server, Device(home, SERIAL))
    reply = server.client(chain, key).post(REPORTS, body, max_bytes=9000, headers=JSON)
    assert reply.status == status
    assert view_fleet(Database.open(home.database))[0].state == ""


def test_a_device_that_floods_is_slowed_and_others_are_not(server: Running, home: Home) -> None:
    chain, key = enrolled(server, Device(home, SERIAL))
    loud = server.client(chain, key)
    statuses = []
    for sequence in range(80):
        body = make_report(ReportKind.RUNNING, sequence=sequence)
        reply = loud.post(REPORTS, body, max_bytes=9000, headers=JSON)
        statuses.append(reply.status)
    assert statuses[:60] == [204] * 60
    assert statuses[-1] == 429
    assert int(reply.headers["retry-after"]) >= 1
    chain, key = enrolled(server, Device(home, "TH-QUIET"))
    body = make_report(ReportKind.RUNNING)
    quiet = server.client(chain, key).post(REPORTS, body, max_bytes=9000, headers=JSON)
    assert quiet.status == 204


def test_a_blocked_device_neither_enrolls_nor_reports(server: Running, home: Home) -> None:
    device = Device(home, SERIAL)
    chain, key = enrolled(server, device)
    with Database.open(home.database).transaction() as connection:
        Devices(connection).set_block(
            SERIAL, MODEL, now=datetime.now(UTC), blocked=True, reason="key extracted"
        )
    body = make_report(ReportKind.RUNNING)
    report = server.client(chain, key).post(REPORTS, body, max_bytes=9000, headers=JSON)
    assert (report.status, reason_of(report)) == (403, "blocked")
    enroll = post_csr(server.client(device.chain, device.key), device.request(generate_key()))
    assert (enroll.status, reason_of(enroll)) == (403, "blocked")


# --- everything else


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", '/nothing"<script>', 404, "not-found"),
        ("GET", "/offline/tuf-root.pem", 404, "not-found"),
        ("GET", "/support/x", 404, "not-found"),
        ("GET", REPORTS, 404, "not-found"),
        ("GET", "/repository/../online/vendor.json", 400, "malformed"),
        ("POST", "/", 405, "method-not-allowed"),
        ("POST", "/repository/metadata/timestamp.json", 405, "method-not-allowed"),
    ],
)
def test_unknown_paths_and_methods_are_refused_in_the_standard_form(
    server: Running, method: str, path: str, status: int, reason: str
) -> None:
    reply = server.client().request(method, path, b"", max_bytes=9000)
    problem = problem_of(reply)
    assert (reply.status, problem["status"]) == (status, status)
    assert (problem["reason"], problem["type"]) == (reason, f"about:blank#{reason}")
    assert set(problem) <= {"type", "status", "reason", "detail"}
    assert b"script" not in reply.body, "nothing of the request comes back"
    if status == 405:
        assert "GET" in reply.headers["allow"]


def test_the_drawer_may_be_locked_away_while_the_service_runs(home: Home, tmp_path: Path) -> None:
    shutil.rmtree(home.offline)
    shutil.rmtree(home.factory / "x", ignore_errors=True)
    device = Device(home, SERIAL)
    shutil.rmtree(home.factory)
    with running(home) as server:
        enrolled(server, device)
        assert server.client().get("/", max_bytes=90_000).status == 200


def test_only_tls_of_today_is_spoken(server: Running) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server.home.trust / "service-root.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, timeout=5) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname=HOST)
    with socket.create_connection(address, timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 400")
