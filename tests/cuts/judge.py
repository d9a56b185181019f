"""Starting a device from a state, as far as one process can: boot's choice, what each role loads.

Owns what must hold after every power cut. The code that chooses, verifies and reads is the
device's own; what it finds is compared with what was promised at that moment.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from tests.cuts.life import BAD, FIRST, GOOD, PASSWORDS
from tests.cuts.promises import Promises

from limpet.crypto.passwords import verify_password
from limpet.device.accounts.events import SecurityLog
from limpet.device.accounts.store import Records, Store
from limpet.device.app._history import History
from limpet.device.app._state import State
from limpet.device.boot._choice import choose_slot
from limpet.device.gateway.announcement import FILE as ANNOUNCEMENT_FILE
from limpet.device.keeper._floor import raise_time_floor
from limpet.device.keeper._store import FileKeyStore
from limpet.device.link.identity import load_identity
from limpet.device.link.journal import Journal
from limpet.device.link.messages import ClaimState, UpdatePolicy
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._slots import SlotKeeper, finish_erasing
from limpet.device.updater.floor import load_floor
from limpet.device.updater.policy import load_policy
from limpet.device.updater.progress import load_progress
from limpet.device.updater.reports import ReportQueue
from limpet.device.updater.rest import take_rest
from limpet.errors import LimpetError
from limpet.firmware.description import load_description
from limpet.firmware.slots import TRIES, BootState, StartChoice, load_boot_state

__all__ = ["AT", "judge", "load_app", "look", "quiet_journal"]

AT = datetime(2026, 11, 27, tzinfo=UTC)
ROLES = ("keeper", "accounts", "app", "updater", "gateway", "announcer")


def load_app(root: Path) -> State[dict[str, Any]]:
    """The thermostat's durable value, as its start loads it: what a trial left is taken over."""
    return State(root / "app", "settings", dict[str, Any], default={})


def quiet_journal(root: Path) -> Journal:
    """Boot's log."""
    return Journal(root, clock=lambda: AT, monotonic=lambda: 0.0)


def judge(root: Path, promises: Promises) -> list[str]:
    """Everything that is wrong with the device at `root` after a power cut; empty: it starts, and
    keeps what it promised. Changes the directory as a start does."""
    try:
        load_identity(root)
        choice = choose_slot(root, quiet_journal(root)).choice
    except LimpetError as error:
        return [f"boot: {error.message}"]
    problems = list(_boot(choice, load_boot_state(root / "slots" / "boot.json"), promises))
    try:  # as the supervisor does, before any role runs
        finish_erasing(root)
        SlotKeeper(Start(role=Role.SUPERVISOR, root=root, slot=choice.slot)).settle_state()
    except LimpetError as error:
        problems.append(f"supervisor: {error.message}")
    return problems + look(root, promises)


def look(root: Path, promises: Promises) -> list[str]:
    """What is wrong with what each role loads, once boot has chosen."""
    problems = []
    for role in ROLES:
        (root / role).mkdir(exist_ok=True)  # as the supervisor does
    for name, find in _LOOKS.items():
        try:
            problems += [f"{name}: {one}" for one in find(root, promises)]
        except LimpetError as error:
            problems.append(f"{name}: {error.message}")
    return problems


def _boot(choice: StartChoice, after: BootState, promises: Promises) -> Iterator[str]:
    """The slot that starts is one that may, and no try of a trial is given back."""
    version = choice.record.version
    if version == FIRST and promises.confirmed:
        yield f"boot: {FIRST} starts although {promises.confirmed} was confirmed"
    if version == promises.rejected or (version == BAD and not choice.on_trial):
        yield f"boot: {version} starts, which was rejected"
    if version not in (FIRST, GOOD, BAD):
        yield f"boot: an unknown version {version}"
    tried, count = promises.tried
    if choice.on_trial and version == tried and after.trial is not None:
        spent = TRIES - after.trial.tries_left
        if spent < min(count + 1, TRIES):
            yield f"boot: start {count + 1} of a trial counts as {spent}"


