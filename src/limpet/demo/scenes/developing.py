"""What the developers change from release to release, and when they begin it.

Each is begun as soon as the release before it is published, since the gate compares the two; the
scene that needs it publishes it.
"""

from limpet.demo.scenes.releasing import prepare
from limpet.demo.world import World, edit

__all__ = [
    "BAD",
    "FIRST",
    "MENDED",
    "NEW",
    "begin_faulty",
    "begin_first",
    "begin_mended",
    "begin_new",
]

FIRST, NEW, BAD, MENDED = "1.0.0", "1.1.0", "1.2.0", "1.2.1"
_RIGHT, _WRONG = "MILLIDEGREES_PER_DEGREE = 1000", "MILLIDEGREES_PER_DEGREE = 100"


def begin_first(world: World) -> None:
    """The product as it is in the repository."""
    prepare(world, FIRST)


def begin_new(world: World) -> None:
    """It looks at the room more often."""
    functions = world.product / "app" / "thermostat" / "functions.py"
    edit(functions, "CONTROL_SECONDS = 2.0", "CONTROL_SECONDS = 1.0")
    prepare(world, NEW)


def begin_faulty(world: World) -> None:
    """A developer mistakes the sensor's unit, which no test of the copy sees."""
    edit(world.product / "app" / "thermostat" / "sensor.py", f"{_RIGHT}\n", f"{_WRONG}\n")
    prepare(world, BAD)


def begin_mended(world: World) -> None:
    """The unit is right again; devices that run `NEW` get a delta."""
    edit(world.product / "app" / "thermostat" / "sensor.py", f"{_WRONG}\n", f"{_RIGHT}\n")
    prepare(world, MENDED, delta_from=NEW)
