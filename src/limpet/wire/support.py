"""The support statement: until when a model gets updates, and what follows.

Signed offline by `releases/<model>`, so that neither a stolen server nor a
proxy can end or extend a support period.
"""

import enum
from typing import Annotated, Literal

from msgspec import Meta

from limpet.wire.codec import Message, Moment
from limpet.wire.release import ModelName
from limpet.wire.times import verify_plausible

__all__ = ["SUPPORT_BYTES", "AfterSupport", "SupportStatement", "support_path"]

SUPPORT_BYTES = 16 << 10


class AfterSupport(enum.Enum):
    """What a device does once its support period is over."""

    KEEPS_WORKING_LOCALLY = "keeps-working-locally"
    STOPS_REMOTE_FUNCTIONS = "stops-remote-functions"


class SupportStatement(Message, frozen=True, kw_only=True):
    """The vendor's commitment for one model; TUF target `firmware/<model>/support.json`."""

    spec: Literal["limpet-support-1"] = "limpet-support-1"
    model: ModelName
    until: Moment  # UTC
    after: AfterSupport
    text: Annotated[str, Meta(max_length=2000)]  # what the owner reads
    issued_at: Moment  # UTC

    def __post_init__(self) -> None:
        verify_plausible(self.until, self.issued_at)


def support_path(model: str) -> str:
    """The TUF target path of a model's support statement."""
    return f"firmware/{model}/support.json"
