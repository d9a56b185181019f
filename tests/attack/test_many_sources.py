"""R2.2.1: guesses from hundreds of real addresses, IPv4 ones and IPv6 networks, by real tools.

Needs root, for network namespaces. What was really checked is counted by the device's own
log, not by what the tool was told.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.attack.network import (
    DEVICE_V4,
    DEVICE_V6,
    Network,
    inside,
    source_v4,
    source_v6,
)
from tests.device.gateway.attack_servers import (
    careless_login,
    careless_server,
    relay_to,
    server_certificate,
)
from tests.device.gateway.conftest import PASSWORD, Person, Stand, begin
from tests.device.gateway.guessers import hydra, word_list

from limpet.device.accounts.throttle import PASSWORD as THROTTLE
from limpet.device.accounts.throttle import most_guesses
from limpet.https.admission import source_of

SOURCES = 300
GUESSERS_AT_ONCE = 24
CROWD, CROWD_SECONDS, PATIENCE = 100, 10.0, 120.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Family:
    listen: str
    address: str
    source: Callable[[int], str]


FAMILIES = {
    "ipv4": Family("0.0.0.0:0", DEVICE_V4, source_v4),
    "ipv6": Family("[::]:0", DEVICE_V6, source_v6),
}


@dataclass
class Field:
    stand: Stand
    owner: Person
    network: Network
    family: Family
    begun: float

    def checked(self) -> int:
        """Guesses that the device looked at, by its own security log."""
        lines = (self.stand.root / "accounts" / "events.jsonl").read_text().splitlines()
        return sum(json.loads(line)["event"] == "login-failed" for line in lines)

    def bound(self) -> float:
        """As docs/authentication.md states it, for the time since the device began."""
        return most_guesses(THROTTLE, (time.monotonic() - self.begun) / 3600)


@pytest.fixture(params=FAMILIES)
def field(request: pytest.FixtureRequest, net: Network, tmp_path: Path) -> Iterator[Field]:
    family = FAMILIES[request.param]
    with inside(net.device):
        begun = time.monotonic()
        stand = begin(tmp_path, listen=family.listen)
        try:
            owner = Person(stand)
            owner.claim()
            yield Field(stand, owner, net, family, begun)
        finally:
            stand.close()


def test_hydra_from_300_addresses_does_not_find_the_planted_password(
    field: Field, tmp_path: Path
) -> None:
    roots = field.stand.device_root.certificate_pem()
    words = word_list(tmp_path, PASSWORD, guesses=SOURCES)
    address, source = field.family.address, field.family.source
    certificate = server_certificate(field.stand.device_root, tmp_path)
    with (
        careless_server(careless_login(PASSWORD), certificate, host=address) as port,
        inside(field.network.attacker),
        relay_to(port, roots, host=address, source=source) as relay,
    ):
        assert hydra(relay.port, words), "the control failed: this run would prove nothing"
    assert field.checked() == 0
    with (
        inside(field.network.attacker),
        relay_to(field.stand.port, roots, host=address, source=source) as relay,
    ):
        assert not hydra(relay.port, words)
    assert PASSWORD in relay.passwords  # it was tried, and not looked at
    assert len({source_of(one) for one in relay.sources}) >= SOURCES
    assert relay.statuses[201] == 0
    assert 1 <= field.checked() <= field.bound()
    assert relay.statuses[401] <= field.checked()
    print(f"{relay.statuses} from {len(relay.sources)} addresses; checked {field.checked()}")
    _verify_owner_gets_in(field)


def test_a_crowd_that_guesses_at_once_gets_no_more_than_one_guesser(field: Field) -> None:
    """No tool between: as many at once as connections are let in, each guess a new address."""
    roots = field.stand.device_root.certificate_pem()
    over = time.monotonic() + CROWD_SECONDS
    with (
        inside(field.network.attacker),
        relay_to(
            field.stand.port, roots, host=field.family.address, source=field.family.source
        ) as relay,
    ):

        def is_over() -> bool:  # once it was a crowd, however slow the machine is
            left = over - time.monotonic()
            return left < 0 and (relay.statuses.total() > CROWD or left < -PATIENCE)

        threads = [
            threading.Thread(target=_guess_until, args=(relay.guess, number, is_over))
            for number in range(GUESSERS_AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE + 60)
    print(f"{relay.statuses} from {len(relay.sources)} addresses; checked {field.checked()}")
    assert relay.statuses.total() > CROWD
    assert len({source_of(one) for one in relay.sources}) > CROWD
    assert relay.statuses[201] == 0
    assert 1 <= field.checked() <= field.bound()
    _verify_owner_gets_in(field)


def _guess_until(
    guess: Callable[[str, str], object], number: int, is_over: Callable[[], bool]
) -> None:
    count = 0
    while not is_over():
        count += 1
        guess("owner", f"guess {number} {count} of very many")


def _verify_owner_gets_in(field: Field) -> None:
    body = {"name": "owner", "password": PASSWORD, "known": field.owner.known}
    begun = time.monotonic()
    assert field.owner.ask("POST", "/v1/login", body, token="")[0] == 201
    assert time.monotonic() - begun < 8  # no stranger's deadline is waited for
