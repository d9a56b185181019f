"""Errands of enrollment: bytes between a socket to the vendor and the keeper.

Owns the TCP connection and its bounds. Sees only TLS records: the keeper speaks TLS
and EST (RFC 7030) with the permanent identity, and its key never comes near a
network process.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from limpet.device.link import messages as m
from limpet.device.link.destinations import Destination
from limpet.errors import Rejected, Unavailable

__all__ = ["Errand"]

_TOTAL_SECONDS = 30.0
_CONNECT_SECONDS = 20.0
_CHUNK_BYTES = 32 << 10
_MAX_STEPS = 64

AskKeeper = Callable[[m.EnrollStart | m.EnrollFeed], Awaitable[m.Reply]]


class Errand:
    """Runs one enrollment at a time: the keeper holds one conversation."""

    def __init__(self, ask: AskKeeper, destination: Destination) -> None:
        self._ask, self._destination = ask, destination
        self._host = destination.host
        self._one = asyncio.Lock()

    async def run(self, csr_pem: str) -> str:
        """The certificate chain (PEM) for the request.

        Raises `Unavailable` when the vendor cannot be reached in time, `Rejected` with the
        keeper's reason when it refuses the request or the answer, or for an address that
        is not the vendor's.
        """
        async with self._one:
            try:
                async with asyncio.timeout(_TOTAL_SECONDS):
                    return await self._run(csr_pem)
            except TimeoutError as error:
                raise Unavailable(f"{self._host} did not enroll in time") from error
            except OSError as error:
                why = (error.strerror or "failed").lower()
                raise Unavailable(f"cannot reach {self._host} for enrollment: {why}") from error

    async def _run(self, csr_pem: str) -> str:
        reader, writer = await self._connect()
        try:
            step = await self._step(m.EnrollStart(csr_pem=csr_pem, host=self._host))
            for _ in range(_MAX_STEPS):
                if step.send:
                    writer.write(step.send)
                    await writer.drain()
                if step.chain_pem:
                    return step.chain_pem
                if step.finished:
                    break
                step = await self._step(m.EnrollFeed(received=await reader.read(_CHUNK_BYTES)))
            raise Unavailable(f"{self._host} ended the enrollment without a certificate")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connected = await asyncio.to_thread(self._destination.connect, _CONNECT_SECONDS)
        return await asyncio.open_connection(sock=connected)

    async def _step(self, request: m.EnrollStart | m.EnrollFeed) -> m.EnrollStep:
        reply = await self._ask(request)
        if isinstance(reply, m.EnrollStep):
            return reply
        if isinstance(reply, m.Refused):
            raise Rejected(reply.reason, reply.message or "the keeper refused the enrollment")
        raise Unavailable("the keeper answered something else")
