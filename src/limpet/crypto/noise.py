"""Health tests of a noise source's raw output (NIST SP 800-90B, 4).

Owns the repetition count test, the adaptive proportion test and their cut-offs, and a test
of our own for a source that repeats itself, which those two cannot see. Pure: the samples
are given, and no generator is touched. A source that failed once is refused from then on.

A sample is one byte. The entropy that is claimed for it is one bit, of eight: a source may
be far from perfect and pass, and 1,024 samples still carry four times what a key needs.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from limpet.errors import Rejected

__all__ = [
    "CLAIMED_BITS",
    "FALSE_ALARM",
    "START_UP_SAMPLES",
    "WINDOW",
    "NoiseHealth",
    "TestedNoise",
    "adaptive_proportion_cutoff",
    "repetition_count_cutoff",
]

FALSE_ALARM = 2.0**-30
"""Chance that one test alarms at a source that keeps its claim (4.4: 2^-20 to 2^-40)."""

CLAIMED_BITS = 1.0  # min-entropy of a sample, in bits
WINDOW = 512  # samples; 4.4.2 for a source that is not binary
START_UP_SAMPLES = 1024  # 4.3, at least; they are not used before all of them passed

ECHO_SAMPLES = 64
"""As many samples in a row that came before: 2^-64 for a source that keeps its claim."""

MEMORY_SAMPLES = 4096  # how far back an echo is looked for


def repetition_count_cutoff(claimed_bits: float, false_alarm: float) -> int:
    """How many equal samples in a row are an alarm (4.4.1)."""
    return 1 + math.ceil(-math.log2(false_alarm) / claimed_bits)


def adaptive_proportion_cutoff(claimed_bits: float, window: int, false_alarm: float) -> int:
    """How often a window's first sample may not occur in it (4.4.2).

    1 + CRITBINOM(window, 2^-claimed_bits, 1 - false_alarm): one more than the smallest count
    that a source which keeps its claim exceeds with at most the chance of a false alarm.
    """
    likeliest = 2.0**-claimed_bits
    beyond = 0.0  # the chance of more than `count`
    for count in range(window, -1, -1):
        here = math.comb(window, count) * likeliest**count * (1 - likeliest) ** (window - count)
        if beyond + here > false_alarm:
            return 1 + count
        beyond += here
    return 1


_REPETITIONS = repetition_count_cutoff(CLAIMED_BITS, FALSE_ALARM)
_PROPORTION = adaptive_proportion_cutoff(CLAIMED_BITS, WINDOW, FALSE_ALARM)


@dataclass(frozen=True, slots=True)
class TestedNoise:
    """Samples that passed every test (only `NoiseHealth.verify` makes one)."""

    __test__ = False  # pytest: not a test

    samples: bytes


class _Test(Protocol):
    """One test over the whole life of a source."""

    name: str

    def alarms(self, sample: int) -> bool:
        """Take the next sample; whether it is too much."""


class _RepetitionCount:
    """4.4.1: the source is stuck at one value."""

    name = "repetition-count"

    def __init__(self) -> None:
        self._sample, self._count = -1, 0

    def alarms(self, sample: int) -> bool:
        if sample == self._sample:
            self._count += 1
        else:
            self._sample, self._count = sample, 1
        return self._count >= _REPETITIONS


class _AdaptiveProportion:
    """4.4.2: one value comes much too often."""

    name = "adaptive-proportion"

    def __init__(self) -> None:
        self._sample, self._count, self._left = -1, 0, 0

    def alarms(self, sample: int) -> bool:
        if self._left == 0:
            self._sample, self._count, self._left = sample, 1, WINDOW - 1
            return False
        self._left -= 1
        self._count += sample == self._sample
        return self._count >= _PROPORTION


class _Echo:
    """Of our own (4.3 allows it): a counter, a loop, a recording passes the other two."""

    name = "echo"

    def __init__(self) -> None:
        self._past = bytearray()

    def alarms(self, sample: int) -> bool:
        self._past.append(sample)
        del self._past[:-MEMORY_SAMPLES]
        recent = bytes(self._past[-ECHO_SAMPLES:])
        return (
            len(self._past) > ECHO_SAMPLES
            and self._past.find(recent) < len(self._past) - ECHO_SAMPLES
        )


class NoiseHealth:
    """The tests of one source, from its start-up on."""

    def __init__(self) -> None:
        self._tests: tuple[_Test, ...] = (_RepetitionCount(), _AdaptiveProportion(), _Echo())
        self._failed = ""
        self.examined = 0
        """Samples so far."""

    def verify(self, samples: bytes) -> TestedNoise:
        """`samples` in the order in which they came, all of them healthy.

        The first ones are the start-up test, and there must be `START_UP_SAMPLES` of them (4.3).
        Raises `Rejected("noise-failing")`, and again for whatever comes later; of samples
        that were refused none may be used.
        """
        if not self._failed and self.examined == 0 and len(samples) < START_UP_SAMPLES:
            self._failed = f"{len(samples)} samples are too few to start with"
        if not self._failed:
            self._failed = self._examine(samples)
        if self._failed:
            raise Rejected("noise-failing", self._failed)
        return TestedNoise(samples)

    def _examine(self, samples: bytes) -> str:
        for sample in samples:
            self.examined += 1
            for test in self._tests:
                if test.alarms(sample):
                    return f"the {test.name} test failed at sample {self.examined}"
        return ""
