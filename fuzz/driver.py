"""The small driver: mutations of the seeds, for machines that Atheris has no wheel for.

Owns mutation and the keeping of findings. It has no coverage feedback, so it finds
less than Atheris in the same time; it runs the same targets with the same verdict.
"""

import random
import time
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["DEFAULT_SECONDS", "mutate", "run_mutations"]

DEFAULT_SECONDS = 60
MOST_CHANGES = 6
INTERESTING = (
    b"\x00", b"\xff", b"\x80", b"\r\n", b"\n\n", b"0", b"-1", b"1e999", b"99999999999999999999",
    b"\xc3\x28", b"\xef\xbf\xbf", b"%00", b"..", b"//", b"\\u0000", b"[[[[[[[[", b"null",
    b"\xed\xa0\x80", b"\xdd\xff\xff\xff\xff", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"{\"a\":",
)  # fmt: skip


def mutate(data: bytes, others: list[bytes], dice: random.Random) -> bytes:
    """One to `MOST_CHANGES` changes: a bit, a piece taken out, doubled, put in, or spliced."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, MOST_CHANGES)):
        at = dice.randint(0, len(changed))
        end = min(len(changed), at + dice.choice((1, 2, 4, 16, 256)))
        match dice.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end] * dice.choice((1, 2, 50))
            case 3:
                changed[at:at] = dice.choice(INTERESTING)
            case _:
                other = dice.choice(others)
                start = dice.randint(0, len(other))
                changed[at:end] = other[start : start + dice.choice((4, 32, 512))]
    return bytes(changed)


def run_mutations(
    target: Callable[[bytes], None],
    *,
    corpus: Path,
    findings: Path,
    seconds: float,
    seed: int | None = None,
) -> int:
    """Run `target` on the seeds, then on mutations of them, for `seconds`; 1 at a finding."""
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    dice = random.Random(seed)  # noqa: S311 (no secret: a run must be repeatable)
    seeds = [path.read_bytes() for path in sorted(corpus.iterdir())]
    end, runs = time.monotonic() + seconds, 0
    while runs < len(seeds) or time.monotonic() < end:
        data = seeds[runs] if runs < len(seeds) else mutate(dice.choice(seeds), seeds, dice)
        runs += 1
        try:
            target(data)
        except Exception:
            kept = findings / f"{corpus.name}-mutation-{seed}-{runs}"
            kept.write_bytes(data)
            traceback.print_exc()
            print(f"found after {runs} runs (seed {seed}): {kept}", flush=True)
            return 1
    print(f"Done {runs} runs, nothing found (seed {seed})", flush=True)
    return 0
