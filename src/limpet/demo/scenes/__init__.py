"""The scenes of the demo, in the order in which a product lives."""

from limpet.demo.scenes.attack import ATTACK
from limpet.demo.scenes.audit import AUDIT
from limpet.demo.scenes.failing import FAILING
from limpet.demo.scenes.forging import FORGING
from limpet.demo.scenes.founding import FACTORY, FIRST_RELEASE, VENDOR
from limpet.demo.scenes.gating import GATE
from limpet.demo.scenes.owning import CLAIM, START, USE
from limpet.demo.scenes.repairing import REPAIRING
from limpet.demo.scenes.resuming import RESUMING
from limpet.demo.scenes.support import SUPPORT
from limpet.demo.scenes.updating import PHASE_IN
from limpet.demo.story import Scene

__all__ = ["SCENES"]

SCENES: tuple[Scene, ...] = (
    VENDOR,
    GATE,
    FIRST_RELEASE,
    FACTORY,
    START,
    CLAIM,
    USE,
    ATTACK,
    PHASE_IN,
    RESUMING,
    FORGING,
    FAILING,
    REPAIRING,
    SUPPORT,
    AUDIT,
)
