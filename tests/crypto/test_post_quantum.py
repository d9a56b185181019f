"""X25519MLKEM768 where the linked OpenSSL has it, and an honest word where it has not."""

import ssl

import pytest
from msgspec.structs import replace
from tests.crypto.test_restriction import Peers, shake, with_tls

from limpet.crypto.suites import CURRENT, Suite, TlsUse, first_suite, load_suite
from limpet.crypto.tls import available_groups

HYBRID = "X25519MLKEM768"
FIRST = load_suite(first_suite())
MISSING = HYBRID not in available_groups([HYBRID])
needs_it = pytest.mark.skipif(MISSING, reason=f"{ssl.OPENSSL_VERSION} has no {HYBRID}")


@pytest.fixture(scope="module")
def peers() -> Peers:
    return Peers()


def groups(suite: Suite) -> list[tuple[str, ...]]:
    return [suite.tls_rules(use).groups for use in TlsUse]


def test_the_suite_in_force_prefers_it_in_every_use_and_the_first_one_has_none() -> None:
    assert [found[0] for found in groups(CURRENT)] == [HYBRID] * len(TlsUse)
    assert not any(HYBRID in found for found in groups(FIRST))


@needs_it
@pytest.mark.parametrize("use", [TlsUse.LOCAL, TlsUse.VENDOR])
def test_peers_that_have_nothing_else_shake_hands(peers: Peers, use: TlsUse) -> None:
    only = with_tls(groups=(HYBRID,))
    shake(peers.server(only, use), peers.client(CURRENT, use))
    shake(peers.server(CURRENT, use), peers.client(only, use))


@needs_it
def test_where_the_suite_does_not_name_it_openssls_default_does_not_bring_it_in(
    peers: Peers,
) -> None:
    only = with_tls(groups=(HYBRID,))
    with pytest.raises(ssl.SSLError):
        shake(peers.server(FIRST), peers.client(only))
    with pytest.raises(ssl.SSLError):
        shake(peers.server(only), peers.client(FIRST))


@pytest.mark.skipif(not MISSING, reason=f"{ssl.OPENSSL_VERSION} has {HYBRID}")
def test_without_it_the_rest_of_the_suite_serves_and_the_lack_is_told(peers: Peers) -> None:
    usable = available_groups(CURRENT.tls_rules(TlsUse.LOCAL).groups)
    assert usable == ("x25519", "secp256r1", "secp384r1")
    shake(peers.server(), peers.client())


def test_a_peer_from_before_still_gets_a_classical_group(peers: Peers) -> None:
    """A fleet and its owners are not updated in one moment."""
    classical = replace(CURRENT, tls=FIRST.tls)
    shake(peers.server(), peers.client(classical))
    shake(peers.server(classical), peers.client())
