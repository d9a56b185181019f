"""The worker: one call at a time, none waited for longer than said, and a hang is seen."""

import asyncio
import threading
import time

import pytest

from limpet.device.app._worker import QUEUE_LIMIT, Worker
from limpet.errors import Rejected


def test_calls_run_one_after_another_in_one_thread() -> None:
    seen: list[str] = []

    def work(number: int) -> int:
        seen.append(f"{number} {threading.get_ident()}")
        time.sleep(0.01)
        seen.append(f"{number} {threading.get_ident()}")
        return number

    async def live() -> list[int]:
        worker = Worker()
        return list(
            await asyncio.gather(
                *(worker.run(lambda n=n: work(n), seconds=5) for n in range(5))  # type: ignore[misc]
            )
        )

    assert asyncio.run(live()) == [0, 1, 2, 3, 4]
    assert seen[0::2] == seen[1::2]
    assert len({entry.split()[1] for entry in seen}) == 1


def test_a_call_that_hangs_is_given_up_and_one_that_waited_too_long_never_begins() -> None:
    release, ran = threading.Event(), []

    async def live() -> None:
        worker = Worker()
        began = time.monotonic()
        hung = asyncio.ensure_future(worker.run(lambda: release.wait(60), seconds=0.2))
        await asyncio.sleep(0)
        with pytest.raises(Rejected) as queued:
            await worker.run(lambda: ran.append(1), seconds=0.1)
        with pytest.raises(Rejected) as refused:
            await hung
        assert queued.value.reason == refused.value.reason == "app-timeout"
        assert time.monotonic() - began < 20
        assert worker.busy_seconds() > 0.1
        release.set()
        assert await worker.run(lambda: "after", seconds=5) == "after"
        assert worker.busy_seconds() == 0

    asyncio.run(live())
    assert ran == []


def test_more_calls_than_the_queue_holds_are_refused_at_once() -> None:
    release = threading.Event()

    async def live() -> None:
        worker = Worker()
        waiting = [
            asyncio.ensure_future(worker.run(lambda: release.wait(60), seconds=5))
            for _ in range(QUEUE_LIMIT)
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(Rejected) as refused:
            await worker.run(lambda: None, seconds=5)
        assert refused.value.reason == "busy"
        release.set()
        await asyncio.gather(*waiting)

    asyncio.run(live())
