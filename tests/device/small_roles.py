"""One program that is every role of a test's device; what it does depends on its role.

`keeper` and `accounts` rest after the idle seconds in their file `rests-after`; `accounts` says
when it hears of the button; `updater` asks `keeper` as often as
its file `enroll` says, and counts the answers in `enrolled`. `updater` also asks `app` for its
health again and again and counts the answers in a file.
`gateway` turns into an attacker when the file `gateway/attack` appears: it sends
`accounts` a request that only the supervisor may send. `app` crashes at once while the
file `app/crash` is there, and accuses the roles that are named in its file `accuse`.
A role with a file `slow` says so, and is ready when it is gone.
A slot of version 2 (firmware.json) never confirms its trial.
"""

import asyncio
import functools
import json
from pathlib import Path

from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link._frames import Kind
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
    if start.role is Role.KEEPER:
        bus.on(m.EnrollStart, _enroll)
    if start.role is Role.ACCOUNTS:
        bus.on(m.PressButton, functools.partial(_press, bus))
    if (slow := start.private / "slow").exists():
        bus.log("slow-begins")
        while slow.exists():  # noqa: ASYNC110 (a file, not an event)
            await asyncio.sleep(0.02)
        bus.log("slow-ready", start.role.value)
    await bus.ready(confine(start.role, start))
    if start.role in (Role.KEEPER, Role.ACCOUNTS) and (start.private / "rests-after").exists():
        idle = float((start.private / "rests-after").read_text())
        await bus.rest_when_idle(lambda: 600.0, seconds=idle)
    if start.role is Role.UPDATER:
        await update(start, bus)
    if start.role is Role.GATEWAY:
        bus.log("listening", "127.0.0.1:4711")
        await attack_when_told(start, bus)
    if start.role is Role.APP:
        await accuse_when_told(start, bus)
    await bus.until_stopped()


async def _health(request: m.CheckHealth) -> m.Reply:
    return m.Health(healthy=True)


async def _press(bus: Bus, request: m.PressButton) -> m.Reply:
    bus.log("press-heard")
    return m.Done()


async def _enroll(request: m.EnrollStart) -> m.Reply:
    return m.EnrollStep(send=b"hello")


async def enroll_when_told(start: Start, bus: Bus) -> None:
    order, done = start.private / "enroll", start.private / "enrolled"
    if not order.exists():
        return
    times = int(order.read_text())
    order.unlink()
    for _ in range(times):
        request = m.EnrollStart(host="vendor.example.com", csr_pem="x")
        if isinstance(await bus.call(Role.KEEPER, request), m.EnrollStep):
            done.write_text(str(int(done.read_text()) + 1))
        await asyncio.sleep(0.2)


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
        await enroll_when_told(start, bus)
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
    frames = bus._channels[Role.ACCOUNTS]._frames
    assert frames is not None
    frames.send(Kind.REQUEST, 1, encode_packed(m.MintClaimCode()))


async def accuse_when_told(start: Start, bus: Bus) -> None:
    order = start.private / "accuse"
    while not order.exists():  # noqa: ASYNC110 (a file, not an event)
        await asyncio.sleep(0.02)
    for name in order.read_text().split():
        await bus.call(Role.SUPERVISOR, m.Violation(caller=name, request="CheckHealth"))
    bus.log("accused")


run_role(Role(Path(__file__).parent.name), serve)
