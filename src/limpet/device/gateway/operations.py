"""What each operation of the API does: one message to the role that knows, one answer.

Owns the translation between HTTP bodies and the link's messages. Checks nothing
that the dispatcher has checked, and decides nothing that a role decides.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from limpet.device.gateway import bodies as b
from limpet.device.gateway.answers import json_answer
from limpet.device.gateway.arguments import read_query
from limpet.device.gateway.asking import Asked, Call, Handler, Refusal, ask_role, done_by
from limpet.device.gateway.compartments import Compartments
from limpet.device.gateway.facts import Facts, SecurityTxt
from limpet.device.gateway.live import LiveValues, Sample, take_readings
from limpet.device.gateway.openapi import describe_api
from limpet.device.gateway.page import PAGE, load_page
from limpet.device.gateway.people import PeopleOperations
from limpet.device.gateway.routes import Operation
from limpet.device.gateway.support import support_notice
from limpet.device.link import messages as m
from limpet.device.link.permits import PERMITS, Role
from limpet.errors import Unavailable
from limpet.https.message import Response, StreamBody, problem

__all__ = ["Operations"]

CHECK_SECONDS = 60.0  # an update check goes over the Internet
STATUS_SECONDS = 1.0  # how old the updater's word on support may be in the public identity

R = TypeVar("R")


@dataclass(slots=True)
class Operations:
    """The handlers. `call` asks another role; `compartments` is the supervisor's word; `handed_on`
    is called once the device has another owner."""

    call: Call
    facts: Facts
    promote: Callable[[int], None]
    compartments: Callable[[], Compartments]
    handed_on: Callable[[], None] = lambda: None
    _claimed: bool = False
    _functions: tuple[b.FunctionBody, ...] | None = None
    _support: tuple[float, b.SupportBody | None] = field(default=(-STATUS_SECONDS, None))
    _page: Mapping[str, Response] = field(default_factory=load_page)
    _live: LiveValues = field(init=False)
    _security_txt: SecurityTxt = field(init=False)
    _people: PeopleOperations = field(init=False)

    def __post_init__(self) -> None:
        self._security_txt = SecurityTxt(self.facts)
        self._people = PeopleOperations(self.call, self.promote, self._forget_claim, self.handed_on)
        self._live = LiveValues(
            sample=self._sample,
            authenticate=lambda token: self.call(Role.ACCOUNTS, m.Authenticate(token=token)),
        )

    def table(self) -> Mapping[Operation, Handler]:
        """Every operation's handler; a test holds it against the routes."""
        return {
            **self._people.table(),
            Operation.IDENTITY: self.identity,
            Operation.SECURITY_TXT: self.security_txt,
            Operation.LIST_FUNCTIONS: self.list_functions,
            Operation.READ_FUNCTION: self.use_function,
            Operation.CALL_FUNCTION: self.use_function,
            Operation.LIST_NOTIFICATIONS: self.list_notifications,
            Operation.ACKNOWLEDGE_NOTIFICATION: self.acknowledge_notification,
            Operation.READ_UPDATE: self.read_update,
            Operation.SET_UPDATE_POLICY: self.set_update_policy,
            Operation.CHECK_UPDATE: self.check_update,
            Operation.INSTALL_UPDATE: self.install_update,
            Operation.POSTPONE_UPDATE: self.postpone_update,
            Operation.READ_DEVICE: self.read_device,
            Operation.OPENAPI: self.openapi,
            Operation.STREAM: self.stream,
            Operation.PAGE: self.page,
            Operation.PAGE_FILE: self.page,
        }

    async def is_claimed(self) -> bool:
        """Whether the device has an owner; only a reset, which restarts us, takes that back."""
        if not self._claimed:
            answer = await self._ask(Role.ACCOUNTS, m.DescribeAccounts(), m.Answer)
            self._claimed = m.ClaimState(msgspec.json.decode(answer.json)).has_owner
        return self._claimed

    def _forget_claim(self) -> None:
        self._claimed = False

    async def authenticate(self, token: str) -> m.Principal:
        """Who holds `token`; asked anew each time, so that a revoked one dies at once."""
        return await self._ask(Role.ACCOUNTS, m.Authenticate(token=token), m.Principal)

    async def identity(self, asked: Asked) -> Response:
        """Public facts; the end of support as the vendor stated it last."""
        body = self.facts.body(claimed=await self.is_claimed(), now=datetime.now(UTC))
        support = await self._stated_support()
        return json_answer(200, msgspec.structs.replace(body, support=support or body.support))

    async def security_txt(self, asked: Asked) -> Response:
        """RFC 9116, 3: text/plain, UTF-8."""
        return self._security_txt.answer(datetime.now(UTC))

    async def list_functions(self, asked: Asked) -> Response:
        """As the app declares them."""
        return json_answer(200, await self._declared())

    async def use_function(self, asked: Asked) -> Response:
        """A reading by GET, an action by POST, at the access that the app declared."""
        name = asked.match.values["name"]
        function = next((one for one in await self._declared() if one.name == name), None)
        if function is None:
            return problem(404, "unknown-function", "this product has no such function")
        method = "GET" if function.kind == "reading" else "POST"
        if asked.match.route.method != method:
            return problem(405, "method", f"use {method}", headers={"allow": method})
        if asked.principal is None or asked.principal.access < m.Access[function.access.upper()]:
            return problem(403, "access-too-low", f"needs the access {function.access}")
        queried = read_query(function, asked.request.query)
        request = m.CallFunction(
            name=name,
            access=asked.principal.access,
            arguments=asked.request.body if method == "POST" else queried,
        )
        return json_answer(200, (await self._ask(Role.APP, request, m.Answer)).json)

    async def list_notifications(self, asked: Asked) -> Response:
        """As the app keeps them; then that support ends soon or is over, and for the owner also
        that somebody is taking the device over."""
        found = await self._ask(Role.APP, m.ListNotices(), m.Notices)
        notices = found.notices
        if asked.principal is not None and asked.principal.access is m.Access.OWNER:
            notices += await self._people.takeover_notice(datetime.now(UTC))
        with contextlib.suppress(Unavailable, Refusal):  # the updater may be starting
            status = await self._ask(Role.UPDATER, m.ReadUpdateStatus(), m.UpdateStatus)
            notices += support_notice(status, datetime.now(UTC))
        return json_answer(200, b.NotificationsBody(notifications=notices))

    async def acknowledge_notification(self, asked: Asked) -> Response:
        """By its id."""
        number = asked.match.values["id"]
        if not number.isascii() or not number.isdigit() or len(number) > 18 or int(number) < 1:
            return problem(404, "no-such-notice", "there is no such notification")
        return await self._done(Role.APP, m.AcknowledgeNotice(id=int(number)))

    async def read_update(self, asked: Asked) -> Response:
        """The updater's status."""
        return json_answer(200, await self._update_body())

    async def set_update_policy(self, asked: Asked) -> Response:
        """Durable before the answer."""
        return await self._done(Role.UPDATER, m.SetUpdatePolicy(policy=asked.body))

    async def check_update(self, asked: Asked) -> Response:
        """Answers when the check is over."""
        return await self._done(Role.UPDATER, m.CheckNow(), timeout=CHECK_SECONDS)

    async def install_update(self, asked: Asked) -> Response:
        """Consent."""
        return await self._done(Role.UPDATER, m.InstallNow(), timeout=CHECK_SECONDS)

    async def postpone_update(self, asked: Asked) -> Response:
        """Durable before the answer."""
        return await self._done(Role.UPDATER, m.PostponeUpdates(days=asked.body.days))

    async def read_device(self, asked: Asked) -> Response:
        """Versions, how each role is confined, the links that the code permits, randomness."""
        told = self.compartments()
        confinement = {
            role: tuple(
                b.MechanismBody(mechanism=one.mechanism, in_force=one.in_force, detail=one.detail)
                for one in found
            )
            for role, found in told.confinement.items()
        }
        links = {
            f"{caller.value}>{callee.value}": tuple(sorted(kind.__name__ for kind in kinds))
            for (caller, callee), kinds in PERMITS.items()
        }
        body = b.DeviceBody(
            firmware_revision=self.facts.firmware.version,
            slot=self.facts.slot,
            algorithms=self.facts.algorithms,
            confinement=confinement,
            links=links,
            randomness=told.randomness,
        )
        return json_answer(200, body)

    async def openapi(self, asked: Asked) -> Response:
        """From the routes and the app's declarations."""
        title = f"{self.facts.product.maker.name} {self.facts.product.model.display_name}"
        document = describe_api(
            await self._declared(), title=title, version=self.facts.firmware.version
        )
        return json_answer(200, document)

    async def stream(self, asked: Asked) -> Response:
        """Live values, for who asks for just that: a client that reads to the end would wait."""
        if "text/event-stream" not in asked.request.headers.get("accept", ""):
            return problem(406, "not-acceptable", "ask with accept: text/event-stream")
        if asked.principal is None:
            raise Refusal(m.Refused(reason="bad-token", message="log in first"))
        opened = self._live.open(asked.principal, asked.token)
        if isinstance(opened, m.Refused):
            raise Refusal(opened)
        return Response(200, {"content-type": "text/event-stream"}, StreamBody(opened))

    async def page(self, asked: Asked) -> Response:
        """A file of the page, as it was read at the start."""
        found = self._page.get(asked.match.values.get("file", PAGE))
        return found or problem(404, "not-found", "there is no such path")

    async def _sample(self) -> tuple[Sample, ...]:
        try:
            declared = await self._declared()
        except Refusal as error:
            raise Unavailable("the app refuses to describe itself") from error
        samples = await take_readings(declared, lambda asked: self.call(Role.APP, asked))
        with contextlib.suppress(Unavailable, Refusal):  # the updater may be starting
            body = msgspec.json.encode(await self._update_body())
            samples += (Sample(m.Access.VIEWER, "update", "", body),)
        with contextlib.suppress(Unavailable, Refusal):
            ownership = await self._ask(Role.ACCOUNTS, m.DescribeOwnership(), m.Answer)
            samples += (Sample(m.Access.VIEWER, "ownership", "", ownership.json),)
        return samples

    async def _update_body(self) -> b.UpdateBody:
        status = await self._ask(Role.UPDATER, m.ReadUpdateStatus(), m.UpdateStatus)
        return b.UpdateBody(
            **{name: getattr(status, name) for name in b.UpdateBody.__struct_fields__}
        )

    async def _declared(self) -> tuple[b.FunctionBody, ...]:
        """The app's declarations; a slot's app never changes while it runs."""
        if self._functions is None:
            found = await self._ask(Role.APP, m.DescribeFunctions(), m.Functions)
            try:
                listed = msgspec.json.decode(found.json, type=list[dict[str, Any]])
                for one in listed:
                    one["access"] = b.access_name(m.Access(one["access"]))
                self._functions = msgspec.convert(listed, tuple[b.FunctionBody, ...])
            except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
                raise Unavailable("the app's declarations cannot be read") from error
        return self._functions

    async def _stated_support(self) -> b.SupportBody | None:
        asked_at, support = self._support
        if time.monotonic() - asked_at < STATUS_SECONDS:
            return support
        try:
            status = await self._ask(Role.UPDATER, m.ReadUpdateStatus(), m.UpdateStatus)
        except (Unavailable, Refusal):
            status = None
        support = None
        if status is not None and status.support_until is not None:
            support = b.SupportBody(
                until=status.support_until.date(),
                over=status.support_over,
                text=status.support_text,
            )
        self._support = (time.monotonic(), support)
        return support

    async def _done(self, role: Role, request: m.Request, **more: Any) -> Response:
        return await done_by(self.call, role, request, **more)

    async def _ask(self, role: Role, request: m.Request, wanted: type[R], **more: Any) -> R:
        return await ask_role(self.call, role, request, wanted, **more)
