"""The keeper: whom it endorses, what it accepts, against a real TLS server in memory."""

import asyncio
import base64
import ssl
import stat
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from limpet.crypto.certificates import (
    Issuer,
    issue_device_identity,
    issue_operational,
    issue_service,
    make_intermediate,
    make_root,
)
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import TlsKey, generate_key, tls_key_from_pem
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import server_context
from limpet.device.keeper import _exchange
from limpet.device.keeper._serving import Keeper
from limpet.device.keeper._store import FileKeyStore
from limpet.device.link import messages as m
from limpet.errors import LimpetError, Rejected, Unavailable

NOW = datetime.now(UTC)
HOST = "vendor.example.com"
MODEL, SERIAL = "thermostat", "TH-00000001"


@dataclass(frozen=True)
class World:
    """A vendor's authorities and a device that the factory made."""

    device_root: Issuer
    factory: Issuer
    operational: Issuer
    service_root: Issuer
    keeper: Keeper
    directory: Path


def _keeper(directory: Path, device_root: Issuer, service_root: Issuer) -> Keeper:
    trust = directory / "trust"
    trust.mkdir(parents=True)
    (trust / "device-root.pem").write_bytes(device_root.certificate_pem())
    (trust / "service-root.pem").write_bytes(service_root.certificate_pem())
    (directory / "keeper").mkdir()
    store = FileKeyStore(directory / "keeper")
    return Keeper(store, trust=trust, time_floor=NOW)


def _do(step: Coroutine[Any, Any, m.Reply]) -> m.Reply:
    return asyncio.run(step)


def _generate(keeper: Keeper, serial: str = SERIAL) -> bytes:
    request = m.GenerateIdentity(model=MODEL, hardware_revision="A1", serial=serial)
    made = _do(keeper.generate(request))
    assert isinstance(made, m.IdentityRequest)
    return made.csr_pem.encode()


@pytest.fixture
def world(tmp_path: Path) -> World:
    device_root = make_root("Example Device Root", now=NOW)
    service_root = make_root("Example Service Root", now=NOW)
    factory = make_intermediate(device_root, "Example Factory CA", now=NOW)
    keeper = _keeper(tmp_path, device_root, service_root)
    request = verify_request(_generate(keeper))
    chain = issue_device_identity(factory, request, now=NOW)
    assert _do(keeper.store(m.StoreIdentity(chain_pem=chain.decode()))) == m.Done()
    return World(
        device_root=device_root,
        factory=factory,
        operational=make_intermediate(device_root, "Example Operational CA", now=NOW),
        service_root=service_root,
        keeper=keeper,
        directory=tmp_path,
    )


def _csr(key: TlsKey, *, serial: str = SERIAL, model: str = MODEL) -> str:
    return make_request(key, model=model, serial=serial, purpose=Purpose.SERVER).decode()


def _reply(certificates: bytes, *, status: str = "200 OK") -> bytes:
    body = pkcs7.serialize_certificates(load_certificates(certificates), Encoding.DER)
    packed = base64.b64encode(body) + b"\n"
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(packed), packed)


class Server:
    """The vendor's TLS server, in memory; `answer` turns a request into a raw reply."""

    def __init__(
        self,
        world: World,
        answer: Callable[[bytes], bytes],
        *,
        root: Issuer | None = None,
        host: str = HOST,
    ) -> None:
        key = generate_key()
        chain = issue_service(root or world.service_root, key, hostnames=[host], now=NOW)
        context = server_context(
            chain,
            key,
            client_roots_pem=world.device_root.certificate_pem(),
            require_client=True,
        )
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._answer = answer
        self._plain = b""
        self.request = b""

    def move(self, data: bytes) -> bytes:
        self._in.write(data)
        try:
            if self.tls.version() is None or not self._plain:
                self.tls.do_handshake()
            while True:
                self._plain += self.tls.read(65536)
                _, blank, body = self._plain.partition(b"\r\n\r\n")
                if blank and body.endswith(b"\n"):
                    self.request = self._plain
                    self.tls.write(self._answer(body))
                    break
        except ssl.SSLWantReadError:
            pass
        return self._out.read()


