"""How a device changes hands: transfer, takeover, factory reset.

Owns what each transition of `states` does to the records. A transfer needs the owner; a
takeover needs a hand at the device (the button), the label's code, and an owner who does
not object while the device runs for days. Both end every access that was before.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from limpet.crypto.randomness import normalise_code
from limpet.device.accounts.claim import make_code
from limpet.device.accounts.context import moment
from limpet.device.accounts.countdown import Countdown, Deadline, begin_deadline, spend
from limpet.device.accounts.rules import verify_account_name, verify_new_password
from limpet.device.accounts.states import Change, next_state
from limpet.device.accounts.store import Account, ClaimVerifier, Offer, Records
from limpet.device.accounts.throttle import Throttle
from limpet.device.link import messages as m
from limpet.errors import Rejected

if TYPE_CHECKING:
    from limpet.device.accounts.context import Context

__all__ = ["OFFER_SECONDS", "Ownership"]

OFFER_SECONDS = 7 * 86400.0


class Ownership:
    """The requests about whose the device is; `tick` is called as it runs."""

    def __init__(self, context: "Context") -> None:
        self._in = context

    async def state(self, request: m.DescribeAccounts) -> m.Reply:
        """The state alone."""
        return m.Answer(json=msgspec.json.encode(self._in.records.state.value))

    async def describe(self, request: m.DescribeOwnership) -> m.Reply:
        """The state, and what is under way."""
        records = self._in.records
        offer, takeover = records.offer, records.takeover
        body = {
            "state": records.state.value,
            "transfer": offer and {"until": moment(offer.deadline.until), "erase": offer.erase},
            "takeover": takeover and {"seconds_left": round(takeover.left)},
            "button": self._in.button,
        }
        return m.Answer(json=msgspec.json.encode(body))

    async def offer(self, request: m.OfferTransfer) -> m.Reply:
        """A code for the next owner; it is in this answer and nowhere else."""
        within = self._in
        caller = within.person(request.token, least=m.Access.OWNER)
        next_state(within.records.state, Change.OFFER)
        proved = await within.confirm(caller, request.password, request.second, request.source)
        if isinstance(proved, m.Refused):
            return proved
        state = next_state(within.records.state, Change.OFFER)
        code, verifier = make_code()
        deadline = begin_deadline(OFFER_SECONDS, wall=within.wall())
        offer = Offer(verifier=verifier, deadline=deadline, erase=request.erase)
        within.store.save(state=state, offer=offer)
        within.note("transfer-offered", "with erasure" if request.erase else "data is kept")
        answer = {"code": code, "until": moment(deadline.until), "erase": request.erase}
        return m.Answer(json=msgspec.json.encode(answer))

    async def cancel(self, request: m.CancelTransfer) -> m.Reply:
        """The owner keeps the device."""
        self._in.person(request.token, least=m.Access.OWNER)
        state = next_state(self._in.records.state, Change.CANCEL)
        self._in.store.save(state=state, offer=None)
        self._in.note("transfer-cancelled", "")
        return m.Done()

    async def accept(self, request: m.AcceptTransfer) -> m.Reply:
        """Another owner, and nobody else: one write ends what was and begins what is."""
        within = self._in
        if not within.records.state.has_owner:
            return m.Refused(reason="unclaimed", message="claim the device first")
        name = verify_account_name(request.name)
        verify_new_password(request.password, words=(*within.words, name))
        fits = await within.check_code("transfer", request.code, self._offered, request.source)
        if isinstance(fits, m.Refused):
            return fits
        phc = await within.hash(request.password)
        offer = within.records.offer
        if offer is None or fits not in self._offered():
            raise Rejected("wrong-code", "this is not the right code")
        state = next_state(within.records.state, Change.ACCEPT)
        owner = Account(name=name, access=m.Access.OWNER, phc=phc)
        records = msgspec.structs.replace(
            _emptied(within.records), state=state, accounts=(owner,), erase_pending=offer.erase
        )
        within.guard.forget_guesses()
        opened = within.open(records, owner, "", request.source)
        if offer.erase:
            within.log.clear()
        within.note("transferred", f"to {name} from {request.source}")
        if offer.erase:
            within.erase()
        return opened

    async def take_over(self, request: m.TakeOver) -> m.Reply:
        """Begin the wait in which the owner may object."""
        next_state(self._in.records.state, Change.TAKE_OVER)
        refused = await self.verify_presence(request.code, request.source)
        if refused is not None:
            return refused
        state = next_state(self._in.records.state, Change.TAKE_OVER)
        takeover = Countdown(seconds=self._in.takeover_seconds)
        self._in.store.save(state=state, takeover=takeover)
        self._in.pressed_at = None  # one press, one takeover
        self._in.note(
            "takeover-begun", f"from {request.source}, {takeover.seconds:.0f} s to object"
        )
        return m.Answer(json=msgspec.json.encode({"seconds_left": round(takeover.left)}))

    async def object(self, request: m.CancelTakeover) -> m.Reply:
        """The owner is there."""
        self._in.person(request.token, least=m.Access.OWNER)
        state = next_state(self._in.records.state, Change.OBJECT)
        self._in.store.save(state=state, takeover=None)
        self._in.note("takeover-cancelled", "by the owner")
        return m.Done()

    async def reset(self, request: m.FactoryReset) -> m.Reply:
        """Destroy accounts now and, after this answer, the rest; a fresh code for who is next."""
        within = self._in
        caller = within.caller(request.token)
        if caller.access is not m.Access.OWNER:
            return m.Refused(reason="access-too-low", message="only the owner resets the device")
        next_state(within.records.state, Change.RESET)
        proved = await within.confirm(caller, request.password, request.second, request.source)
        if isinstance(proved, m.Refused):
            return proved
        code, verifier = make_code()
        self._reset(Change.RESET, fresh=verifier, detail=f"from {request.source}")
        return m.ClaimCode(code=code)

    async def press(self, request: m.PressButton) -> m.Reply:
        """Somebody is at the device, for the next two minutes."""
        if not self._in.button:
            return m.Refused(reason="no-button", message="this product has no button")
        if not self._in.is_at_the_device():  # or a stuck button would fill the log
            self._in.note("button-pressed", "")
        self._in.pressed_at = self._in.monotonic()
        return m.Done()

    async def verify_presence(self, code: str, source: str) -> m.Refused | None:
        """Somebody at the device, with its label: None, or why it is not so."""
        label = self._in.records.claim
        normalise_code(code)
        if label is None or not self._in.is_at_the_device():
            return m.Refused(
                reason="press-the-button",
                message="press the button of the device, then try again within two minutes"
                if self._in.button
                else "this product has no button",
            )
        fits = await self._in.check_code("takeover", code, lambda: (label,), source)
        return fits if isinstance(fits, m.Refused) else None

    def erased(self) -> None:
        """The supervisor has erased the owner's data."""
        records = self._in.records
        if records.state is m.ClaimState.RESETTING:
            state = next_state(records.state, Change.ERASED)
            self._in.store.save(state=state, erase_pending=False)
        else:
            self._in.store.save(erase_pending=False)

    def tick(self, seconds: float) -> None:
        """The device has run for `seconds` more: what waits goes on, what is over ends."""
        records, wall = self._in.records, self._in.wall()
        if records.takeover is not None:
            takeover = spend(records.takeover, seconds)
            if takeover.is_over:
                self._reset(Change.ELAPSE, fresh=None, detail="the owner did not object")
                return
            records = msgspec.structs.replace(records, takeover=takeover)
        spent = _with_spent_deadlines(records, seconds, wall)
        if spent != self._in.records:
            expired = spent.offer is None and self._in.records.offer is not None
            self._in.store.replace(spent)
            if expired:
                self._in.note("transfer-expired", "")

    def _reset(self, change: Change, *, fresh: ClaimVerifier | None, detail: str) -> None:
        within = self._in
        records = within.records
        emptied = msgspec.structs.replace(
            _emptied(records),
            state=next_state(records.state, change),
            erase_pending=True,
            fresh=fresh,
            label_sealed=True,
        )
        within.store.replace(emptied)
        within.guard.forget_guesses()
        within.log.clear()
        within.note("factory-reset", detail)
        within.erase()

    def _offered(self) -> Sequence[ClaimVerifier]:
        offer = self._in.records.offer
        return [offer.verifier] if offer and offer.deadline.is_alive(self._in.wall()) else []


def _emptied(records: Records) -> Records:
    """The records without anybody, and without anything under way."""
    return msgspec.structs.replace(
        records,
        accounts=(),
        tokens=(),
        known=(),
        invitations=(),
        offer=None,
        takeover=None,
        throttle=Throttle(time=records.throttle.time),
    )


def _with_spent_deadlines(records: Records, seconds: float, wall: float) -> Records:
    """Offer and invitations after `seconds` more; those that are over are gone."""
    invitations = tuple(
        msgspec.structs.replace(one, deadline=_spent(one.deadline, seconds))
        for one in records.invitations
    )
    changed = msgspec.structs.replace(
        records, invitations=tuple(one for one in invitations if one.deadline.is_alive(wall))
    )
    if records.offer is None:
        return changed
    offer = msgspec.structs.replace(records.offer, deadline=_spent(records.offer.deadline, seconds))
    if offer.deadline.is_alive(wall):
        return msgspec.structs.replace(changed, offer=offer)
    state = next_state(records.state, Change.EXPIRE)
    return msgspec.structs.replace(changed, state=state, offer=None)


def _spent(deadline: Deadline, seconds: float) -> Deadline:
    return msgspec.structs.replace(deadline, life=spend(deadline.life, seconds))
