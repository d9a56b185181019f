"""Boot's record of the two slots: which one is good, which one is on trial.

Owns the record's type, its transitions (pure) and its file. The one invariant:
the slot named `good` is never the one that is written or tried, so whatever is
cut, crashes or lies, there is a slot to start. Never touches the slots' trees,
never decides whether a release may be installed (see `limpet.firmware.decision`).

The transitions:

    state        event          next
    settled      activation     trial with `TRIES` tries of the other slot
    trial        start          one try less, durable before the slot runs
    trial        start, no try  settled on `good`, failure recorded
    trial        confirmation   settled on the trial's slot, counter raised
    trial        rejection      settled on `good`, failure recorded
    any          damage         see `record_damage`

The file is kept twice, each copy with a check over its content, because a record
that a flash cell ate must not brick a device whose slots are sound.
"""

import contextlib
import errno
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.errors import LimpetError, Misuse, Rejected, Unavailable
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import Count, Digest, Verity, Version

__all__ = [
    "BOOT_FILE",
    "TRIES",
    "BootState",
    "Failure",
    "SlotName",
    "SlotRecord",
    "StartChoice",
    "Trial",
    "decide_start",
    "factory_state",
    "load_boot_state",
    "other_slot",
    "record_activation",
    "record_confirmation",
    "record_damage",
    "record_rejection",
    "save_boot_state",
]

TRIES = 2
"""Starts that a slot on trial gets: one may be lost to a power cut."""

BOOT_FILE = "boot.json"
_COPY_SUFFIX = ".copy"
_RECORD_BYTES = 16 << 10
_RESERVE, _RESERVE_BYTES = "boot.reserve", 64 << 10
SlotName = Literal["a", "b"]


