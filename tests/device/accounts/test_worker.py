"""The hashing worker: one at a time, a short queue, known clients first."""

import asyncio
import threading
import time

import pytest

from limpet.device.accounts.worker import (
    MAX_KNOWN_WAITING,
    MAX_STRANGERS_WAITING,
    HashWorker,
)
from limpet.errors import Unavailable


def test_known_clients_go_before_strangers_and_one_runs_at_a_time() -> None:
    order: list[str] = []
    running: list[int] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        with lock:
            running.append(1)
        assert len(running) == 1
        time.sleep(0.01)
        order.append(name)
        running.pop()

    async def main() -> None:
        worker = HashWorker()
        jobs = [asyncio.ensure_future(worker.run(lambda: work("first"), known=False))]
        await asyncio.sleep(0)
        for number in range(3):
            jobs.append(asyncio.ensure_future(worker.run(lambda: work("stranger"), known=False)))
            jobs.append(asyncio.ensure_future(worker.run(lambda: work("known"), known=True)))
            await asyncio.sleep(0)
            assert number < 3
        await asyncio.gather(*jobs)
        worker.close()

    asyncio.run(main())
    assert order == ["first", *["known"] * 3, *["stranger"] * 3]


@pytest.mark.parametrize(
    ("known", "bound"), [(False, MAX_STRANGERS_WAITING), (True, MAX_KNOWN_WAITING)]
)
def test_beyond_its_queue_a_login_is_refused_at_once(known: bool, bound: int) -> None:
    async def main() -> list[object]:
        worker = HashWorker()
        jobs = [worker.run(lambda: time.sleep(0.005), known=known) for _ in range(bound + 4)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        worker.close()
        return list(results)

    results = asyncio.run(main())
    assert sum(isinstance(one, Unavailable) for one in results) == 3
    assert sum(one is None for one in results) == bound + 1


def test_a_login_that_is_given_up_does_not_block_the_next() -> None:
    async def main() -> str:
        worker = HashWorker()
        first = asyncio.ensure_future(worker.run(lambda: time.sleep(0.05), known=False))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(worker.run(lambda: None, known=False))
        await asyncio.sleep(0)
        waiting.cancel()
        await first
        async with asyncio.timeout(20):
            answer = await worker.run(lambda: "served", known=False)
        worker.close()
        return answer

    assert asyncio.run(main()) == "served"
