"""What a device tells about its sources of randomness: in the supervisor's status, to the owner.

Owns the form of that report. Nothing is decided by it outside the supervisor.
"""

from typing import Literal

from limpet.device.link.messages.terms import Text
from limpet.wire.codec import Message

__all__ = ["RandomnessReport", "SourceState"]

SourceState = Literal["untried", "absent", "unreadable", "healthy", "failing"]
"""`untried`: its first samples are being taken. `unreadable`: it is there, this user may not
read it, and the kernel alone uses it."""


class RandomnessReport(Message, frozen=True, kw_only=True):
    """The hardware generator as limpet tests it, and what the kernel says it uses."""

    source: SourceState
    detail: Text = ""
    examined: int = 0  # samples (bytes) since the start
    kernel_source: str = ""  # the hardware generator that feeds the kernel, "" for none
    kernel_knows: tuple[str, ...] = ()  # the hardware generators that it could use
    processor: tuple[str, ...] = ()  # instructions that the kernel mixes: rdrand, rdseed, rng
