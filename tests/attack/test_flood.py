"""R2.2.1, R2.2.3: floods at ten times the device's capacity, from thousands of addresses.

The capacity is measured in the same run. Needs root, for network namespaces.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.attack.network import Network, inside
from tests.attack.siege import (
    KINDS,
    TIMES_CAPACITY,
    Capacity,
    Siege,
    besiege,
    measure_capacity,
    memory_mib,
    percentile,
    settled,
)
from tests.end_to_end.living_device import Living, Owner, living_device

from limpet.device.accounts.throttle import PASSWORD, most_guesses
from limpet.https.admission import DEVICE

WINDOWS, SECONDS = 3, 4.0
LATENCY_FACTOR = 3
LATENCY_FLOOR = 0.02  # seconds: on a busy machine the factor alone measures the machine
LOGIN_SECONDS = 1.0
RECOVERY_SECONDS = 5.0
MEMORY_MIB = 64.0  # more than idle, over all roles; one Argon2id hash takes 19
GATEWAY_SHARE = 0.6  # of a core; undefended, a flood takes all of it

pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(900)]


@dataclass
class Field:
    living: Living
    owner: Owner
    network: Network
    capacity: Capacity
    awake: float  # MiB, all roles


@pytest.fixture(scope="module")
def field(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    directory = tmp_path_factory.mktemp("siege")
    with (
        inside(net.device),
        living_device(directory, "--listen", "0.0.0.0:0") as living,
        settled(living),
    ):
        awake = memory_mib(living)
        capacity = measure_capacity(living)
        owner = Owner(living)
        owner.claim()
        yield Field(living, owner, net, capacity, awake)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_at_ten_times_the_capacity_leaves_the_owner_quick(field: Field, kind: str) -> None:
    rate = TIMES_CAPACITY * field.capacity.connections
    siege = besiege(
        field.living,
        field.owner,
        kind,
        field.network,
        rate=rate,
        windows=WINDOWS,
        seconds=SECONDS,
        awake=field.awake,
    )
    _tell(siege, field.capacity)
    # It was a flood: it began ten times what the device can do, or the device took no more of it.
    assert siege.sent["full"] > 0 or siege.offered > 0.9 * rate
    assert percentile(siege.under) <= max(LATENCY_FACTOR * percentile(siege.idle), LATENCY_FLOOR)
    assert max(siege.logins) < LOGIN_SECONDS
    assert siege.recovered < RECOVERY_SECONDS
    assert siege.memory_most - siege.memory_before < MEMORY_MIB
    assert siege.gateway_share < GATEWAY_SHARE
    # Of all that strangers began, the device worked on what their turns allow.
    assert DEVICE.pace is not None
    turns = DEVICE.pace.burst * WINDOWS + DEVICE.pace.per_second * siege.seconds
    assert siege.sent["answered"] + siege.sent["answers"] <= 1.1 * turns


def test_guesses_in_a_flood_of_logins_stay_within_the_bound(field: Field) -> None:
    """Counted by the device itself: its log has a line for each guess that was checked."""
    lines = (field.living.device.root / "accounts" / "events.jsonl").read_text().splitlines()
    failed = sum(json.loads(line)["event"] == "login-failed" for line in lines)
    assert 1 <= failed <= most_guesses(PASSWORD, 1)


def _tell(siege: Siege, capacity: Capacity) -> None:
    what = "requests" if siege.sent["requests"] else "connections"
    print(
        f"{siege.kind}: {siege.offered:.0f} {what}/s offered, capacity {capacity.connections:.0f} "
        f"connections/s, {capacity.requests:.0f} requests/s; owner's p99 "
        f"{percentile(siege.under) * 1e3:.1f} ms, idle {percentile(siege.idle) * 1e3:.1f}: "
        f"{siege.ratio:.1f}x; login {max(siege.logins):.2f} s; recovery {siege.recovered:.2f} s; "
        f"gateway {siege.gateway_share:.0%} of a core; memory {siege.memory_before:.0f} to "
        f"{siege.memory_most:.0f} MiB; {dict(siege.sent)}"
    )
