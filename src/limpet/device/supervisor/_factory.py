"""Factory mode: the conversation with the station over stdin and stdout, once in a life.

Owns the order of the steps (`limpet.wire.factory`). The identity file is written last
and durably: a device that was cut off halfway is still in its factory state, and
begins again with a new key and a new claim code. The claim code passes through here
to the label and is never written or logged.
"""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from limpet.device.link import messages as m
from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.identity import DeviceIdentity, has_identity, save_identity
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._entropy import verify_factory_source
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.product import PRODUCT_FILE, load_product
from limpet.storage import sync_directory
from limpet.wire import factory as f
from limpet.wire.codec import decode_json

__all__ = ["Ask", "converse", "forget_half_made", "run_factory"]

STATION_SECONDS = 120.0
"""How long the device waits for the station's next line."""

Ask = Callable[[Role, m.Request], Awaitable[m.Reply]]
ReadLine = Callable[[], Awaitable[bytes]]
WriteLine = Callable[[f.DeviceReply], None]
T = TypeVar("T")


class Log(Protocol):
    """Writes to the device's log."""

    def __call__(self, event: str, detail: str, *, level: str = "info") -> None:
        """One entry."""


def forget_half_made(root: Path) -> None:
    """Destroy key and claim code of an attempt that was cut off; nothing is used twice.

    Raises `Rejected("already-made")` for a device that has its identity.
    """
    if has_identity(root):
        raise Rejected(
            "already-made", "this device has its identity", hint="make a new device directory"
        )
    try:
        for role in (Role.KEEPER, Role.ACCOUNTS):
            if (root / role.value).exists():
                shutil.rmtree(root / role.value)
        sync_directory(root)
    except OSError as error:
        raise Unavailable(f"cannot clear {error.filename}: {error.strerror}") from error


async def run_factory(start: Start, ask: Ask, log: Log, randomness: RandomnessReport) -> int:
    """Talk to the station on stdin and stdout; the supervisor's exit status."""
    try:
        verify_factory_source(randomness)
        read_line = await _stdin()
        await converse(start, ask, read_line, _say)
    except LimpetError as error:
        reason = getattr(error, "reason", "unavailable")
        log("factory-failed", str(error), level="error")
        _say(f.Failure(reason=reason, message=str(error)))
        return 1
    log("manufactured", "the device has its identity")
    return 0


async def converse(start: Start, ask: Ask, read_line: ReadLine, say: WriteLine) -> None:
    """Get an identity and hand out the claim code. Raises `LimpetError`; then nothing counts."""
    identify = await _receive(read_line, f.Identify)
    product = load_product(start.slot_path / PRODUCT_FILE)
    if identify.model != product.model.name:
        raise Rejected("wrong-model", f"this firmware is for {product.model.name}")
    if identify.hardware_revision not in product.model.hardware_revisions:
        raise Rejected("wrong-hardware", f"no hardware revision {identify.hardware_revision}")
    made = await _asked(
        ask,
        Role.KEEPER,
        m.GenerateIdentity(
            model=identify.model,
            hardware_revision=identify.hardware_revision,
            serial=identify.serial,
        ),
        m.IdentityRequest,
    )
    say(f.CertificateRequest(csr_pem=made.csr_pem))
    install = await _receive(read_line, f.InstallIdentity)
    await _asked(ask, Role.KEEPER, m.StoreIdentity(chain_pem=install.chain_pem), m.Done)
    code = await _asked(ask, Role.ACCOUNTS, m.MintClaimCode(), m.ClaimCode)
    save_identity(
        start.root,
        DeviceIdentity(
            maker=product.maker.name,
            model=identify.model,
            hardware_revision=identify.hardware_revision,
            serial=identify.serial,
            manufactured_at=identify.manufactured_at,
            seen=identify.seen,
        ),
    )
    say(f.Manufactured(claim_code=code.code))


async def _receive(read_line: ReadLine, kind: type[T]) -> T:
    try:
        async with asyncio.timeout(STATION_SECONDS):
            line = await read_line()
    except TimeoutError:
        raise Unavailable("the factory station is silent") from None
    if not line.endswith(b"\n"):
        raise Unavailable("the factory station went away")
    return decode_json(line, kind, max_bytes=f.LINE_BYTES)


async def _asked(ask: Ask, role: Role, request: m.Request, kind: type[T]) -> T:
    reply = await ask(role, request)
    if isinstance(reply, m.Refused):
        raise Rejected(reply.reason, f"{role.value} refused: {reply.message or reply.reason}")
    if not isinstance(reply, kind):
        raise Rejected("malformed-reply", f"{role.value} answered {type(reply).__name__}")
    return reply


async def _stdin() -> ReadLine:
    reader = asyncio.StreamReader(limit=f.LINE_BYTES)
    try:
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
    except ValueError as error:
        raise Unavailable("factory mode needs a station on a pipe, not a file") from error

    async def read_line() -> bytes:
        try:
            return await reader.readline()
        except ValueError as error:
            raise Rejected("too-large", f"a line over {f.LINE_BYTES} bytes") from error

    return read_line


def _say(reply: f.DeviceReply) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
    sys.stdout.buffer.flush()
