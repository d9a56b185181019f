"""Is the new release worse than it may be? Wald's sequential test, begun anew, for a whole rollout.

Owns the arithmetic and its parameters. It is pure: outcomes in, verdict out.

Each finished attempt is a success or a failure of one device. The test weighs two hypotheses
about the chance that an attempt fails: at most `tolerable` (p0), or at least
`intolerable` (p1). The evidence is the logarithm of the likelihood ratio, which
every outcome moves by a fixed amount (A. Wald, "Sequential Tests of Statistical
Hypotheses", Annals of Mathematical Statistics 16, 1945, section 3.2):

    at or above `halt_at`    the release is unhealthy: halt
    at or below ln(beta)     so far healthy: a new test begins at zero

Beginning anew keeps a long healthy history from outvoting the devices that come last. Its
price is that each new test could halt by chance, so the n-th spends only alpha / (n (n + 1)) of
the false-halt rate: `halt_at` is ln(n (n + 1) / alpha). All together, for ever, halt a release that
fails at p0 with a probability of at most alpha, and each test passes one that fails at
p1 with at most beta (Ville's inequality; both hold exactly, not as Wald's approximations).

`distrust` is the number of devices that may lie. It raises `halt_at` by as many failures. However
those devices time their reports, the test halts only if outcomes of the others, in a row, carry as
much evidence as a halt takes without distrust (Page's recursion moves by at most one weight
for each outcome put in, and is never below the test that begins anew).
"""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat

from limpet.errors import Misuse

__all__ = [
    "DEFAULT_TEST",
    "Health",
    "HealthTest",
    "Verdict",
    "expected_reports",
    "run_test",
    "take_outcome",
    "verdict_before",
]

SMALL_SAMPLE_SHARE = 0.2
"""Before a test has passed, more failures than this share of the outcomes lean against a release,
even where distrust could explain them: two failures of two devices are no reason to go on."""


class Health(enum.Enum):
    """What the outcomes so far say."""

    HEALTHY = "healthy"  # a test has ended well, and the one that runs does not lean against
    UNDECIDED = "undecided"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTest:
    """The parameters of one rollout's test; raises `Misuse` where they make none."""

    tolerable: float  # p0, the failure rate of a release that shall pass
    intolerable: float  # p1, the failure rate of a release that shall be halted
    alpha: float  # chance that a whole rollout halts a release that fails at p0
    beta: float  # chance that one test passes a release that fails at p1
    distrust: int = 0  # devices whose failures alone never halt

    def __post_init__(self) -> None:
        if not 0 < self.tolerable < self.intolerable < 1:
            raise Misuse("a health test needs 0 < tolerable < intolerable < 1")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise Misuse("a health test needs alpha and beta between 0 and 0.5")
        if self.distrust < 0:
            raise Misuse("a health test distrusts no device, or some")

    @property
    def failure_weight(self) -> float:
        """What one failure adds to the evidence."""
        return math.log(self.intolerable / self.tolerable)

    @property
    def success_weight(self) -> float:
        """What one success adds to the evidence (negative)."""
        return math.log((1 - self.intolerable) / (1 - self.tolerable))

    @property
    def pass_at(self) -> float:
        """The evidence at which a test ends well (negative)."""
        return math.log(self.beta)

    def halt_at(self, number: int = 1) -> float:
        """The evidence at which the test of that number, from 1, halts."""
        return math.log(number * (number + 1) / self.alpha) + self.distrust * self.failure_weight


DEFAULT_TEST = HealthTest(tolerable=0.005, intolerable=0.02, alpha=0.05, beta=0.05, distrust=3)
"""Tells 2 % from 0.5 %. Six failures in a row halt (three more than evidence alone takes); 198
successes pass. Why these: `docs/adr/0135-error-rates-of-a-whole-rollout.md`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of the test after all outcomes; of the last test, where it began anew."""

    test: HealthTest
    unhealthy: bool = False
    evidence: float = 0.0  # 0 says nothing, positive leans against the release
    passed: int = 0  # tests that ended well
    failures: float = 0.0  # of the test that runs, by weight
    successes: int = 0

    @property
    def health(self) -> Health:
        """What the outcomes say."""
        if self.unhealthy:
            return Health.UNHEALTHY
        return Health.HEALTHY if self.passed and self.evidence <= 0 else Health.UNDECIDED

    @property
    def halt_at(self) -> float:
        """The evidence at which the running test halts."""
        return self.test.halt_at(self.passed + 1)

    @property
    def leans(self) -> bool:
        """Whether a person should look: a test that believes everybody would halt, and the devices
        that may lie do not explain it alone; or most of the first few devices fail.

        A tolerable release ever leans with a probability of at most alpha, but for the first few.
        """
        liars = self.test.distrust * self.test.failure_weight
        if self.evidence > liars and self.evidence >= self.halt_at - liars:
            return True
        few = self.failures > SMALL_SAMPLE_SHARE * (self.failures + self.successes)
        return self.evidence > 0 and not self.passed and few


def verdict_before(test: HealthTest) -> Verdict:
    """The verdict while there is no outcome."""
    return Verdict(test=test)


def take_outcome(verdict: Verdict, succeeded: bool, weight: float = 1.0) -> Verdict:
    """The verdict after one more outcome. `weight`, 0 to 1, is that of the device's failure.

    Once unhealthy it stays so: a halt is lifted by a person, not by luck afterwards.
    """
    if verdict.unhealthy:
        return verdict
    test = verdict.test
    failures, successes = verdict.failures, verdict.successes
    if succeeded:
        evidence, successes = verdict.evidence + test.success_weight, successes + 1
    else:
        evidence, failures = verdict.evidence + weight * test.failure_weight, failures + weight
    passed, unhealthy = verdict.passed, False
    if evidence <= test.pass_at:
        evidence, passed, failures, successes = 0.0, passed + 1, 0.0, 0
    elif not succeeded:
        unhealthy = evidence >= verdict.halt_at
    return Verdict(
        test=test,
        unhealthy=unhealthy,
        evidence=evidence,
        passed=passed,
        failures=failures,
        successes=successes,
    )


def run_test(
    outcomes: Iterable[bool],
    test: HealthTest = DEFAULT_TEST,
    *,
    weights: Iterable[float] | None = None,
) -> Verdict:
    """Run over `outcomes` in the order in which they came; True is a success."""
    verdict = verdict_before(test)
    for succeeded, weight in zip(
        outcomes, weights if weights is not None else repeat(1.0), strict=False
    ):
        verdict = take_outcome(verdict, succeeded, weight)
    return verdict


def expected_reports(test: HealthTest, rate: float) -> float:
    """How many outcomes the first test takes on average, at failure rate p0 or p1 or beyond.

    Wald's approximation (1945, section 4.2), which neglects what an outcome overshoots: the
    chances of either end times their evidence, by the evidence of one outcome.
    """
    drift = rate * test.failure_weight + (1 - rate) * test.success_weight
    if rate <= test.tolerable:
        halting = math.exp(-test.halt_at())
    elif rate >= test.intolerable:
        halting = 1 - test.beta
    else:
        raise Misuse("the expectation is known at tolerable and intolerable rates only")
    return (halting * test.halt_at() + (1 - halting) * test.pass_at) / drift
