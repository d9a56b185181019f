"""Its lock."""

import os

PINS, SPRINGS = 5, 5
WARDS: int = 2

if os.name == "posix":

    def turn() -> None:
        """Turn the key."""


class Bolt:
    """What the key moves."""

    async def slide(self) -> None:
        """Move."""
