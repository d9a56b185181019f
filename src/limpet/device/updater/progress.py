"""What the updater was doing, so that a restart goes on where it was.

Owns `progress.json`: the release under trial, releases that failed here, refusals
already reported, and what is confirmed to run. Every change is made by a function
here and is durable before it is acted on. It decides nothing: the rules are in
`limpet.firmware.decision`.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.device.link.messages import BootRecord
from limpet.device.updater.records import load_or_begin
from limpet.storage import write_atomic
from limpet.wire.codec import Message, Moment, encode_json
from limpet.wire.release import Digest, Version

__all__ = [
    "UNREACHABLE",
    "Attempt",
    "Progress",
    "Settled",
    "Waiting",
    "after_check",
    "begin_attempt",
    "failed_manifests",
    "load_progress",
    "save_progress",
    "settle",
]

UNREACHABLE = "vendor-unreachable"
"""A trial that failed because nobody answered: perhaps the vendor's fault, so it is tried again."""

MAX_UNREACHABLE_TRIES = 3
MAX_FAILED = 32
MAX_REPORTED = 32


class Attempt(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A release that was activated and has not been judged."""

    version: Version
    manifest_sha256: Digest
    security_counter: int
    reported: bool = True  # the vendor was told that it began, and is told how it ends


class FailedRelease(Message, frozen=True, kw_only=True):
    """A release that fell back on this device."""

    manifest_sha256: Digest
    tries: Annotated[int, Meta(ge=1)] = 1
    final: bool = True  # never again by itself


class Waiting(Message, frozen=True, kw_only=True):
    """A release that is held, since when, and why in one word: the owner's times of day, which
    the sentence would tell, are not kept where a factory reset leaves them."""

    version: Version
    manifest_sha256: Digest
    reason: Annotated[str, Meta(max_length=64)]
    since: Moment


class Progress(Message, frozen=True, kw_only=True):
    """The whole record."""

    spec: Literal["limpet-progress-1"] = "limpet-progress-1"
    attempt: Attempt | None = None
    confirmed: Attempt | None = None  # what the last successful trial was
    failed: Annotated[tuple[FailedRelease, ...], Meta(max_length=MAX_FAILED)] = ()
    reported: Annotated[tuple[str, ...], Meta(max_length=MAX_REPORTED)] = ()
    last_check: Moment | None = None
    waiting: Waiting | None = None  # the release that was held last
    waiting_since: Moment | None = None  # since when only the owner's choice has held releases


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt, found after a start."""

    attempt: Attempt
    confirmed: bool
    reason: str = ""


def load_progress(file: Path) -> tuple[Progress, str]:
    """The record, and a warning if it was damaged and is begun anew. Raises `Unavailable`.

    What is lost with it is only the memory of failures and reports already made.
    """
    return load_or_begin(file, Progress)


def save_progress(file: Path, progress: Progress) -> None:
    """Make the record durable. Raises `Unavailable`."""
    write_atomic(file, encode_json(progress))


def after_check(
    progress: Progress, at: datetime, *, waiting: Waiting | None, by_owner: bool, nothing: bool
) -> Progress:
    """The record after a check at `at` (UTC), which held a release (`by_owner`: only the owner's
    choice did) or found `nothing` to install.

    The same reason for the same release lasts since it began. The owner's holds last together,
    whichever release they held, until nothing is offered any more.
    """
    before, since = progress.waiting, progress.waiting_since
    if waiting is not None and before is not None:
        began = msgspec.structs.replace(before, since=waiting.since)
        if began == waiting:
            waiting = msgspec.structs.replace(waiting, since=min(before.since, at))
    if nothing:
        since = None
    elif by_owner:
        since = min(since or at, at)
    return msgspec.structs.replace(progress, last_check=at, waiting=waiting, waiting_since=since)


def begin_attempt(progress: Progress, attempt: Attempt) -> Progress:
    """The release is about to be activated."""
    return msgspec.structs.replace(progress, attempt=attempt)


def failed_manifests(progress: Progress) -> frozenset[str]:
    """The releases that are never tried again without the owner's word."""
    return frozenset(failed.manifest_sha256 for failed in progress.failed if failed.final)


def settle(progress: Progress, boot: BootRecord) -> tuple[Progress, Settled | None]:
    """What became of the attempt, by boot's record; the record after it, and what to report.

    While a trial runs nothing is settled. An activation that never reached boot (a cut
    before it was durable) leaves no trace there: the attempt is dropped, and made again.
    """
    attempt = progress.attempt
    if attempt is None or boot.on_trial:
        return progress, None
    after = msgspec.structs.replace(progress, attempt=None)
    if boot.version == attempt.version and boot.fell_back_manifest != attempt.manifest_sha256:
        return (
            msgspec.structs.replace(after, confirmed=attempt),
            Settled(attempt=attempt, confirmed=True, reason=_without(boot)),
        )
    if boot.fell_back_manifest == attempt.manifest_sha256:
        after = _with_failure(after, attempt.manifest_sha256, boot.fell_back_reason)
        return after, Settled(attempt=attempt, confirmed=False, reason=boot.fell_back_reason)
    return after, None


def _without(boot: BootRecord) -> str:
    lost = boot.no_way_back
    return f"; there was no way back for the app's state: {lost}" if lost else ""


def _with_failure(progress: Progress, manifest: str, reason: str) -> Progress:
    known = next((f for f in progress.failed if f.manifest_sha256 == manifest), None)
    tries = 1 + (known.tries if known else 0)
    final = not reason.startswith(UNREACHABLE) or tries >= MAX_UNREACHABLE_TRIES
    entry = FailedRelease(manifest_sha256=manifest, tries=tries, final=final)
    others = tuple(f for f in progress.failed if f.manifest_sha256 != manifest)
    return msgspec.structs.replace(progress, failed=(*others, entry)[-MAX_FAILED:])
