"""The owner's proxy: its password is kept, goes to no other proxy, and is never shown."""

from pathlib import Path

import msgspec
import pytest
from tests.device.updater.bench import Bench

from limpet.device.link import messages as m
from limpet.device.updater.engine import Engine
from limpet.errors import Rejected
from limpet.wire.codec import decode_json

PASSWORD = "for the proxy only"
PROXY = m.UpdateProxy(host="proxy.home.arpa", port=3128, user="me", password=PASSWORD)
SHOWN = msgspec.structs.replace(PROXY, password=None)


def set_policies(bench: Bench, *policies: m.UpdatePolicy) -> m.UpdatePolicy:
    """What is shown after them, in a life of the process of its own."""

    async def both(engine: Engine) -> m.UpdatePolicy:
        for policy in policies:
            engine.set_policy(policy)
        return engine.status().policy

    return bench.run(both)


def kept(bench: Bench) -> m.UpdateProxy | None:
    return bench.run(_policy).proxy


async def _policy(engine: Engine) -> m.UpdatePolicy:
    return engine.policy


def test_a_status_never_holds_the_password_and_the_file_is_the_updaters_own(bench: Bench) -> None:
    assert set_policies(bench, m.UpdatePolicy(proxy=PROXY)).proxy == SHOWN
    assert kept(bench) == PROXY, "over a restart"
    file = bench.root / "updater" / "settings" / "policy.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in "".join(map(str, bench.logged))


def test_whoever_puts_back_what_was_shown_keeps_the_password(bench: Bench) -> None:
    set_policies(bench, m.UpdatePolicy(proxy=PROXY), m.UpdatePolicy(proxy=SHOWN, automatic=False))
    assert kept(bench) == PROXY


@pytest.mark.parametrize(
    "change", [{"host": "evil.example.com"}, {"port": 3129}, {"user": "somebody"}]
)
def test_the_password_goes_to_no_other_proxy(bench: Bench, change: dict[str, object]) -> None:
    """Whoever holds an owner's token can set a proxy of his own, and gets no password by it."""
    other = msgspec.structs.replace(SHOWN, **change)
    set_policies(bench, m.UpdatePolicy(proxy=PROXY), m.UpdatePolicy(proxy=other))
    assert kept(bench) == other


def test_a_proxy_that_is_taken_away_takes_its_password_along(bench: Bench) -> None:
    set_policies(bench, m.UpdatePolicy(proxy=PROXY), m.UpdatePolicy(), m.UpdatePolicy(proxy=SHOWN))
    assert kept(bench) == SHOWN
    assert PASSWORD not in (bench.root / "updater" / "settings" / "policy.json").read_text()


@pytest.mark.parametrize(
    "bad",
    [
        b'{"host": "a b", "port": 3128}',
        b'{"host": "a\\r\\nX: y", "port": 3128}',
        b'{"host": "a/b", "port": 3128}',
        b'{"host": "proxy", "port": 0}',
        b'{"host": "proxy", "port": 65536}',
        b'{"host": "proxy", "port": 1, "user": "a:b"}',
        b'{"host": "proxy", "port": 1, "password": "a\\nb"}',
        b'{"host": "", "port": 1}',
    ],
)
def test_what_is_no_proxy_is_refused_where_it_comes_in(bad: bytes) -> None:
    """Nothing of it can end a header line of the request to the proxy."""
    with pytest.raises(Rejected):
        decode_json(b'{"proxy": ' + bad + b"}", m.UpdatePolicy, max_bytes=4096)


@pytest.mark.parametrize("good", ["proxy", "proxy.home.arpa", "192.168.1.9", "fd00::9"])
def test_names_and_addresses_are_proxies(good: str, tmp_path: Path) -> None:
    text = b'{"proxy": {"host": "' + good.encode() + b'", "port": 3128}}'
    policy = decode_json(text, m.UpdatePolicy, max_bytes=4096)
    assert policy.proxy is not None
    assert policy.proxy.host == good
