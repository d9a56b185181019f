"""The ownership of a device: its states, and the one table of what leads from one to another.

Owns the table. Decides nothing about secrets: who asks for a change has been checked
before. The diagram in docs/authentication.md is drawn from it, and a test compares.
"""

import enum
from collections.abc import Mapping

from limpet.device.link.messages import ClaimState
from limpet.errors import Rejected

__all__ = ["TRANSITIONS", "Change", "next_state"]


class Change(enum.Enum):
    """What may happen to the ownership of a device."""

    MINT = "mint"  # the factory asks for the label's code
    CLAIM = "claim"
    RESET = "reset"  # by the owner
    ERASED = "erased"  # the supervisor has erased the owner's data
    OFFER = "offer"  # the owner makes a code for the next one
    CANCEL = "cancel"  # the owner takes that back
    EXPIRE = "expire"  # nobody used the code in time
    ACCEPT = "accept"  # by the code: another owner
    TAKE_OVER = "take over"  # button and label
    OBJECT = "object"  # the owner is there after all
    ELAPSE = "elapse"  # the owner did not object in time


_S, _C = ClaimState, Change

TRANSITIONS: Mapping[tuple[ClaimState, Change], ClaimState] = {
    (_S.FACTORY, _C.MINT): _S.UNCLAIMED,
    (_S.UNCLAIMED, _C.CLAIM): _S.CLAIMED,
    (_S.CLAIMED, _C.OFFER): _S.OFFERED,
    (_S.OFFERED, _C.CANCEL): _S.CLAIMED,
    (_S.OFFERED, _C.EXPIRE): _S.CLAIMED,
    (_S.OFFERED, _C.ACCEPT): _S.CLAIMED,
    (_S.CLAIMED, _C.TAKE_OVER): _S.CONTESTED,
    (_S.CONTESTED, _C.OBJECT): _S.CLAIMED,
    (_S.CONTESTED, _C.ELAPSE): _S.RESETTING,
    (_S.CLAIMED, _C.RESET): _S.RESETTING,
    (_S.OFFERED, _C.RESET): _S.RESETTING,
    (_S.CONTESTED, _C.RESET): _S.RESETTING,
    (_S.RESETTING, _C.ERASED): _S.UNCLAIMED,
}
"""Every possible change; what is not here is refused."""

_REFUSALS: Mapping[ClaimState, tuple[str, str]] = {
    ClaimState.FACTORY: ("not-ready", "the device has not left the factory"),
    ClaimState.UNCLAIMED: ("unclaimed", "the device has no owner"),
    ClaimState.CLAIMED: ("already-claimed", "the device has an owner"),
    ClaimState.OFFERED: ("already-offered", "a transfer is under way; cancel it first"),
    ClaimState.CONTESTED: ("takeover-pending", "a takeover is under way; cancel it first"),
    ClaimState.RESETTING: ("resetting", "the device is being reset"),
}
_NOTHING_TO_CANCEL: Mapping[Change, tuple[str, str]] = {
    Change.CANCEL: ("no-transfer", "no transfer is under way"),
    Change.ACCEPT: ("no-transfer", "no transfer is under way"),
    Change.OBJECT: ("no-takeover", "no takeover is under way"),
}


def next_state(state: ClaimState, change: Change) -> ClaimState:
    """The state after `change`, or `Rejected` with the reason that `state` gives."""
    after = TRANSITIONS.get((state, change))
    if after is not None:
        return after
    if change is Change.CLAIM and state.has_owner:
        raise Rejected(*_REFUSALS[ClaimState.CLAIMED])
    if state.has_owner and change in _NOTHING_TO_CANCEL:
        raise Rejected(*_NOTHING_TO_CANCEL[change])
    raise Rejected(*_REFUSALS[state])
