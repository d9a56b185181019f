"""A retired algorithm of TLS is neither offered nor accepted, however OpenSSL is configured."""

import os
import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from limpet.crypto._hello import parse_hello
from limpet.crypto._restriction import available_groups, restrict, verify_restricted
from limpet.crypto.certificates import Issuer, issue_operational, issue_service, make_root
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.suites import CURRENT, Suite, TlsUse
from limpet.crypto.tls import client_context, server_context
from limpet.errors import Misuse, Unavailable

NOW = datetime.now(UTC)
USES = [TlsUse.LOCAL, TlsUse.VENDOR]


def with_tls(**changes: Sequence[str]) -> Suite:
    """The suite in force with other rules for TLS, in every use."""
    lists = {name: tuple(names) for name, names in changes.items()}
    rules = {use.value: replace(CURRENT.tls_rules(use), **lists) for use in TlsUse}
    return replace(CURRENT, tls=replace(CURRENT.tls, **rules))


def with_certificates(**changes: Sequence[str]) -> Suite:
    return replace(CURRENT, certificates=replace(CURRENT.certificates, **changes))


class Peers:
    """An authority with a service, and a device that has a client certificate of it."""

    def __init__(self, suite: Suite = CURRENT) -> None:
        self.root = make_root("root", now=NOW, suite=suite)
        self.key = generate_key(suite)
        self.chain = issue_service(
            self.root, self.key, hostnames=("localhost",), now=NOW, suite=suite
        )
        self.client_key = generate_key(suite)
        request = make_request(
            self.client_key, model="m", serial="S-1", purpose=Purpose.CLIENT, suite=suite
        )
        self.client_chain = issue_operational(
            self.root,
            verify_request(request, suite=suite),
            now=NOW,
            lifetime=datetime(2100, 1, 1, tzinfo=UTC) - NOW,
            suite=suite,
        )

    def server(self, suite: Suite = CURRENT, use: TlsUse = TlsUse.LOCAL, **more: Any) -> Any:
        return server_context(self.chain, self.key, suite=suite, use=use, **more)

    def client(self, suite: Suite = CURRENT, use: TlsUse = TlsUse.LOCAL, **more: Any) -> Any:
        return client_context(roots_pem=self.root.certificate_pem(), suite=suite, use=use, **more)


@pytest.fixture(scope="module")
def peers() -> Peers:
    return Peers()


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """A whole handshake in memory and a byte each way; the server's end. Raises `ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far) * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    near.write(b"?")
    assert far.read(1) == b"?"
    far.write(b"!")
    assert near.read(1) == b"!"
    return far


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("rule", "left", "retired"),
    [
        ("groups", ("secp384r1",), ("x25519", "secp256r1")),
        ("ciphers", ("TLS_AES_256_GCM_SHA384",), ("TLS_AES_128_GCM_SHA256",)),
        ("signatures", ("ecdsa_secp384r1_sha384",), ("ecdsa_secp256r1_sha256",)),
    ],
)
def test_a_peer_that_has_only_what_was_retired_is_refused_by_server_and_by_client(
    use: TlsUse, rule: str, left: Sequence[str], retired: Sequence[str]
) -> None:
    old, new = with_tls(**{rule: retired}), with_tls(**{rule: left})
    on_p384 = with_certificates(curves=("secp384r1",))
    before, after = Peers(), Peers(on_p384) if rule == "signatures" else Peers()
    shake(before.server(old, use), before.client(CURRENT, use))
    shake(after.server(new, use), after.client(CURRENT, use))
    with pytest.raises(ssl.SSLError):  # the server has retired it
        shake(after.server(new, use), after.client(old, use))
    with pytest.raises(ssl.SSLError):  # the client has retired it
        shake(before.server(old, use), before.client(new, use))


def test_tls_1_2_is_no_way_around_it(peers: Peers) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(cadata=peers.root.certificate_pem().decode())
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake(peers.server(), old)


@pytest.mark.parametrize("what", ["curves", "hashes"])
def test_a_certificate_of_a_retired_kind_is_refused_in_the_handshake_from_either_side(
    peers: Peers, what: str
) -> None:
    """OpenSSL would take it: what it bounds by itself is strength, not what a suite names."""
    changes = {"curves": ("secp384r1",), "hashes": ("sha384",)}[what]
    later = with_certificates(**{what: changes})
    shown = {"chain_pem": peers.client_chain, "key": peers.client_key}
    roots = {"client_roots_pem": peers.root.certificate_pem(), "require_client": True}
    shake(peers.server(**roots), peers.client(**shown))
    with pytest.raises(ssl.SSLCertVerificationError, match="too weak"):
        shake(peers.server(), peers.client(later))
    with pytest.raises(ssl.SSLCertVerificationError, match="too weak"):
        shake(peers.server(later, **roots), peers.client(**shown))


def test_a_client_certificate_that_proves_itself_by_a_retired_algorithm_is_refused() -> None:
    """The server's own key is another one: what it must not accept is the client's signature."""
    on_p384 = with_certificates(curves=("secp384r1",))
    old, new = Peers(), Peers(on_p384)
    later = with_tls(signatures=("ecdsa_secp384r1_sha384",))
    asks = {"client_roots_pem": old.root.certificate_pem(), "require_client": True}
    shown = {"chain_pem": old.client_chain, "key": old.client_key}
    shake(new.server(**asks), new.client(**shown))
    with pytest.raises(ssl.SSLError):
        shake(new.server(later, **asks), new.client(**shown))


def test_a_weak_authority_above_a_sound_certificate_is_refused() -> None:
    """Of a chain every link counts: here the root alone is on a curve that was retired."""
    weak_root, sound = make_root("root", now=NOW), with_certificates(curves=("secp384r1",))
    key = ec.generate_private_key(ec.SECP384R1())
    chain = issue_service(weak_root, key, hostnames=("localhost",), now=NOW)
    server = server_context(chain, key)
    roots = weak_root.certificate_pem()
    shake(server, client_context(roots_pem=roots))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(server, client_context(roots_pem=roots, suite=sound))


def test_an_app_may_call_a_server_whose_certificate_others_made(peers: Peers) -> None:
    """Its chain is bounded by OpenSSL's security level; TLS itself by the suite all the same."""
    elsewhere = with_certificates(curves=("secp384r1",))
    shake(peers.server(), peers.client(elsewhere, TlsUse.OUTBOUND))
    narrow = with_tls(groups=("secp384r1",))
    with pytest.raises(ssl.SSLError):
        shake(peers.server(with_tls(groups=("x25519",))), peers.client(narrow, TlsUse.OUTBOUND))


