"""What `./run bench deltas` says: the table and the verdicts, from rows alone."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

__all__ = ["Copies", "Machine", "Row", "judge", "machine", "table"]

SMALL = 100_000_000  # bytes: the memory of tools that the target is about
DEVICE = 48_000_000
FULL_RATIO = 1.3
BSDIFF_RATIO = 1.4
MAKE_SECONDS = 60
COPY_RATIO = 2


class Machine(TypedDict):
    """Where and when."""

    date: str
    cores: int
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """A plain copy onto a slot, durable: the median of three."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the result; no `make_seconds` is a delta that was made before this run."""

    tool: str
    sent: int
    make_seconds: float | None
    make_cpu_seconds: float | None
    make_kib: int | None
    apply_seconds: float
    apply_cpu_seconds: float
    apply_kib: int
    load: float
    copied: Copies | None
    """For whoever installs onto a slot: right before that, onto the same one."""


def machine() -> Machine:
    """This one, now."""
    now = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    return Machine(date=now, cores=os.cpu_count() or 1, load=os.getloadavg()[0])


def judge(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """The targets that these rows can decide, each with its verdict."""
    found = {row.tool: row for row in rows}
    ours, whole = found.get("limpet, delta"), found.get("limpet, whole")
    bsdiff, rauc = found.get("bsdiff"), found.get("RAUC, whole")
    verdicts = []
    if ours is not None:
        small = [row.sent for row in rows if row.apply_kib * 1024 <= SMALL]
        memory = ours.apply_kib * 1024
        verdicts = [
            (f"made in at most {MAKE_SECONDS} s", (ours.make_seconds or 0) <= MAKE_SECONDS),
            (f"applied in at most 48 MB ({memory / 1e6:.1f})", memory <= DEVICE),
            *_beside_copy(ours),
            (
                "fewest bytes of all that apply in under 100 MB",
                len(small) > 1 and ours.sent == min(small),
            ),
        ]
    if ours is not None and bsdiff is not None:
        ratio = ours.sent / bsdiff.sent
        verdicts.append((f"at most 1.4 times bsdiff's bytes ({ratio:.2f})", ratio <= BSDIFF_RATIO))
    if whole is not None and rauc is not None:
        ratio = whole.apply_seconds / rauc.apply_seconds
        what = f"a full install no slower than 1.3 times RAUC's ({ratio:.2f})"
        verdicts.append((what, ratio <= FULL_RATIO))
    return verdicts


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of text."""
    lines = [
        f"{'':22} {'bytes':>12} {'make s':>8} {'CPU s':>7} {'MB':>6}"
        f" {'apply s':>8} {'CPU s':>6} {'MB':>6} {'load':>5} {'copy s':>8}"
    ]
    for row in rows:
        made = f"{'made before':>23}"
        if row.make_seconds is not None and row.make_kib is not None:
            made = f"{row.make_seconds:>8.1f} {row.make_cpu_seconds:>7.1f} {_mb(row.make_kib):>6}"
        beside = f"{row.copied.seconds:.1f}" if row.copied is not None else ""
        lines.append(
            f"{row.tool:22} {row.sent:>12,} {made} {row.apply_seconds:>8.1f}"
            f" {row.apply_cpu_seconds:>6.1f} {_mb(row.apply_kib):>6} {row.load:>5.1f} {beside:>8}"
        )
    return lines


def _beside_copy(ours: Row) -> list[tuple[str, bool]]:
    if ours.copied is None:
        return []
    ratio = ours.apply_seconds / ours.copied.seconds
    return [
        (f"applied at half of a copy's speed ({ratio:.2f} times its time)", ratio <= COPY_RATIO)
    ]


def _mb(kib: int) -> str:
    return f"{kib * 1.024e-3:.0f}"
