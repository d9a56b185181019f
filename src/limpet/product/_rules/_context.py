"""What the caller of the rules knows, which no design file can say."""

from collections.abc import Callable, Set
from datetime import date

import msgspec

__all__ = ["Context"]


class Context(msgspec.Struct, frozen=True):
    """The knowledge that rules need from outside. None: leave what needs it unjudged.

    `statements` are the known statement ids. `today` judges review and expiry
    dates. `code_fault` says of a code pointer why it leads nowhere, or ""; `reading_fault`
    of an app's function why nobody can read it without an argument, or "".
    """

    statements: Set[str] | None = None
    today: date | None = None
    code_fault: Callable[[str], str] | None = None
    reading_fault: Callable[[str], str] | None = None
