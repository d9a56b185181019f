"""The one error hierarchy: who is at fault decides the class.

Owns the classes that cross a package boundary, and `naming`, which says of one what
it is about. A boundary
parser turns every library error into one of these, so that a caller needs to
catch `LimpetError` only, and a command line can print one clear line.

The three faults are kept apart as h11 keeps `LocalProtocolError` apart from
`RemoteProtocolError`: what the peer sent, what the machine lacks, and what we
did wrong ourselves must never be mistaken for each other.
"""

import contextlib
from collections.abc import Iterator

__all__ = ["LimpetError", "Misuse", "Rejected", "Unavailable", "naming"]


class LimpetError(Exception):
    """Any failure that limpet foresees.

    `message` says what is wrong; `hint` says what to do about it, or is empty.
    Neither ever carries a secret. `exit_code` is the command line's status.
    """

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Rejected(LimpetError):
    """The peer, the file or the artifact is bad, and was refused.

    `reason` is a short stable word (kebab case) that may go over the wire and
    into reports; the message is for the log and the person.
    """

    exit_code = 1

    def __init__(self, reason: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class Unavailable(LimpetError):
    """The environment lacks something: a file, a port, space, a peer's answer.

    `reason` is a short stable word (kebab case) as a `Rejected` has it, for whoever sees only
    the word; most need none.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", reason: str = "unavailable") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class Misuse(LimpetError):
    """limpet called itself wrongly: a bug of ours, never the peer's."""

    exit_code = 70


@contextlib.contextmanager
def naming(subject: object, *, hint: str = "") -> Iterator[None]:
    """A `Rejected` that leaves the block names `subject` (a file, mostly).

    `hint` is what to do where that, or an `Unavailable`, does not say it itself.
    """
    try:
        yield
    except (Rejected, Unavailable) as error:
        if isinstance(error, Rejected) and str(subject) not in error.message:
            error.message = f"{subject}: {error.message}"
        error.hint = error.hint or hint
        raise
