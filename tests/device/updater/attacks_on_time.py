"""Attacks with old and new states: rollback, freeze, fast-forward, wrong clocks."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace
from tests.device.updater.attacks import Attack, Case, nothing_before, offered, still_the_vendors
from tests.device.updater.simulator import NOW, RELEASES, ROLLOUT, unreachable
from tests.device.updater.thief import ONLINE, rotate

from limpet.device.updater.check import Outcome
from limpet.firmware.slots import BOOT_FILE, load_boot_state, save_boot_state

NETWORK = "the network, or the server's files"
SERVER = "the server with all online keys"
SIGNER = "a mistake of the release keys' holders"


# --- rollback


def seen_before(case: Case) -> None:
    """The device has seen a state; the vendor has moved on and offers a release."""
    case.bench.check()
    case.kept["old"] = case.record()
    case.repository.publish()
    case.bench.check()
    offered(case)


def _replay(case: Case) -> None:
    case.replay(case.kept["old"])


def _replay_to_emptied_cache(case: Case) -> None:
    for file in (case.bench.root / "updater" / "metadata").rglob("*"):
        if file.is_symlink() or file.is_file():
            file.unlink()
    _replay(case)


def _older_snapshot(case: Case) -> None:
    """The timestamp key alone: a newer timestamp that names an older snapshot."""
    thief = case.thief("timestamp")
    case.repository.snapshot.version -= 2
    thief.point()
    case.repository.snapshot.version += 2


def _older_releases(case: Case) -> None:
    case.thief().name_older(RELEASES, case.repository.roles[RELEASES].version - 2)


def _older_plan(case: Case) -> None:
    case.thief().name_older(ROLLOUT, case.repository.roles[ROLLOUT].version - 2)


def root_replaced(case: Case) -> None:
    """The vendor has replaced the root, and the device has seen it."""
    case.kept["old"] = case.record()
    rotate(case.repository, "timestamp")
    case.repository.publish()
    nothing_before(case)


def _hide_root(case: Case) -> None:
    """The old root's timestamp key leaked: hide the newer root from a device without its cache."""
    _replay_to_emptied_cache(case)


def _older_firmware(case: Case) -> None:
    """1.0.0 runs; 0.9.0 is validly signed, and has a hole."""
    old = case.repository.add_release(case.work, "0.9.0")
    case.repository.publish()
    case.thief()
    case.offer(old)


def counter_confirmed(case: Case) -> None:
    """The device has confirmed security counter 3."""
    path = case.bench.root / "slots" / BOOT_FILE
    save_boot_state(path, replace(load_boot_state(path), security_counter=3))
    case.sign(security_counter=3)
    case.offer()


def _lower_counter(case: Case) -> None:
    """A release between, signed before the hole was closed."""
    low = case.repository.add_release(case.work, "1.0.9", security_counter=2)
    case.repository.publish()
    case.thief()
    case.offer(low)


def _with_the_counter(case: Case) -> None:
    still_the_vendors(case)
    case.sign("2.0.0", security_counter=3)
    case.offer()


# --- freeze and time


def _freeze(days: int, *stolen: str) -> object:
    def deed(case: Case) -> None:
        if stolen:
            case.thief(*stolen).renew(days=days)
        case.bench.wall = NOW + timedelta(days=days)

    return deed


def idle_before(case: Case) -> None:
    """Nothing is offered; the device has looked once. (Then a release: the control.)"""
    case.bench.check()
    case.kept["old"] = case.record()
    offered(case)


def _frozen_fresh(case: Case) -> None:
    """A thief keeps yesterday's state fresh, without the release."""
    case.replay(case.kept["old"])
    repository = case.repository
    thief = case.thief("timestamp")
    repository.snapshot.version -= 1
    repository.timestamp.expires = NOW + timedelta(days=4)
    thief.point()
    repository.snapshot.version += 1
    case.bench.wall = NOW + timedelta(days=3)


def _long_ago(case: Case) -> None:
    """The clock is at 1970, and so is the oldest state that was ever signed, long expired."""
    case.bench.wall = datetime(1970, 1, 1, tzinfo=UTC)
    for one in (case.repository.timestamp, case.repository.snapshot):
        one.expires = case.bench.device().description.built_at - timedelta(days=1)
    case.repository.publish()


def _far_ahead(case: Case) -> None:
    case.bench.wall = datetime(2046, 1, 1, tzinfo=UTC)


def _jump(case: Case) -> None:
    """The clock jumps about; each time the device looks."""
    for year in (2046, 2027, 9998, 2100):
        case.bench.wall = datetime(year, 1, 1, tzinfo=UTC)
        case.bench.check()


def _later(case: Case) -> None:
    repository, end = case.repository, NOW + timedelta(days=3)
    for one in (repository.timestamp, repository.snapshot, *repository.roles.values()):
        one.expires = max(one.expires, end)
    still_the_vendors(case)


def _built_ahead(case: Case) -> None:
    """The build machine's clock is a generation ahead: what it says would move every device's."""
    case.sign("1.2.0", built_at=NOW.replace(year=2062))
    case.offer()


def _stated_ahead(case: Case) -> None:
    case.repository.state_support(NOW + timedelta(days=900), issued_at=NOW.replace(year=2062))


def _stated_rightly(case: Case) -> None:
    case.repository.state_support(NOW + timedelta(days=900))
    still_the_vendors(case)


# --- fast-forward


def _no_image(path: str) -> None:
    """A hook: the thief holds images back, so that the device does not move on meanwhile."""
    if path.startswith("images/"):
        unreachable(path)


