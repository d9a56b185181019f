"""Reports that wait for the vendor: a bounded queue on disk, sent in order.

Owns the directory `reports/`: one file for each report, named by its sequence
number. A report survives a restart and leaves the queue only when the vendor has
it (or can never take it). Never blocks an update: a full queue drops its oldest.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from limpet.errors import LimpetError, Misuse, Rejected
from limpet.https.client import HttpsClient
from limpet.storage import make_directory, read_bounded, remove_durably, write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.report import REPORT_BYTES, Report, ReportKind

__all__ = ["MAX_WAITING", "Delivery", "ReportQueue", "deliver"]

MAX_WAITING = 64
"""Reports that wait at most; a device that is offline for long keeps the newest."""

_ANSWER_BYTES = 16 << 10
_PATH = "/api/v1/reports"
_DETAIL_CHARACTERS = 400
_REASON_CHARACTERS = 64
_SEQUENCE_FILE = "sequence"
_NEVER = frozenset({400, 409, 413, 415, 422})
"""Answers after which sending the same report again is pointless."""

Delivery = Callable[[bytes], int]
"""Sends one report's bytes; the HTTP status. Raises `LimpetError` if nobody answered."""


class ReportQueue:
    """The reports of one device, oldest first."""

    def __init__(self, directory: Path, *, model: str) -> None:
        self._directory, self._model = directory, model
        make_directory(directory)

    def add(
        self,
        kind: ReportKind,
        *,
        running: str,
        slot: Literal["a", "b"],
        at: datetime,
        version: str | None = None,
        manifest_sha256: str | None = None,
        reason: str = "",
        detail: str = "",
    ) -> Report:
        """Queue a report, durable on return. Raises `Unavailable`."""
        waiting = self._waiting()
        sequence = self._next_sequence(waiting)
        report = Report(
            model=self._model,
            kind=kind,
            running=running,
            slot=slot,
            version=version,
            manifest_sha256=manifest_sha256,
            reason=reason[:_REASON_CHARACTERS],
            detail=detail[:_DETAIL_CHARACTERS],
            sequence=sequence,
            at=at,
        )
        data = encode_json(report)
        if len(data) > REPORT_BYTES:
            raise Misuse(f"a report of {len(data)} bytes")
        for old in waiting[: max(len(waiting) - MAX_WAITING + 1, 0)]:
            remove_durably(old)
        write_atomic(self._directory / _SEQUENCE_FILE, str(sequence).encode())
        write_atomic(self._directory / f"{sequence:012d}.json", data)
        return report

    def waiting(self) -> tuple[Report, ...]:
        """What is queued, oldest first; damaged files are removed and left out."""
        return tuple(report for _, report in self._readable())

    def send(self, deliver: Delivery) -> int:
        """Send in order until the queue is empty or a delivery fails; how many went.

        Raises `LimpetError` as `deliver` does; what was not delivered stays queued.
        """
        sent = 0
        for file, report in self._readable():
            status = deliver(encode_json(report))
            if status // 100 != 2 and status not in _NEVER:
                break
            remove_durably(file)
            sent += 1
        return sent

    def _readable(self) -> list[tuple[Path, Report]]:
        found = []
        for file in self._waiting():
            try:
                data = read_bounded(file, max_bytes=REPORT_BYTES)
                found.append((file, decode_json(data, Report, max_bytes=REPORT_BYTES)))
            except Rejected:
                remove_durably(file)
        return found

    def _waiting(self) -> list[Path]:
        return sorted(self._directory.glob("[0-9]*.json"))

    def _next_sequence(self, waiting: list[Path]) -> int:
        """One more than ever before, as far as files tell: sent reports leave none behind."""
        newest = int(waiting[-1].stem) if waiting else 0
        with contextlib.suppress(LimpetError, ValueError):
            newest = max(newest, int(read_bounded(self._directory / _SEQUENCE_FILE, max_bytes=32)))
        return newest + 1


def deliver(client: HttpsClient) -> Delivery:
    """A delivery over `client`, which shows this device's certificate."""

    def send(data: bytes) -> int:
        headers = {"content-type": "application/json"}
        return client.post(_PATH, data, max_bytes=_ANSWER_BYTES, headers=headers).status

    return send