class SlotRecord(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What a slot's tree is meant to be. `confirmed` once it passed its health check."""

    version: Version
    manifest_sha256: Digest
    tree_sha256: Digest
    security_counter: Count
    confirmed: bool = False
    verity: Verity | None = None  # of a slot that is a block device


class Trial(Message, frozen=True, kw_only=True):
    """A slot that must prove itself; `tries_left` counts starts still to come."""

    slot: SlotName
    tries_left: Annotated[int, Meta(ge=0, le=TRIES)]


class Failure(Message, frozen=True, kw_only=True):
    """The last slot that failed, kept for the updater's report until one succeeds."""

    version: Version
    manifest_sha256: Digest
    reason: Annotated[str, Meta(max_length=1024)]


class BootState(Message, frozen=True, kw_only=True):
    """The whole record. `security_counter` is the highest that was ever confirmed."""

    spec: Literal["limpet-boot-1"] = "limpet-boot-1"
    good: SlotName
    a: SlotRecord | None = None
    b: SlotRecord | None = None
    trial: Trial | None = None
    failure: Failure | None = None
    security_counter: Count = 0
    generation: Count = 0  # counts saves, so that the newer of two copies is known

    def record_of(self, slot: SlotName) -> SlotRecord | None:
        """What `slot` is meant to hold, or None if nothing was ever put there."""
        return self.a if slot == "a" else self.b


class StartChoice(Message, frozen=True, kw_only=True):
    """What to start. `state_after` must be saved before the slot is started."""

    slot: SlotName
    record: SlotRecord
    on_trial: bool
    state_after: BootState


class _Sealed(Message, frozen=True, kw_only=True):
    sha256: Digest  # of `state` in its stored form
    state: msgspec.Raw


def other_slot(slot: SlotName) -> SlotName:
    """The slot that is not `slot`."""
    return "b" if slot == "a" else "a"


def factory_state(record: SlotRecord) -> BootState:
    """The record of a device whose slot `a` the factory just filled."""
    first = msgspec.structs.replace(record, confirmed=True)
    return BootState(good="a", a=first, security_counter=record.security_counter)


def decide_start(state: BootState) -> StartChoice:
    """Which slot to start, and the record that must be durable before it runs.

    A trial costs one try; a trial without a try left has failed. Raises
    `Rejected("no-slot")` only for a record whose good slot is empty.
    """
    trial = state.trial
    if trial is not None:
        record = state.record_of(trial.slot)
        if record is not None and trial.tries_left > 0:
            left = Trial(slot=trial.slot, tries_left=trial.tries_left - 1)
            after = msgspec.structs.replace(state, trial=left)
            return StartChoice(slot=trial.slot, record=record, on_trial=True, state_after=after)
        state = record_rejection(state, "not confirmed within its tries")
    record = state.record_of(state.good)
    if record is None:
        raise Rejected(
            "no-slot", "no slot holds firmware that may run", hint="install the device again"
        )
    return StartChoice(slot=state.good, record=record, on_trial=False, state_after=state)


def record_activation(state: BootState, slot: SlotName, record: SlotRecord) -> BootState:
    """The next start tries `slot`, which was just written with `record`.

    Raises `Rejected("slot-in-use")` for the good slot or while a trial runs, and
    `Rejected("rollback")` for a security counter below the highest confirmed one.
    """
    if slot == state.good or state.trial is not None:
        raise Rejected("slot-in-use", f"slot {slot} cannot be tried now")
    if record.security_counter < state.security_counter:
        raise Rejected(
            "rollback",
            f"security counter {record.security_counter}, this device is at"
            f" {state.security_counter}",
        )
    fresh = msgspec.structs.replace(record, confirmed=False)
    trial = Trial(slot=slot, tries_left=TRIES)
    return msgspec.structs.replace(_with_record(state, slot, fresh), trial=trial)


def record_confirmation(state: BootState) -> BootState:
    """The slot on trial is good from now on. Raises `Rejected("no-trial")` without a trial."""
    trial, record = _on_trial(state)
    settled = _with_record(state, trial.slot, msgspec.structs.replace(record, confirmed=True))
    return msgspec.structs.replace(
        settled,
        good=trial.slot,
        trial=None,
        failure=None,
        security_counter=max(state.security_counter, record.security_counter),
    )


def record_rejection(state: BootState, reason: str) -> BootState:
    """The slot on trial failed; the good one runs next. Raises `Rejected("no-trial")`."""
    trial, record = _on_trial(state)
    failure = Failure(
        version=record.version, manifest_sha256=record.manifest_sha256, reason=reason[:1024]
    )
    return msgspec.structs.replace(
        _with_record(state, trial.slot, None), trial=None, failure=failure
    )


def record_damage(state: BootState, slot: SlotName) -> BootState:
    """The tree of `slot` is not what its record says.

    A damaged trial has failed. For a damaged good slot the other one takes over if it was
    confirmed once and its security counter is not below the highest; otherwise the
    state stays without a slot and `decide_start` says so: a device with a hole that the
    vendor closed must not come back by damaging the newer firmware.
    """
    if state.trial is not None:
        if slot == state.trial.slot:
            return record_rejection(state, "tampered-tree")
        # The good slot is gone while another is tried: let the trial prove itself.
        return _with_record(state, slot, None)
    if slot != state.good:
        return _with_record(state, slot, None)
    spare = state.record_of(other_slot(slot))
    emptied = _with_record(state, slot, None)
    if spare is None or not spare.confirmed or spare.security_counter < state.security_counter:
        return emptied
    return msgspec.structs.replace(emptied, good=other_slot(slot))


def load_boot_state(path: Path) -> BootState:
    """The newest sound copy of the record at `path`.

    Raises `Unavailable` if neither copy is there, `Rejected("malformed")` if neither is sound.
    """
    states, errors = _sound_copies(path)
    if states:
        return max(states, key=lambda state: state.generation)
    rejected = [error for error in errors if isinstance(error, Rejected)]
    if rejected:
        raise Rejected(
            "malformed",
            f"both copies of the boot record {path} are damaged",
            hint="the slots were not touched; install the device again",
        ) from rejected[0]
    raise Unavailable(f"no boot record at {path}", hint="is this a device directory?")


def save_boot_state(path: Path, state: BootState) -> BootState:
    """Make `state` the durable record, both copies; returns it as saved (newer generation).

    A cut between the copies leaves the old record or the new one, both sound. On a full disk the
    record takes the room of a file that is kept for it.
    Raises `Unavailable`; the old record then still stands.
    """
    # Counted from the disk as well: a caller's older object must not lose to what it replaces.
    on_disk = [found.generation for found in _sound_copies(path)[0]]
    newest = max(on_disk, default=0)
    saved = msgspec.structs.replace(state, generation=max(state.generation, newest) + 1)
    for copy in _copies(path):
        try:
            write_atomic(copy, _seal(saved), mode=0o644)
        except Unavailable as error:
            if not _is_full(error) or not (path.parent / _RESERVE).exists():
                raise
            remove_durably(path.parent / _RESERVE)
            write_atomic(copy, _seal(saved), mode=0o644)
    _keep_reserve(path.parent / _RESERVE)
    return saved


def _is_full(error: Unavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _keep_reserve(reserve: Path) -> None:
    """Room for the record that no app can fill: a full disk must not stop a fall-back."""
    if not reserve.exists():
        with contextlib.suppress(Unavailable):
            write_atomic(reserve, bytes(_RESERVE_BYTES), mode=0o644)


def _copies(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(path.name + _COPY_SUFFIX)


def _sound_copies(path: Path) -> tuple[list[BootState], list[LimpetError]]:
    states: list[BootState] = []
    errors: list[LimpetError] = []
    for copy in _copies(path):
        try:
            states.append(_unseal(read_bounded(copy, max_bytes=_RECORD_BYTES)))
        except (Rejected, Unavailable) as error:
            errors.append(error)
    return states, errors


def _seal(state: BootState) -> bytes:
    packed = msgspec.json.encode(state, order="sorted")
    digest = hashlib.sha256(packed).hexdigest()
    # Not formatted for reading: the check is over the very bytes of `state`.
    return msgspec.json.encode(_Sealed(sha256=digest, state=msgspec.Raw(packed)))


def _unseal(data: bytes) -> BootState:
    sealed = decode_json(data, _Sealed, max_bytes=_RECORD_BYTES)
    packed = bytes(sealed.state)
    if hashlib.sha256(packed).hexdigest() != sealed.sha256:
        raise Rejected("malformed", "the boot record does not match its check")
    return decode_json(packed, BootState, max_bytes=_RECORD_BYTES)


def _on_trial(state: BootState) -> tuple[Trial, SlotRecord]:
    if state.trial is None:
        raise Rejected("no-trial", "no slot is on trial")
    record = state.record_of(state.trial.slot)
    if record is None:
        raise Misuse("the slot on trial has no record")
    return state.trial, record


def _with_record(state: BootState, slot: SlotName, record: SlotRecord | None) -> BootState:
    if slot == "a":
        return msgspec.structs.replace(state, a=record)
    return msgspec.structs.replace(state, b=record)