def _fast_forward(case: Case) -> None:
    """Versions that the vendor will never reach again; then the vendor's own are older."""
    thief = case.thief()
    repository = case.repository
    genuine = case.record()
    kept = repository.timestamp.version, repository.snapshot.version
    rollout = repository.roles[ROLLOUT]
    versions = kept, rollout.version
    repository.timestamp.version = repository.snapshot.version = rollout.version = 1 << 40
    repository.publish()
    case.repository.hooks.append(_no_image)
    case.bench.check()
    thief.let_go()
    case.repository.hooks.clear()
    (repository.timestamp.version, repository.snapshot.version), rollout.version = versions
    case.replay(genuine)
    repository.publish()


def _fast_forward_huge(case: Case) -> None:
    """A version of four thousand digits."""
    thief = case.thief("timestamp")
    kept = case.repository.timestamp.version
    case.repository.timestamp.version = 10**4000
    thief.point()
    case.repository.hooks.append(_no_image)
    case.bench.check()
    thief.let_go()
    case.repository.hooks.clear()
    case.repository.timestamp.version = kept
    case.repository.publish()


def new_online_keys(case: Case) -> None:
    case.end()
    rotate(case.repository, *ONLINE)
    case.end()
    case.offer()


TIME: dict[str, tuple[Attack, ...]] = {
    "Rollback": (
        Attack(name="replay", title="older metadata", has=NETWORK, before=seen_before,
               deed=_replay, reason="rollback"),
        Attack(name="replay-to-emptied-cache", title="the same, after the cache was lost",
               has=NETWORK, before=seen_before, deed=_replay_to_emptied_cache, reason="rollback",
               does="keeps the versions in a record of its own, synced before anything acts on it"),
        Attack(name="older-snapshot", title="a new timestamp that names an older snapshot",
               has="the timestamp key, and the server", before=seen_before, deed=_older_snapshot,
               reason="rollback"),
        Attack(name="older-releases", title="older `releases/<model>` under a new snapshot",
               has=SERVER, before=seen_before, deed=_older_releases, reason="rollback"),
        Attack(name="older-plan", title="an older plan under a new snapshot", has=SERVER,
               before=seen_before, deed=_older_plan, reason="rollback"),
        Attack(name="hidden-root", title="the newer root is hidden, after the cache was lost",
               has="a key that the newer root has replaced", before=root_replaced,
               deed=_hide_root, reason="rollback"),
        Attack(name="older-firmware", title="an older release, validly signed", has=SERVER,
               deed=_older_firmware, reason="rollback"),
        Attack(name="lower-counter", title="a release from before a hole was closed", has=SERVER,
               before=counter_confirmed, deed=_lower_counter, reason="rollback",
               after=_with_the_counter, does="boot's record holds the counter too"),
    ),
    "Freeze": (
        Attack(name="frozen", title="the same state for ever", has=NETWORK,
               deed=_freeze(2), reason="expired-metadata",
               does="notices within the timestamp's day"),
        Attack(name="frozen-with-timestamp-key", title="the same, with ever new timestamps",
               has="the timestamp key, and the server", deed=_freeze(8, "timestamp"),
               reason="expired-metadata", does="notices within the snapshot's seven days"),
        Attack(name="frozen-with-online-keys", title="the same, with all online keys",
               has=SERVER, deed=_freeze(301, *ONLINE), reason="expired-metadata",
               does="notices when the offline signatures end",
               residual="a device learns nothing new until then: `releases/<model>` lasts a year"
                        " at most; sign it oftener where that is too long"),
        Attack(name="frozen-but-fresh", title="yesterday's state without today's release",
               has="the timestamp key, and the server", before=idle_before, deed=_frozen_fresh,
               outcome=Outcome.NOTHING,
               residual="cannot be told from a vendor with nothing to offer, until the snapshot"
                        " ends; the owner sees when the vendor was last heard, the vendor misses"
                        " the device's reports"),
    ),
    "Clocks": (
        Attack(name="clock-at-1970", title="the clock at 1970, and metadata long expired",
               has="the device's time source, and the network", deed=_long_ago,
               reason="expired-metadata", after=_later,
               does="never believes a time before what offline keys signed"),
        Attack(name="clock-at-2046", title="the clock at 2046", has="the device's time source",
               deed=_far_ahead, reason="expired-metadata",
               does="refuses, keeps no such time, and goes on checking"),
        Attack(name="jumping-clock", title="a clock that jumps between 2027 and 9998",
               has="the device's time source", deed=_jump, reason="expired-metadata"),
        Attack(name="built-ahead", title="a release that says it was built in 2062", has=SIGNER,
               deed=_built_ahead, reason="bad-date",
               does="believes no time that lies after the end of the timestamp, not even an"
                    " offline one: with it, all metadata would be expired"),
        Attack(name="stated-ahead", title="the same of a statement of support", has=SIGNER,
               deed=_stated_ahead, reason="bad-date", after=_stated_rightly),
    ),
    "Fast-forward": (
        Attack(name="fast-forward", title="versions that the vendor can never reach",
               has=SERVER, deed=_fast_forward, reason="rollback", after=new_online_keys,
               does="begins a role's versions anew once offline keys replace its keys"),
        Attack(name="fast-forward-huge", title="a version of four thousand digits",
               has="the timestamp key, and the server", deed=_fast_forward_huge,
               reason="rollback", after=new_online_keys),
    ),
}  # fmt: skip
