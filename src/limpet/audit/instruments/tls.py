"""What a server's TLS accepts, and whose certificate it shows.

Owns the survey by single offers (`limpet.audit.instruments.hello`), the handshakes
with and without trust, and the words spoken to a TLS port in plain text. The
contexts here are lax on purpose: they meet bad peers, and carry no secret.
"""

import secrets
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from limpet.audit.instruments.certificates import Shown, describe_chain
from limpet.audit.instruments.hello import (
    GROUPS,
    LEGACY_SUITES,
    SUITES,
    WEAK_GROUPS,
    WEAK_SIGNATURES,
    Offer,
    Outcome,
    Reply,
    Version,
    offer,
)
from limpet.audit.target import Endpoint, Target
from limpet.errors import Rejected, Unavailable

__all__ = [
    "PlainAnswer",
    "TlsSurvey",
    "Trust",
    "show_chain",
    "speak_plainly",
    "speak_plainly_to_device",
    "survey_device",
    "survey_vendor",
    "suspicious_context",
    "test_trust",
    "trust_device",
    "trust_vendor",
    "verifying_context",
]

SECONDS = 4.0
RANDOMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSurvey:
    """Everything that one server accepted and refused."""

    versions: Mapping[Version, Outcome]
    suites: tuple[int, ...]  # of TLS 1.3
    groups: tuple[int, ...]
    legacy_suites: tuple[int, ...]  # of TLS 1.2 and below, each offered alone
    weak_groups: Outcome
    weak_signatures: Outcome
    randoms: tuple[bytes, ...]  # the server's, of handshakes that it answered in full
    chain: tuple[Shown, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether clients with different roots accept the server."""

    by_own_root: bool
    refusal: str  # OpenSSL's reason, where refused
    by_public_roots: bool  # a client that trusts this machine's authorities instead


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAnswer:
    """What a TLS port said to a plain-text request."""

    request: str
    answer: bytes


def survey_device(target: Target) -> TlsSurvey:
    """The survey of the device under audit."""
    return _survey(target, target.need(target.device, "device URL"))


def survey_vendor(target: Target) -> TlsSurvey:
    """The survey of the vendor's service."""
    return _survey(target, target.need(target.vendor, "--vendor-url"))


def _survey(target: Target, endpoint: Endpoint) -> TlsSurvey:
    def ask(what: Offer) -> Outcome:
        with target.doors:
            outcome = offer(endpoint, what)
            # A closed door may mean a full house rather than a refusal: ask once more.
            return outcome if outcome.reply is not Reply.CLOSED else offer(endpoint, what)

    def ask_alone(version: Version, suites: Mapping[int, str]) -> tuple[int, ...]:
        outcomes = {s: ask(Offer(version=version, suites=(s,))) for s in suites}
        return tuple(s for s, o in outcomes.items() if o.reply is Reply.ACCEPTED)

    latest = Version.TLS_1_3
    old = [v for v in Version if v is not latest]
    versions = {v: ask(Offer(version=v, suites=tuple(LEGACY_SUITES))) for v in old}
    versions[latest] = ask(Offer(version=latest))
    speaks_old = any(versions[v].reply is Reply.ACCEPTED for v in old)
    groups = {g: ask(Offer(version=latest, groups=(g,))) for g in GROUPS}
    full = [ask(_full_offer()) for _ in range(RANDOMS)]
    with target.doors:
        chain = show_chain(endpoint)
    return TlsSurvey(
        versions=versions,
        suites=ask_alone(latest, SUITES),
        groups=tuple(g for g, o in groups.items() if o.reply is Reply.ACCEPTED),
        legacy_suites=ask_alone(Version.TLS_1_2, LEGACY_SUITES) if speaks_old else (),
        weak_groups=ask(Offer(version=latest, groups=WEAK_GROUPS)),
        weak_signatures=ask(_full_offer(WEAK_SIGNATURES)),
        randoms=tuple(o.random for o in full if o.random),
        chain=chain,
    )


def _full_offer(signatures: tuple[int, ...] | None = None) -> Offer:
    """An offer with a real X25519 share, so that the server must go on to choose a signature."""
    share = x25519.X25519PrivateKey.generate().public_key()
    raw = share.public_bytes(Encoding.Raw, PublicFormat.Raw)
    plain = Offer(version=Version.TLS_1_3, groups=(0x001D,), key_share=raw)
    if signatures is None:
        return plain
    return Offer(version=plain.version, groups=plain.groups, key_share=raw, signatures=signatures)


def suspicious_context() -> ssl.SSLContext:
    """Accepts any certificate and any version: for looking at a peer, never for a secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    return context


def verifying_context(roots_pem: bytes) -> ssl.SSLContext:
    """Accepts only what chains to `roots_pem`; the caller compares the serial, not a host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise Rejected("bad-certificate", "the given root is not a certificate in PEM") from error
    return context


def show_chain(endpoint: Endpoint) -> tuple[Shown, ...]:
    """The certificates that the server shows, its own first."""
    with _connected(endpoint, suspicious_context()) as connection:
        return describe_chain(_chain_der(connection))


def test_trust(endpoint: Endpoint, roots_pem: bytes) -> Trust:
    """Handshakes as a client of the product, and as one that trusts somebody else."""
    refusal = ""
    try:
        _connected(endpoint, verifying_context(roots_pem)).close()
    except ssl.SSLCertVerificationError as error:
        refusal = error.verify_message
    except ssl.SSLError as error:
        raise Unavailable(f"TLS failed: {error.reason}") from error
    other = ssl.create_default_context()
    other.check_hostname = False
    try:
        _connected(endpoint, other).close()
        public = True
    except ssl.SSLCertVerificationError:
        public = False
    return Trust(by_own_root=not refusal, refusal=refusal, by_public_roots=public)


def trust_device(target: Target) -> Trust:
    """`test_trust` of the device under the given device root."""
    roots = target.need(target.device_root_pem, "--device-root")
    with target.doors:
        return test_trust(target.need(target.device, "device URL"), roots)


def trust_vendor(target: Target) -> Trust:
    """`test_trust` of the vendor's service under the given service root."""
    roots = target.need(target.service_root_pem, "--service-root")
    return test_trust(target.need(target.vendor, "--vendor-url"), roots)


def speak_plainly_to_device(target: Target) -> tuple[PlainAnswer, ...]:
    """`speak_plainly` to the device under audit."""
    return speak_plainly(target.need(target.device, "device URL"))


def speak_plainly(endpoint: Endpoint) -> tuple[PlainAnswer, ...]:
    """A reading and a login in plain text to the TLS port; the password is random."""
    guess = secrets.token_urlsafe(12)
    body = f'{{"name":"owner","password":"{guess}"}}'
    requests = {
        "GET /v1/identity": f"GET /v1/identity HTTP/1.1\r\nHost: {endpoint.host}\r\n\r\n",
        "POST /v1/login": f"POST /v1/login HTTP/1.1\r\nHost: {endpoint.host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}",
    }
    answers = []
    for name, text in requests.items():
        received = b""
        with socket.create_connection(endpoint.peer, timeout=SECONDS) as connection:
            try:
                connection.sendall(text.encode())
                while b"\r\n\r\n" not in received and len(received) < 4096:
                    chunk = connection.recv(4096)
                    if not chunk:
                        break
                    received += chunk
            except OSError:
                pass  # closed or silent: what came so far is the answer
        answers.append(PlainAnswer(request=name, answer=received))
    return tuple(answers)


def _connected(endpoint: Endpoint, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(endpoint.peer, timeout=SECONDS)
    try:
        return context.wrap_socket(raw, server_hostname=endpoint.host)
    except BaseException:
        raw.close()
        raise


def _chain_der(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    """All certificates shown: public from Python 3.13 on, before that through the inner object."""
    if hasattr(connection, "get_unverified_chain"):
        return tuple(connection.get_unverified_chain() or ())
    inner: Any = getattr(connection, "_sslobj", None)
    shown = inner.get_unverified_chain() if inner is not None else None
    if shown:
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in shown)
    leaf = connection.getpeercert(binary_form=True)
    return (leaf,) if leaf else ()
