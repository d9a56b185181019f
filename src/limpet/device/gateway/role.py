"""The start of the gateway: load, listen, confine, serve, keep the certificate fresh.

Owns the order of the start. The socket is bound before the confinement; nothing is
accepted before it, nor before all that the gateway asks are ready.
"""

import asyncio
import contextlib
import ipaddress
import random
import ssl
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from limpet.crypto.randomness import wait_until_ready
from limpet.device.confine import confine
from limpet.device.gateway.announcement import Announcement, describe
from limpet.device.gateway.api import Api
from limpet.device.gateway.bodies import AlgorithmsBody
from limpet.device.gateway.certificate import ENROLL_SECONDS, Enrollment, Identity
from limpet.device.gateway.compartments import load_compartments
from limpet.device.gateway.facts import Facts, load_facts
from limpet.device.gateway.front import front_context
from limpet.device.gateway.home import HomeOperations
from limpet.device.gateway.household import Household
from limpet.device.gateway.operations import Operations
from limpet.device.link import messages as m
from limpet.device.link.bus import Bus
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.errors import Unavailable
from limpet.https.admission import DEVICE as ADMISSION
from limpet.https.admission import Admission
from limpet.https.limits import DEVICE as LIMITS
from limpet.https.server import Server
from limpet.https.server import serve as listen
from limpet.storage import make_directory, read_bounded

__all__ = ["serve"]

MAX_ROOTS = 64 << 10


async def serve(start: Start, bus: Bus) -> None:
    """Run the role until it is stopped."""
    wait_until_ready()
    facts = load_facts(start)
    admission = Admission(ADMISSION, clock=time.monotonic, draw=random.SystemRandom().random)
    enrollment = _enrollment(start, bus, facts)
    announcement = Announcement(
        make_directory(start.private), facts, lambda said: bus.call(Role.ANNOUNCER, said)
    )
    fronting = Fronting(enrollment.load(), _household(start, bus, facts))
    operations = Operations(
        call=bus.call,
        facts=facts,
        promote=admission.promote,
        compartments=lambda: load_compartments(start.root),
        handed_on=fronting.hand_on,
    )
    home = HomeOperations(
        serial=facts.identity.serial,
        household=fronting.household,
        announcement=announcement,
        identity=lambda: fronting.identity,
    )
    host, port = start.listen
    server = await listen(
        Api(operations, home).handle,
        host=host,
        port=port,
        tls=fronting.context(),
        limits=LIMITS,
        admission=admission,
        on_event=lambda event, detail: bus.log(event, detail, level="warning"),
        start=False,
    )
    await bus.ready(confine(Role.GATEWAY, start))
    server.start()
    shown = f"[{server.host}]" if ":" in server.host else server.host
    bus.log("listening", f"{shown}:{server.port}")
    bus.log("algorithms", _say(facts.algorithms))
    fronting.serve_with(server)
    told = announcement.run(describe(facts, listens_on=host, port=server.port))
    try:
        await _until_stopped(bus, enrollment.run(fronting.identity, adopt=fronting.adopt), told)
    finally:
        await server.close()


async def _until_stopped(bus: Bus, *works: Coroutine[Any, Any, None]) -> None:
    """Keep `works` going until the role is stopped; what fails in one of them ends the role."""
    async with asyncio.TaskGroup() as group:
        kept = [group.create_task(work) for work in works]
        await bus.until_stopped()
        for task in kept:
            task.cancel()


class Fronting:
    """Keeps what the server shows in step with the two certificates."""

    def __init__(self, identity: Identity, household: Household) -> None:
        self.identity, self.household = identity, household

    def context(self) -> ssl.SSLContext:
        """For what is there now."""
        return front_context(self.identity, self.household)

    def serve_with(self, server: Server) -> None:
        """From now on `server` shows every change, to new connections."""
        self._server = server
        self.household.changed = self._renew

    def adopt(self, identity: Identity) -> None:
        """Show a new operational certificate."""
        self.identity = identity
        self._renew()

    def hand_on(self) -> None:
        """Forget the household of who owned the device before."""
        # The new owner can still take it away, should the disk refuse it now.
        with contextlib.suppress(Unavailable):
            self.household.remove()

    def _renew(self) -> None:
        self._server.tls = self.context()


def _household(start: Start, bus: Bus, facts: Facts) -> Household:
    return Household(
        make_directory(start.private),
        model=facts.identity.model,
        serial=facts.identity.serial,
        addresses=_addresses(start.listen[0]),
        log=lambda event, detail: bus.log(event, detail),
    )


def _enrollment(start: Start, bus: Bus, facts: Facts) -> Enrollment:
    async def ask(request: m.EnrollCertificate) -> m.Reply:
        return await bus.call(Role.UPDATER, request, timeout=ENROLL_SECONDS)

    return Enrollment(
        directory=make_directory(start.private),
        roots_pem=read_bounded(start.slot_path / "trust" / "device-root.pem", max_bytes=MAX_ROOTS),
        model=facts.identity.model,
        serial=facts.identity.serial,
        addresses=_addresses(start.listen[0]),
        built_at=facts.firmware.built_at,
        clock=lambda: datetime.now(UTC),
        draw=random.SystemRandom().random,
        ask=ask,
        log=lambda event, detail: bus.log(event, detail),
    )


def _say(algorithms: AlgorithmsBody) -> str:
    """The suite in force, and honestly what of it this library lacks."""
    groups, missing = algorithms.tls_groups, algorithms.tls_groups_missing
    lacking = f"; {algorithms.tls_library} has no {', '.join(missing)}" if missing else ""
    return (
        f"suite {algorithms.suite} (version {algorithms.version}),"
        f" TLS groups {', '.join(groups)}{lacking}"
    )


def _addresses(host: str) -> tuple[str, ...]:
    """The address that clients use, where it is one and not all."""
    try:
        return () if ipaddress.ip_address(host).is_unspecified else (host,)
    except ValueError:
        return ()