def _enroll(keeper: Keeper, server: Server, csr: str) -> str:
    async def work() -> str:
        step = await keeper.enroll_start(m.EnrollStart(csr_pem=csr, host=HOST))
        for _ in range(200):
            assert isinstance(step, m.EnrollStep)
            if step.finished:
                return step.chain_pem
            received = server.move(step.send)
            if not received:
                raise AssertionError("the exchange stands still")
            for start in range(0, len(received), 60_000):
                piece = received[start : start + 60_000]
                step = await keeper.enroll_feed(m.EnrollFeed(received=piece))
                if isinstance(step, m.EnrollStep) and step.finished:
                    break
        raise AssertionError("no end")

    return asyncio.run(work())


def _issuing(world: World, *, issuer: Issuer | None = None) -> Callable[[bytes], bytes]:
    def answer(body: bytes) -> bytes:
        pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n" % body
        request = verify_request(pem)
        return _reply(
            issue_operational(
                issuer or world.operational, request, now=NOW, lifetime=timedelta(days=30)
            )
        )

    return answer


def test_a_certificate_is_enrolled_over_bytes_that_another_moves(world: World) -> None:
    key = generate_key()
    server = Server(world, _issuing(world))
    chain = load_certificates(_enroll(world.keeper, server, _csr(key)).encode())
    assert chain[0].public_key() == key.public_key()
    assert len(chain) == 2  # the leaf, then its issuer, never the root
    assert server.request.startswith(b"POST /.well-known/est/simpleenroll HTTP/1.1\r\n")
    shown = server.tls.getpeercert(binary_form=True)
    assert shown == load_certificates((world.directory / "keeper" / "idevid.pem").read_bytes())[
        0
    ].public_bytes(Encoding.DER)


def _refused(world: World, server: Server, csr: str) -> LimpetError:
    with pytest.raises(LimpetError) as caught:
        _enroll(world.keeper, server, csr)
    return caught.value


def test_a_request_for_another_device_is_not_endorsed(world: World) -> None:
    server = Server(world, _issuing(world))
    for csr in (
        _csr(generate_key(), serial="TH-00000002"),
        _csr(generate_key(), model="lock"),
    ):
        assert "names another device" in str(_refused(world, server, csr))


def test_the_permanent_key_gets_no_operational_certificate(world: World) -> None:
    key = tls_key_from_pem((world.directory / "keeper" / "idevid.key").read_bytes())
    server = Server(world, _issuing(world))
    assert "permanent key" in str(_refused(world, server, _csr(key)))


def test_a_request_without_proof_of_possession_is_not_endorsed(world: World) -> None:
    lines = _csr(generate_key()).splitlines()
    lines[-2] = ("B" if lines[-2][0] != "B" else "C") + lines[-2][1:]
    error = _refused(world, Server(world, _issuing(world)), "\n".join(lines) + "\n")
    assert isinstance(error, Rejected)
    assert error.reason in ("bad-signature", "malformed-request")


def test_a_server_of_another_root_gets_no_request(world: World) -> None:
    server = Server(world, _issuing(world), root=make_root("Other Root", now=NOW))
    error = _refused(world, server, _csr(generate_key()))
    assert isinstance(error, Rejected)
    assert error.reason == "untrusted-server"
    assert server.request == b""


def test_a_server_of_another_name_gets_no_request(world: World) -> None:
    server = Server(world, _issuing(world), host="other.example.com")
    error = _refused(world, server, _csr(generate_key()))
    assert isinstance(error, Rejected)
    assert error.reason == "untrusted-server"
    assert server.request == b""


def test_a_certificate_of_another_authority_is_refused(world: World) -> None:
    other = make_intermediate(make_root("Other Root", now=NOW), "Other CA", now=NOW)
    error = _refused(world, Server(world, _issuing(world, issuer=other)), _csr(generate_key()))
    assert isinstance(error, Rejected)
    assert error.reason == "bad-certificate"


def _fixed(world: World, csr: str) -> Callable[[bytes], bytes]:
    """A server that gives a sound certificate, but for another request."""
    request = verify_request(csr.encode())
    life = timedelta(days=30)
    chain = issue_operational(world.operational, request, now=NOW, lifetime=life)
    return lambda body: _reply(chain)


def test_a_certificate_for_another_key_is_refused(world: World) -> None:
    server = Server(world, _fixed(world, _csr(generate_key())))
    error = _refused(world, server, _csr(generate_key()))
    assert isinstance(error, Rejected)
    assert error.reason == "wrong-key"


