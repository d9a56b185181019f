"""The network is cut off before a line of the product's code runs.

Owns that a product opens no network, not even while it is loaded, and the words for one that
tries. What the design file declares goes by the dialer, which was started before.
"""

import contextlib
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from limpet.device.confine import held_networks, refuse_networks
from limpet.errors import Rejected

__all__ = ["EVENT", "network_cut_off"]

EVENT = "network-refused"
"""What the device's log calls it; the release gate looks for it."""

_HINT = (
    "a product opens no port, and calls out through device.https to what its design file declares"
)
_CAUSES = 8


@contextlib.contextmanager
def network_cut_off(packages: Path, refused: Callable[[str], None]) -> Iterator[None]:
    """Load the product from `packages` and start it in here.

    Raises `Rejected("network-refused")`, after it told `refused` the words, if that fails because
    the code makes a socket of a network, or if the process holds one at the end. Where there is
    no seccomp (the design file must then bear it), only what is held at the end is found.
    """
    with contextlib.suppress(OSError, ValueError):  # `confine` judges whether it may be missing
        refuse_networks()
    try:
        yield
    except Exception as error:
        if not (where := _place(error, packages)):
            raise
        words = f"the product opens a network while it is loaded: {where}"
        refused(words)
        raise Rejected(EVENT, words, hint=_HINT) from error
    if held := held_networks():
        words = f"the product opens {', '.join(held)}, which no product may"
        refused(words)
        raise Rejected(EVENT, words, hint=_HINT)


def _place(error: BaseException, packages: Path) -> str:
    """The line of the product that made a socket, if that is what the system refused."""
    cause: BaseException | None = error
    for _ in range(_CAUSES):
        if cause is None:
            return ""
        steps = traceback.extract_tb(cause.__traceback__)
        if isinstance(cause, PermissionError) and steps and steps[-1].filename == socket.__file__:
            of_product = [one for one in steps if packages in Path(one.filename).parents]
            for one in of_product[-1:]:
                name = Path(one.filename).relative_to(packages)
                return f"{name} line {one.lineno}: {one.line}"
            return f"{steps[-1].name} of a library"
        cause = cause.__cause__
    return ""
