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
from .forecast import Breach, Forecast, Limits, Outlook, Spread, find_breaches, forecast
from .forgetting import forget_attempts
from .health import DEFAULT_TEST, HealthTest, Verdict, expected_reports, run_test
from .picture import draw_forecast
from .rings import find_strangers, list_rings, make_room, remove_ring, set_ring
from .simulation import Course, Fleet, Run, Schedule, simulate
from .status import RolloutStatus, status

__all__ = [
    "DEFAULT_TEST",
    "Advance",
    "Breach",
    "Complete",
    "Course",
    "Evidence",
    "Fleet",
    "Forecast",
    "Halt",
    "HealthTest",
    "Limits",
    "Outlook",
    "Rollout",
    "RolloutStatus",
    "Run",
    "Schedule",
    "Spread",
    "Stay",
    "Step",
    "Verdict",
    "decide_step",
    "decide_steps",
    "draw_forecast",
    "expected_reports",
    "find_breaches",
    "find_strangers",
    "forecast",
    "forget_attempts",
    "list_rings",
    "make_room",
    "pause",
    "remove_ring",
    "resume",
    "ring_limit",
    "run_test",
    "set_ring",
    "simulate",
    "start",
    "status",
    "tick",
    "weigh",
    "withdraw",
]
