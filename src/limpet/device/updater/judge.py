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

_FAULT_CHARACTERS = 240


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
        self.trial: Trial | None = None  # while it is under way

    async def judge(self) -> Verdict:
        """The verdict, once boot knows it."""
        around = self._around
        trial = self.trial = Trial(
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
        if verdict.passed:
            self.trial = None
        return verdict

    async def _probe(self) -> str:
        """Why this firmware does not reach the vendor or believe its metadata, or ""."""
        try:
            await self._look()
        except LimpetError as error:
            self._warn("trial-vendor", str(error))
            return error.message[:_FAULT_CHARACTERS] or "no answer"
        return ""