def test_new_keys_and_signatures_are_of_what_the_suite_has_left() -> None:
    later = with_certificates(curves=("secp384r1",), hashes=("sha512",))
    root: Issuer = make_root("root", now=NOW, suite=later)
    key: TlsKey = generate_key(later)
    assert key.curve.name == "secp384r1"
    assert root.certificate.signature_hash_algorithm is not None
    assert root.certificate.signature_hash_algorithm.name == "sha512"


# --- that it is really so: what OpenSSL does is looked at, not what it was told


def test_a_hello_offers_the_suite_and_nothing_else(peers: Peers) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        peers.client().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    offered = parse_hello(outgoing.read())
    assert offered.versions == (0x0304,)
    assert set(offered.groups) - {0x11EC} == {0x001D, 0x0017, 0x0018}
    assert (0x11EC in offered.groups) == ("X25519MLKEM768" in available_groups(["X25519MLKEM768"]))
    assert offered.signatures == (0x0403, 0x0503)
    assert set(offered.ciphers) == {0x1301, 0x1302, 0x1303}


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x15" * 80, b"\x16\3\1\0\1\1" + b"\xff" * 60])
def test_what_is_no_hello_is_told_apart(data: bytes) -> None:
    with pytest.raises(Misuse):
        parse_hello(data)


def test_a_client_whose_restriction_got_lost_is_not_used() -> None:
    rules = CURRENT.tls_rules(TlsUse.LOCAL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    restrict(context, rules)
    verify_restricted(context, rules)
    context.set_ecdh_curve("secp521r1")  # Python's own call replaces the list
    with pytest.raises(Unavailable, match="other algorithms"):
        verify_restricted(context, rules)


def test_a_server_whose_restriction_got_lost_is_not_used(peers: Peers) -> None:
    rules = CURRENT.tls_rules(TlsUse.LOCAL)
    context = peers.server()
    verify_restricted(context, rules)
    context.set_ecdh_curve("secp521r1")
    with pytest.raises(Unavailable):
        verify_restricted(context, rules)
    fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # never held to anything
    fresh.minimum_version = ssl.TLSVersion.TLSv1_3
    with pytest.raises(Unavailable):
        verify_restricted(fresh, rules)


def test_a_server_that_accepts_more_than_the_suite_is_noticed(peers: Peers, tmp_path: Path) -> None:
    """It answers whom it should, and somebody else as well."""
    rules = CURRENT.tls_rules(TlsUse.LOCAL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    restrict(context, replace(rules, groups=("x25519", "secp256r1", "secp384r1", "secp521r1")))
    from limpet.crypto.keys import key_to_pem

    for name, data in (("chain", peers.chain), ("key", key_to_pem(peers.key))):
        (tmp_path / name).write_bytes(data)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    with pytest.raises(Unavailable, match="not in the suite"):
        verify_restricted(context, rules)


def test_a_server_is_not_started_with_a_key_that_no_client_of_the_suite_accepts() -> None:
    with pytest.raises(Unavailable, match="no client of the suite"):
        Peers().server(with_tls(signatures=("ecdsa_secp384r1_sha384",)))


def test_rules_of_which_this_openssl_knows_nothing_stop_the_start(peers: Peers) -> None:
    unknown = [g for g in ("X25519MLKEM768", "SecP384r1MLKEM1024") if not available_groups([g])]
    if not unknown:
        unknown = ["brainpoolP256r1tls13x"]
    for make in (peers.client, peers.server):
        with pytest.raises(Unavailable, match="cannot be held"):
            make(with_tls(groups=unknown))


def test_no_configuration_of_openssl_widens_what_is_offered(tmp_path: Path) -> None:
    """OPENSSL_CONF may hold anything: a system's policy, or what a person left there."""
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
        "Groups = P-521:X448:P-256\nCiphersuites = TLS_AES_128_CCM_SHA256\n"
        "SignatureAlgorithms = RSA+SHA1:ECDSA+SHA1:ECDSA+SHA256\nMinProtocol = TLSv1\n"
    )
    program = (
        "from tests.crypto.test_restriction import Peers, shake\n"
        "from tests.crypto import test_restriction as t\n"
        "p = Peers()\n"
        "t.test_a_hello_offers_the_suite_and_nothing_else(p)\n"
        "shake(p.server(), p.client())\n"
    )
    environment = {**os.environ, "OPENSSL_CONF": str(configuration)}
    lax = "import ssl; print(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).get_ciphers()[0]['name'])"
    command = [sys.executable, "-c"]
    control = subprocess.run([*command, lax], env=environment, capture_output=True, text=True)
    assert "CCM" in control.stdout, "the file is obeyed by a context that nobody restricts"
    subprocess.run([*command, program], env=environment, check=True, timeout=150)
