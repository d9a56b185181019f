"""The service's database: devices, their certificates, what they reported, and rollouts.

Owns the tables and the transactions. Holds no key, no claim code and no
decision: those who decide read rows and write rows.
"""

from ._database import Database
from .devices import Certificate, DeviceRow, Devices
from .outcomes import Ages, Attempt, Outcomes
from .rings import Rings
from .rollouts import (
    ErrorRates,
    Ring,
    RolloutEvent,
    RolloutRow,
    Rollouts,
    RolloutState,
    Step,
)

__all__ = [
    "Ages",
    "Attempt",
    "Certificate",
    "Database",
    "DeviceRow",
    "Devices",
    "ErrorRates",
    "Outcomes",
    "Ring",
    "Rings",
    "RolloutEvent",
    "RolloutRow",
    "RolloutState",
    "Rollouts",
    "Step",
]
