"""The hardware noise source: read in bounded time, tested, mixed into the kernel's pool.

Owns the reading of `/dev/hwrng` and the report about it. Untested samples go nowhere, and a
source that failed is not read again before the next start. Draws nothing: keys come from the
kernel, which has more sources than this one (docs/adr/0095).
"""

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from limpet.crypto.noise import START_UP_SAMPLES, WINDOW, NoiseHealth
from limpet.crypto.randomness import mix_in
from limpet.device.link.entropy import RandomnessReport, SourceState
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import read_bounded

__all__ = ["HARDWARE", "NoiseSource", "read_kernel_sources", "read_samples"]

HARDWARE = Path("/dev/hwrng")
READ_SECONDS = 5.0
"""How long the source may take for a block; a TPM gives some thousand bytes a second."""

_PAUSE_SECONDS = 0.002  # between two questions to a source that has nothing yet
_SYSTEM = Path("/sys/class/misc/hw_random")
_PROCESSOR = Path("/proc/cpuinfo")
_PROCESSOR_BYTES = 1 << 20
_INSTRUCTIONS = ("rdrand", "rdseed", "rng")  # of x86-64, and FEAT_RNG of AArch64


class NoiseSource:
    """One source over one run of the device. `mix` takes what passed."""

    def __init__(self, path: Path = HARDWARE, *, mix: Callable[[bytes], None] = mix_in) -> None:
        self._path, self._mix = path, mix
        self._health = NoiseHealth()
        self.report = read_kernel_sources()

    async def begin(self) -> None:
        """The start-up test; `report` says how it went. Never raises for a bad source."""
        await self._take(START_UP_SAMPLES)

    async def go_on(self) -> None:
        """Test and mix one more window, if the source is in use."""
        if self.report.source == "healthy":
            await self._take(WINDOW)

    async def _take(self, count: int) -> None:
        try:
            samples = await _apart(lambda: read_samples(self._path, count, seconds=READ_SECONDS))
            tested = self._health.verify(samples)
            self._mix(tested.samples)
        except FileNotFoundError:
            self._say("absent", f"there is no {self._path}")
        except PermissionError:
            self._say("unreadable", f"only root may read {self._path}")
        except LimpetError as error:
            self._say("failing", error.message)
        else:
            self._say("healthy", f"{self._path}, tested and mixed into the kernel's pool")

    def _say(self, state: SourceState, detail: str) -> None:
        self.report = msgspec.structs.replace(
            self.report, source=state, detail=detail[:1000], examined=self._health.examined
        )


def read_samples(path: Path, count: int, *, seconds: float) -> bytes:
    """Exactly `count` bytes of `path`, in the order in which it gives them.

    Raises `FileNotFoundError` (no such source, or no driver behind it), `PermissionError`,
    `Rejected("noise-failing")` for one that errs, ends or is too slow.
    """
    deadline = time.monotonic() + seconds
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _absent_or_failing(error) from error
    samples = b""
    try:
        while len(samples) < count:
            try:
                more = os.read(descriptor, count - len(samples))
                if not more:
                    raise Rejected("noise-failing", f"{path} ended after {len(samples)} samples")
                samples += more
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Rejected(
                        "noise-failing",
                        f"{path} gave {len(samples)} of {count} samples in {seconds:g} s",
                    ) from None
                time.sleep(_PAUSE_SECONDS)
    except OSError as error:
        raise _absent_or_failing(error) from error
    finally:
        os.close(descriptor)
    return samples


def read_kernel_sources() -> RandomnessReport:
    """What the kernel uses by its own word; the source itself was not tried yet."""
    current = _words(_SYSTEM / "rng_current")
    available = _words(_SYSTEM / "rng_available")
    flags = set(_words(_PROCESSOR))
    return RandomnessReport(
        source="untried",
        kernel_source=next((name for name in current if name != "none"), ""),
        kernel_knows=tuple(name for name in available if name != "none"),
        processor=tuple(name for name in _INSTRUCTIONS if name in flags),
    )


async def _apart(work: Callable[[], bytes]) -> bytes:
    """`work` in a thread that nobody has to wait for: a driver may hang in the kernel."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()

    def settle(samples: bytes | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(samples or b"")

    def run() -> None:
        try:
            found, error = work(), None
        except Exception as raised:
            found, error = None, raised
        with contextlib.suppress(RuntimeError):  # too late: the loop is closed
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=run, name="noise", daemon=True).start()
    try:
        async with asyncio.timeout(READ_SECONDS + 1):
            return await done
    except TimeoutError:
        raise Rejected("noise-failing", "the source hangs in the kernel") from None


def _absent_or_failing(error: OSError) -> Exception:
    if error.errno in (errno.ENODEV, errno.ENXIO):  # the node is there, a driver is not
        return FileNotFoundError(error.errno, error.strerror)
    if isinstance(error, FileNotFoundError | PermissionError):
        return error
    return Rejected("noise-failing", f"reading failed: {(error.strerror or '').lower()}")


def _words(path: Path) -> list[str]:
    try:
        return read_bounded(path, max_bytes=_PROCESSOR_BYTES).decode("ascii", "replace").split()
    except (Unavailable, Rejected):
        return []
