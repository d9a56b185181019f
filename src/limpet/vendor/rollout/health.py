"""Is the new release worse than it may be? Wald's sequential probability ratio test.

Owns the arithmetic and its parameters. It is pure: outcomes in, verdict out.

Each finished attempt is a success or a failure. The test weighs two hypotheses
about the chance that an attempt fails: at most `tolerable` (p0), or at least
`intolerable` (p1). The evidence is the logarithm of the likelihood ratio, which
every outcome moves by a fixed amount; it is compared with two bounds (A. Wald,
"Sequential Tests of Statistical Hypotheses", Annals of Mathematical Statistics
16, 1945, section 3.2):

    at or above ln((1 - beta) / alpha)   the release is unhealthy: halt
    at or below ln(beta / (1 - alpha))   so far healthy: a new test begins at zero

Beginning anew keeps a long healthy history from outvoting the devices that come
last: the test that halts looks at what happened lately. Each test halts a
release with failure rate p0 with probability at most alpha / (1 - beta), and
passes one with p1 with probability at most beta / (1 - alpha) (Wald, 3.3).
"""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass

from limpet.errors import Misuse

__all__ = ["DEFAULT_TEST", "Health", "HealthTest", "Verdict", "run_test"]


class Health(enum.Enum):
    """What the outcomes so far say."""

    HEALTHY = "healthy"  # a test has ended well, and the one that runs does not lean against
    UNDECIDED = "undecided"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthTest:
    """The parameters of one test; raises `Misuse` where they make none."""

    tolerable: float  # p0, the failure rate of a release that shall pass
    intolerable: float  # p1, the failure rate of a release that shall be halted
    alpha: float  # chance to halt a release that fails at p0
    beta: float  # chance to pass one that fails at p1

    def __post_init__(self) -> None:
        if not 0 < self.tolerable < self.intolerable < 1:
            raise Misuse("a health test needs 0 < tolerable < intolerable < 1")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise Misuse("a health test needs alpha and beta between 0 and 0.5")

    @property
    def failure_weight(self) -> float:
        """What one failure adds to the evidence."""
        return math.log(self.intolerable / self.tolerable)

    @property
    def success_weight(self) -> float:
        """What one success adds to the evidence (negative)."""
        return math.log((1 - self.intolerable) / (1 - self.tolerable))

    @property
    def halt_at(self) -> float:
        """The evidence at which the release is unhealthy."""
        return math.log((1 - self.beta) / self.alpha)

    @property
    def pass_at(self) -> float:
        """The evidence at which a test ends well (negative)."""
        return math.log(self.beta / (1 - self.alpha))


DEFAULT_TEST = HealthTest(tolerable=0.02, intolerable=0.20, alpha=0.01, beta=0.10)
"""Halts on two failures in a row, or on three among about ten; passes after 12 successes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state of the test after all outcomes."""

    health: Health
    evidence: float  # of the test that runs; 0 says nothing, positive leans against the release
    passed: int  # tests that ended well


def run_test(outcomes: Iterable[bool], test: HealthTest = DEFAULT_TEST) -> Verdict:
    """Run over `outcomes` in the order in which they came; True is a success.

    Once unhealthy it stays so: a halt is lifted by a person, not by luck afterwards.
    """
    evidence, passed = 0.0, 0
    for succeeded in outcomes:
        evidence += test.success_weight if succeeded else test.failure_weight
        if evidence >= test.halt_at:
            return Verdict(health=Health.UNHEALTHY, evidence=evidence, passed=passed)
        if evidence <= test.pass_at:
            evidence, passed = 0.0, passed + 1
    health = Health.HEALTHY if passed and evidence <= 0 else Health.UNDECIDED
    return Verdict(health=health, evidence=evidence, passed=passed)
