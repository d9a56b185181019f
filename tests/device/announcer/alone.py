"""The real announcer's process, confined, with a test in the place of supervisor and gateway.

`python alone.py DEVICE` reads one line of JSON after the other from stdin, each an `Announce`, and
prints one line when it is done. Runs in whatever network namespace it was started in.
"""

import asyncio
import socket
import sys
from pathlib import Path

import msgspec

from limpet.device.enclosure.ownership import own_private
from limpet.device.enclosure.users import find_users
from limpet.device.link import messages as m
from limpet.device.link.channel import Channel
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._child import Child
from limpet.device.supervisor._enclosures import enclosure_of


async def main(root: Path) -> None:
    child: Child

    async def answer(caller: Role, request: m.Request) -> m.Reply:
        if isinstance(request, m.Ready):
            child.confinement = request.confinement
            child.ready.set()
        if isinstance(request, m.Rest):
            print("rests", flush=True)
        if isinstance(request, m.LogEvent):
            print(f"log {request.event} {request.detail}", flush=True)
        return m.Done()

    def told(role: Role, line: str) -> None:
        print(f"stderr {role.value} {line}", flush=True)

    child = Child(Role.ANNOUNCER, answer=answer, violated=lambda *_: None)
    ours, theirs = socket.socketpair()
    gateway = Channel(me=Role.GATEWAY, peer=Role.ANNOUNCER, answer=answer, violated=lambda *_: None)
    running = asyncio.ensure_future(gateway.run(ours))
    start = Start(role=Role.ANNOUNCER, root=root, slot="a")
    users = find_users(root, first=None)
    if users is not None:
        own_private(root, users)
    into = enclosure_of(start, users, calls_out=False)
    await child.start(start, {Role.GATEWAY: theirs}, into=into, stderr_line=told)
    async with asyncio.timeout(30):
        await child.ready.wait()
    in_force = ",".join(c.mechanism for c in child.confinement if c.in_force)
    print(f"ready {child.pid} {in_force}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        reply = await gateway.call(msgspec.json.decode(line, type=m.Announce))
        print(type(reply).__name__.lower(), flush=True)
    await child.stop()
    running.cancel()


asyncio.run(main(Path(sys.argv[1])))
