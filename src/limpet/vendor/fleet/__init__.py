"""The fleet: what devices report, and what the vendor sees of it.

Owns the intake of reports and their meaning for a rollout. Knows nothing of an
owner and of what a device is used for: reports carry none of it.
"""

from .intake import Intake
from .rate import Rate, RateLimiter
from .view import FleetDevice, view_fleet

__all__ = ["FleetDevice", "Intake", "Rate", "RateLimiter", "view_fleet"]
