"""One program that is every role of a test's device; what it does depends on its role.

`updater` asks `app` for its health again and again and counts the answers in a file.
`gateway` turns into an attacker when the file `gateway/attack` appears: it sends
`accounts` a request that only the supervisor may send. `app` crashes at once while the
file `app/crash` is there. A slot of version 2 (firmware.json) never confirms its trial.
"""

import asyncio
import json
import struct
from pathlib import Path

from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link.permits import Role
from limpet.device.link.role import Bus, run_role
from limpet.device.link.start import Start
from limpet.errors import LimpetError
from limpet.wire.codec import encode_packed


async def serve(start: Start, bus: Bus) -> None:
    if start.role is Role.APP:
        if (start.private / "crash").exists():
            raise RuntimeError("the app has a bug")
        bus.on(m.CheckHealth, _health)
    await bus.ready(confine(start.role, start))
    if start.role is Role.UPDATER:
        await update(start, bus)
    if start.role is Role.GATEWAY:
        bus.log("listening", "127.0.0.1:4711")
        await attack_when_told(start, bus)
    await bus.until_stopped()


async def _health(request: m.CheckHealth) -> m.Reply:
    return m.Health(healthy=True)


async def update(start: Start, bus: Bus) -> None:
    version = json.loads((start.slot_path / "firmware.json").read_text())["version"]
    boot = await bus.call(Role.SUPERVISOR, m.ReadBootRecord())
    if isinstance(boot, m.BootRecord) and boot.on_trial and version.startswith("3"):
        await bus.call(Role.SUPERVISOR, m.ConfirmTrial())
    answers = 0
    while True:
        try:
            reply = await bus.call(Role.APP, m.CheckHealth(), timeout=1)
            answers += isinstance(reply, m.Health)
        except LimpetError:
            pass
        (start.private / "answers").write_text(str(answers))
        order = start.private / "activate"
        if order.exists():
            wanted = json.loads(order.read_text())
            order.unlink()
            reply = await bus.call(Role.SUPERVISOR, m.Activate(**wanted))
            bus.log("activate-answered", type(reply).__name__)
        await asyncio.sleep(0.02)


async def attack_when_told(start: Start, bus: Bus) -> None:
    while not (start.private / "attack").exists():  # noqa: ASYNC110 (a file, not an event)
        await asyncio.sleep(0.02)
    (start.private / "attack").unlink()
    body = encode_packed(m.MintClaimCode())
    writer = bus._channels[Role.ACCOUNTS]._writer
    assert writer is not None
    writer.write(struct.pack(">BII", 1, 1, len(body)) + body)


run_role(Role(Path(__file__).parent.name), serve)
