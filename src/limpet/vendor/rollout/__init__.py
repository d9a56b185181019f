"""Rollouts: who is admitted when, and when to stop by itself.

Owns the online half of phase-in: steps within the bounds that the release was
signed with, a sequential test of health, and the plan that follows from both.
Can delay, pause and withdraw; can neither ship nor rush (a device enforces the
bounds again by itself).
"""

from .control import pause, resume, start, withdraw
from .decision import (
    Advance,
    Complete,
    Evidence,
    Halt,
    Stay,
    Step,
    decide_step,
    decide_steps,
    weigh,
)
from .engine import Rollout, tick
from .health import DEFAULT_TEST, HealthTest, Verdict, run_test
from .status import RolloutStatus, status

__all__ = [
    "DEFAULT_TEST",
    "Advance",
    "Complete",
    "Evidence",
    "Halt",
    "HealthTest",
    "Rollout",
    "RolloutStatus",
    "Stay",
    "Step",
    "Verdict",
    "decide_step",
    "decide_steps",
    "pause",
    "resume",
    "run_test",
    "start",
    "status",
    "tick",
    "weigh",
    "withdraw",
]
