"""Which bytes of the old image a stretch of the new one resembles.

Owns the search, for images of any layout: nothing has to be aligned. Two passes: whole equal
stretches by a sparse index of all of the old image, then, in what is left, stretches that are
alike but for single bytes (as machine code whose addresses moved), by a dense index of what the
first pass did not use of the old image. Deterministic. Decides nothing about how it is packed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from limpet.release._seeds import Bytes, SeedIndex, block_hashes, rolling_hashes

__all__ = ["Match", "match_images"]

COARSE = 256
"""Window of the first pass: every equal stretch of twice as much is found."""
FINE = 16
FINE_STRIDE = 8
BLOCK = 4096
LEAST = 32
"""Shortest stretch worth an instruction."""
DROP = 400
"""A stretch ends where equal bytes have fallen this far behind others (as in bsdiff)."""
_FIRST_LOOK, _WIDEST_LOOK = 1 << 11, 1 << 17
_TRIED = 64
_BACKWARD = 1 << 16

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""


@dataclass(frozen=True, slots=True)
class Match:
    """`length` bytes of the new image that resemble those of the old one."""

    new: int
    old: int
    length: int


def match_images(old: Bytes, new: Bytes, progress: Progress) -> list[Match]:
    """Stretches in the order of the new image, apart from each other; what lies between is new."""
    hashes = block_hashes(old, COARSE)
    places = np.arange(len(hashes), dtype=np.int64) * COARSE
    kept = hashes != block_hashes(np.zeros(COARSE, dtype=np.uint8), COARSE)[0]
    search = _Search(old, new, SeedIndex(hashes[kept], places[kept]), COARSE, exact=True)
    equal = list(search.run(0, len(new), 0, lambda done: progress(done // 2, len(new))))
    fine = _Search(old, new, _index_rest(old, equal), FINE, exact=False)
    found: list[Match] = []
    at = shift = 0
    for match in [*equal, Match(len(new), 0, 0)]:
        found += fine.run(at, match.new, shift, _silent)
        if match.length:
            found.append(match)
        at, shift = match.new + match.length, match.old - match.new
        progress((len(new) + at) // 2, len(new))
    return found


def _silent(done: int) -> None:
    """Nobody waits for so short a stretch."""


def _index_rest(old: Bytes, equal: Sequence[Match]) -> SeedIndex:
    """Dense seeds of the blocks that no equal stretch covers, and of their neighbours."""
    count = -(-len(old) // BLOCK)
    rest = np.ones(count, dtype=bool)
    for match in equal:
        rest[-(-match.old // BLOCK) : (match.old + match.length) // BLOCK] = False
    rest[1:] |= rest[:-1].copy()
    rest[:-1] |= rest[1:].copy()
    blocks = np.flatnonzero(rest)
    hashes = [np.empty(0, dtype=np.uint64)]
    places = [np.empty(0, dtype=np.int64)]
    for run in np.split(blocks, np.flatnonzero(np.diff(blocks) != 1) + 1) if len(blocks) else ():
        begin, end = int(run[0]) * BLOCK, min((int(run[-1]) + 1) * BLOCK, len(old))
        for at in range(begin, end - FINE + 1, 1 << 20):
            part = old[at : min(end, at + (1 << 20))]
            if len(part) < FINE or not part.any():
                continue
            seeds = rolling_hashes(part, FINE)[::FINE_STRIDE]
            hashes.append(seeds)
            places.append(np.arange(len(seeds), dtype=np.int64) * FINE_STRIDE + at)
    all_hashes, all_places = np.concatenate(hashes), np.concatenate(places)
    kept = all_hashes != block_hashes(np.zeros(FINE, dtype=np.uint8), FINE)[0]
    return SeedIndex(all_hashes[kept], all_places[kept])


class _Search:
    """One pass over stretches of the new image."""

    def __init__(self, old: Bytes, new: Bytes, index: SeedIndex, window: int, *, exact: bool):
        self._old, self._new, self._index = old, new, index
        self._window = window
        self._extend = self._equal if exact else self._alike
        self._exact = exact
        self._least = window if exact else LEAST

    def run(
        self, begin: int, end: int, shift: int, progress: Callable[[int], None]
    ) -> Iterator[Match]:
        """The matches between `begin` and `end`; `shift` is that of the match before."""
        at = begin
        while at < end:
            progress(at)
            at = self._skip_zeros(at, end)
            length = self._extend(at, at + shift, end)
            if length >= self._least:
                yield Match(at, at + shift, length)
                at += length
                continue
            found = self._seek(at, end, shift)
            if found is None:
                return
            yield found
            at, shift = found.new + found.length, found.old - found.new

    def _skip_zeros(self, at: int, end: int) -> int:
        """Past whole blocks of zeros: they need no match."""
        while end - at >= BLOCK and not self._new[at : at + BLOCK].any():
            part = np.flatnonzero(self._new[at : min(end, at + (1 << 20))])
            at = at + int(part[0]) if len(part) else min(end, at + (1 << 20))
        return at

    def _seek(self, begin: int, end: int, shift: int) -> Match | None:
        """The first stretch from `begin` on that is worth an instruction."""
        at, width, window = begin, _FIRST_LOOK, self._window
        while end - at >= window:
            at = self._skip_zeros(at, end)
            part = self._new[at : min(end, at + width + window - 1)]
            if len(part) < window:
                return None
            seeds, where = self._index.look_up(rolling_hashes(part, window))
            for seed, entry in zip(seeds[:_TRIED].tolist(), where[:_TRIED].tolist(), strict=True):
                place = at + seed
                old = self._index.nearest(entry, place + shift)
                length = self._extend(place, old, end)
                if length >= self._least:
                    more = self._before(place, old, begin)
                    return Match(place - more, old - more, length + more)
            if len(seeds) > _TRIED:  # a repeated pattern: go on behind what was tried
                at += int(seeds[_TRIED - 1]) + 1
            else:
                at += len(part) - window + 1
            width = min(width * 2, _WIDEST_LOOK)
        return None

    def _equal(self, new: int, old: int, end: int) -> int:
        """How many bytes are equal from here on."""
        if not 0 <= old < len(self._old):
            return 0
        count, done, step = min(end - new, len(self._old) - old), 0, 1 << 10
        while done < count:
            width = min(step, count - done)
            left = self._new[new + done : new + done + width]
            other = left != self._old[old + done : old + done + width]
            if other.any():
                return done + int(other.argmax())
            done, step = done + width, min(step * 2, 1 << 20)
        return done

    def _alike(self, new: int, old: int, end: int) -> int:
        """How far the stretch goes on in which most bytes are equal."""
        if not 0 <= old < len(self._old):
            return 0
        count, done, step = min(end - new, len(self._old) - old), 0, 1 << 10
        best = score = top = 0
        while done < count:
            width = min(step, count - done)
            same = (
                self._new[new + done : new + done + width]
                == self._old[old + done : old + done + width]
            )
            scores = np.cumsum(same.astype(np.int32) * 2 - 1, dtype=np.int32) + score
            behind = np.maximum(np.maximum.accumulate(scores), top) - scores > DROP
            over = int(behind.argmax()) if behind.any() else -1
            peak = int(scores[: over + 1 if over >= 0 else width].argmax())
            if scores[peak] > top:
                top, best = int(scores[peak]), done + peak + 1
            if over >= 0:
                break
            score, done = int(scores[-1]), done + width
            step = min(step * 2, 1 << 17)
        return best

    def _before(self, new: int, old: int, floor: int) -> int:
        """How far the stretch begins before its seed."""
        count = min(new - floor, old, _BACKWARD)
        if count <= 0:
            return 0
        same = (self._new[new - count : new] == self._old[old - count : old])[::-1]
        if self._exact:
            return count if same.all() else int(same.argmin())
        scores = np.cumsum(same.astype(np.int32) * 2 - 1, dtype=np.int32)
        peak = int(scores.argmax())
        return peak + 1 if scores[peak] > 0 else 0
