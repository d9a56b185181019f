"""The trial of a slot from its first look to boot's knowing of the verdict.

Owns who is asked: the app for its health, the vendor for metadata that this firmware believes.
The rules are in `limpet.device.updater.trial`, the pace in `limpet.device.updater.watching`.
"""

from collections.abc import Awaitable, Callable

from limpet.device.updater.device import Device
from limpet.device.updater.surroundings import Surroundings
from limpet.device.updater.trial import Trial, Verdict
from limpet.device.updater.watching import hand_over, watch_trial
from limpet.errors import LimpetError

__all__ = ["Judge"]


class Judge:
    """Judges the running slot. `look` reads the repository; it raises `LimpetError`."""

    def __init__(
        self,
        device: Device,
        around: Surroundings,
        *,
        warn: Callable[[str, str], None],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        self._device, self._around = device, around
        self._warn, self._look = warn, look

    async def judge(self) -> Verdict:
        """The verdict, once boot knows it."""
        around = self._around
        trial = Trial(
            deadline=float(self._device.product.update.health_deadline_seconds),
            begun=around.monotonic(),
        )
        verdict = await watch_trial(
            trial,
            health=around.health,
            reach=self._probe,
            monotonic=around.monotonic,
            sleep=around.sleep,
        )
        await hand_over(verdict, supervisor=around.supervisor, sleep=around.sleep, warn=self._warn)
        return verdict

    async def _probe(self) -> bool:
        """Whether this firmware reaches the vendor and believes its metadata."""
        try:
            await self._look()
        except LimpetError as error:
            self._warn("trial-vendor", str(error))
            return False
        return True