def test_a_certificate_that_names_another_device_is_refused(world: World) -> None:
    key = generate_key()
    server = Server(world, _fixed(world, _csr(key, serial="TH-00000002")))
    assert "names another device" in str(_refused(world, server, _csr(key)))


def test_a_certificate_for_another_purpose_is_refused(world: World) -> None:
    key = generate_key()
    client = make_request(key, model=MODEL, serial=SERIAL, purpose=Purpose.CLIENT).decode()
    error = _refused(world, Server(world, _fixed(world, client)), _csr(key))
    assert isinstance(error, Rejected)
    assert error.reason == "wrong-purpose"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nblocked", "answered 403: blocked"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "later"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nAAAA", "no certificates"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"A" * 99_999, "over 65536"),
        (b"220 mail.example.com ESMTP\r\n\r\n", "not an HTTP reply"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", "not an HTTP reply"),
    ],
)
def test_any_other_answer_is_a_clear_error(world: World, raw: bytes, said: str) -> None:
    error = _refused(world, Server(world, lambda body: raw), _csr(generate_key()))
    assert said in str(error)
    with pytest.raises(Rejected, match="no enrollment"):
        _do(world.keeper.enroll_feed(m.EnrollFeed(received=b"more")))


def test_a_server_that_sends_without_end_is_cut(world: World) -> None:
    async def work() -> None:
        await world.keeper.enroll_start(m.EnrollStart(csr_pem=_csr(generate_key()), host=HOST))
        record = b"\x16\x03\x03\x00\x01"  # a record of one byte: a handshake that never ends
        for _ in range(_exchange.RECEIVED_BYTES // 1000 + 1):
            await world.keeper.enroll_feed(m.EnrollFeed(received=(record + b"\x02") * 166))

    with pytest.raises(Rejected):
        asyncio.run(work())


def test_a_connection_that_closes_early_is_unavailable(world: World) -> None:
    async def work() -> None:
        await world.keeper.enroll_start(m.EnrollStart(csr_pem=_csr(generate_key()), host=HOST))
        await world.keeper.enroll_feed(m.EnrollFeed(received=b""))

    with pytest.raises(Unavailable, match="closed during the handshake"):
        asyncio.run(work())


def test_a_new_enrollment_replaces_one_that_was_left(world: World) -> None:
    _do(world.keeper.enroll_start(m.EnrollStart(csr_pem=_csr(generate_key()), host=HOST)))
    assert _enroll(world.keeper, Server(world, _issuing(world)), _csr(generate_key()))


def test_the_key_is_in_one_file_that_nobody_else_reads(world: World) -> None:
    file = world.directory / "keeper" / "idevid.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in file.read_bytes()


def test_a_device_with_its_identity_makes_no_second_key(world: World) -> None:
    key = (world.directory / "keeper" / "idevid.key").read_bytes()
    with pytest.raises(Rejected, match="has its identity"):
        _generate(world.keeper)
    assert (world.directory / "keeper" / "idevid.key").read_bytes() == key


def test_an_attempt_that_was_cut_off_leaves_no_key_to_be_used_again(tmp_path: Path) -> None:
    root = make_root("Example Device Root", now=NOW)
    keeper = _keeper(tmp_path, root, root)
    first = verify_request(_generate(keeper)).public_key
    assert verify_request(_generate(keeper)).public_key != first


@pytest.mark.parametrize("wrong", ["key", "serial", "root"])
def test_an_identity_that_does_not_fit_is_not_stored(wrong: str, tmp_path: Path) -> None:
    root = make_root("Example Device Root", now=NOW)
    keeper = _keeper(tmp_path, root, root)
    csr = _generate(keeper)
    if wrong == "key":
        csr = make_request(generate_key(), model=MODEL, serial=SERIAL, purpose=Purpose.CLIENT)
    if wrong == "serial":
        own = tls_key_from_pem((tmp_path / "keeper" / "idevid.key").read_bytes())
        csr = make_request(own, model=MODEL, serial="TH-00000002", purpose=Purpose.CLIENT)
    signer = make_root("Other Root", now=NOW) if wrong == "root" else root
    factory = make_intermediate(signer, "Example Factory CA", now=NOW)
    chain = issue_device_identity(factory, verify_request(csr), now=NOW)
    with pytest.raises(Rejected):
        _do(keeper.store(m.StoreIdentity(chain_pem=chain.decode())))
    assert not (tmp_path / "keeper" / "idevid.pem").exists()
