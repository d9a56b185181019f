"""What this product is wired to. A change of the board is a change of this file.

Owns the constants of the hardware, and no behaviour.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["HARDWARE", "Hardware"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The board. `heater_line` is a sysfs GPIO `value` file; None keeps a file in the data
    directory instead, which whatever drives the relay may read ("1" is on)."""

    thermal_zones: Path = Path("/sys/class/thermal")
    use_thermal_zone: bool = True  # where there is none, the room model serves
    heater_line: Path | None = None


HARDWARE = Hardware()
