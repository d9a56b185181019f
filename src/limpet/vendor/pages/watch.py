"""What of the public face is due, missing or damaged, before anybody else notices.

Owns the judgement. Pure: dossiers, the contact and the time in; a list for people out. `build`
refuses what is `over` or `damaged` here where a visitor would be told something untrue.
"""

import enum
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from limpet.errors import Rejected
from limpet.product import list_placeholders

from .contact import WARN_DAYS, Contact
from .content import decide_standing
from .dossier import Dossier

__all__ = ["Concern", "State", "examine", "verify_publishable"]

EVIDENCE_DAYS = 365  # an audit that is older says little of today's firmware


class State(enum.Enum):
    """How a part of the public face stands."""

    GOOD = "good"
    SOON = "soon"  # due within `WARN_DAYS`
    OVER = "over"
    MISSING = "missing"
    DAMAGED = "damaged"
    PLACEHOLDER = "placeholder"  # right in an example, and leads no reader anywhere


class Concern(msgspec.Struct, frozen=True, kw_only=True):
    """One part: which, how it stands, until when, and what to do."""

    model: str
    what: str
    state: State
    until: date | None = None
    advice: str = ""
    stops: bool = False  # a build


def examine(dossiers: Sequence[Dossier], contact: Contact, now: datetime) -> tuple[Concern, ...]:
    """Everything that is watched, the host's own first."""
    found = [_contact(dossiers[0], contact, now)]
    if contact.signed or contact.fault:
        found.append(_signature(dossiers[0], contact))
    for one in dossiers:
        found += _model(one, now)
    return tuple(found)


def verify_publishable(concerns: Sequence[Concern]) -> None:
    """Raise `Rejected("not-publishable")` for the first one that stops a build."""
    for one in concerns:
        if one.stops:
            raise Rejected(
                "not-publishable", f"{one.model}: {one.what}: {one.state.value}", hint=one.advice
            )


def _contact(one: Dossier, contact: Contact, now: datetime) -> Concern:
    model, reviewed = one.product.model.name, one.product.security_contact.expires
    advice = "see that the addresses are still read, then set security_contact.expires"
    end = contact.expires or datetime.combine(reviewed, time(), UTC)
    state = _due(end, now) if contact.text else State.OVER
    return Concern(
        model=model,
        what="security contact (security.txt)",
        state=state,
        until=end.date(),
        advice="" if state is State.GOOD else advice,
        stops=state is State.OVER,
    )


def _signature(one: Dossier, contact: Contact) -> Concern:
    model = one.product.model.name
    if contact.signed:
        return Concern(model=model, what="signature of security.txt", state=State.GOOD)
    return Concern(
        model=model,
        what=f"signature of security.txt ({contact.fault})",
        state=State.OVER,
        advice="sign it again: limpet vendor pages sign-contact; or take the file away",
        stops=True,
    )


def _model(one: Dossier, now: datetime) -> Iterator[Concern]:
    model, product = one.product.model.name, one.product
    yield _support(one, now)
    for threat in product.threats:
        if threat.acceptance is not None:
            end = datetime.combine(threat.acceptance.review_by, time.max, UTC)
            state = _due(end, now)
            yield Concern(
                model=model,
                what=f"review of the accepted threat {threat.id}",
                state=state,
                until=threat.acceptance.review_by,
                advice="" if state is State.GOOD else "look at it again, then set its review_by",
            )
    if names := list_placeholders(product):
        yield Concern(
            model=model,
            what=f"names that lead to nobody: {', '.join(names)}",
            state=State.PLACEHOLDER,
            advice="name your own in the design file before a customer gets a device",
        )
    yield _evidence(one, now)
    for what, there in (
        ("bill of materials of the newest release", one.bill is not None),
        ("record of processes of the newest release", one.rights is not None),
        ("gate's statement on the newest release", any(r.gate for r in one.releases[:1])),
    ):
        yield Concern(model=model, what=what, state=State.GOOD if there else State.MISSING)
    if one.mud is not None and one.mud.fault:
        yield _damaged(model, one.mud.fault, "sign the MUD file again: limpet product mud")
    for fault in one.faults:
        yield _damaged(model, fault, "put a whole file in its place, or take it away")


def _support(one: Dossier, now: datetime) -> Concern:
    standing = decide_standing(one, now)
    end = datetime.combine(standing.until, time.max, UTC)
    state = State.OVER if standing.over else _due(end, now)
    return Concern(
        model=one.product.model.name,
        what="support period",
        state=state,
        until=standing.until,
        advice="" if state is State.GOOD else "the pages say so; a signed statement can extend it",
    )


def _evidence(one: Dossier, now: datetime) -> Concern:
    model, advice = one.product.model.name, "run limpet audit, then limpet vendor pages evidence"
    if one.evidence is None:
        return Concern(model=model, what="result of an audit", state=State.MISSING, advice=advice)
    end = one.evidence.started + timedelta(days=EVIDENCE_DAYS)
    state = _due(end, now)
    return Concern(
        model=model,
        what="result of an audit",
        state=state,
        until=end.date(),
        advice="" if state is State.GOOD else advice,
    )


def _damaged(model: str, what: str, advice: str) -> Concern:
    return Concern(model=model, what=what, state=State.DAMAGED, advice=advice, stops=True)


def _due(end: datetime, now: datetime) -> State:
    if end <= now:
        return State.OVER
    return State.SOON if end - now < timedelta(days=WARN_DAYS) else State.GOOD
