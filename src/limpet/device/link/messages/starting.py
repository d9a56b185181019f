"""Which firmware is started, and erasing: asked of `supervisor`."""

from typing import Literal

from limpet.device.link.messages.terms import Name, Text
from limpet.wire.codec import Message
from limpet.wire.release import Verity

__all__ = [
    "Activate",
    "BootRecord",
    "ConfirmTrial",
    "EraseData",
    "ReadBootRecord",
    "RejectTrial",
]


class Activate(Message, frozen=True, kw_only=True, tag=True):
    """Try the slot that was just written; the device restarts into it after `Done`."""

    slot: Literal["a", "b"]
    version: Name
    manifest_sha256: Name
    tree_sha256: Name
    security_counter: int
    verity: Verity | None = None  # of a slot that is a block device


class ConfirmTrial(Message, frozen=True, kw_only=True, tag=True):
    """The slot on trial is healthy: keep it."""


class RejectTrial(Message, frozen=True, kw_only=True, tag=True):
    """The slot on trial is not healthy: restart into the one before."""

    reason: Text


class ReadBootRecord(Message, frozen=True, kw_only=True, tag=True):
    """Answered by `BootRecord`."""


class BootRecord(Message, frozen=True, kw_only=True, tag=True):
    """What `boot` knows, for the updater."""

    running: Literal["a", "b"]
    on_trial: bool
    version: Name
    tree_sha256: str = ""  # of the running slot, as boot verified it
    security_counter: int  # the highest that was ever confirmed
    fell_back_from: str = ""  # version that failed last, until acknowledged
    fell_back_manifest: str = ""
    fell_back_reason: str = ""
    no_way_back: str = ""  # why the trial under way has no copy of the app's state, if it has none


class EraseData(Message, frozen=True, kw_only=True, tag=True):
    """Factory reset: erase app, gateway and updater settings, then restart."""
