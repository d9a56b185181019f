"""The seed that a device carries from one start to the next, as systemd-random-seed(8) does.

Owns `random.seed`. It is mixed in without credit, replaced before anything is drawn from it,
and never the only thing that a key comes from: a copied one makes no two devices alike.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from limpet.crypto.randomness import mix_in, random_bytes
from limpet.errors import LimpetError
from limpet.storage import read_bounded, write_atomic

__all__ = ["SEED_FILE", "renew_seed", "take_seed"]

SEED_FILE = "random.seed"
SEED_BYTES = 32


def take_seed(root: Path, *, mix: Callable[[bytes], None] = mix_in) -> None:
    """Mix the seed of the last run in, if there is one; damage costs nothing but the seed."""
    if seed := _load(root):
        mix(seed)


def renew_seed(root: Path) -> None:
    """Replace the seed; only once the kernel's generator is ready. Raises `Unavailable`.

    The new one depends on the old, so that what was gathered in one life is not lost again.
    """
    seed = hashlib.sha256(b"limpet random seed" + _load(root) + random_bytes(SEED_BYTES)).digest()
    write_atomic(root / SEED_FILE, seed, mode=0o600)


def _load(root: Path) -> bytes:
    try:
        return read_bounded(root / SEED_FILE, max_bytes=SEED_BYTES)
    except LimpetError:
        return b""
