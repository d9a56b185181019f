"""Where short stretches of the old image lie: hashes of windows, and their look-up.

Owns the hash (a polynomial modulo 2^64 over a fixed table, so that every build finds the same) and
the index. Whole arrays at a time: per byte, Python would take a minute for each 100 MB.
"""

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["Bytes", "SeedIndex", "block_hashes", "rolling_hashes"]

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_FACTOR = 0x9E3779B97F4A7C15
_TABLE: Hashes = np.frombuffer(
    b"".join(hashlib.sha256(bytes([value])).digest()[:8] for value in range(256)), dtype="<u8"
).astype(np.uint64)
"""A number for each byte: arbitrary, and the same everywhere."""
_STEP = 1 << 20
_MOST_BITS = 26


def block_hashes(data: Bytes, window: int) -> Hashes:
    """The hash of each whole block of `window` bytes."""
    count = len(data) // window
    out: Hashes = np.empty(count, dtype=np.uint64)
    powers = np.array([pow(_FACTOR, window - 1 - i, 1 << 64) for i in range(window)], np.uint64)
    step = max(1, _STEP // window)
    for begin in range(0, count, step):
        end = min(count, begin + step)
        numbers = _TABLE[data[begin * window : end * window]].reshape(-1, window)
        out[begin:end] = (numbers * powers).sum(axis=1, dtype=np.uint64)
    return out


def rolling_hashes(data: Bytes, window: int) -> Hashes:
    """The hash of the `window` (a power of two) bytes at each place; shorter by `window` - 1."""
    hashes: Hashes = _TABLE[data]
    width = 1
    while width < window:
        factor = np.uint64(pow(_FACTOR, width, 1 << 64))
        hashes = hashes[:-width] * factor + hashes[width:]
        width *= 2
    return hashes


class SeedIndex:
    """Hashes of the old image, each with the places where it occurs, in order."""

    def __init__(self, hashes: Hashes, places: Places) -> None:
        order = np.lexsort((places, hashes))
        self._hashes, self._places = hashes[order], places[order]
        # 16 to 32 bits for each hash: one in so many is looked up in vain.
        self._bits = min(max(len(hashes).bit_length() + 4, 10), _MOST_BITS)
        self._present = np.zeros(1 << self._bits, dtype=bool)
        self._present[self._heads(self._hashes)] = True

    def look_up(self, hashes: Hashes) -> tuple[Places, Places]:
        """Which of `hashes` are known, and where in the index each of these stands."""
        found = np.flatnonzero(self._present[self._heads(hashes)])
        if not len(found) or not len(self._hashes):
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing
        wanted = hashes[found]
        at = np.searchsorted(self._hashes, wanted)
        at[at == len(self._hashes)] = 0
        known = self._hashes[at] == wanted
        return found[known], at[known]

    def nearest(self, at: int, place: int) -> int:
        """Of the places with the hash at `at`, the one nearest to `place`."""
        end = int(np.searchsorted(self._hashes, self._hashes[at], side="right"))
        places = self._places[at:end]
        after = int(np.searchsorted(places, place))
        near = [int(places[i]) for i in (after - 1, after) if 0 <= i < len(places)]
        return min(near, key=lambda found: abs(found - place))

    def _heads(self, hashes: Hashes) -> Places:
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)
