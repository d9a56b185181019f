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
    Halt,
    Stay,
    Step,
    decide_step,
    decide_steps,
    ring_limit,
)
from .engine import Rollout, tick
from .evidence import Evidence, weigh
from .health import DEFAULT_TEST, HealthTest, Verdict, expected_reports, run_test
from .rings import list_rings, remove_ring, set_ring
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
    "expected_reports",
    "list_rings",
    "pause",
    "remove_ring",
    "resume",
    "ring_limit",
    "run_test",
    "set_ring",
    "start",
    "status",
    "tick",
    "weigh",
    "withdraw",
]
