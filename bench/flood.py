"""`./run bench flood`: what the owner feels while thousands of addresses flood the device.

Owns the figures and their targets; the siege itself is `tests/attack/siege.py`. Needs root.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.attack.network import NoNetwork, inside, network
from tests.attack.siege import (
    KINDS,
    SLOW,
    TIMES_CAPACITY,
    Siege,
    besiege,
    measure_capacity,
    memory_mib,
    percentile,
    settled,
)
from tests.end_to_end.living_device import Owner, living_device

__all__ = ["main"]

WINDOWS, SECONDS = 4, 6.0
LATENCY_FACTOR, LOGIN_SECONDS, RECOVERY_SECONDS, MEMORY_MIB = 3.0, 1.0, 5.0, 64.0


def judge(siege: Siege) -> bool:
    """Whether every target is met."""
    return (
        siege.ratio <= LATENCY_FACTOR
        and max(siege.logins) < LOGIN_SECONDS
        and siege.recovered < RECOVERY_SECONDS
        and siege.memory_most - siege.memory_before < MEMORY_MIB
    )


def describe(siege: Siege) -> str:
    """One line of the table."""
    idle, under = percentile(siege.idle) * 1e3, percentile(siege.under) * 1e3
    worked = siege.sent["answered"] + siege.sent["answers"]
    return (
        f"{siege.kind:<14}{siege.offered:>9.0f}{worked / siege.seconds:>9.0f}"
        f"{idle:>9.1f}{under:>9.1f}{siege.ratio:>7.1f}{max(siege.logins):>8.2f}"
        f"{siege.recovered:>9.2f}{siege.memory_before:>8.0f}{siege.memory_most:>6.0f}"
        f"{siege.gateway_share:>7.0%}  {'met' if judge(siege) else 'MISSED'}"
    )


def run(show: Callable[[str], None], directory: Path) -> bool:
    """Besiege a device with every kind of flood; whether every target is met."""
    with (
        network() as net,
        inside(net.device),
        living_device(directory, "--listen", "0.0.0.0:0") as living,
        settled(living),
    ):
        awake = memory_mib(living)
        capacity = measure_capacity(living)
        show(
            f"capacity of one core: {capacity.connections:.0f} new TLS connections/s, "
            f"{capacity.requests:.0f} requests/s"
        )
        owner = Owner(living)
        owner.claim()
        rate = TIMES_CAPACITY * capacity.connections
        show(
            f"targets: ratio {LATENCY_FACTOR:g}, login {LOGIN_SECONDS:g} s, recovery "
            f"{RECOVERY_SECONDS:g} s, {MEMORY_MIB:g} MiB more than before"
        )
        show(
            f"{'flood':<14}{'began/s':>9}{'served/s':>9}{'idle p99':>9}{'p99 ms':>9}{'ratio':>7}"
            f"{'login s':>8}{'recov. s':>9}{'MiB':>8}{'most':>6}{'core':>7}"
        )
        met = True
        slow = SLOW if shutil.which("slowhttptest") else ()
        if not slow:
            show("slowhttptest is not installed: the slow floods were not made")
        for kind in (*KINDS, *slow):
            siege = besiege(
                living, owner, kind, net, rate=rate, windows=WINDOWS, seconds=SECONDS, awake=awake
            )
            show(describe(siege))
            met = met and judge(siege)
        return met


def main() -> int:
    """Print the table; 1 if a target is missed, 3 if the network cannot be made."""
    with tempfile.TemporaryDirectory(prefix="limpet-flood-") as name:
        try:
            return 0 if run(lambda line: print(line, flush=True), Path(name)) else 1
        except NoNetwork as error:
            print(f"bench: {error}: the floods were not made")
            return 3
