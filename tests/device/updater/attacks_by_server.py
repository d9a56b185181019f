"""What the thief of a whole server tries: rush, stop, starve, and speak for the owner.

The thief has every online key, the TLS certificate and the files: the device is told nothing that
it could tell from the vendor's word. What it installs is still what the offline keys signed, no
sooner than they said by its clock.
"""

from datetime import timedelta

from tests.device.updater.attacks import Attack, Case
from tests.device.updater.simulator import NOW, unreachable

from limpet.device.updater.check import Outcome
from limpet.wire.release import Bounds
from limpet.wire.rollout import PlanState

SERVER = "the server with all online keys"
FILES = "the network, or the server's files"

_SLOW = Bounds(
    not_before=NOW - timedelta(minutes=1),
    minimum_duration_seconds=100 * 86_400,
    largest_step_ppm=1_000_000,
)
_STEPWISE = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=250_000)
_TOMORROW = Bounds(
    not_before=NOW + timedelta(days=1), minimum_duration_seconds=0, largest_step_ppm=1_000_000
)


def _rush(case: Case) -> None:
    case.sign("1.2.0", bounds=_SLOW)
    case.repository.publish()
    case.thief()
    case.offer(previous_ppm=1_000_000)


def _rush_by_clock(case: Case) -> None:
    """The clock is set ahead to the ramp's end, and the metadata lasts so long."""
    case.sign("1.2.0", bounds=_SLOW)
    case.repository.publish()
    thief = case.thief()
    case.offer(previous_ppm=1_000_000)
    thief.renew(days=101)
    case.bench.wall = NOW + timedelta(days=101)


def _rush_by_name(case: Case) -> None:
    """Each device is told that it is the one canary."""
    case.sign("1.2.0", bounds=_SLOW)
    case.repository.publish()
    case.thief()
    case.name(case.bench.serial)


def _too_soon(case: Case) -> None:
    case.sign("1.2.0", bounds=_TOMORROW)
    case.repository.publish()
    case.thief()
    case.name(case.bench.serial)


def _one_step(case: Case) -> None:
    case.sign("1.2.0", bounds=_STEPWISE)
    case.repository.publish()
    case.thief()
    case.offer()


def _speak_for_the_owner(case: Case) -> None:
    case.sign("1.2.0", interface_version=2)
    case.repository.publish()
    case.thief()
    case.name(case.bench.serial)


def _halt(case: Case) -> None:
    case.thief()
    case.offer(state=PlanState.HALTED)


def _pause(case: Case) -> None:
    case.thief()
    case.offer(state=PlanState.PAUSED)


def _hide(case: Case) -> None:
    case.thief()
    case.repository.plan = None
    case.offer(state=PlanState.IDLE, release=None)


def _without(part: str) -> object:
    def deed(case: Case) -> None:
        names = [name for name in case.repository.files if part in name]
        for name in names:
            del case.repository.files[name]

    return deed


def _silent(case: Case) -> None:
    case.repository.hooks.append(unreachable)


def _garbage(case: Case) -> None:
    for name in case.repository.files:
        case.repository.files[name] = b"\xff\x00 nothing that anybody signed"


SERVER_ATTACKS: dict[str, tuple[Attack, ...]] = {
    "A stolen server rushes": (
        Attack(name="rush", title="everybody at once", has=SERVER, deed=_rush,
               outcome=Outcome.HELD, reason="ramp",
               does="waits for its own place in the time that was signed offline"),
        Attack(name="rush-by-clock", title="everybody at once, on devices whose clock is set ahead",
               has="the server with all online keys, and the device's time source",
               deed=_rush_by_clock, outcome=Outcome.READY, after=None,
               residual="the ramp, a release's first day and the owner's waits end with the clock,"
                        " which gets no further than the offline signatures: a year at most."
                        " Nothing unsigned is installed. Let devices take their time from where a"
                        " thief of the server does not sit"),
        Attack(name="rush-by-name", title="every device is called a canary", has=SERVER,
               deed=_rush_by_name, outcome=Outcome.HELD, reason="ramp",
               does="goes first only if the offline keys named it"),
        Attack(name="too-soon", title="before its day", has=SERVER, deed=_too_soon,
               outcome=Outcome.HELD, reason="ramp"),
        Attack(name="one-step", title="a step larger than was signed", has=SERVER,
               deed=_one_step, reason="out-of-bounds"),
        Attack(name="speak-for-the-owner", title="a change of interface, without the owners",
               has=SERVER, deed=_speak_for_the_owner, outcome=Outcome.HELD,
               reason="interface-change",
               does="takes the owner's word from its own page and API only"),
    ),
    "A stolen server stops": (
        Attack(name="halt-for-ever", title="a rollout halted for ever", has=SERVER, deed=_halt,
               outcome=Outcome.HELD, reason="halted",
               residual="a delay: the owner sees who holds the update"),
        Attack(name="pause-for-ever", title="a rollout paused for ever", has=SERVER, deed=_pause,
               outcome=Outcome.HELD, reason="paused", residual="a delay, as above"),
        Attack(name="offer-hidden", title="nothing is offered any more", has=SERVER, deed=_hide,
               outcome=Outcome.NOTHING,
               residual="a delay, until the vendor has its server back and replaces the keys"),
        Attack(name="image-missing", title="the image is gone", has=FILES,
               deed=_without("images/"), outcome=Outcome.UNAVAILABLE, reason="missing-file",
               residual="a delay"),
        Attack(name="metadata-missing", title="the snapshots are gone", has=FILES,
               deed=_without(".snapshot.json"), outcome=Outcome.UNAVAILABLE, reason="missing-file",
               residual="a delay"),
        Attack(name="silence", title="no answer at all", has=FILES, deed=_silent,
               outcome=Outcome.UNAVAILABLE, reason="unreachable",
               does="waits longer each time, a day at most", residual="a delay"),
        Attack(name="garbage", title="garbage in every file", has=FILES, deed=_garbage,
               reason="malformed", residual="a delay"),
    ),
}  # fmt: skip