def _keeper(root: Path, promises: Promises) -> Iterator[str]:
    del promises
    store = FileKeyStore(root / "keeper")
    store.prepare()
    store.public_key()
    store.chain()
    raise_time_floor(root / "keeper", AT)
    yield from ()


def _accounts(root: Path, promises: Promises) -> Iterator[str]:
    records = Store.load(root / "accounts").records
    SecurityLog(root / "accounts", lambda: AT).read(100)
    found = password_of(records)
    if promises.is_erased:
        if found is not None or records.tokens:
            yield f"the password {found!r} is there after an answered reset"
        if records.state not in (ClaimState.RESETTING, ClaimState.UNCLAIMED):
            yield f"the state is {records.state} after an answered reset"
        return
    if found not in promises.password and not (promises.may_be_erased and found is None):
        yield f"the password is {found!r}, not {_list(promises.password)}"
    labels = {one.label for one in records.tokens}
    if missing := promises.tokens - labels:
        yield f"tokens are lost: {_list(missing)}"
    if undead := promises.gone & labels:
        yield f"revoked tokens are back: {_list(undead)}"


def password_of(records: Records) -> str | None:
    """The owner's password, None without an owner, "?" if it is none that was ever set."""
    verifiers = [one.phc for one in records.accounts if one.name == "owner"]
    return _password_behind(verifiers[0]) if verifiers else None


@lru_cache
def _password_behind(phc: str) -> str:
    for password in PASSWORDS:
        try:
            verify_password(password, phc)
        except LimpetError:
            continue
        return password
    return "?"


def _updater(root: Path, promises: Promises) -> Iterator[str]:
    own = root / "updater"
    default = UpdatePolicy(automatic=True)
    _, damage = load_floor(own / "floor.json", built_at=AT, security_counter=0)
    if damage:
        yield damage
    _, damage = load_progress(own / "progress.json")
    if damage:
        yield damage
    take_rest(own / "rest.json", version=FIRST)
    queued = len(list((own / "reports").glob("[0-9]*.json")))
    if len(ReportQueue(own / "reports", model="thermostat").waiting()) != queued:
        yield "a report is damaged"
    policy = load_policy(own / "settings" / "policy.json", default=default)
    minute = policy.window.start_minute if policy != default else None
    if not _is_kept(minute, promises.window, promises):
        yield f"the window begins at {minute}, not {_list(promises.window)}"


def _app(root: Path, promises: Promises) -> Iterator[str]:
    settings = load_app(root)
    if settings.damage:
        yield settings.damage
    History(root / "app", "history", dict).read(10)
    target = (settings.value.get("hold") or {}).get("celsius")
    if not _is_kept(target, promises.target, promises):
        yield f"the target is {target}, not {_list(promises.target)}"


def _gateway(root: Path, promises: Promises) -> Iterator[str]:
    file = root / "gateway" / ANNOUNCEMENT_FILE
    enabled = msgspec.json.decode(file.read_bytes())["enabled"] if file.exists() else None
    if not _is_kept(enabled, promises.announcement, promises):
        yield f"the announcement is {enabled}, not {_list(promises.announcement)}"


def _slots(root: Path, promises: Promises) -> Iterator[str]:
    """What runs says what it is."""
    del promises
    state = load_boot_state(root / "slots" / "boot.json")
    slot = state.good if state.trial is None else state.trial.slot
    record = state.record_of(slot)
    if record is None or load_description(root / "slots" / slot).version != record.version:
        yield f"slot {slot} is not what its record says"


_LOOKS: dict[str, Callable[[Path, Promises], Iterator[str]]] = {
    "slots": _slots,
    "keeper": _keeper,
    "accounts": _accounts,
    "updater": _updater,
    "app": _app,
    "gateway": _gateway,
}


def _is_kept(value: object, right: frozenset[object], promises: Promises) -> bool:
    return value in right or (promises.may_be_erased and value is None)


def _list(values: frozenset[object]) -> str:
    return " or ".join(sorted(repr(one) for one in values))
